import {
  asObject,
  claimedVersion,
  type JsonObject,
  keepMembers,
  type Message,
  MODERN,
  objectAt,
  textAt,
  withMembers,
} from '@shadowcat/wire';
import { LEVELS } from '../log-levels.js';

const CLIENT_INFO = 'io.modelcontextprotocol/clientInfo';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';
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

/** Why a message's envelope cannot be served, as a JSON-RPC error; `undefined` when it can. */
export function envelopeProblem(
  message: Message,
): { readonly code: number; readonly message: string; readonly data?: object } | undefined {
  const version = claimedVersion(message);
  const meta = metaOf(message);
  if (version === undefined || asObject(meta?.[CAPABILITIES]) === undefined) {
    return { code: -32602, message: `params._meta needs io.modelcontextprotocol/protocolVersion and ${CAPABILITIES}` };
  }
  const level = meta?.[LOG_LEVEL];
  if (level !== undefined && !LEVELS.includes(level as string)) {
    return { code: -32602, message: `params._meta["${LOG_LEVEL}"] is no log level` };
  }
  if (version === MODERN) return undefined;
  const data = { supported: [MODERN], requested: version };
  return { code: -32022, message: `Unsupported protocol version: ${version}`, data };
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
