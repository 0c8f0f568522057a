import type { Clock } from '@shadowcat/kernel';
import type { SessionHandle } from '@shadowcat/wire';

/** How long requests wait for a standing stream that came before them: a server may send its head with the first event. */
const MAX_WAIT_MS = 100;

/**
 * The standing streams (GET) of sessions that the upstream has not answered yet. A server that asks its client something there
 * drops the question when the stream is not open. A client opens it before it calls; but here a GET takes a connection of
 * its own, and a call that follows would overtake it on one that stands already. So calls of its session wait for it, shortly.
 */
export class StreamOpenings {
  readonly #clock: Clock;
  readonly #opening = new Map<SessionHandle, Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether any stream is being opened: to be asked first, since there mostly is none. */
  get any(): boolean {
    return this.#opening.size > 0;
  }

  /** Counts the stream as being opened until `answered` settles, or for 100 ms. */
  watch<T>(session: SessionHandle, answered: Promise<T>): Promise<T> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      timer.cancel();
      if (this.#opening.get(session) === over) this.#opening.delete(session);
      resolve();
    };
    const timer = this.#clock.timer(MAX_WAIT_MS, end);
    this.#opening.set(session, over);
    answered.then(end, end);
    return answered;
  }

  /** Resolves when the stream of this session is open, refused, or has taken too long. */
  async settled(session: SessionHandle): Promise<void> {
    await this.#opening.get(session);
  }
}
