import type { Clock } from '@shadowcat/kernel';
import type { SessionHandle } from '@shadowcat/wire';

/** How long requests wait for a standing stream that came before them. */
const PATIENT_MS = 1000;
/** The same at a server that sends the head with the first event, which may be hours away: the stream before was late. */
const SHORT_MS = 50;

/**
 * The standing streams (GET) of sessions that the upstream has not answered yet. A server that asks its client something there
 * drops the question when the stream is not open. A client opens it before it calls; but here a GET takes a connection of
 * its own, and a call that follows would overtake it on one that stands already. So calls of its session wait for it: long enough
 * for a server that has much to do, and shortly once one was seen to be late with it.
 */
export class StreamOpenings {
  readonly #clock: Clock;
  #patience = PATIENT_MS;
  readonly #opening = new Map<SessionHandle, Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether any stream is being opened: to be asked first, since there mostly is none. */
  get any(): boolean {
    return this.#opening.size > 0;
  }

  /** Counts the stream as being opened until `answered` settles, or for so long as is waited for it. */
  watch<T>(session: SessionHandle, answered: Promise<T>): Promise<T> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const began = this.#clock.now();
    const end = (): void => {
      timer.cancel();
      if (this.#opening.get(session) === over) this.#opening.delete(session);
      resolve();
    };
    const timer = this.#clock.timer(this.#patience, () => {
      this.#patience = SHORT_MS;
      end();
    });
    this.#opening.set(session, over);
    const settled = (): void => {
      if (this.#clock.now() - began <= PATIENT_MS) this.#patience = PATIENT_MS;
      end();
    };
    answered.then(settled, end);
    return answered;
  }

  /** Resolves when the stream of this session is open, refused, or has taken too long. */
  async settled(session: SessionHandle): Promise<void> {
    await this.#opening.get(session);
  }
}
