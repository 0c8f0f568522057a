import type { IncomingMessage } from 'node:http';
import { type Clock, type Connection, type Log, ProxyError } from '@shadowcat/kernel';
import { WebSocket } from 'ws';
import { SocketConnection } from './socket-connection.js';
import { socketName, unreachableError, unwillingError } from './unreachable.js';

export interface SocketOptions {
  /** `ws:` or `wss:`. */
  readonly url: string;
  /** Sent with the opening request, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For the whole opening: name, connection, TLS, upgrade. Default 5 s. */
  readonly connectTimeoutMs?: number;
  /** The largest message taken, in bytes. Default 10 MiB. */
  readonly maxMessage?: number;
  /** Between two keep-alive pings; two unanswered ones end the line. Default 30 s. */
  readonly pingMs?: number;
}

export interface SocketComponents {
  readonly clock: Clock;
  readonly log: Log;
}

export const SUBPROTOCOL = 'mcp';
export const PING_MS = 30_000;
export const QUEUE_LIMIT = 1024 * 1024;
const CONNECT_MS = 5000;
const MAX_MESSAGE = 10 * 1024 * 1024;

/**
 * Opens a WebSocket to an MCP server, subprotocol `mcp`. Rejects with `upstream_unreachable` when nothing was sent and
 * another target may do better, with `upstream_protocol` when there is a server that does not speak MCP over WebSocket,
 * and with `cancelled` when `signal` fires during the opening; it has no effect on an open line. Redirects are not
 * followed. The caller owns the line.
 */
export function openSocket(
  options: SocketOptions,
  components: SocketComponents,
  signal?: AbortSignal,
): Promise<Connection> {
  const name = socketName(options.url);
  const connectMs = options.connectTimeoutMs ?? CONNECT_MS;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) throw cancelled(name);
    const socket = newSocket(options, name);
    const settle = (): void => {
      deadline.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: ProxyError): void => {
      settle();
      socket.terminate();
      reject(error);
    };
    const onAbort = (): void => fail(cancelled(name));
    const deadline = components.clock.timer(connectMs, () => fail(lateError(name, connectMs)));
    signal?.addEventListener('abort', onAbort);
    // Stays for good: terminating a socket that is still connecting makes it report an error, too.
    socket.on('error', (error) => fail(unreachableError(name, error)));
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      fail(unwillingError(name, response.statusCode ?? 0));
    });
    socket.once('open', () => {
      settle();
      socket.removeAllListeners('error');
      components.log.debug({ upstream: name }, 'opened a WebSocket');
      const { clock } = components;
      const pingMs = options.pingMs ?? PING_MS;
      resolve(new SocketConnection({ socket, name, peer: 'upstream', clock, pingMs, queueLimit: QUEUE_LIMIT }));
    });
  });
}

function newSocket(options: SocketOptions, name: string): WebSocket {
  try {
    return new WebSocket(options.url, SUBPROTOCOL, {
      headers: { ...options.headers },
      maxPayload: options.maxMessage ?? MAX_MESSAGE,
      perMessageDeflate: false,
      followRedirects: false,
    });
  } catch (thrown) {
    throw unreachableError(name, thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
}

function cancelled(name: string): ProxyError {
  return new ProxyError('cancelled', `opening ${name} was cancelled`);
}

function lateError(name: string, ms: number): ProxyError {
  return new ProxyError('upstream_unreachable', `cannot reach ${name}: it did not answer within ${ms} ms`);
}
