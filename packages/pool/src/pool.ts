import { ProxyError, type Timer } from '@shadowcat/kernel';
import { Backoff } from './backoff.js';
import { type Entry, Shelf } from './shelf.js';
import type { Lease, Pool, PoolComponents, PoolOptions, PoolStats, Waiting } from './types.js';
import { type Waiter, Waiters } from './waiters.js';

const SLOW_ACQUIRE_MS = 5000;

/** Makes a pool. It owns nothing yet: no timer, no resource, until the first acquire. */
export function createPool<K, R>(options: PoolOptions, components: PoolComponents<K, R>): Pool<K, R> {
  return new ResourcePool(options, components);
}

/**
 * Every change of state ends in {@link ResourcePool.#pump}, which walks the waiters in the order they came and gives each
 * what there is: a lease, an opening, or room made by closing the longest idle resource. Nothing else decides.
 */
class ResourcePool<K, R> implements Pool<K, R> {
  readonly #options: PoolOptions;
  readonly #components: PoolComponents<K, R>;
  readonly #shelf = new Shelf<K, R>();
  readonly #waiters: Waiters<K, R>;
  readonly #backoff: Backoff<K>;
  readonly #capacity: number;
  #idleTimer: Timer | undefined;
  #backoffTimer: { readonly at: number; readonly timer: Timer } | undefined;
  #spawned = 0;
  #spoiled = 0;
  #expired = 0;
  #failed = 0;
  #refused = 0;
  /** Set by the first `close` or `destroy`. */
  #ending: ProxyError | undefined;
  readonly #ended = Promise.withResolvers<void>();

  constructor(options: PoolOptions, components: PoolComponents<K, R>) {
    this.#options = options;
    this.#components = components;
    this.#waiters = new Waiters(components.clock, options.acquireTimeoutMs);
    this.#backoff = new Backoff(options.backoff, components);
    this.#capacity = options.sharing === 'exclusive' ? 1 : Number.POSITIVE_INFINITY;
  }

  get stats(): PoolStats {
    const { idle, leased, opening, closing } = this.#shelf.counts;
    return {
      open: this.#shelf.size,
      idle,
      leased,
      opening,
      closing,
      waiting: this.#waiters.size,
      spawned: this.#spawned,
      spoiled: this.#spoiled,
      expired: this.#expired,
      failed: this.#failed,
      refused: this.#refused,
      trouble: this.#backoff.trouble,
    };
  }

  acquire(key: K, waiting: Waiting = {}): Promise<Lease<R>> {
    if (this.#ending !== undefined) return Promise.reject(this.#ending);
    if (this.#waiters.size === 0 || !this.#waiters.has(key)) {
      const entry = this.#lendable(key);
      if (entry !== undefined) return Promise.resolve(this.#lend(entry));
    }
    const [waiter, promise] = this.#waiters.add(key, waiting, (late) => this.#late(late));
    this.#pump();
    if (!waiter.covered && this.#uncovered() > this.#options.queueLimit) {
      this.#refuse(waiter, this.#exhausted(`${this.#options.queueLimit} requests wait already`));
    }
    return promise;
  }

  async evict(key: K, reason: ProxyError): Promise<void> {
    this.#backoff.forget(key);
    for (const waiter of this.#waiters) if (waiter.key === key) waiter.settle(reason);
    const closing: Promise<void>[] = [];
    for (const entry of this.#shelf.of(key)) {
      if (entry.state === 'opening') entry.abort.abort(reason);
      else if (entry.state !== 'closing') closing.push(this.#close(entry, reason));
    }
    await Promise.all(closing);
  }

  close(): Promise<void> {
    this.#end(new ProxyError('draining', 'the proxy is shutting down; try again later', { retryAfter: 1 }));
    for (const entry of this.#shelf.all()) if (entry.state === 'idle') this.#closeForGood(entry);
    return this.#ended.promise;
  }

  destroy(reason: ProxyError): Promise<void> {
    this.#end(reason);
    for (const entry of this.#shelf.all()) {
      if (entry.state === 'idle' || entry.state === 'leased') this.#closeForGood(entry, reason);
    }
    return this.#ended.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #end(reason: ProxyError): void {
    if (this.#ending === undefined) {
      this.#ending = reason;
      this.#idleTimer?.cancel();
      this.#backoffTimer?.timer.cancel();
      for (const waiter of this.#waiters) waiter.settle(reason);
      for (const entry of this.#shelf.all()) if (entry.state === 'opening') entry.abort.abort(reason);
    }
    if (this.#shelf.size === 0) this.#ended.resolve();
  }

  // Leases

  #lendable(key: K): Entry<K, R> | undefined {
    for (const entry of this.#shelf.of(key)) {
      if (entry.state === 'idle' || (entry.state === 'leased' && entry.leases < this.#capacity)) return entry;
    }
    return undefined;
  }

  #lend(entry: Entry<K, R>): Lease<R> {
    this.#shelf.move(entry, 'leased');
    entry.leases += 1;
    return new ResourceLease(entry.resource as R, (spoiled) => this.#giveBack(entry, spoiled));
  }

  #giveBack(entry: Entry<K, R>, spoiled: ProxyError | undefined): void {
    if (entry.state !== 'leased') return;
    entry.leases -= 1;
    if (spoiled !== undefined) {
      this.#gone(entry, spoiled);
      return;
    }
    if (this.#backoff.trouble !== undefined && this.#proved(entry)) this.#backoff.worked();
    if (entry.leases === 0) this.#putBack(entry);
    if (this.#waiters.size > 0) this.#pump();
  }

  /** Back to idle, or closed when it is too old or the pool ends. */
  #putBack(entry: Entry<K, R>): void {
    const { clock } = this.#components;
    if (this.#ending !== undefined) {
      this.#closeForGood(entry);
      return;
    }
    const { maxLifetimeMs = Number.POSITIVE_INFINITY } = this.#options;
    if (clock.now() - entry.openedAt >= maxLifetimeMs) {
      this.#expire(entry, 'its lifetime is over');
      return;
    }
    entry.idleSince = clock.now();
    this.#shelf.move(entry, 'idle');
    if (this.#idleTimer === undefined) this.#watchIdle(this.#options.idleTtlMs);
  }

  // Who gets what

  #pump(): void {
    if (this.#ending !== undefined) return;
    /** Per key: how many more waiters the openings under way will serve. */
    const room = new Map<K, number>();
    let freeing = this.#shelf.counts.closing;
    for (const waiter of this.#waiters) {
      const entry = this.#lendable(waiter.key);
      if (entry !== undefined) {
        this.#grant(waiter, entry);
        continue;
      }
      const left = room.get(waiter.key) ?? this.#openings(waiter.key) * this.#capacity;
      if (left > 0) {
        waiter.covered = true;
        room.set(waiter.key, left - 1);
        continue;
      }
      waiter.covered = false;
      if (this.#heldBack(waiter)) continue;
      if (this.#shelf.size < this.#options.max) {
        waiter.covered = true;
        room.set(waiter.key, this.#capacity - 1);
        this.#open(waiter.key);
      } else if (freeing > 0) {
        freeing -= 1;
      } else {
        this.#makeRoom();
      }
    }
  }

  #grant(waiter: Waiter<K, R>, entry: Entry<K, R>): void {
    const waited = this.#components.clock.now() - waiter.since;
    if (waited >= (this.#options.slowAcquireMs ?? SLOW_ACQUIRE_MS)) {
      this.#components.log.warn({ key: waiter.key, waitedMs: Math.round(waited) }, 'slow acquire');
    }
    waiter.settle(this.#lend(entry));
  }

  #openings(key: K): number {
    let count = 0;
    for (const entry of this.#shelf.of(key)) if (entry.state === 'opening' && !entry.abort.signal.aborted) count += 1;
    return count;
  }

  #uncovered(): number {
    let count = 0;
    for (const waiter of this.#waiters) if (!waiter.covered) count += 1;
    return count;
  }

  /** Whether failures hold an opening for this waiter back: it waits out a short pause, and fails at once in a long one. */
  #heldBack(waiter: Waiter<K, R>): boolean {
    const { clock } = this.#components;
    const hold = this.#backoff.hold(waiter.key);
    if (hold === undefined) return false;
    const pause = hold.until - clock.now();
    if (pause <= this.#backoff.patienceMs) {
      this.#pumpAt(hold.until);
      return true;
    }
    const seconds = Math.ceil(pause / 1000);
    const { code, message, data } = hold.error;
    const details = data === undefined ? { retryAfter: seconds } : { retryAfter: seconds, data };
    this.#refuse(waiter, new ProxyError(code, `${message}; the next start is in ${seconds} s`, details));
    return true;
  }

  #pumpAt(at: number): void {
    const { clock } = this.#components;
    if (this.#backoffTimer !== undefined && this.#backoffTimer.at <= at) return;
    this.#backoffTimer?.timer.cancel();
    const timer = clock.timer(Math.max(1, at - clock.now()), () => {
      this.#backoffTimer = undefined;
      this.#pump();
    });
    this.#backoffTimer = { at, timer };
  }

  #makeRoom(): void {
    const idle = this.#shelf.longestIdle;
    if (idle !== undefined) this.#expire(idle, 'its place was needed');
  }

  #late(waiter: Waiter<K, R>): ProxyError {
    this.#refused += 1;
    const seconds = Math.round(this.#options.acquireTimeoutMs / 100) / 10;
    if (waiter.covered) return new ProxyError('upstream_timeout', `the upstream was not ready within ${seconds} s`);
    return this.#exhausted(`none became free within ${seconds} s`);
  }

  #exhausted(why: string): ProxyError {
    const message = `all ${this.#options.max} connections to the upstream are in use and ${why}; try again later`;
    return new ProxyError('pool_exhausted', message, { retryAfter: 1 });
  }

  #refuse(waiter: Waiter<K, R>, error: ProxyError): void {
    this.#refused += 1;
    waiter.settle(error);
  }

  // Opening

  #open(key: K): void {
    const { clock } = this.#components;
    const entry = this.#shelf.add(key);
    entry.timer = clock.timer(this.#options.acquireTimeoutMs, () => {
      const seconds = Math.round(this.#options.acquireTimeoutMs / 100) / 10;
      entry.abort.abort(new ProxyError('upstream_timeout', `the upstream was not ready within ${seconds} s`));
    });
    this.#tryOpen(entry).then(
      (resource) => this.#opened(entry, resource),
      (thrown: unknown) => this.#notOpened(entry, ProxyError.from(thrown, 'upstream_unreachable')),
    );
  }

  async #tryOpen(entry: Entry<K, R>): Promise<R> {
    return this.#components.open(entry.key, entry.abort.signal);
  }

  #opened(entry: Entry<K, R>, resource: R): void {
    entry.timer?.cancel();
    entry.resource = resource;
    entry.openedAt = this.#components.clock.now();
    this.#spawned += 1;
    if (this.#ending !== undefined || entry.abort.signal.aborted) {
      this.#closeForGood(entry, this.#ending ?? ProxyError.from(entry.abort.signal.reason, 'cancelled'));
      return;
    }
    this.#putBack(entry);
    this.#components.watch?.(resource, (reason) => this.#gone(entry, reason));
    this.#pump();
  }

  #notOpened(entry: Entry<K, R>, error: ProxyError): void {
    entry.timer?.cancel();
    this.#shelf.remove(entry);
    if (this.#ending !== undefined) {
      this.#end(this.#ending);
      return;
    }
    if (!entry.abort.signal.aborted || error.code === 'upstream_timeout') this.#openingFailed(entry.key, error);
    this.#pump();
  }

  #openingFailed(key: K, error: ProxyError): void {
    this.#failed += 1;
    this.#backoff.openingFailed(error);
    if (this.#components.transient?.(error) === true) return;
    let served = this.#capacity;
    for (const waiter of this.#waiters) {
      if (waiter.key !== key || served === 0) continue;
      served -= 1;
      waiter.settle(error);
    }
  }

  // Closing

  #gone(entry: Entry<K, R>, reason: ProxyError): void {
    if (entry.state === 'closing') return;
    const age = this.#components.clock.now() - entry.openedAt;
    if (this.#proved(entry)) {
      this.#backoff.worked();
      this.#backoff.died(entry.key, reason, age);
    } else {
      this.#backoff.openingFailed(reason);
    }
    this.#spoiled += 1;
    this.#closeForGood(entry, reason);
  }

  #proved(entry: Entry<K, R>): boolean {
    const { proved } = this.#components;
    return proved === undefined || entry.resource === undefined || proved(entry.resource);
  }

  #expire(entry: Entry<K, R>, why: string): void {
    this.#expired += 1;
    this.#closeForGood(entry, new ProxyError('upstream_closed', `the connection to the upstream was closed: ${why}`));
  }

  /** {@link #close}, not waited for; it never rejects. */
  #closeForGood(entry: Entry<K, R>, reason?: ProxyError): void {
    void this.#close(entry, reason ?? new ProxyError('draining', 'the proxy is shutting down'));
  }

  async #close(entry: Entry<K, R>, reason: ProxyError): Promise<void> {
    this.#shelf.move(entry, 'closing');
    try {
      await this.#components.close(entry.resource as R, reason);
    } catch (thrown) {
      this.#components.log.error({ err: thrown, key: entry.key }, 'closing a pooled resource failed');
    }
    this.#shelf.remove(entry);
    if (this.#ending === undefined) this.#pump();
    else this.#end(this.#ending);
  }

  /** One timer for all idle resources, set for the one that has been idle longest; set again when it fires. */
  #watchIdle(ms: number): void {
    if (ms === Number.POSITIVE_INFINITY) return;
    this.#idleTimer = this.#components.clock.timer(ms, () => {
      this.#idleTimer = undefined;
      const { idleTtlMs } = this.#options;
      const now = this.#components.clock.now();
      for (let idle = this.#shelf.longestIdle; idle !== undefined; idle = this.#shelf.longestIdle) {
        const left = idle.idleSince + idleTtlMs - now;
        if (left > 0) {
          this.#watchIdle(left);
          return;
        }
        this.#expire(idle, 'nobody used it');
      }
    });
  }
}

class ResourceLease<R> implements Lease<R> {
  readonly value: R;
  #giveBack: ((spoiled: ProxyError | undefined) => void) | undefined;

  constructor(value: R, giveBack: (spoiled: ProxyError | undefined) => void) {
    this.value = value;
    this.#giveBack = giveBack;
  }

  release(): void {
    this.#done(undefined);
  }

  spoil(error: ProxyError): void {
    this.#done(error);
  }

  #done(spoiled: ProxyError | undefined): void {
    const giveBack = this.#giveBack;
    this.#giveBack = undefined;
    giveBack?.(spoiled);
  }
}
