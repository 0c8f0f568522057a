import { ProxyError } from '@shadowcat/kernel';
import { Alarm } from './alarm.js';
import { Backoff } from './backoff.js';
import { ResourceLease } from './lease.js';
import { type Entry, Shelf } from './shelf.js';
import type { CrashLoop, Lease, Pool, PoolComponents, PoolOptions, PoolStats, Waiting, WaitOutcome } from './types.js';
import { type Waiter, Waiters } from './waiters.js';

const SLOW_ACQUIRE_MS = 5000;
/** Keys whose resource died and was not opened again yet; more are not remembered. */
const MAX_BEREAVED = 1000;

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
  readonly #expiry: Alarm<ResourcePool<K, R>>;
  readonly #wake: Alarm<ResourcePool<K, R>>;
  readonly #bereaved = new Set<K>();
  #spawned = 0;
  #reopened = 0;
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
    const { clock } = components;
    this.#waiters = new Waiters(clock, options.acquireTimeoutMs, (waiter, outcome) => this.#waited(waiter, outcome));
    this.#backoff = new Backoff(options.backoff, components);
    this.#expiry = new Alarm<ResourcePool<K, R>>(clock, this, ResourcePool.#expireDueOf);
    this.#wake = new Alarm<ResourcePool<K, R>>(clock, this, ResourcePool.#pumpOf);
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
      reopened: this.#reopened,
      spoiled: this.#spoiled,
      expired: this.#expired,
      failed: this.#failed,
      refused: this.#refused,
      trouble: this.#backoff.trouble,
    };
  }

  crashLoops(): readonly CrashLoop<K>[] {
    return this.#backoff.loops();
  }

  acquire(key: K, waiting: Waiting = {}, group?: string): Promise<Lease<R>> {
    if (this.#ending !== undefined) return Promise.reject(this.#ending);
    if (this.#waiters.size === 0 || !this.#waiters.has(key)) {
      const entry = this.#lendable(key);
      if (entry !== undefined) return Promise.resolve(this.#lend(entry));
    }
    const [waiter, promise] = this.#waiters.add({ key, group, waiting }, (late) => this.#late(late));
    this.#pump();
    if (!waiter.covered && this.#uncovered() > this.#options.queueLimit) {
      this.#refuse(waiter, this.#exhausted(waiter, `${this.#options.queueLimit} requests wait already`));
    }
    return promise;
  }

  async evict(key: K, reason: ProxyError): Promise<void> {
    this.#backoff.forget(key);
    this.#bereaved.delete(key);
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
      this.#expiry.cancel();
      this.#wake.cancel();
      for (const waiter of this.#waiters) waiter.settle(reason);
      for (const entry of this.#shelf.all()) if (entry.state === 'opening') entry.abort.abort(reason);
    }
    if (this.#shelf.size === 0) this.#ended.resolve();
  }

  // Leases

  #lendable(key: K): Entry<K, R> | undefined {
    for (const entry of this.#shelf.of(key)) {
      if (entry.state !== 'idle' && (entry.state !== 'leased' || entry.leases >= this.#capacity)) continue;
      if (!this.#tooOld(entry)) return entry;
      if (entry.state === 'idle') this.#expire(entry, 'its lifetime is over');
    }
    return undefined;
  }

  #tooOld(entry: Entry<K, R>): boolean {
    const { maxLifetimeMs } = this.#options;
    return maxLifetimeMs !== undefined && this.#components.clock.now() - entry.openedAt >= maxLifetimeMs;
  }

  #lend(entry: Entry<K, R>): Lease<R> {
    this.#shelf.move(entry, 'leased');
    entry.leases += 1;
    // The same for all leases of a resource: there is one for each request.
    entry.lending ??= {
      giveBack: (spoiled) => this.#giveBack(entry, spoiled),
      loosen: (dispensable) => {
        const tighten = this.#shelf.loosen(entry, dispensable);
        if (this.#waiters.size > 0) this.#pump();
        return tighten;
      },
    };
    return new ResourceLease(entry.resource as R, entry.lending);
  }

  #giveBack(entry: Entry<K, R>, spoiled: ProxyError | undefined): void {
    if (entry.state !== 'leased') return;
    entry.leases -= 1;
    if (entry.loose.size > 0) entry.idleSince = this.#components.clock.now();
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
    if (this.#tooOld(entry)) {
      this.#expire(entry, 'its lifetime is over');
      return;
    }
    entry.idleSince = clock.now();
    this.#shelf.move(entry, 'idle');
    this.#expiry.by(this.#endOf(entry));
  }

  // Who gets what

  #pump(): void {
    if (this.#ending !== undefined) return;
    /** Per key: how many more waiters the openings under way will serve. */
    const room = new Map<K, number>();
    /** By group, or for all: places that become free soon and that no earlier waiter counts on. */
    const freeing = new Map<string | undefined, number>();
    for (const waiter of this.#waiters) {
      const entry = this.#lendable(waiter.key);
      if (entry !== undefined) {
        waiter.settle(this.#lend(entry));
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
      if (this.#crowded(waiter)) {
        this.#makeRoom(freeing, waiter.group);
      } else if (this.#shelf.size >= this.#options.max) {
        this.#makeRoom(freeing, undefined);
      } else {
        waiter.covered = true;
        room.set(waiter.key, this.#capacity - 1);
        this.#open(waiter);
      }
    }
  }

  /** Whether the waiter's group has all that it may have. */
  #crowded({ group }: Waiter<K, R>): boolean {
    const { maxPerGroup } = this.#options;
    return maxPerGroup !== undefined && group !== undefined && this.#shelf.sizeOf(group) >= maxPerGroup;
  }

  #waited({ since, covered }: Waiter<K, R>, outcome: Lease<R> | ProxyError): void {
    const { clock, log, waited } = this.#components;
    const ms = clock.now() - since;
    const how = outcomeOf(outcome);
    waited?.(ms, how);
    if (how === 'gone' || ms < (this.#options.slowAcquireMs ?? SLOW_ACQUIRE_MS)) return;
    const details = { pool: this.#options.name, waitedMs: Math.round(ms), outcome: how, ...this.#shelf.counts };
    log.warn(details, covered ? 'slow acquire: opening took long' : 'slow acquire: no place was free');
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
      this.#wake.by(hold.until);
      return true;
    }
    const seconds = Math.ceil(pause / 1000);
    const { code, message, data } = hold.error;
    const details = data === undefined ? { retryAfter: seconds } : { retryAfter: seconds, data };
    this.#refuse(waiter, new ProxyError(code, `${message}; the next start is in ${seconds} s`, details));
    return true;
  }

  /** Closes what nobody has needed for longest, unless enough places become free anyway. */
  #makeRoom(freeing: Map<string | undefined, number>, group: string | undefined): void {
    const left = freeing.get(group) ?? this.#shelf.closing(group);
    freeing.set(group, Math.max(0, left - 1));
    const unused = left > 0 ? undefined : this.#shelf.longestUnused(group);
    if (unused === undefined) return;
    const spared = unused.idleSince + (this.#options.spareMs ?? 0);
    if (spared > this.#components.clock.now()) this.#wake.by(spared);
    else this.#expire(unused, 'its place was needed');
  }

  #late(waiter: Waiter<K, R>): ProxyError {
    this.#refused += 1;
    const seconds = Math.round(this.#options.acquireTimeoutMs / 100) / 10;
    if (waiter.covered) return new ProxyError('upstream_timeout', `the upstream was not ready within ${seconds} s`);
    return this.#exhausted(waiter, `none became free within ${seconds} s`);
  }

  #exhausted(waiter: Waiter<K, R>, why: string): ProxyError {
    const { max, maxPerGroup, remedy = 'try again later' } = this.#options;
    const message = this.#crowded(waiter)
      ? `all ${maxPerGroup} connections to the upstream that one client may have are in use and ${why}; try again later`
      : `all ${max} connections to the upstream are in use and ${why}; ${remedy}`;
    return new ProxyError('pool_exhausted', message, { retryAfter: 1 });
  }

  #refuse(waiter: Waiter<K, R>, error: ProxyError): void {
    this.#refused += 1;
    waiter.settle(error);
  }

  // Opening

  #open({ key, group }: Waiter<K, R>): void {
    const { clock } = this.#components;
    const entry = this.#shelf.add(key, group);
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
    if (this.#bereaved.delete(entry.key)) this.#reopened += 1;
    if (this.#ending !== undefined || entry.abort.signal.aborted) {
      this.#closeForGood(entry, this.#ending ?? ProxyError.from(entry.abort.signal.reason, 'cancelled'));
      return;
    }
    this.#putBack(entry);
    try {
      this.#components.watch?.(resource, (reason) => this.#gone(entry, reason));
    } catch (thrown) {
      this.#gone(entry, ProxyError.from(thrown, 'internal'));
    }
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
    if (this.#bereaved.size < MAX_BEREAVED) this.#bereaved.add(entry.key);
    this.#closeForGood(entry, reason);
  }

  #proved(entry: Entry<K, R>): boolean {
    const { proved, log } = this.#components;
    if (proved === undefined || entry.resource === undefined) return true;
    try {
      return proved(entry.resource);
    } catch (thrown) {
      // Whoever gives something back does so all the same.
      log.error({ err: thrown, pool: this.#options.name }, 'a pooled resource could not be judged');
      return true;
    }
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
      this.#components.log.error({ err: thrown, pool: this.#options.name }, 'closing a pooled resource failed');
    }
    this.#shelf.remove(entry);
    if (this.#ending === undefined) this.#pump();
    else this.#end(this.#ending);
  }

  /** When an idle resource has to go. */
  #endOf({ idleSince, openedAt }: Entry<K, R>): number {
    const { idleTtlMs, maxLifetimeMs = Number.POSITIVE_INFINITY } = this.#options;
    return Math.min(idleSince + idleTtlMs, openedAt + maxLifetimeMs);
  }

  // Static: a function made in the constructor would hold the pool by its scope.
  static #expireDueOf<K, R>(pool: ResourcePool<K, R>): void {
    pool.#expireDue();
  }

  static #pumpOf<K, R>(pool: ResourcePool<K, R>): void {
    pool.#pump();
  }

  #expireDue(): void {
    const now = this.#components.clock.now();
    for (const entry of this.#shelf.idle) {
      const end = this.#endOf(entry);
      if (end > now) this.#expiry.by(end);
      else this.#expire(entry, this.#tooOld(entry) ? 'its lifetime is over' : 'nobody used it');
    }
  }
}

function outcomeOf(outcome: Lease<unknown> | ProxyError): WaitOutcome {
  if (!(outcome instanceof ProxyError)) return 'leased';
  if (outcome.code === 'cancelled' || outcome.code === 'draining') return 'gone';
  return outcome.code === 'pool_exhausted' ? 'refused' : 'failed';
}
