import { type Blame, ProxyError } from '@shadowcat/kernel';

/**
 * How an exchange ended, for counting: answered (`ok`), with a JSON-RPC error (`error`), with a tool's own error
 * (`tool_error`: the server is alive and the call arrived), refused as the client's mistake (`client_error`), failed at the
 * upstream (`upstream_error`), refused by a limit or rule of the operator (`refused`), failed in the proxy (`proxy_error`), or
 * given up before its answer (`cancelled`).
 */
export const OUTCOMES = [
  'ok',
  'error',
  'tool_error',
  'client_error',
  'upstream_error',
  'refused',
  'proxy_error',
  'cancelled',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

const BY_BLAME: Readonly<Record<Blame, Outcome>> = {
  client: 'client_error',
  upstream: 'upstream_error',
  operator: 'refused',
  proxy: 'proxy_error',
  nobody: 'cancelled',
};

/** The outcome of an exchange that ended with an error of ours. */
export function outcomeOfError(thrown: unknown): Outcome {
  const error = ProxyError.from(thrown);
  return error.code === 'draining' ? 'refused' : BY_BLAME[error.blame];
}

/** The outcome that an HTTP status alone says. */
export function outcomeOfStatus(status: number): Outcome {
  if (status < 400) return 'ok';
  return status < 500 ? 'client_error' : 'upstream_error';
}
