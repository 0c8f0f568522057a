import type { Timer } from '@shadowcat/kernel';
import type { LeaseParts } from './lease.js';

/**
 * `opening` → `idle` ⇄ `leased` → `closing` → gone. An opening that nobody wants any more, and one that was evicted, goes
 * straight to `closing` when it opened. Only `idle` and `leased` ones are lent.
 */
export type EntryState = 'opening' | 'idle' | 'leased' | 'closing';

/** One place of the pool and what is in it. */
export interface Entry<K, R> {
  readonly key: K;
  readonly group: string | undefined;
  state: EntryState;
  /** Absent while opening. */
  resource: R | undefined;
  leases: number;
  /** What its leases ask of the pool; made with the first. */
  lending: LeaseParts | undefined;
  /** Leases on sufferance, among {@link Entry.leases}: whether each of them can be done without. */
  readonly loose: Set<() => boolean>;
  openedAt: number;
  idleSince: number;
  readonly abort: AbortController;
  /** Bounds the opening. */
  timer: Timer | undefined;
}

/** All places, found by key; counts each state. */
export class Shelf<K, R> {
  readonly #byKey = new Map<K, Set<Entry<K, R>>>();
  readonly #byGroup = new Map<string, Set<Entry<K, R>>>();
  /** With leases on sufferance. */
  readonly #loose = new Set<Entry<K, R>>();
  /** Idle ones, the longest idle first. */
  readonly #idle = new Set<Entry<K, R>>();
  readonly counts: Record<EntryState, number> = { opening: 0, idle: 0, leased: 0, closing: 0 };

  get size(): number {
    const { opening, idle, leased, closing } = this.counts;
    return opening + idle + leased + closing;
  }

  /** Idle ones, the longest idle first. They may be moved meanwhile. */
  get idle(): Iterable<Entry<K, R>> {
    return this.#idle;
  }

  /** Of a group's places, or of all: the one that nobody has needed for longest. */
  longestUnused(group?: string): Entry<K, R> | undefined {
    const among = (entry: Entry<K, R>): boolean => group === undefined || entry.group === group;
    let oldest: Entry<K, R> | undefined;
    for (const entry of this.#idle) {
      oldest = among(entry) ? entry : undefined;
      if (oldest !== undefined) break;
    }
    for (const entry of this.#loose)
      if (among(entry) && isDispensable(entry) && !(oldest !== undefined && oldest.idleSince <= entry.idleSince))
        oldest = entry;
    return oldest;
  }

  /** Puts a lease on sufferance; returns how to take that back. */
  loosen(entry: Entry<K, R>, dispensable: () => boolean): () => void {
    entry.loose.add(dispensable);
    this.#loose.add(entry);
    return () => {
      entry.loose.delete(dispensable);
      if (entry.loose.size === 0) this.#loose.delete(entry);
    };
  }

  /** How many places a group has. */
  sizeOf(group: string): number {
    return this.#byGroup.get(group)?.size ?? 0;
  }

  /** How many of a group's places, or of all, are about to become free. */
  closing(group?: string): number {
    if (group === undefined) return this.counts.closing;
    let count = 0;
    for (const { state } of this.#byGroup.get(group) ?? []) if (state === 'closing') count += 1;
    return count;
  }

  of(key: K): Iterable<Entry<K, R>> {
    return this.#byKey.get(key) ?? [];
  }

  *all(): Generator<Entry<K, R>, void, undefined> {
    for (const entries of this.#byKey.values()) yield* entries;
  }

  add(key: K, group: string | undefined): Entry<K, R> {
    const entry: Entry<K, R> = {
      key,
      group,
      state: 'opening',
      resource: undefined,
      leases: 0,
      lending: undefined,
      loose: new Set(),
      openedAt: 0,
      idleSince: 0,
      abort: new AbortController(),
      timer: undefined,
    };
    putInto(this.#byKey, key, entry);
    if (group !== undefined) putInto(this.#byGroup, group, entry);
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
    if (!takeFrom(this.#byKey, entry.key, entry)) return;
    if (entry.group !== undefined) takeFrom(this.#byGroup, entry.group, entry);
    this.counts[entry.state] -= 1;
    if (entry.state === 'idle') this.#idle.delete(entry);
    this.#loose.delete(entry);
  }
}

function isDispensable<K, R>({ state, leases, loose }: Entry<K, R>): boolean {
  if (state !== 'leased' || leases > loose.size) return false;
  for (const dispensable of loose) if (!dispensable()) return false;
  return true;
}

function putInto<N, E>(index: Map<N, Set<E>>, name: N, entry: E): void {
  const entries = index.get(name);
  if (entries === undefined) index.set(name, new Set([entry]));
  else entries.add(entry);
}

/** False when it is not there. */
function takeFrom<N, E>(index: Map<N, Set<E>>, name: N, entry: E): boolean {
  const entries = index.get(name);
  if (entries?.delete(entry) !== true) return false;
  if (entries.size === 0) index.delete(name);
  return true;
}
