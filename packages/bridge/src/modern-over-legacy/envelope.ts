import {
  asObject,
  META_CLIENT_CAPABILITIES as CAPABILITIES,
  META_CLIENT_INFO as CLIENT_INFO,
  type JsonObject,
  keepMembers,
  META_LOG_LEVEL as LOG_LEVEL,
  type Message,
  objectAt,
  textAt,
  withMembers,
} from '@shadowcat/wire';

const RESERVED = 'io.modelcontextprotocol/';

/** The capabilities of clients that legacy revisions know by the same name. */
const LEGACY_CAPABILITIES: ReadonlySet<string> = new Set(['roots', 'sampling', 'elicitation', 'experimental']);

/** What a modern request says of its client in `_meta` (2026-07-28, "Request Metadata"), as JSON texts. */
export interface Envelope {
  readonly clientInfo: string;
  /** Only what legacy revisions know. */
  readonly capabilities: string;
  /** All that the client declared. */
  readonly declared: JsonObject;
  readonly logLevel: string | undefined;
  /** The JSON text of the progress token. */
  readonly progressToken: string | undefined;
}

export function envelopeOf(message: Message): Envelope {
  const meta = metaOf(message) ?? {};
  const text = textAt(message.text, ['params', '_meta']) ?? '{}';
  const level = meta[LOG_LEVEL];
  const token = meta['progressToken'];
  return {
    clientInfo: textAt(text, [CLIENT_INFO]) ?? '{"name":"unknown","version":"0"}',
    capabilities: keepMembers(textAt(text, [CAPABILITIES]) ?? '{}', (name) => LEGACY_CAPABILITIES.has(name)),
    declared: objectAt(meta, CAPABILITIES) ?? {},
    logLevel: typeof level === 'string' ? level : undefined,
    progressToken: token === undefined || token === null ? undefined : textAt(text, ['progressToken']),
  };
}

/** What a retry has from the answer that it is a retry of. */
export function requestStateOf(message: Message | undefined): unknown {
  return objectAt(message?.value, 'params')?.['requestState'];
}

/**
 * The parameters as a legacy server knows them: without the envelope and the members of multi round-trips. `progressToken`
 * takes the place of the client's own, which is unique among that client's requests only.
 */
export function legacyParams(message: Message, progressToken: string | undefined): string {
  const text = textAt(message.text, ['params']) ?? '{}';
  const meta = keepMembers(
    textAt(text, ['_meta']) ?? '{}',
    (name) => !name.startsWith(RESERVED) && name !== 'progressToken',
  );
  const kept = progressToken === undefined ? meta : withMembers(meta, [], { progressToken });
  const own = keepMembers(text, (name) => !OF_ROUND_TRIPS.has(name));
  return kept === '{}' ? own : withMembers(own, [], { _meta: kept });
}

const OF_ROUND_TRIPS: ReadonlySet<string> = new Set(['_meta', 'inputResponses', 'requestState']);

function metaOf(message: Message): JsonObject | undefined {
  return asObject(asObject(message.value['params'])?.['_meta']);
}
