import type { Clock } from '@shadowcat/kernel';
import { RollingCounts } from './rolling-counts.js';

export interface RetryBudgetOptions {
  /** How many repetitions there may be, as a share of the requests, 0 to 1. Default 0.2. */
  readonly ratio?: number | undefined;
  /** How many there may be however few requests there are. Default 3. */
  readonly minimum?: number | undefined;
  /** Over which time both are counted, in milliseconds. Default 10 s. */
  readonly windowMs?: number | undefined;
}

/**
 * Bounds what is sent again, so that a failing server is never asked much more often than its clients ask. In any window there
 * are at most `ratio` times as many repetitions as requests, or `minimum`, whichever is more.
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #minimum: number;
  readonly #counts: RollingCounts;
  readonly #clock: Clock;
  #spent = 0;
  #refused = 0;

  constructor(options: RetryBudgetOptions, components: { readonly clock: Clock }) {
    this.#ratio = options.ratio ?? 0.2;
    this.#minimum = options.minimum ?? 3;
    this.#counts = new RollingCounts(options.windowMs ?? 10_000);
    this.#clock = components.clock;
  }

  /** A request that came from a client. */
  request(): void {
    this.#counts.add(this.#clock.now(), 0);
  }

  /** Whether something may be sent again; counts it if so. */
  spend(): boolean {
    const now = this.#clock.now();
    const [requests, repeated] = this.#counts.sums(now);
    const allowed = repeated + 1 <= Math.max(this.#minimum, Math.floor(requests * this.#ratio));
    if (allowed) {
      this.#counts.add(now, 1);
      this.#spent += 1;
    } else this.#refused += 1;
    return allowed;
  }

  /** Since the start: repetitions, and those that there was no budget for. `left`: how many there may be now. */
  stats(): { readonly spent: number; readonly refused: number; readonly left: number } {
    const [requests, repeated] = this.#counts.sums(this.#clock.now());
    const left = Math.max(this.#minimum, Math.floor(requests * this.#ratio)) - repeated;
    return { spent: this.#spent, refused: this.#refused, left: Math.max(0, left) };
  }
}
