import { type Clock, type Connection, type ConnectionSink, ProxyError, type Timer } from '@shadowcat/kernel';
import { type RawData, WebSocket } from 'ws';
import { binaryError, closeError, faultError, type Peer, silentError, stalledError } from './close-reasons.js';

export interface SocketParts {
  /** Open. */
  readonly socket: WebSocket;
  readonly name: string;
  readonly peer: Peer;
  readonly clock: Clock;
  /** Between two pings. */
  readonly pingMs: number;
  /** Bytes that may wait to be sent before the other end has to show that it reads. */
  readonly queueLimit: number;
}

/** More than this waiting in the socket makes senders wait. */
const HIGH_WATER = 256 * 1024;
/** How long nothing may leave while more than the limit waits: one large message over a slow network takes its time. */
const STALL_MS = 30_000;
/** How long the other end may take to answer a goodbye. */
const GOODBYE_MS = 2000;
/** Pings that may stay unanswered before the other end counts as gone. */
const MAX_MISSED = 2;
const DONE = Promise.resolve();

/**
 * A WebSocket as a line: one message a text frame (subprotocol `mcp`). Nothing is read from the network before
 * {@link listen}, so what comes early waits in the kernel's buffers.
 */
export class SocketConnection implements Connection {
  readonly name: string;
  readonly #socket: WebSocket;
  readonly #parts: SocketParts;
  readonly #gone = Promise.withResolvers<void>();
  #sink: ConnectionSink | undefined;
  /** Whether the sink is being told; before that, what comes is kept. */
  #started = false;
  /** Messages that were already taken from the network when reading was paused: one read's worth at most. */
  #early: string[] = [];
  /** Set once the line is over: what `closed` is told, and what senders are told. */
  #over: { readonly reason: ProxyError | undefined; readonly sending: ProxyError } | undefined;
  #ending = false;
  #fault: ProxyError | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  #ping: Timer | undefined;
  #missed = 0;
  #stall: Timer | undefined;
  #goodbye: Timer | undefined;

  constructor(parts: SocketParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.#socket = parts.socket;
    const { socket } = parts;
    socket.on('message', (data, isBinary) => this.#received(data, isBinary));
    socket.on('pong', () => this.#heard());
    socket.on('ping', () => this.#heard());
    socket.on('error', (error) => {
      this.#fault ??= faultError(parts.peer, this.name, error);
    });
    socket.on('close', (code, text) => this.#closed(code, text.toString()));
    socket.pause();
    this.#schedulePing();
  }

  /** Resolves when the socket is closed on our side too. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  send(text: string): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over.sending);
    if (this.#ending || this.#socket.readyState !== WebSocket.OPEN) return Promise.reject(this.#closing());
    this.#socket.send(text, this.#sent);
    if (this.#socket.bufferedAmount <= HIGH_WATER) return DONE;
    this.#watchStall();
    if (this.#room === undefined) {
      this.#room = Promise.withResolvers();
      // A sender that does not wait must not become an unhandled rejection when the line ends.
      this.#room.promise.catch(() => {});
    }
    return this.#room.promise;
  }

  listen(sink: ConnectionSink): void {
    if (this.#sink !== undefined) throw new Error(`${this.name}: listen was called twice`);
    this.#sink = sink;
    queueMicrotask(() => this.#start(sink));
  }

  destroy(reason: ProxyError): void {
    this.#leave(reason, 1011);
    this.#socket.terminate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end(1000, 'done');
  }

  /** Ends the line gently with this close code: what was sent still leaves. Bounded; resolves when the socket is closed. */
  end(code: number, text: string): Promise<void> {
    if (!this.#ending && this.#over === undefined) {
      this.#ending = true;
      this.#sayGoodbye(code, text);
    }
    return this.gone;
  }

  #start(sink: ConnectionSink): void {
    this.#started = true;
    for (const text of this.#early.splice(0)) sink.message(text);
    if (this.#over !== undefined) sink.closed(this.#over.reason);
    else this.#socket.resume();
  }

  #received(data: RawData, isBinary: boolean): void {
    if (this.#over !== undefined) return;
    this.#heard();
    if (isBinary) {
      this.#leave(binaryError(this.#parts.peer, this.name), 1003);
      return;
    }
    const text = data.toString();
    if (text.trim() === '') return;
    if (this.#started) this.#sink?.message(text);
    else this.#early.push(text);
  }

  /** Ends the line for a reason of ours and tells the other end, without waiting for it. */
  #leave(reason: ProxyError, code: number): void {
    if (this.#over !== undefined) return;
    this.#sayGoodbye(code, reason.code);
    this.#finish(reason);
  }

  #sayGoodbye(code: number, text: string): void {
    this.#goodbye ??= this.#parts.clock.timer(GOODBYE_MS, () => this.#socket.terminate());
    this.#socket.close(code, text);
    // The answer to a goodbye must be read, also when nobody ever listened.
    this.#socket.resume();
  }

  #closed(code: number, text: string): void {
    const { peer } = this.#parts;
    this.#finish(this.#ending ? undefined : (this.#fault ?? closeError(peer, this.name, { code, text })));
    this.#goodbye?.cancel();
    this.#gone.resolve();
  }

  #finish(reason: ProxyError | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = { reason, sending: this.#closing(reason) };
    this.#ping?.cancel();
    this.#stall?.cancel();
    this.#room?.reject(this.#over.sending);
    this.#room = undefined;
    if (this.#started) this.#sink?.closed(reason);
  }

  #closing(reason?: ProxyError): ProxyError {
    if (reason?.code === 'upstream_closed') return reason;
    const message = reason?.message ?? `the WebSocket connection to ${this.name} is closed`;
    return new ProxyError('upstream_closed', message, reason === undefined ? {} : { cause: reason });
  }

  /** Errors are left to the `close` event, which follows them. */
  readonly #sent = (): void => {
    if (this.#stall !== undefined) {
      this.#stall.cancel();
      this.#stall = undefined;
      this.#watchStall();
    }
    if (this.#room === undefined || this.#socket.bufferedAmount > HIGH_WATER / 2) return;
    this.#room.resolve();
    this.#room = undefined;
  };

  #heard(): void {
    this.#missed = 0;
  }

  /** A burst of answers is no sign of a peer that does not read; that nothing of it leaves for long is one. */
  #watchStall(): void {
    const { clock, peer, queueLimit } = this.#parts;
    if (this.#stall !== undefined || this.#over !== undefined || this.#socket.bufferedAmount <= queueLimit) return;
    this.#stall = clock.timer(STALL_MS, () => this.destroy(stalledError(peer, this.name, STALL_MS)));
  }

  #schedulePing(): void {
    const { clock, peer, pingMs } = this.#parts;
    this.#ping = clock.timer(pingMs, () => {
      if (this.#missed >= MAX_MISSED) {
        this.destroy(silentError(peer, this.name, MAX_MISSED * pingMs));
        return;
      }
      this.#missed += 1;
      if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping(undefined, undefined, () => {});
      this.#schedulePing();
    });
  }
}
