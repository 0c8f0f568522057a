import { type JsonObject, LEGACY_VERSIONS, objectAt, readMessage, textAt, withMembers } from '@shadowcat/wire';

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
  const own = capabilities === undefined ? '{}' : textAt(initializeText, ['params', 'capabilities']);
  return {
    clientInfoText: objectAt(params, 'clientInfo') && textAt(initializeText, ['params', 'clientInfo']),
    // The tasks of 2025-11-25 are not those of the modern extension: nothing of them can be bridged.
    capabilitiesText: withMembers(own ?? '{}', [], { tasks: undefined }),
    capabilities: capabilities ?? {},
    protocolVersion: typeof requested === 'string' && LEGACY_VERSIONS.includes(requested) ? requested : NEWEST_LEGACY,
  };
}
