import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { type Clock, type Handler, InFlight, type Log, ProxyError, type Reply, withReply } from '@shadowcat/kernel';
import { type KeepAlive, keepAlive } from '@shadowcat/transport-sse';
import { errorReply } from '@shadowcat/wire';
import { HttpExchange } from './http-exchange.js';
import { listenError } from './listen-errors.js';
import { DEFAULT_LISTEN_LIMITS, type ListenerStats, type ListenLimits, type ListenOptions } from './listen-options.js';
import { malformedAnswer, type Refusal, refusalOf } from './refusals.js';
import { Serving, type ServingHost } from './serving.js';

export interface ListenComponents {
  readonly log: Log;
  readonly clock: Clock;
  /** Names exchanges; short, unique within the process. */
  readonly newId: () => string;
}

/** A listener that accepts connections. `Symbol.asyncDispose` closes it without waiting for what is in flight. */
export interface Listener extends AsyncDisposable {
  /** `http://host:port`, with the port that was really taken, and no path. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** For WebSocket: `upgrade` events are the caller's, and so is the end of the sockets they hand over. */
  readonly server: Server;
  stats(): ListenerStats;
  /**
   * Finishes gently: accepts nothing more, ends standing streams with a retry hint, lets what is in flight finish for up
   * to `drainMs` milliseconds, answers what is left with an error, and closes every socket. A second call returns the
   * promise of the first.
   */
  close(options: { readonly drainMs: number }): Promise<void>;
}

/**
 * Starts to serve HTTP with `handler`. What a request asks for is the handler's business; here it is only made sure that
 * it is proper HTTP within the limits, that the reply is written as fast as the client reads, and that nothing outlives
 * its connection. Rejects with a `ProxyError` in plain words when the address cannot be listened on.
 */
export async function listen(
  options: ListenOptions,
  handler: Handler,
  components: ListenComponents,
): Promise<Listener> {
  const listener = new HttpListener(options, handler, components);
  await listener.open();
  return listener;
}

interface Connected {
  readonly servings: InFlight<Serving>;
  /** Whether a request came on it. */
  used: boolean;
}

class HttpListener implements Listener, ServingHost {
  readonly host: string;
  readonly server: Server;
  readonly log: Log;
  readonly clock: Clock;
  readonly keepAlive: KeepAlive;
  readonly retryHint: number;
  draining = false;
  readonly #options: ListenOptions;
  readonly #limits: ListenLimits;
  readonly #handler: Handler;
  readonly #newId: () => string;
  readonly #connections = new Map<Socket, Connected>();
  #port = 0;
  #exchanges = 0;
  #dropped = 0;
  #malformed = 0;
  #closing: Promise<void> | undefined;
  /** Responses and sockets that still have bytes to send, counted while draining only. */
  #flushing = 0;
  #quiet: (() => void) | undefined;

  constructor(options: ListenOptions, handler: Handler, components: ListenComponents) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LISTEN_LIMITS, ...options.limits };
    this.#handler = handler;
    this.#newId = components.newId;
    this.host = options.host;
    this.retryHint = options.retryHint ?? 1_000;
    this.log = components.log;
    this.clock = components.clock;
    this.keepAlive = keepAlive({ interval: options.keepAlive ?? 15_000 }, components);
    this.server = makeServer(this.#limits)
      .on('connection', (socket: Socket) => this.#connected(socket))
      .on('drop', () => {
        this.#dropped += 1;
      })
      .on('request', (request, response) => this.#serve(request, response))
      .on('checkContinue', (request, response) => this.#continue(request, response))
      // Refused there, in JSON like everything else.
      .on('checkExpectation', (request, response) => this.#serve(request, response))
      .on('clientError', (error, socket) => this.#clientError(error, socket as Socket));
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.#port}`;
  }

  stats(): ListenerStats {
    let streams = 0;
    for (const serving of this.#servings()) if (serving.streaming) streams += 1;
    return {
      connections: this.#connections.size,
      exchanges: this.#exchanges,
      streams,
      dropped: this.#dropped,
      malformed: this.#malformed,
    };
  }

  open(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => reject(listenError(error, { host, port }));
      this.server.once('error', failed);
      this.server.listen(port, host, () => {
        this.server.off('error', failed);
        this.server.on('error', (error) => this.log.error({ err: error }, 'the listener reported an error'));
        this.#port = (this.server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  close(options: { readonly drainMs: number }): Promise<void> {
    this.#closing ??= this.#close(options.drainMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close({ drainMs: 0 });
  }

  done(serving: Serving): void {
    const { response, socket } = serving;
    this.#exchanges -= 1;
    this.#connections.get(socket)?.servings.delete(serving);
    if (!this.draining) return;
    if (response.writableFinished || socket.destroyed) this.#checkQuiet();
    else this.#flushed(socket, (sent) => response.once('close', sent));
    this.#closeIfIdle(socket);
  }

  async #close(drainMs: number): Promise<void> {
    this.draining = true;
    // Node's own takes connections for idle whose last reply was ended but not sent yet, and cuts it short.
    this.server.closeIdleConnections = () => this.#closeIdle();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    const quiet = new Promise<void>((resolve) => {
      this.#quiet = resolve;
    });
    const timer = this.clock.timer(drainMs, () => this.#quiet?.());
    for (const serving of this.#servings()) if (serving.standing) serving.endStanding(this.retryHint);
    // The callback of an empty write comes when all before it has left, or the socket is destroyed.
    for (const socket of this.#connections.keys()) {
      if (socket.writableLength > 0) this.#flushed(socket, (sent) => socket.write('', sent));
    }
    this.#checkQuiet();
    await quiet;
    timer.cancel();
    const error = new ProxyError('draining', 'the proxy is shutting down; try again shortly', { retryAfter: 1 });
    for (const serving of this.#servings()) serving.fail(error);
    // What was just written as a last word gets one turn to leave before the sockets are gone.
    await setImmediate();
    for (const socket of this.#connections.keys()) socket.destroy();
    this.keepAlive.close();
    await closed;
    // The sockets report their end a moment after the server does.
    await setImmediate();
  }

  #closeIdle(): void {
    for (const socket of this.#connections.keys()) this.#closeIfIdle(socket);
  }

  /** Closes a connection on which nothing is under way. One that was upgraded at once is its new owner's. */
  #closeIfIdle(socket: Socket): void {
    const connected = this.#connections.get(socket);
    const idle = connected?.used === true ? connected.servings.size === 0 : socket.bytesRead === 0;
    if (idle && socket.writableLength === 0) socket.destroy();
  }

  #flushed(socket: Socket, when: (sent: () => void) => void): void {
    this.#flushing += 1;
    when(() => {
      this.#flushing -= 1;
      this.#closeIfIdle(socket);
      this.#checkQuiet();
    });
  }

  #checkQuiet(): void {
    if (this.#exchanges === 0 && this.#flushing === 0) this.#quiet?.();
  }

  #servings(): Serving[] {
    return [...this.#connections.values()].flatMap(({ servings }) => servings.all());
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const exchange = new HttpExchange(this.#newId(), request, this.#limits.body);
    const serving = new Serving(exchange, { request, response, host: this });
    const connected = this.#connections.get(request.socket);
    this.#exchanges += 1;
    if (connected === undefined) {
      serving.abandon(clientGone());
    } else {
      connected.used = true;
      connected.servings.add(serving);
    }
    const refusal = refusalOf(request, this.#limits.headerCount);
    if (refusal !== undefined) this.#malformed += 1;
    const handler = refusal !== undefined ? refuse(refusal) : this.draining ? refuseDraining : this.#handler;
    void serving.run(handler);
  }

  /** A client that asks first is told to go on only when its body is not too large by its own account. */
  #continue(request: IncomingMessage, response: ServerResponse): void {
    if (Number(request.headers['content-length'] ?? 0) <= this.#limits.body) response.writeContinue();
    this.#serve(request, response);
  }

  #connected(socket: Socket): void {
    const servings = new InFlight<Serving>();
    this.#connections.set(socket, { servings, used: false });
    socket.on('close', () => {
      this.#connections.delete(socket);
      for (const serving of servings.all()) serving.abandon(clientGone());
    });
  }

  #clientError(error: NodeJS.ErrnoException, socket: Socket): void {
    const answered = (this.#connections.get(socket)?.servings.all() ?? []).some(({ response }) => response.headersSent);
    if (error.code === 'ECONNRESET' || !socket.writable || answered) {
      socket.destroy();
      return;
    }
    this.#malformed += 1;
    this.log.debug({ code: error.code }, 'a request is no proper HTTP');
    socket.end(malformedAnswer(error));
  }
}

function makeServer(limits: ListenLimits): Server {
  const server = createServer({
    maxHeaderSize: limits.headerSize,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.idleTimeout,
    connectionsCheckingInterval: checkingInterval(limits),
    // Checked here, where the refusal can say what is wrong.
    requireHostHeader: false,
  });
  // Node drops fields beyond its maximum without a word; one more than allowed lets the excess be seen.
  server.maxHeadersCount = limits.headerCount + 1;
  server.maxConnections = limits.connections;
  return server;
}

/** How often Node looks for requests that are too slow: often enough that a timeout is at most a quarter late. */
function checkingInterval({ headersTimeout, requestTimeout }: ListenLimits): number {
  const timeouts = [headersTimeout, requestTimeout].filter((timeout) => timeout > 0);
  return Math.max(10, Math.min(30_000, ...timeouts) / 4);
}

function clientGone(): ProxyError {
  return new ProxyError('cancelled', 'the client closed its connection');
}

function refuse({ error, status }: Refusal): Handler {
  return async () => {
    const answer = errorReply(error);
    return withReply(answer, { head: { status, headers: { ...answer.head.headers, connection: 'close' } } });
  };
}

async function refuseDraining(): Promise<Reply> {
  throw new ProxyError('draining', 'the proxy is shutting down; try again shortly', { retryAfter: 1 });
}
