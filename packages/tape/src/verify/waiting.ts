import type { Clock } from '@shadowcat/kernel';

/** Waits for conditions that other code makes true, and wakes this for. */
export class Waiting {
  readonly #clock: Clock;
  #wakers: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when it is so, or the time has run out. Milliseconds. */
  async until(ready: () => boolean, ms: number): Promise<void> {
    if (ready() || ms <= 0) return;
    let late = false;
    const timer = this.#clock.timer(ms, () => {
      late = true;
      this.wake();
    });
    try {
      while (!late && !ready()) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wakers.push(resolve);
        await promise;
      }
    } finally {
      timer.cancel();
    }
  }

  /** Something has happened: whoever waits looks again. */
  wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}
