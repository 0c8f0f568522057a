import type { Clock, Log, ProxyError } from '@shadowcat/kernel';

/** How many at a time may lease one resource: `exclusive` one, `shared` any number (lines that carry many exchanges). */
export type Sharing = 'exclusive' | 'shared';

/** What the user decides. Times in milliseconds. */
export interface PoolOptions {
  /** For the log. */
  readonly name?: string;
  /** Resources that may exist at the same time, those being opened and closed included. */
  readonly max: number;
  /** How many of them one group may have, see {@link Pool.acquire}. Default: all. */
  readonly maxPerGroup?: number;
  /** How many may wait for a place; the next one gets `pool_exhausted` at once. */
  readonly queueLimit: number;
  /** The one deadline of an acquire: waiting, opening and all. */
  readonly acquireTimeoutMs: number;
  /** How long a resource may lie idle. `Infinity`: for ever. */
  readonly idleTtlMs: number;
  readonly sharing: Sharing;
  /**
   * One that was just used is not closed to make room before it was idle for this long: who asks twice in a row shall not find
   * it closed in between. Default 0.
   */
  readonly spareMs?: number;
  /** A resource older than this is lent to nobody else, and closed when nobody leases it. Default: never. */
  readonly maxLifetimeMs?: number;
  /** What whoever is refused can do, as the message says it. Default `try again later`. */
  readonly remedy?: string;
  /** An acquire that took longer is logged. Default 5000. */
  readonly slowAcquireMs?: number;
  /** How openings that fail, and resources that die young, hold the next opening back. */
  readonly backoff?: Partial<BackoffOptions>;
}

export interface BackoffOptions {
  /** The pause after the second failure in a row (there is none after the first); doubles with each further one. Default 250. */
  readonly firstMs: number;
  /** The longest pause. Default 30000. */
  readonly maxMs: number;
  /** An acquire waits for the end of a pause no longer than this; else it fails at once with the last error. Default 2000. */
  readonly patienceMs: number;
  /** A resource that dies before this age died young. Default 5000. */
  readonly stableMs: number;
}

/** What the system provides. */
export interface PoolComponents<K, R> {
  /** Opens a resource. Must settle soon after `signal` fires; what it opened by then is closed. */
  open(key: K, signal: AbortSignal): Promise<R>;
  /** Closes a resource, also one that died by itself. Its place is free when the promise settles. */
  close(resource: R, reason: ProxyError): Promise<void>;
  /** Calls `gone` when the resource died by itself, so that a dead one is never lent. */
  watch?(resource: R, gone: (reason: ProxyError) => void): void;
  /** Whether it ever did its job. One that dies without having done so counts as an opening that failed. */
  proved?(resource: R): boolean;
  /** Whether an opening that failed with this error is tried again within the deadline. Default: never. */
  transient?(error: ProxyError): boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 <= n < 1; spreads the pauses by a fifth. Default `Math.random`. */
  readonly random?: () => number;
  /** Told of each acquire that could not be answered at once, when it is: how long it took. May not throw. */
  readonly waited?: (ms: number, outcome: WaitOutcome) => void;
}

/** How waiting ended: with a lease, refused for want of room or time, failed to open, or nobody waits any more. */
export type WaitOutcome = 'leased' | 'refused' | 'failed' | 'gone';

/** Openings that are held back because what was opened before died or could not be opened, several times in a row. */
export interface CrashLoop<K> {
  /** Absent: whatever the key. */
  readonly key?: K;
  /** How many in a row; two at least. */
  readonly failures: number;
  readonly error: ProxyError;
  /** Milliseconds until the next opening is allowed; 0: the next acquire opens. */
  readonly nextMs: number;
}

/** The right to use a resource, until it is given back by exactly one of the two; later calls do nothing. */
export interface Lease<R> {
  readonly value: R;
  release(): void;
  /** Gives it back as broken: it is closed at once, for all who lease it. */
  spoil(error: ProxyError): void;
  /**
   * Keeps it on sufferance: while `dispensable` says so, and all other leases of the resource are on sufferance too, it may be
   * closed when its place is needed, as if it were idle since the last lease was given back.
   */
  loosen(dispensable: () => boolean): void;
}

/** `idle + leased + opening + closing = open <= max` at all times. The rest are counts since the start. */
export interface PoolStats {
  readonly open: number;
  readonly idle: number;
  readonly leased: number;
  readonly opening: number;
  readonly closing: number;
  /** Acquires that have neither a lease nor an error yet. */
  readonly waiting: number;
  /** Resources that were opened. */
  readonly spawned: number;
  /** Those among them that were opened in the place of one that had died. */
  readonly reopened: number;
  /** Resources that died, or were given back as broken. */
  readonly spoiled: number;
  /** Idle resources that were closed for their age, or to make room. */
  readonly expired: number;
  /** Openings that failed. */
  readonly failed: number;
  /** Acquires that were refused or timed out. */
  readonly refused: number;
  /** Why the last opening failed or resource died, while it still holds others back. */
  readonly trouble: ProxyError | undefined;
}

/** Whoever waits; `signal` is read only if there is something to wait for. */
export interface Waiting {
  readonly signal?: AbortSignal;
}

/** Leases of anything that is dear to open, by key. `Symbol.asyncDispose` is `close`. */
export interface Pool<K, R> extends AsyncDisposable {
  /**
   * A lease of a resource for `key`, opened when there is none; first come, first served per key.
   * What it opens counts for `group`, which may have `maxPerGroup` at a time and makes room among its own.
   * Rejects with `pool_exhausted`, `upstream_timeout`, `draining`, `cancelled`, or what `open` rejected with.
   */
  acquire(key: K, waiting?: Waiting, group?: string): Promise<Lease<R>>;
  /** Closes what exists for `key` now, leased or not, and fails those who wait for it. */
  evict(key: K, reason: ProxyError): Promise<void>;
  readonly stats: PoolStats;
  /** What fails again and again at the moment. */
  crashLoops(): readonly CrashLoop<K>[];
  /** Ends gently: waiters fail, leases are awaited, everything is closed. A second call returns the first promise. */
  close(): Promise<void>;
  /** Ends now: everything is closed, leased or not. */
  destroy(reason: ProxyError): Promise<void>;
}
