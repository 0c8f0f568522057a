import { type Clock, ProxyError, type Reply } from '@shadowcat/kernel';
import { disposeOnAbort } from './until-aborted.js';

export interface LineStreamParts {
  readonly clock: Clock;
  /** Opens the GET stream, after `lastEventId` where there was one before. */
  readonly open: (lastEventId: string | undefined, signal: AbortSignal) => Promise<Reply>;
  readonly send: (text: string) => Promise<void>;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * The standing GET stream of a client behind a line: opened after the handshake, opened again when it ends, given up when the
 * server does not offer one.
 */
export class LineStream {
  readonly #parts: LineStreamParts;
  #abort: AbortController | undefined;
  #over: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: LineStreamParts) {
    this.#parts = parts;
  }

  /** Opens it, if it is not open. */
  start(): void {
    if (this.#abort !== undefined || this.#stopped) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#over = this.#keepOpen(abort.signal).finally(() => {
      this.#abort = undefined;
    });
  }

  /** Closes it for good. Resolves when nothing of it is left; never rejects. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.pause();
  }

  /** Closes it until it is started again. Resolves when nothing of it is left; never rejects. */
  pause(): Promise<void> {
    this.#abort?.abort(new ProxyError('cancelled', 'the client has left'));
    return this.#over;
  }

  async #keepOpen(signal: AbortSignal): Promise<void> {
    let lastEventId: string | undefined;
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      const seen = await this.#once(lastEventId, signal);
      if (seen === 'refused') return;
      if (seen.frames > 0) pause = FIRST_PAUSE_MS;
      lastEventId = seen.lastEventId;
      await this.#sleep(seen.retry ?? pause, signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  async #once(lastEventId: string | undefined, signal: AbortSignal): Promise<Seen | 'refused'> {
    const seen: { -readonly [K in keyof Seen]: Seen[K] } = { frames: 0, lastEventId, retry: undefined };
    try {
      await using answer = await this.#parts.open(lastEventId, signal);
      if (answer.head.status !== 200 || answer.body.framing.name !== 'sse') return 'refused';
      const forget = disposeOnAbort(answer, signal);
      try {
        for await (const { text, sse } of answer.body.frames()) {
          seen.frames += 1;
          if (sse?.id !== undefined) seen.lastEventId = sse.id;
          if (sse?.retry !== undefined) seen.retry = sse.retry;
          if (text !== undefined && text !== '') await this.#parts.send(text);
        }
      } finally {
        forget();
      }
    } catch (thrown) {
      // What the client is to blame for stays so; an upstream may come back.
      if (ProxyError.from(thrown).blame !== 'upstream') return 'refused';
    }
    return seen;
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.#parts.clock.timer(ms, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}

interface Seen {
  readonly frames: number;
  readonly lastEventId: string | undefined;
  readonly retry: number | undefined;
}
