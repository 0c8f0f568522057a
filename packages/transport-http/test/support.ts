import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Body, type Clock, type Exchange, type Handler, type Layer, silentLog, withExchange } from '@shadowcat/kernel';
import { callSlot, classify, jsonFraming, type OnRecovery, readMessages, type SessionHandle } from '@shadowcat/wire';
import { onTestFinished } from 'vitest';
import type { HttpUpstream, HttpUpstreamOptions } from '../src/http-upstream.js';
import { httpUpstream } from '../src/http-upstream.js';
import type { ListenOptions } from '../src/listen-options.js';
import { type Listener, listen } from '../src/listener.js';

export const realClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  timer: (ms, fire) => {
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** A listener on a port of its own that is closed when the test ends. */
export async function serving(
  handler: Handler,
  options: Partial<ListenOptions> = {},
  clock: Clock = realClock,
): Promise<Listener> {
  let made = 0;
  const newId = (): string => {
    made += 1;
    return `x${made}`;
  };
  const listener = await listen({ host: '127.0.0.1', port: 0, ...options }, handler, { log: silentLog, clock, newId });
  onTestFinished(() => listener.close({ drainMs: 0 }));
  return listener;
}

/** A server of node's own, to stand upstream. */
export async function nodeServer(answer: RequestListener): Promise<{ server: Server; url: string; port: number }> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { server, url: `http://127.0.0.1:${port}/mcp`, port };
}

export function upstreamAt(
  url: string,
  options: Partial<HttpUpstreamOptions> = {},
  clock = realClock,
  recovered?: OnRecovery,
): HttpUpstream {
  const upstream = httpUpstream(
    { target: 'up', url, ...options },
    { log: silentLog, clock, random: () => 0, recovered },
  );
  onTestFinished(() => upstream.close());
  return upstream;
}

/** Reads and classifies bodies as the stack does. */
export const classified: Layer = (next) => async (exchange: Exchange) => {
  const bytes = await exchange.body.collect(4 * 1024 * 1024);
  const { messages, batch } = bytes.length === 0 ? { messages: [], batch: false } : readMessages(bytes);
  exchange.context.set(callSlot, classify(exchange.head, messages, batch));
  return next(withExchange(exchange, { body: Body.whole(bytes, jsonFraming) }));
};

export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) text += chunk as string;
  return text;
}

/** A bare connection to a port of this machine. */
export class Wire {
  readonly socket: Socket;
  text = '';
  closed = false;
  #wake: (() => void)[] = [];

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.setEncoding('latin1');
    const wake = (): void => {
      for (const each of this.#wake.splice(0)) each();
    };
    this.socket.on('data', (chunk: string) => {
      this.text += chunk;
      wake();
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
      wake();
    });
    onTestFinished(() => {
      this.socket.destroy();
    });
  }

  write(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Resolves with all that came, once it matches or the connection is closed. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.text) && !this.closed) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.text;
  }

  async end(): Promise<string> {
    while (!this.closed) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.text;
  }
}

/** Resolves when `holds` does, looking again at each turn of the event loop. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

export const REQUEST = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'echo' } };

export function postOf(body: object | string, headers: Record<string, string> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
}

/** A session that ends when the test says so. */
export function endableSession({
  id,
  sessionId,
  protocolVersion,
}: {
  readonly id: string;
  readonly sessionId: string;
  readonly protocolVersion: string;
}): SessionHandle & { end(): void } {
  const watchers = new Set<() => void>();
  let ended = false;
  return {
    id,
    initializeText: '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{}}',
    initializeResult: undefined,
    protocolVersion,
    restore: { logLevel: undefined, subscriptions: [] },
    upstream: { target: 'up', sessionId },
    bind: () => {},
    get ended() {
      return ended;
    },
    onEnd: (done) => {
      if (ended) done();
      else watchers.add(done);
      return () => watchers.delete(done);
    },
    end: () => {
      ended = true;
      for (const done of watchers) done();
    },
  };
}
