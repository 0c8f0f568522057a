import { timingSafeEqual } from 'node:crypto';
import { headerOf, type Layer, ProxyError } from '@shadowcat/kernel';
import { credentialSlot } from '@shadowcat/wire';
import { fingerprint } from './system.js';

/**
 * Who is it? Binds the exchange to its credential (`credentialSlot`), so that a session answers only the one who opened
 * it, and refuses with 401 whoever does not send `token` as bearer token (RFC 6750), if one is wanted.
 */
export function identify(token: string | undefined): Layer {
  const expected = token === undefined ? undefined : fingerprint(`Bearer ${token}`);
  return (next) => (exchange) => {
    const authorization = headerOf(exchange.head.headers, 'authorization');
    const credential = authorization === undefined ? '' : fingerprint(authorization.replace(/^bearer /i, 'Bearer '));
    if (expected !== undefined && !sameText(credential, expected)) {
      const message = 'this endpoint wants a bearer token: send the header "Authorization: Bearer <token>"';
      return Promise.reject(new ProxyError('unauthorized', message));
    }
    if (credential !== '') exchange.context.set(credentialSlot, credential);
    return next(exchange);
  };
}

/** Compares without telling by its time how much is equal. */
function sameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
