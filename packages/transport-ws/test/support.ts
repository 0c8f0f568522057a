import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { type Clock, type Connection, type ProxyError, silentLog } from '@shadowcat/kernel';
import { type AcceptOptions, acceptSockets, type SocketAcceptor } from '../src/index.js';

/** Real time: these tests use real sockets. */
export const realClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  timer: (ms, fire) => {
    const timer = setTimeout(fire, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Listens to a line, keeps what comes, and lets a test wait for it. */
export class Listener {
  readonly messages: string[] = [];
  readonly endings: (ProxyError | undefined)[] = [];
  #waiting: { readonly until: () => boolean; readonly done: () => void }[] = [];

  constructor(line: Connection) {
    line.listen({
      message: (message) => {
        this.messages.push(message);
        this.#look();
      },
      closed: (reason) => {
        this.endings.push(reason);
        this.#look();
      },
    });
  }

  /** The first `count` messages, when they are there. */
  async received(count: number): Promise<string[]> {
    await this.#when(() => this.messages.length >= count);
    return this.messages.slice(0, count);
  }

  async closed(): Promise<ProxyError | undefined> {
    await this.#when(() => this.endings.length > 0);
    return this.endings[0];
  }

  #when(until: () => boolean): Promise<void> {
    if (until()) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ until, done }));
  }

  #look(): void {
    const ready = this.#waiting.filter(({ until }) => until());
    this.#waiting = this.#waiting.filter((waiter) => !ready.includes(waiter));
    for (const { done } of ready) done();
  }
}

/** An HTTP server on a free port of 127.0.0.1 that is closed, with its connections, at the end of the `using` block. */
export async function httpServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.end('http'),
): Promise<AsyncDisposable & { readonly server: Server; readonly port: number; url(path: string): string }> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    server,
    port,
    url: (path) => `ws://127.0.0.1:${port}${path}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Accepting extends AsyncDisposable {
  readonly server: Server;
  readonly port: number;
  readonly acceptor: SocketAcceptor;
  url(path?: string): string;
  /** The next line that was accepted. */
  next(): Promise<Connection>;
}

/** A server that takes WebSockets at `/mcp`. */
export async function accepting(options: Partial<AcceptOptions> = {}, clock: Clock = realClock): Promise<Accepting> {
  const http = await httpServer();
  const accepted: Connection[] = [];
  const waiting: ((line: Connection) => void)[] = [];
  const acceptor = acceptSockets(
    http.server,
    { path: '/mcp', ...options },
    {
      clock,
      log: silentLog,
      onConnection: (line) => {
        const waiter = waiting.shift();
        if (waiter === undefined) accepted.push(line);
        else waiter(line);
      },
    },
  );
  return {
    server: http.server,
    port: http.port,
    acceptor,
    url: (path = '/mcp') => http.url(path),
    next: () => {
      const line = accepted.shift();
      return line === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(line);
    },
    [Symbol.asyncDispose]: async () => {
      await acceptor.close();
      await http[Symbol.asyncDispose]();
    },
  };
}

/** Sends raw bytes and gives everything that comes back until the other end closes. */
export async function rawExchange(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  return text(socket);
}

export function upgradeRequest(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const fields = {
    Host: '127.0.0.1',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': 'mcp',
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
