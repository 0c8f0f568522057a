import type { Timer } from '@shadowcat/kernel';

/**
 * `opening` → `idle` ⇄ `leased` → `closing` → gone. An opening that nobody wants any more, and one that was evicted, goes
 * straight to `closing` when it opened. Only `idle` and `leased` ones are lent.
 */
export type EntryState = 'opening' | 'idle' | 'leased' | 'closing';

/** One place of the pool and what is in it. */
export interface Entry<K, R> {
  readonly key: K;
  state: EntryState;
  /** Absent while opening. */
  resource: R | undefined;
  leases: number;
  openedAt: number;
  idleSince: number;
  readonly abort: AbortController;
  /** Bounds the opening. */
  timer: Timer | undefined;
}

/** All places, found by key; counts each state. */
export class Shelf<K, R> {
  readonly #byKey = new Map<K, Set<Entry<K, R>>>();
  /** Idle ones, the longest idle first. */
  readonly #idle = new Set<Entry<K, R>>();
  readonly counts: Record<EntryState, number> = { opening: 0, idle: 0, leased: 0, closing: 0 };

  get size(): number {
    const { opening, idle, leased, closing } = this.counts;
    return opening + idle + leased + closing;
  }

  get longestIdle(): Entry<K, R> | undefined {
    for (const entry of this.#idle) return entry;
    return undefined;
  }

  of(key: K): Iterable<Entry<K, R>> {
    return this.#byKey.get(key) ?? [];
  }

  *all(): Generator<Entry<K, R>, void, undefined> {
    for (const entries of this.#byKey.values()) yield* entries;
  }

  add(key: K): Entry<K, R> {
    const entry: Entry<K, R> = {
      key,
      state: 'opening',
      resource: undefined,
      leases: 0,
      openedAt: 0,
      idleSince: 0,
      abort: new AbortController(),
      timer: undefined,
    };
    let entries = this.#byKey.get(key);
    if (entries === undefined) {
      entries = new Set();
      this.#byKey.set(key, entries);
    }
    entries.add(entry);
    this.counts.opening += 1;
    return entry;
  }

  move(entry: Entry<K, R>, state: EntryState): void {
    if (entry.state === state) return;
    this.counts[entry.state] -= 1;
    this.counts[state] += 1;
    if (entry.state === 'idle') this.#idle.delete(entry);
    if (state === 'idle') this.#idle.add(entry);
    entry.state = state;
  }

  remove(entry: Entry<K, R>): void {
    const entries = this.#byKey.get(entry.key);
    if (entries?.delete(entry) !== true) return;
    if (entries.size === 0) this.#byKey.delete(entry.key);
    this.counts[entry.state] -= 1;
    if (entry.state === 'idle') this.#idle.delete(entry);
  }
}
