import { claimedVersion, type JsonObject, type Message, MODERN } from '@shadowcat/wire';
import { memberText, objectOf, rebuilt } from '../object-text.js';

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
  if (version === undefined || objectOf(meta?.[CAPABILITIES]) === undefined) {
    return { code: -32602, message: `params._meta needs io.modelcontextprotocol/protocolVersion and ${CAPABILITIES}` };
  }
  if (version === MODERN) return undefined;
  const data = { supported: [MODERN], requested: version };
  return { code: -32022, message: `Unsupported protocol version: ${version}`, data };
}

export function envelopeOf(message: Message): Envelope {
  const meta = metaOf(message) ?? {};
  const text = memberText(message.text, ['params', '_meta']) ?? '{}';
  const capabilities = objectOf(meta[CAPABILITIES]) ?? {};
  const level = meta[LOG_LEVEL];
  const token = meta['progressToken'];
  return {
    clientInfo: memberText(text, [CLIENT_INFO]) ?? '{"name":"unknown","version":"0"}',
    capabilities: rebuilt(memberText(text, [CAPABILITIES]) ?? '{}', capabilities, {
      keep: (name) => LEGACY_CAPABILITIES.has(name),
    }),
    logLevel: typeof level === 'string' ? level : undefined,
    progressToken: token === undefined || token === null ? undefined : memberText(text, ['progressToken']),
  };
}

/**
 * The parameters as a legacy server knows them: without the envelope and the members of multi round-trips. `progressToken`
 * takes the place of the client's own, which is unique among that client's requests only.
 */
export function legacyParams(message: Message, progressToken: string | undefined): string {
  const params = objectOf(message.value['params']) ?? {};
  const text = memberText(message.text, ['params']) ?? '{}';
  const meta = objectOf(params['_meta']) ?? {};
  const kept = rebuilt(memberText(text, ['_meta']) ?? '{}', meta, {
    keep: (name) => !name.startsWith(RESERVED) && name !== 'progressToken',
    ...(progressToken === undefined ? {} : { more: { progressToken } }),
  });
  return rebuilt(text, params, {
    keep: (name) => name !== '_meta' && name !== 'inputResponses' && name !== 'requestState',
    ...(kept === '{}' ? {} : { more: { _meta: kept } }),
  });
}

function metaOf(message: Message): JsonObject | undefined {
  return objectOf(objectOf(message.value['params'])?.['_meta']);
}
