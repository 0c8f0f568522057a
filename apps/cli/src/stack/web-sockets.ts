import type { IncomingMessage, Server } from 'node:http';
import type { Clock, Connection, Handler, Log } from '@shadowcat/kernel';
import { hostRule, originRule } from '@shadowcat/pipeline';
import { acceptSockets } from '@shadowcat/transport-ws';
import { drainLines, type LineServer, serveLine } from '@shadowcat/wire';
import { tokenRule } from './access.js';
import { knownHosts, knownOrigins } from './edge.js';
import { lineStack, type StackParts } from './layers.js';
import type { ServingConfig } from './serve-http.js';
import { counter } from './system.js';

export interface LineComponents {
  readonly parts: StackParts;
  /** The handler behind all layers. */
  readonly innermost: Handler;
  readonly clock: Clock;
  readonly log: Log;
}

export interface WebSocketLines {
  /** Lets requests in flight finish for up to `drainMs` milliseconds, then ends all lines. */
  close(drainMs: number): Promise<void>;
}

/** Serves WebSocket clients on the listener's port, each as a line through the same stack. */
export function acceptLines(server: Server, config: ServingConfig, components: LineComponents): WebSocketLines {
  const { parts, innermost, clock, log } = components;
  const handler = lineStack(parts, config.access)(innermost);
  const newId = counter('w');
  const open = new Set<LineServer>();
  const serve = (connection: Connection, request: IncomingMessage): void => {
    const authorization = request.headers.authorization;
    const headers = { host: 'localhost', ...(authorization === undefined ? {} : { authorization }) };
    const line = serveLine(connection, handler, {
      clock,
      log,
      newId,
      options: { target: config.path, headers, afterEnd: 'abandon' },
    });
    open.add(line);
    void line.done.then(() => open.delete(line));
  };
  const sockets = acceptSockets(
    server,
    {
      path: config.path,
      maxMessage: config.limits.maxBody,
      queueLimit: config.limits.maxStreamQueue,
      verify: handshakeRule(config),
    },
    { clock, log, onConnection: serve },
  );
  return {
    close: async (drainMs) => {
      await drainLines(open, drainMs, clock);
      // Before the lines are ended: from now on there are no new ones.
      const closed = sockets.close();
      await Promise.all([...open].map((line) => line[Symbol.asyncDispose]()));
      await closed;
    },
  };
}

/** What the edge guard and the token check are for HTTP. */
function handshakeRule(
  config: ServingConfig,
): (request: IncomingMessage) => true | { status: number; message: string } {
  const { access, listen } = config;
  const hostProblem = hostRule(knownHosts(listen.host, access));
  const originProblem = originRule(knownOrigins(access.allowOrigins));
  const tokenProblem = tokenRule(access.token);
  return ({ headers, rawHeaders }) => {
    // Node keeps the first of two; a proxy in front may have judged by the second.
    const count = (field: string): number =>
      rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === field).length;
    if (count('host') !== 1) return { status: 400, message: 'the request must have exactly one Host header' };
    if (count('authorization') > 1)
      return { status: 400, message: 'the request has more than one authorization header' };
    const problem = hostProblem(headers) ?? (headers.origin === undefined ? undefined : originProblem(headers.origin));
    if (problem !== undefined) return { status: 403, message: problem.message };
    const refusal = tokenProblem(headers.authorization);
    return refusal === undefined ? true : { status: 401, message: refusal.message };
  };
}
