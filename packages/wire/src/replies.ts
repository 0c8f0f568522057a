import type { ErrorCode, HeaderMap, ProxyError, Reply } from '@shadowcat/kernel';
import type { Era } from './call.js';
import { jsonReply } from './json-reply.js';
import { failureText } from './texts.js';

/** What a client sees of an error. */
export interface ErrorReplyRule {
  /** The HTTP status. */
  readonly status: number;
  /** The status where the error answers requests by id, if another: 200 makes an SDK raise it with its code and data. */
  readonly requestStatus?: number;
  /** The JSON-RPC error code. */
  readonly rpc: number;
}

/**
 * The error table: what each {@link ErrorCode} becomes on the wire. Codes that MCP or JSON-RPC define are used in their meaning
 * only; -32000 is what MCP servers answer in for faults of the HTTP request; the proxy's own lie between -32003 and -32019
 * (2026-07-28, "Error Codes", leaves -32019 to -32000 to implementations, and -32002 is taken). Statuses: see
 * docs/discoveries/001-what-clients-do-with-http-errors.md.
 */
export const REPLIES: Readonly<Record<ErrorCode, ErrorReplyRule>> = {
  parse_error: { status: 400, rpc: -32700 },
  invalid_request: { status: 400, rpc: -32600 },
  method_not_allowed: { status: 405, rpc: -32000 },
  not_found: { status: 404, rpc: -32000 },
  not_acceptable: { status: 406, rpc: -32000 },
  unsupported_media_type: { status: 415, rpc: -32000 },
  unsupported_encoding: { status: 415, rpc: -32000 },
  body_too_large: { status: 413, rpc: -32000 },
  forbidden_host: { status: 403, rpc: -32000 },
  forbidden_origin: { status: 403, rpc: -32000 },
  unauthorized: { status: 401, rpc: -32000 },
  header_mismatch: { status: 400, rpc: -32020 },
  invalid_params: { status: 400, rpc: -32602 },
  unsupported_version: { status: 400, rpc: -32022 },
  session_required: { status: 400, rpc: -32000 },
  session_not_found: { status: 404, rpc: -32001 },
  session_limit: { status: 503, rpc: -32010 },
  stream_conflict: { status: 409, rpc: -32000 },
  events_expired: { status: 400, rpc: -32000 },
  blocked: { status: 403, requestStatus: 200, rpc: -32003 },
  rate_limited: { status: 429, rpc: -32005 },
  pool_exhausted: { status: 503, rpc: -32006 },
  draining: { status: 503, rpc: -32007 },
  spawn_failed: { status: 502, rpc: -32008 },
  child_exited: { status: 502, rpc: -32009 },
  // The numbers are all in use; both say that nothing was sent.
  upstream_unavailable: { status: 503, rpc: -32011 },
  upstream_unreachable: { status: 502, rpc: -32011 },
  upstream_timeout: { status: 504, rpc: -32012 },
  upstream_closed: { status: 502, rpc: -32013 },
  upstream_protocol: { status: 502, rpc: -32014 },
  slow_client: { status: 503, rpc: -32015 },
  replay_miss: { status: 404, requestStatus: 200, rpc: -32004 },
  tape_invalid: { status: 500, rpc: -32016 },
  recorder_failed: { status: 503, rpc: -32017 },
  store_failed: { status: 503, rpc: -32019 },
  cancelled: { status: 499, rpc: -32018 },
  internal: { status: 500, rpc: -32603 },
};

/** After how many seconds to try again where the error does not say so itself. */
const RETRY_AFTER = 1;

/**
 * The error as a JSON-RPC message. `idText` is the JSON text of the request's id, `null` where there is none. What went
 * wrong inside of the proxy stays in its log: the text of an `internal` error is not the client's.
 */
export function errorText(error: ProxyError, idText: string | null): string {
  const message =
    error.code === 'internal' ? 'the proxy failed to handle this request; its log says why' : error.message;
  return failureText(idText ?? 'null', { code: REPLIES[error.code].rpc, message, data: error.data });
}

export interface ErrorReplyOptions {
  /** The JSON texts of the ids that are owed an answer: none, one, or those of a batch. */
  readonly idTexts?: readonly string[];
  readonly era?: Era;
}

/** The error as a complete HTTP answer: status, headers that belong to it, and the JSON-RPC error for each id. */
export function errorReply(error: ProxyError, options: ErrorReplyOptions = {}): Reply {
  const ids = options.idTexts ?? [];
  const rule = REPLIES[error.code];
  const status = ids.length > 0 ? (rule.requestStatus ?? rule.status) : rule.status;
  const text =
    ids.length > 1 ? `[${ids.map((id) => errorText(error, id)).join(',')}]` : errorText(error, ids[0] ?? null);
  return jsonReply(text, { status, headers: headersFor(error, status, options.era) });
}

/** Fields that RFC 9110 (sections 10.2.1, 10.2.3, 11.6.1, 12.5.3) asks for with some statuses. */
function headersFor(error: ProxyError, status: number, era: Era | undefined): HeaderMap {
  if (status === 503 || status === 429) return { 'retry-after': String(error.retryAfter ?? RETRY_AFTER) };
  if (error.retryAfter !== undefined) return { 'retry-after': String(error.retryAfter) };
  if (error.code === 'method_not_allowed')
    return { allow: allowed(error) ?? (era === 'modern' ? 'POST' : 'GET, POST, DELETE') };
  if (error.code === 'unauthorized') return { 'www-authenticate': 'Bearer' };
  if (error.code === 'unsupported_encoding') return { 'accept-encoding': 'identity' };
  return {};
}

/** The methods that the error itself names in `data.allow`. */
function allowed({ data }: ProxyError): string | undefined {
  const methods = data?.['allow'];
  return Array.isArray(methods) ? methods.join(', ') : undefined;
}
