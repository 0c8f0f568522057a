import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, type Handler, Linked, type Log, ProxyError, type Reply } from '@shadowcat/kernel';
import { EventBoundary, KEEP_ALIVE_COMMENT, type KeepAlive, type Watched } from '@shadowcat/transport-sse';
import { callSlot, errorReply, errorText, resumableSlot } from '@shadowcat/wire';
import type { HttpExchange } from './http-exchange.js';
import { fieldsToSend, isEventStream } from './reply-head.js';

/** What all exchanges of one listener share. */
export interface ServingHost {
  readonly log: Log;
  readonly clock: Clock;
  readonly keepAlive: KeepAlive;
  readonly draining: boolean;
  /** Milliseconds after which clients of ended streams are told to come back. */
  readonly retryHint: number;
  /** Called once for each serving, when its reply is written or given up and was disposed. */
  done(serving: Serving): void;
}

/** How long the rest of a request that nobody reads is taken in, so that its client gets to see the refusal. */
const LINGER_MS = 2_000;

const NO_BYTES = new Uint8Array(0);

/**
 * One exchange on its connection: asks the handler, writes the reply in one loop that awaits drain, and disposes the reply
 * exactly when it was sent or given up. Three things end it from outside, each at most once and in any order:
 * {@link Serving.abandon} (the client left), {@link Serving.endStanding} and {@link Serving.fail} (shutdown).
 */
export class Serving extends Linked {
  readonly exchange: HttpExchange;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly #host: ServingHost;
  #reply: Reply | undefined;
  #over = false;
  #events: { readonly boundary: EventBoundary; readonly watched: Watched } | undefined;
  #drained: (() => void) | undefined;

  constructor(
    exchange: HttpExchange,
    parts: { request: IncomingMessage; response: ServerResponse; host: ServingHost },
  ) {
    super();
    this.exchange = exchange;
    this.request = parts.request;
    this.response = parts.response;
    this.#host = parts.host;
  }

  /** Never rejects. */
  async run(handler: Handler): Promise<void> {
    try {
      const reply = await handler(this.exchange);
      this.#reply = reply;
      if (!this.#over) {
        const ready = reply.body.ready;
        if (ready !== undefined) this.#sendWhole(reply, ready);
        else if (isEventStream(reply)) await this.#sendEvents(reply);
        else await this.#sendChunks(reply);
      }
    } catch (error) {
      this.fail(error);
    }
    this.#over = true;
    await this.#release();
    this.#host.done(this);
  }

  /** Whether the exchange has no end of its own, so that a shutdown need not wait for it. */
  get standing(): boolean {
    const { exchange } = this;
    const resumable = exchange.context.get(resumableSlot);
    if (resumable !== undefined) return resumable.standing;
    return exchange.head.method === 'GET' || exchange.context.get(callSlot)?.method === 'subscriptions/listen';
  }

  get socket(): Socket {
    return this.request.socket;
  }

  get streaming(): boolean {
    return this.#events !== undefined;
  }

  /** The client is gone. What the reply borrows is given back now, not when its body next moves. */
  abandon(reason: ProxyError): void {
    if (this.#over) return;
    this.#stop(reason);
  }

  /** Ends an open SSE stream in good order and tells the client when to come back (milliseconds). */
  endStanding(retryHint: number): void {
    if (this.#over || this.#events === undefined) return;
    if (this.#events.boundary.between) this.response.write(`retry: ${retryHint}\n\n`);
    this.#end();
    this.#stop(new ProxyError('draining', 'the proxy is shutting down'));
  }

  /**
   * Ends with an error: as a reply of its own when nothing was sent yet; at a shutdown in good order where the client can
   * come back for the rest; as a JSON-RPC error for each request of the
   * exchange on an SSE stream (a client that is told waits no longer; one that had its answer ignores it); else by
   * breaking the connection, so that no client takes half a body for a whole one.
   */
  fail(thrown: unknown): void {
    if (this.#over) return;
    const error = ProxyError.from(thrown);
    const { exchange, response } = this;
    if (error.code === 'draining' && exchange.context.get(resumableSlot)?.outlivesProxy === true) {
      this.endStanding(this.#host.retryHint);
      return;
    }
    if (error.blame === 'proxy') this.#host.log.error({ err: thrown, exchange: exchange.id }, error.message);
    try {
      if (!response.headersSent) this.#sendError(error);
      else if (this.#events !== undefined) this.#endWithErrors(error, this.#events.boundary);
      else response.destroy();
    } catch (failure) {
      this.#host.log.error({ err: failure, exchange: exchange.id }, 'an error could not be sent');
      response.destroy();
    }
    this.#stop(error);
  }

  #stop(reason: ProxyError): void {
    this.#over = true;
    this.exchange.abandon(reason);
    this.#drained?.();
    void this.#release();
  }

  #sendWhole(reply: Reply, bytes: Uint8Array): void {
    const close = this.#lastOnConnection();
    this.response.writeHead(reply.head.status, fieldsToSend(reply, { length: bytes.length, close }));
    this.#end(bytes);
  }

  /** The head leaves with the first chunk, so that a body that fails before it can still become an error reply. */
  async #sendChunks(reply: Reply): Promise<void> {
    const { response } = this;
    let started = false;
    for await (const chunk of reply.body.bytes()) {
      if (this.#over) return;
      if (!started) this.#start(reply);
      started = true;
      if (!response.write(chunk)) await this.#drain();
    }
    if (this.#over) return;
    if (started) this.#end();
    else this.#sendWhole(reply, NO_BYTES);
  }

  async #sendEvents(reply: Reply): Promise<void> {
    const { response } = this;
    this.#start(reply);
    const boundary = new EventBoundary();
    const watched = this.#host.keepAlive.watch(() => {
      if (boundary.between && !response.writableNeedDrain) response.write(KEEP_ALIVE_COMMENT);
    });
    this.#events = { boundary, watched };
    // It came while standing streams were being ended: it is ended like them.
    if (this.#host.draining && this.standing) {
      this.endStanding(this.#host.retryHint);
      return;
    }
    let idle = true;
    // The head goes out with the first event when that is there already, else by itself: the client waits for it.
    process.nextTick(() => {
      if (idle && !this.#over) response.flushHeaders();
    });
    for await (const chunk of reply.body.bytes()) {
      if (this.#over) return;
      idle = false;
      boundary.push(chunk);
      watched.touch();
      if (!response.write(chunk)) await this.#drain();
    }
    idle = false;
    if (!this.#over) this.#end();
  }

  #start(reply: Reply): void {
    // A write that races with the end of its connection reports an error here; the connection's end says it all.
    this.response.on('error', ignore);
    this.response.writeHead(reply.head.status, fieldsToSend(reply, { close: this.#lastOnConnection() }));
  }

  /** Resolves when the client has read on, or is gone. Without the latter, a client that leaves would leak its upstream. */
  #drain(): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        this.#drained = undefined;
        this.response.off('drain', go);
        resolve();
      };
      this.#drained = go;
      this.response.on('drain', go);
    });
  }

  #sendError(error: ProxyError): void {
    const call = this.exchange.context.get(callSlot);
    const idTexts = this.#requestIds();
    const answer = errorReply(error, call === undefined ? { idTexts } : { idTexts, era: call.era });
    this.#sendWhole(answer, answer.body.ready ?? NO_BYTES);
  }

  #endWithErrors(error: ProxyError, boundary: EventBoundary): void {
    const { response } = this;
    if (!boundary.between) response.write('\n\n');
    for (const idText of this.#requestIds()) {
      response.write(`event: message\ndata: ${errorText(error, idText)}\n\n`);
    }
    this.#end();
  }

  #requestIds(): readonly string[] {
    const { context } = this.exchange;
    const resumable = context.get(resumableSlot);
    // The GET that took a stream up again names none of them.
    if (resumable !== undefined) return resumable.requests;
    const messages = context.get(callSlot)?.messages ?? [];
    return messages.flatMap(({ kind, idText }) => (kind === 'request' && idText !== undefined ? [idText] : []));
  }

  #lastOnConnection(): boolean {
    return this.#host.draining || !this.request.complete;
  }

  /**
   * Ends the response. When the request has not arrived in full, its rest is taken in for a moment first: closing a
   * connection with unread bytes resets it, and the client may never see the reply that was sent (RFC 9112, 9.6).
   */
  #end(bytes?: Uint8Array): void {
    const { request, response } = this;
    if (request.complete || request.destroyed) {
      response.end(bytes);
      return;
    }
    if (bytes !== undefined) response.write(bytes);
    const timer = this.#host.clock.timer(LINGER_MS, () => response.end());
    const finish = (): void => {
      timer.cancel();
      response.end();
    };
    request.on('end', finish).on('close', finish).resume();
  }

  async #release(): Promise<void> {
    this.#events?.watched.stop();
    this.#events = undefined;
    const reply = this.#reply;
    this.#reply = undefined;
    if (reply === undefined) return;
    try {
      await reply[Symbol.asyncDispose]();
    } catch (error) {
      this.#host.log.error({ err: error, exchange: this.exchange.id }, 'giving back what a reply borrowed failed');
    }
  }
}

function ignore(): void {}
