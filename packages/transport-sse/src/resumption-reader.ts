import { ProxyError } from '@shadowcat/kernel';

/** The stream a reader reads: what is there, and whether there may be more. */
export interface Readable {
  /** The number of the first event that is kept. */
  readonly first: number;
  /** Whether more events may come by themselves. */
  readonly live: boolean;
  /** The bytes of an event that is kept, now sent; `undefined` when it has not come yet. */
  send(seq: number): Uint8Array | undefined;
  /** The reader has nothing to read and waits. */
  wanted(): void;
  /** The reader is done, or its client has left. */
  left(reader: Reader): void;
}

type Step = IteratorResult<Uint8Array>;

const DONE: Step = { done: true, value: undefined };

/** One client's reading of a kept stream, from some event on. Read once, in the way of a body. */
export class Reader implements AsyncIterableIterator<Uint8Array> {
  readonly #stream: Readable;
  #cursor: number;
  /** Comments and the like: for who listens now, not to be had again. */
  #asides: Uint8Array[] = [];
  #waiting: PromiseWithResolvers<Step> | undefined;
  #over: { readonly error: ProxyError | undefined } | undefined;

  constructor(stream: Readable, cursor: number) {
    this.#stream = stream;
    this.#cursor = cursor;
  }

  /** Whether it waits for something to send. */
  get waiting(): boolean {
    return this.#waiting !== undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    const step = this.#step();
    if (step instanceof ProxyError) return Promise.reject(step);
    if (step !== undefined) return Promise.resolve(step);
    this.#waiting = Promise.withResolvers();
    this.#stream.wanted();
    return this.#waiting.promise;
  }

  return(): Promise<Step> {
    this.end();
    this.#stream.left(this);
    return Promise.resolve(DONE);
  }

  /** The stream has changed. */
  wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const step = this.#step();
    if (step === undefined) return;
    this.#waiting = undefined;
    if (step instanceof ProxyError) waiting.reject(step);
    else waiting.resolve(step);
  }

  aside(bytes: Uint8Array): void {
    this.#asides.push(bytes);
    this.wake();
  }

  /** No more, in good order or by breaking off. What it was not sent stays on the stream. */
  end(error?: ProxyError): void {
    this.#over ??= { error };
    this.wake();
  }

  #step(): Step | ProxyError | undefined {
    if (this.#over !== undefined) return this.#over.error ?? DONE;
    const aside = this.#asides.shift();
    if (aside !== undefined) return { done: false, value: aside };
    if (this.#cursor < this.#stream.first) return eventsExpired();
    const bytes = this.#stream.send(this.#cursor);
    if (bytes !== undefined) {
      this.#cursor += 1;
      return { done: false, value: bytes };
    }
    if (this.#stream.live) return undefined;
    this.#over = { error: undefined };
    this.#stream.left(this);
    return DONE;
  }
}

/** The answer to an event id whose stream, or whose next event, is not kept any more: better than a silent gap. */
export function eventsExpired(): ProxyError {
  return new ProxyError(
    'events_expired',
    'the events after this Last-Event-ID are not kept any more; open a new stream without Last-Event-ID',
  );
}
