import { type Clock, ProxyError } from '@shadowcat/kernel';
import type { Lease, Waiting } from './types.js';

/** One acquire that could not be answered at once. */
export interface Waiter<K, R> {
  readonly key: K;
  /** Whom an opening would count for. */
  readonly group: string | undefined;
  readonly since: number;
  /** An opening is under way that will serve it; otherwise it waits for a place. */
  covered: boolean;
  readonly settle: (outcome: Lease<R> | ProxyError) => void;
}

/** Who waits, in the order they came. Each has one timer and one abort listener, gone as soon as it is settled. */
export class Waiters<K, R> {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #settled: (waiter: Waiter<K, R>, outcome: Lease<R> | ProxyError) => void;
  readonly #waiters = new Set<Waiter<K, R>>();

  /** `settled` is told of each outcome. */
  constructor(
    clock: Clock,
    timeoutMs: number,
    settled: (waiter: Waiter<K, R>, outcome: Lease<R> | ProxyError) => void,
  ) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#settled = settled;
  }

  get size(): number {
    return this.#waiters.size;
  }

  [Symbol.iterator](): IterableIterator<Waiter<K, R>> {
    return this.#waiters.values();
  }

  has(key: K): boolean {
    for (const waiter of this.#waiters) if (waiter.key === key) return true;
    return false;
  }

  /**
   * Queues one and returns the promise of its outcome. `late` says what it is told when its deadline has passed.
   */
  add(
    who: { readonly key: K; readonly group: string | undefined; readonly waiting: Waiting },
    late: (waiter: Waiter<K, R>) => ProxyError,
  ): [Waiter<K, R>, Promise<Lease<R>>] {
    const { key, group, waiting } = who;
    const signal = waiting.signal;
    const { promise, resolve, reject } = Promise.withResolvers<Lease<R>>();
    const onAbort = (): void => waiter.settle(ProxyError.from(signal?.reason, 'cancelled'));
    const timer = this.#clock.timer(this.#timeoutMs, () => waiter.settle(late(waiter)));
    const waiter: Waiter<K, R> = {
      key,
      group,
      since: this.#clock.now(),
      covered: false,
      settle: (outcome) => {
        if (!this.#waiters.delete(waiter)) return;
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        if (outcome instanceof ProxyError) reject(outcome);
        else resolve(outcome);
        this.#settled(waiter, outcome);
      },
    };
    this.#waiters.add(waiter);
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    return [waiter, promise];
  }
}
