import type { Clock, Timer } from '@shadowcat/kernel';

/**
 * One timer, set for the earliest moment that was asked for. It does not keep its owner alive: a pool that nobody refers to
 * any more is not held by the upkeep that it had planned.
 */
export class Alarm<T extends object> {
  readonly #clock: Clock;
  readonly #owner: WeakRef<T>;
  readonly #ring: (owner: T) => void;
  #set: { readonly at: number; readonly timer: Timer } | undefined;

  /** `ring` must not refer to the owner by itself, nor be made in a scope where another function does. */
  constructor(clock: Clock, owner: T, ring: (owner: T) => void) {
    this.#clock = clock;
    this.#owner = new WeakRef(owner);
    this.#ring = ring;
  }

  /** Rings at this moment of the clock, or before if that was asked for. `Infinity`: not at all. */
  by(at: number): void {
    if (at === Number.POSITIVE_INFINITY || (this.#set !== undefined && this.#set.at <= at)) return;
    this.#set?.timer.cancel();
    const timer = this.#clock.timer(Math.max(1, at - this.#clock.now()), () => {
      this.#set = undefined;
      const owner = this.#owner.deref();
      if (owner !== undefined) this.#ring(owner);
    });
    this.#set = { at, timer };
  }

  cancel(): void {
    this.#set?.timer.cancel();
    this.#set = undefined;
  }
}
