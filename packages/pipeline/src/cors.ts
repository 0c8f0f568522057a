import { type Exchange, type HeaderMap, headerOf, type Reply, reply, withHeaders, withReply } from '@shadowcat/kernel';
import { SESSION_HEADER, VERSION_HEADER } from '@shadowcat/wire';

/** The methods of the endpoint, as in `Allow`. */
export const METHODS: readonly string[] = ['POST', 'GET', 'DELETE', 'OPTIONS'];

const EXPOSED = [SESSION_HEADER, VERSION_HEADER, 'www-authenticate', 'retry-after'].join(', ');
/** What a page may send when it does not say what it wants to send. */
const REQUEST_HEADERS = [
  'content-type',
  'accept',
  'authorization',
  SESSION_HEADER,
  VERSION_HEADER,
  'last-event-id',
].join(', ');
/** Browsers cut the time that a preflight's answer holds to two hours or less. */
const MAX_AGE_S = '7200';

/** The answer to OPTIONS: with an allowed `origin` what a page may do (Fetch, 3.3), without only what the endpoint knows. */
export function preflight(exchange: Exchange, origin: string | undefined): Reply {
  const allow = METHODS.join(', ');
  if (origin === undefined) return reply({ status: 204, headers: { allow } });
  return reply({
    status: 204,
    headers: {
      allow,
      ...sharedWith(origin),
      'access-control-allow-methods': allow,
      'access-control-allow-headers':
        headerOf(exchange.head.headers, 'access-control-request-headers') ?? REQUEST_HEADERS,
      'access-control-max-age': MAX_AGE_S,
    },
  });
}

/** The reply as the page of `origin` may read it, whatever the upstream says about origins. */
export function readableBy(origin: string, answer: Reply): Reply {
  const { status, headers } = answer.head;
  const vary = headerOf(headers, 'vary');
  const shared = { ...sharedWith(origin), 'access-control-expose-headers': EXPOSED };
  const varies = vary === undefined || /(^|,)\s*(origin|\*)\s*(,|$)/i.test(vary) ? vary : `${vary}, Origin`;
  return withReply(answer, {
    head: { status, headers: withHeaders(headers, { ...shared, vary: varies ?? 'Origin' }) },
  });
}

function sharedWith(origin: string): HeaderMap {
  return { 'access-control-allow-origin': origin, vary: 'Origin' };
}
