import { type Json, type JsonObject, LEGACY_VERSIONS, readMessage, spanOf, withMembers } from '@shadowcat/wire';

/** What a legacy client said of itself when it opened its session. Texts are JSON, as the client wrote it. */
export interface ClientFacts {
  readonly clientInfoText: string | undefined;
  readonly capabilitiesText: string;
  readonly capabilities: JsonObject;
  /** The revision that it is answered with: its own where that is a legacy one, else the newest of them. */
  readonly protocolVersion: string;
}

const NEWEST_LEGACY = LEGACY_VERSIONS[0] ?? '2025-11-25';

/** Reads them from the text of `initialize`; what is missing or malformed counts as not said. */
export function clientFacts(initializeText: string): ClientFacts {
  const params = objectAt(readMessage(initializeText)?.value, 'params');
  const requested = params?.['protocolVersion'];
  const capabilities = objectAt(params, 'capabilities');
  const own = capabilities === undefined ? '{}' : cut(initializeText, ['params', 'capabilities']);
  return {
    clientInfoText: objectAt(params, 'clientInfo') && cut(initializeText, ['params', 'clientInfo']),
    // The tasks of 2025-11-25 are not those of the modern extension: nothing of them can be bridged.
    capabilitiesText: withMembers(own ?? '{}', [], { tasks: undefined }),
    capabilities: capabilities ?? {},
    protocolVersion: typeof requested === 'string' && LEGACY_VERSIONS.includes(requested) ? requested : NEWEST_LEGACY,
  };
}

/** The JSON text of the value at `path`. */
export function cut(text: string, path: readonly string[]): string | undefined {
  const span = spanOf(text, path);
  return span && text.slice(span.start, span.end);
}

export function objectAt(value: Json | undefined, key: string): JsonObject | undefined {
  return asObject(asObject(value)?.[key]);
}

export function asObject(value: Json | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}
