import { type ErrorCode, ProxyError } from '@shadowcat/kernel';

/** How far an exchange with an upstream had come: nothing written yet, waiting for the head, or reading the body. */
export type ClientPhase = 'unsent' | 'sent' | 'body';

export interface ClientErrorContext {
  /** The upstream, for people: never with credentials or a query. */
  readonly name: string;
  readonly phase: ClientPhase;
  readonly firstByteTimeout: number;
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused; is the server running?',
  ENOTFOUND: 'its name is not known; check the address',
  EAI_AGAIN: 'its name could not be looked up; check the network',
  EHOSTUNREACH: 'no route to the host; check the network',
  ENETUNREACH: 'no route to the network; check the network',
  ETIMEDOUT: 'no answer to the connection attempt; check the address and the network',
  UND_ERR_CONNECT_TIMEOUT: 'no answer to the connection attempt; check the address and the network',
  ECONNRESET: 'the connection was closed before anything was sent; is it the right port and protocol?',
};

/** What undici reports, besides parser errors, when an answer is no proper HTTP; an assertion is about an impossible status. */
const IMPROPER: ReadonlySet<string> = new Set([
  'ERR_ASSERTION',
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

/**
 * What undici or the socket reported, as our error. `upstream_unreachable` promises that not a byte of the request was
 * written, so that it may be sent elsewhere; anything that fails later may have had its effect.
 */
export function clientError(thrown: unknown, context: ClientErrorContext): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  const code = codeOf(cause);
  const fail = (kind: ErrorCode, message: string): ProxyError =>
    new ProxyError(kind, `${context.name} ${message}`, { cause, data: { code } });
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') {
    return fail('invalid_request', `was not asked: the request cannot be sent on (${cause.message})`);
  }
  if (context.phase === 'unsent') {
    const reason = UNREACHABLE[code] ?? (isTls(code) ? `no trusted TLS connection (${cause.message})` : cause.message);
    return fail('upstream_unreachable', `cannot be reached: ${reason}`);
  }
  if (code === 'UND_ERR_HEADERS_TIMEOUT') {
    const seconds = context.firstByteTimeout / 1000;
    return fail(
      'upstream_timeout',
      `did not begin to answer within ${seconds} s; it may still be working on the request`,
    );
  }
  if (cause.name === 'HTTPParserError' || IMPROPER.has(code)) {
    const what = code === 'ERR_ASSERTION' ? 'an impossible status' : cause.message;
    return fail('upstream_protocol', `answered with something that is not proper HTTP (${what})`);
  }
  const when = context.phase === 'sent' ? 'before it answered' : 'in the middle of its answer';
  return fail('upstream_closed', `closed the connection ${when}`);
}

function codeOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string') return code;
  if (error instanceof AggregateError) {
    for (const each of error.errors) if (each instanceof Error && codeOf(each) !== 'unknown') return codeOf(each);
  }
  return 'unknown';
}

function isTls(code: string): boolean {
  return code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL') || /CERT|SIGNATURE|SELF_SIGNED/.test(code);
}
