const SLICES = 10;

/**
 * Two counts over the last while, in slices that are forgotten one by one: adding costs the same however many there are. What is
 * forgotten is at least nine tenths of the span old.
 */
export class RollingCounts {
  readonly #slice: number;
  readonly #counts: [number, number][] = Array.from({ length: SLICES }, () => [0, 0]);
  /** The slice of time that was counted in last. */
  #latest = Number.NEGATIVE_INFINITY;

  /** `span` in milliseconds. */
  constructor(span: number) {
    this.#slice = span / SLICES;
  }

  add(now: number, which: 0 | 1): void {
    this.#forget(now);
    const counts = this.#counts[this.#latest % SLICES];
    if (counts !== undefined) counts[which] += 1;
  }

  /** Both counts, as of `now`. */
  sums(now: number): readonly [number, number] {
    this.#forget(now);
    let first = 0;
    let second = 0;
    for (const counts of this.#counts) {
      first += counts[0];
      second += counts[1];
    }
    return [first, second];
  }

  clear(): void {
    for (const counts of this.#counts) counts[0] = counts[1] = 0;
  }

  #forget(now: number): void {
    const slice = Math.floor(now / this.#slice);
    if (slice === this.#latest) return;
    if (slice - this.#latest >= SLICES) this.clear();
    else {
      for (let at = this.#latest + 1; at <= slice; at += 1) {
        const counts = this.#counts[at % SLICES];
        if (counts !== undefined) counts[0] = counts[1] = 0;
      }
    }
    this.#latest = slice;
  }
}
