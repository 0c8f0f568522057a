import type { Clock, Timer } from '@shadowcat/kernel';

/**
 * Tells when something takes longer than it should. The time passes in two halves, each with a timer of its own: when the whole process
 * was stopped, a timer fires late, before what is there already was looked at, and that once says nothing.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #late: () => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, ms: number, late: () => void) {
    this.#clock = clock;
    this.#ms = ms;
    this.#late = late;
  }

  /** From now on. */
  start(): void {
    this.stop();
    const half = this.#ms / 2;
    this.#timer = this.#clock.timer(half, () => {
      this.#timer = this.#clock.timer(half, () => {
        this.#timer = undefined;
        this.#late();
      });
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** The file system owes an answer. */
export class NoAnswer extends Error {
  constructor() {
    super('the file system has not answered for seconds');
  }
}

/** Waits for `work`, but not for ever: then rejects with {@link NoAnswer}, while what is under way goes on alone. */
export async function inTime(work: Promise<void>, clock: Clock, ms: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<void>();
  const watchdog = new Watchdog(clock, ms, () => reject(new NoAnswer()));
  watchdog.start();
  try {
    await Promise.race([work, promise]);
  } finally {
    watchdog.stop();
  }
}
