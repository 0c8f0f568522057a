import { Frame, type ProxyError } from '@shadowcat/kernel';

/**
 * The messages of one stream on their way to its client: written by a line, read once by whoever sends the body. Bounded:
 * a client that does not read is not allowed to fill our memory.
 */
export class FrameQueue implements AsyncIterableIterator<Frame> {
  readonly #limit: number;
  readonly #left: () => void;
  #frames: Queued[] = [];
  #head = 0;
  #size = 0;
  #over: { readonly error: ProxyError | undefined } | undefined;
  #reader: PromiseWithResolvers<IteratorResult<Frame>> | undefined;

  /** `limit` in characters; `left` is called when the reader leaves before the end. */
  constructor(limit: number, left: () => void) {
    this.#limit = limit;
    this.#left = left;
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  /** Whether the message was taken: `false` when more than the limit lies unread, or the stream is over. */
  push(text: string): boolean {
    return this.#size <= this.#limit && this.#put(text, text.length);
  }

  /** Takes a message whatever lies unread, and does not count it: an answer that is owed, one for each request. */
  owe(text: string): void {
    this.#put(text, 0);
  }

  /** No more messages; those in the queue are still read. */
  end(): void {
    this.#finish({ error: undefined });
  }

  /** The stream breaks off now: the reader gets `error`, and no message that is still queued. */
  fail(error: ProxyError): void {
    this.#frames = [];
    this.#head = 0;
    this.#size = 0;
    this.#finish({ error });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Frame>> {
    const queued = this.#frames[this.#head];
    if (queued !== undefined) {
      this.#take(queued);
      return Promise.resolve({ done: false, value: queued.frame });
    }
    if (this.#over !== undefined) {
      const { error } = this.#over;
      return error === undefined ? Promise.resolve(DONE) : Promise.reject(error);
    }
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  return(): Promise<IteratorResult<Frame>> {
    const early = this.#over === undefined;
    this.#frames = [];
    this.#head = 0;
    this.#finish({ error: undefined });
    if (early) this.#left();
    return Promise.resolve(DONE);
  }

  #put(text: string, size: number): boolean {
    if (this.#over !== undefined) return false;
    const frame = new Frame({ text });
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve({ done: false, value: frame });
      return true;
    }
    this.#frames.push({ frame, size });
    this.#size += size;
    return true;
  }

  #take({ size }: Queued): void {
    this.#size -= size;
    this.#head += 1;
    if (this.#head < this.#frames.length && this.#head < COMPACT_AT) return;
    this.#frames = this.#frames.slice(this.#head);
    this.#head = 0;
  }

  #finish(over: { readonly error: ProxyError | undefined }): void {
    if (this.#over !== undefined) return;
    this.#over = over;
    const reader = this.#reader;
    this.#reader = undefined;
    if (over.error === undefined) reader?.resolve(DONE);
    else reader?.reject(over.error);
  }
}

interface Queued {
  readonly frame: Frame;
  /** What it counts for the limit. */
  readonly size: number;
}

/** How many frames that were read may stay in the array before it is made anew. */
const COMPACT_AT = 64;

const DONE: IteratorResult<Frame> = { done: true, value: undefined };
