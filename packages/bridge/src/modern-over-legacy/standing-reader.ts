import { type Clock, type Log, ProxyError, type Reply } from '@shadowcat/kernel';
import { type Message, readMessage } from '@shadowcat/wire';

/** How long a server may take to begin its stream; some say nothing before the first event. */
const HEAD_MS = 2000;
/** Refusals that may be over the next time: of a credential, or for a while. */
const PASSING: ReadonlySet<number> = new Set([401, 403, 408, 429]);

export interface StandingReaderParts {
  /** Asks for the stream. */
  readonly open: (signal: AbortSignal) => Promise<Reply>;
  /** Gets each message. Never throws. */
  readonly take: (message: Message) => void;
  /** Ends it for good. */
  readonly signal: AbortSignal;
  readonly target: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** One opening of the stream. */
interface Reading {
  readonly begun: Promise<void>;
  readonly over: Promise<void>;
  readonly stop: AbortController;
}

/** Reads the standing stream of a session, which can be closed and opened again. */
export class StandingReader {
  readonly #parts: StandingReaderParts;
  readonly #broken = new Set<() => void>();
  #reading: Reading | undefined;
  /** The server has none. */
  #none = false;

  constructor(parts: StandingReaderParts) {
    this.#parts = parts;
  }

  /** Opens the stream, where the server has one, unless it is open. Resolves when it has begun, or will not. */
  open(): Promise<void> {
    const before = this.#reading;
    if (before?.stop.signal.aborted === false) return before.begun;
    if (this.#none) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#parts.clock.timer(HEAD_MS, resolve);
    const begun = (): void => {
      timer.cancel();
      resolve();
    };
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#parts.signal]);
    const over = (before?.over ?? Promise.resolve())
      .then(() => this.#read(signal, begun))
      .then(() => {
        begun();
        if (this.#reading === reading) this.#reading = undefined;
      });
    const reading: Reading = { begun: promise, over, stop };
    this.#reading = reading;
    return promise;
  }

  /** Closes it, until it is opened again. */
  rest(): void {
    this.#reading?.stop.abort(new ProxyError('cancelled', 'nobody uses the session'));
  }

  /** Calls back when the stream broke for good. Returns how to forget that. */
  onBroken(done: () => void): () => void {
    const entry = () => done();
    this.#broken.add(entry);
    return () => void this.#broken.delete(entry);
  }

  /** Never rejects. */
  async #read(signal: AbortSignal, begun: () => void): Promise<void> {
    let opened = false;
    try {
      if (signal.aborted) return;
      const reply = await this.#parts.open(signal);
      const stop = (): void => void Promise.resolve(reply[Symbol.asyncDispose]()).catch(() => undefined);
      signal.addEventListener('abort', stop, { once: true });
      try {
        const { status } = reply.head;
        if (status >= 400 && status < 500 && !PASSING.has(status)) this.#none = true;
        if (signal.aborted || status !== 200) return;
        opened = true;
        begun();
        for await (const { text = '' } of reply.body.frames()) {
          const message = text === '' ? undefined : readMessage(text);
          if (message !== undefined) this.#parts.take(message);
        }
      } finally {
        signal.removeEventListener('abort', stop);
        await reply[Symbol.asyncDispose]();
      }
    } catch (error) {
      if (signal.aborted) return;
      const { log, target } = this.#parts;
      if (error instanceof ProxyError && error.code === 'method_not_allowed') this.#none = true;
      log.debug({ err: error, target }, 'a bridged session has no standing stream');
    }
    if (opened && !signal.aborted) for (const done of [...this.#broken]) done();
  }
}
