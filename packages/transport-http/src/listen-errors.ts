import { ProxyError } from '@shadowcat/kernel';

const REASONS: Readonly<Record<string, (where: string, port: number) => string>> = {
  EADDRINUSE: (where, port) =>
    `port ${port} is already in use on ${where}; stop what listens there, or choose another port`,
  EACCES: (where, port) => `no permission to listen on ${where} port ${port}; choose a port above 1023`,
  EADDRNOTAVAIL: (where) => `this machine has no address ${where}; listen on 127.0.0.1, or on an address that it has`,
  ENOTFOUND: (where) => `the name ${where} is not known; listen on 127.0.0.1, or on an address of this machine`,
  EAI_AGAIN: (where) =>
    `the name ${where} could not be looked up; listen on 127.0.0.1, or on an address of this machine`,
};

/** Why the listener did not start, in plain words. `data.code` is the system's error code. */
export function listenError(cause: NodeJS.ErrnoException, where: { host: string; port: number }): ProxyError {
  const code = cause.code ?? 'unknown';
  const reason = REASONS[code]?.(where.host, where.port);
  const message = reason ?? `cannot listen on ${where.host} port ${where.port}: ${cause.message}`;
  return new ProxyError('internal', message, { cause, data: { code } });
}
