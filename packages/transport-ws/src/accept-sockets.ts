import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Clock, type Connection, type Log, ProxyError } from '@shadowcat/kernel';
import { type WebSocket, WebSocketServer } from 'ws';
import { PING_MS, QUEUE_LIMIT, SUBPROTOCOL } from './open-socket.js';
import { refuse } from './refuse.js';
import { SocketConnection } from './socket-connection.js';

/** A refusal: the HTTP status, and a plain line for whoever reads it. */
export interface Refusal {
  readonly status: number;
  readonly message: string;
}

export interface AcceptOptions {
  /** The path that takes WebSockets, such as `/mcp`, with or without a slash more; upgrades elsewhere are answered 404. */
  readonly path: string;
  /** The largest message taken, in bytes. Default 4 MiB; a larger one closes its socket with 1009. */
  readonly maxMessage?: number;
  /** Sockets open at a time; further ones are answered 503. Default 1000. */
  readonly maxSockets?: number;
  /** Between two keep-alive pings; two unanswered ones end the line. Default 30 s. */
  readonly pingMs?: number;
  /** Bytes that may wait for one client; one that takes nothing for 30 s then is dropped. Default 1 MiB. */
  readonly queueLimit?: number;
  /** Host, Origin and credential checks. `false` is answered 403. */
  readonly verify?: (request: IncomingMessage) => boolean | Refusal;
}

export interface AcceptComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Gets each line, and owns it. May not throw; if it does, that socket is closed with 1011. */
  readonly onConnection: (connection: Connection, request: IncomingMessage) => void;
}

export interface SocketAcceptor {
  /** Sockets open now. */
  readonly count: number;
  /** Takes no further sockets, says goodbye (1001) on the open ones, resolves when they are closed. Bounded. Idempotent. */
  close(): Promise<void>;
}

const MAX_MESSAGE = 4 * 1024 * 1024;
const MAX_SOCKETS = 1000;

/**
 * Takes WebSockets on an HTTP server. The subprotocol `mcp` is agreed on when the client offers it; a client that offers
 * none is taken too, one that offers only others is answered 400. The server stays its owner's.
 */
export function acceptSockets(server: Server, options: AcceptOptions, components: AcceptComponents): SocketAcceptor {
  return new Acceptor(server, options, components);
}

class Acceptor implements SocketAcceptor {
  readonly #server: Server;
  readonly #options: AcceptOptions;
  readonly #components: AcceptComponents;
  readonly #sockets: WebSocketServer;
  readonly #open = new Set<SocketConnection>();
  readonly #restore: () => void;
  #closing: Promise<void> | undefined;

  constructor(server: Server, options: AcceptOptions, components: AcceptComponents) {
    this.#server = server;
    this.#options = options;
    this.#components = components;
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.maxMessage ?? MAX_MESSAGE,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
    this.#restore = upgradeWebSocketsOnly(server);
    server.on('upgrade', this.#onUpgrade);
  }

  get count(): number {
    return this.#open.size;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#server.off('upgrade', this.#onUpgrade);
    this.#restore();
    await Promise.all([...this.#open].map((line) => line.end(1001, 'the proxy is shutting down')));
    this.#sockets.close();
  }

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // Without a listener a reset of this socket would end the process.
    socket.on('error', ignore);
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      refuse(socket, refusal);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
      socket.off('error', ignore);
      this.#accept(accepted, request);
    });
  };

  #refusal(request: IncomingMessage): Refusal | undefined {
    const { path, verify, maxSockets = MAX_SOCKETS } = this.#options;
    if (!isWebSocket(request)) return { status: 426, message: 'only WebSocket upgrades are possible here' };
    if (pathOf(request) !== path.replace(/(?<=.)\/$/, ''))
      return { status: 404, message: `no WebSocket here; the path is ${path}` };
    if (verify !== undefined) {
      const verdict = this.#verdict(verify, request);
      if (verdict === false) return { status: 403, message: 'this Host or Origin may not open a WebSocket here' };
      if (verdict !== true) return verdict;
    }
    const offered = offeredProtocols(request);
    if (offered.length > 0 && !offered.includes(SUBPROTOCOL)) {
      return { status: 400, message: `the WebSocket subprotocol here is ${SUBPROTOCOL}` };
    }
    if (this.#open.size >= maxSockets) {
      this.#components.log.warn({ open: this.#open.size }, 'refused a WebSocket: too many are open');
      return { status: 503, message: 'too many WebSockets are open; try again later' };
    }
    return undefined;
  }

  /** In doubt, deny. */
  #verdict(verify: NonNullable<AcceptOptions['verify']>, request: IncomingMessage): boolean | Refusal {
    try {
      return verify(request);
    } catch (thrown) {
      this.#components.log.error({ err: thrown }, 'checking a WebSocket request failed');
      return { status: 500, message: 'the request could not be checked' };
    }
  }

  #accept(socket: WebSocket, request: IncomingMessage): void {
    const { clock, log, onConnection } = this.#components;
    const { remoteAddress, remotePort } = request.socket;
    const line = new SocketConnection({
      socket,
      name: `WebSocket client ${remoteAddress ?? '?'}:${remotePort ?? '?'}`,
      peer: 'client',
      clock,
      pingMs: this.#options.pingMs ?? PING_MS,
      queueLimit: this.#options.queueLimit ?? QUEUE_LIMIT,
    });
    this.#open.add(line);
    void line.gone.then(() => this.#open.delete(line));
    try {
      onConnection(line, request);
    } catch (thrown) {
      log.error({ err: thrown, client: line.name }, 'serving a WebSocket failed');
      line.destroy(ProxyError.from(thrown));
    }
  }
}

function ignore(): void {}

function isWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket';
}

function pathOf(request: IncomingMessage): string {
  const [path = ''] = (request.url ?? '').split('?', 1);
  return path.length > 1 ? path.replace(/\/$/, '') : path;
}

function offeredProtocols(request: IncomingMessage): string[] {
  const header = request.headers['sec-websocket-protocol'];
  return header === undefined ? [] : header.split(',').map((name) => name.trim());
}

/**
 * Node hands every request with an `Upgrade` header to the upgrade listener once there is one, also the `h2c` that Java's
 * HTTP client and `curl --http2` offer with ordinary requests. Where Node can be told (24.9, 22.21 and later), only WebSockets
 * are upgraded, and the others are served as if they had not asked (RFC 9110, 7.8). Returns how to undo it.
 */
function upgradeWebSocketsOnly(server: Server): () => void {
  const holder = server as Server & { shouldUpgradeCallback?: (request: IncomingMessage) => boolean };
  const before = holder.shouldUpgradeCallback;
  if (before === undefined) return () => {};
  holder.shouldUpgradeCallback = isWebSocket;
  return () => {
    holder.shouldUpgradeCallback = before;
  };
}
