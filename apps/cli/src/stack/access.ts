import { timingSafeEqual } from 'node:crypto';
import { headerOf, type Layer, ProxyError } from '@shadowcat/kernel';
import { credentialSlot } from '@shadowcat/wire';
import type { Subjects } from './adoption.js';
import { fingerprint } from './system.js';

/**
 * Who is it? Binds the exchange to its credential (`credentialSlot`), so that a session answers only the one who opened
 * it, and refuses whom {@link tokenRule} refuses. Whom credentials name is noted in `subjects`, where sessions may change hands.
 */
export function identify(token: string | undefined, subjects?: Subjects): Layer {
  const problemWith = credentialRule(token);
  return (next) => (exchange) => {
    const authorization = headerOf(exchange.head.headers, 'authorization');
    const credential = authorization === undefined ? undefined : credentialOf(authorization);
    const problem = problemWith(credential);
    if (problem !== undefined) return Promise.reject(problem);
    if (credential !== undefined && authorization !== undefined) {
      exchange.context.set(credentialSlot, credential);
      subjects?.note(credential, authorization);
    }
    return next(exchange);
  };
}

/** Refuses (401) an `Authorization` field that is not `token` as bearer token (RFC 6750), if one is wanted. */
export function tokenRule(token: string | undefined): (authorization: string | undefined) => ProxyError | undefined {
  const problemWith = credentialRule(token);
  return (authorization) => problemWith(authorization === undefined ? undefined : credentialOf(authorization));
}

function credentialRule(token: string | undefined): (credential: string | undefined) => ProxyError | undefined {
  if (token === undefined) return () => undefined;
  const expected = credentialOf(`Bearer ${token}`);
  return (credential) => {
    if (credential !== undefined && sameText(credential, expected)) return undefined;
    const message = 'this endpoint wants a bearer token: send the header "Authorization: Bearer <token>"';
    return new ProxyError('unauthorized', message);
  };
}

/** What stands for an `Authorization` field; the scheme's name is case-insensitive (RFC 9110, 11.1). */
const credentialOf = (authorization: string): string => fingerprint(authorization.replace(/^bearer /i, 'Bearer '));

/** Compares without telling by its time how much is equal. */
function sameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
