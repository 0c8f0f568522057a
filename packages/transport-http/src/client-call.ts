import type { IncomingHttpHeaders } from 'node:http';
import { type ByteSource, concat, Linked, ProxyError } from '@shadowcat/kernel';
import type { Dispatcher } from 'undici';
import { clientError } from './client-errors.js';

/** Bytes that may wait here for a reader before the upstream is told to pause. */
const HIGH_WATER = 64 * 1024;

interface Waiting {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: ProxyError): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * One request to an upstream: undici's handler on one side, the bytes of the answer on the other. A queue with a single
 * reader, because web streams and node streams cost as much as all the rest. A reader that stops reading pauses the
 * socket; one that leaves ({@link ClientCall.cancel}) closes it at once.
 */
export class ClientCall
  extends Linked
  implements Dispatcher.DispatchHandler, ByteSource, AsyncIterator<Uint8Array, undefined>
{
  /** Resolves with the head, rejects with a `ProxyError`. */
  readonly head: Promise<void>;
  status = 0;
  headers: IncomingHttpHeaders = {};
  readonly #context: { readonly name: string; readonly firstByteTimeout: number };
  readonly #ended: (call: ClientCall) => void;
  #resolve: () => void = nothing;
  #reject: (error: ProxyError) => void = nothing;
  #controller: Dispatcher.DispatchController | undefined;
  #phase: 'unsent' | 'sent' | 'body' | 'over' = 'unsent';
  #error: ProxyError | undefined;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #waiting: Waiting | undefined;

  /** `ended` is called once, when the upstream has nothing more to say or will not be listened to. */
  constructor(
    context: { readonly name: string; readonly firstByteTimeout: number },
    ended: (call: ClientCall) => void,
  ) {
    super();
    this.#context = context;
    this.#ended = ended;
    this.head = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get over(): boolean {
    return this.#phase === 'over';
  }

  /** Whether the connection was closed from the other side before the answer had ended. */
  get broken(): boolean {
    return this.#error?.code === 'upstream_closed';
  }

  /** All bytes of the answer, when it has ended already and nobody has read of it; the reader gets none then. */
  takeWhole(): Uint8Array | undefined {
    if (this.#phase !== 'over' || this.#error !== undefined) return undefined;
    const bytes = concat(this.#chunks, this.#size);
    this.#chunks = [];
    this.#size = 0;
    return bytes;
  }

  /** Stops now: closes the connection unless the answer has ended. Idempotent. */
  cancel(reason: ProxyError): void {
    if (this.#phase === 'over') return;
    if (this.#controller === undefined) this.#fail(reason);
    else this.#controller.abort(reason);
  }

  /** The reader has what it wants, or wants no more. */
  leave(): void {
    if (this.#phase !== 'over') this.cancel(new ProxyError('cancelled', 'the answer was not read to its end'));
    this.#chunks = [];
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const value = this.#chunks.shift();
    if (value !== undefined) {
      this.#size -= value.length;
      if (this.#size < HIGH_WATER && this.#controller?.paused) this.#controller.resume();
      return Promise.resolve({ done: false, value });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#phase === 'over') return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.leave();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#phase === 'over')
      controller.abort(this.#error ?? new ProxyError('cancelled', 'the request was given up'));
    else this.#phase = 'sent';
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#phase = 'body';
    this.status = status;
    this.headers = headers;
    this.#resolve();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve({ done: false, value: chunk });
      return;
    }
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size >= HIGH_WATER) controller.pause();
  }

  onResponseEnd(): void {
    this.#phase = 'over';
    this.#ended(this);
    this.#waiting?.resolve(DONE);
    this.#waiting = undefined;
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#phase !== 'over') this.#fail(clientError(error, { ...this.#context, phase: this.#phase }));
  }

  #fail(error: ProxyError): void {
    this.#phase = 'over';
    this.#error = error;
    this.#ended(this);
    this.#reject(error);
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

function nothing(): void {}
