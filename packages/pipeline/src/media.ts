import { type HeaderMap, headerOf, ProxyError } from '@shadowcat/kernel';

const JSON_TYPE = 'application/json';
const SSE_TYPE = 'text/event-stream';

/** What a client of Streamable HTTP says that it takes. */
export const BOTH_TYPES = `${JSON_TYPE}, ${SSE_TYPE}`;

/** Whether a POST carries what the endpoint reads: JSON, and not compressed (sizes are limited before unpacking). */
export function contentProblem(headers: HeaderMap): ProxyError | undefined {
  const type = headerOf(headers, 'content-type');
  if (type !== JSON_TYPE && essence(type) !== JSON_TYPE) {
    return new ProxyError('unsupported_media_type', `the Content-Type must be ${JSON_TYPE}`);
  }
  const encoding = headerOf(headers, 'content-encoding');
  if (encoding === undefined || encoding.trim().toLowerCase() === 'identity') return undefined;
  return new ProxyError('unsupported_encoding', 'the request has a Content-Encoding; send the body as it is');
}

/** How a client's Accept meets a POST's answer, which may be JSON or a stream (MCP, Streamable HTTP, "Sending Messages"). */
export type PostAccept = 'both' | 'implied' | 'refused';

/** `implied`: nothing was said, or wildcards cover it, so upstreams that look for both names have to be told them. */
export function postAccept(accept: string | undefined): PostAccept {
  if (accept === BOTH_TYPES) return 'both';
  if (accept === undefined || accept === '*/*') return 'implied';
  const ranges = rangesOf(accept);
  if (ranges.has(JSON_TYPE) && ranges.has(SSE_TYPE)) return 'both';
  return admits(ranges, JSON_TYPE) && admits(ranges, SSE_TYPE) ? 'implied' : 'refused';
}

/** A stream is only for those who ask for it by name: a browser that is pointed at the endpoint does not. */
export function acceptsStream(accept: string | undefined): boolean {
  return accept !== undefined && (accept === SSE_TYPE || rangesOf(accept).has(SSE_TYPE));
}

export function notAcceptable(needed: 'post' | 'stream'): ProxyError {
  const types = needed === 'post' ? `both ${JSON_TYPE} and ${SSE_TYPE}` : SSE_TYPE;
  return new ProxyError('not_acceptable', `this is an MCP endpoint: the Accept header must name ${types}`);
}

function rangesOf(accept: string): ReadonlySet<string | undefined> {
  return new Set(accept.split(',').map(essence));
}

function admits(ranges: ReadonlySet<string | undefined>, type: string): boolean {
  return ranges.has(type) || ranges.has(`${type.slice(0, type.indexOf('/'))}/*`) || ranges.has('*/*');
}

function essence(type: string | undefined): string | undefined {
  return type?.split(';', 1)[0]?.trim().toLowerCase();
}
