import type { Clock, ProxyError } from '@shadowcat/kernel';
import type { BackoffOptions, CrashLoop } from './types.js';

const DEFAULTS: BackoffOptions = { firstMs: 250, maxMs: 30_000, patienceMs: 2000, stableMs: 5000 };

/** Keys whose troubles are remembered. */
const MAX_KEYS = 1000;

/** What holds an opening back: until when, and why. */
export interface Hold {
  readonly until: number;
  readonly error: ProxyError;
}

interface Trouble extends Hold {
  readonly failures: number;
}

/**
 * Holds openings back after failures: all of them after openings that failed, those of one key after its resources died
 * young. The first failure costs no pause, so that an accident is repaired at once; each further one in a row doubles it.
 */
export class Backoff<K> {
  readonly #options: BackoffOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  #all: Trouble | undefined;
  readonly #keys = new Map<K, Trouble>();

  constructor(options: Partial<BackoffOptions> | undefined, components: { clock: Clock; random?: () => number }) {
    this.#options = { ...DEFAULTS, ...options };
    this.#clock = components.clock;
    this.#random = components.random ?? Math.random;
  }

  get patienceMs(): number {
    return this.#options.patienceMs;
  }
  get stableMs(): number {
    return this.#options.stableMs;
  }
  /**
   * The newest error that a pause still goes back to. Not for ever: whoever sends nobody here while there is trouble would never
   * find out that it is over.
   */
  get trouble(): ProxyError | undefined {
    return this.#all !== undefined && this.#isRecent(this.#all) ? this.#all.error : undefined;
  }

  /** An opening failed, for whatever key. */
  openingFailed(error: ProxyError): void {
    this.#all = this.#next(this.#all, error);
  }

  /** A resource did its job. */
  worked(): void {
    this.#all = undefined;
  }

  /** A resource that had done its job died, `age` milliseconds after it was opened. */
  died(key: K, error: ProxyError, age: number): void {
    const before = this.#keys.get(key);
    this.#keys.delete(key);
    if (age >= this.#options.stableMs) return;
    this.#keys.set(key, this.#next(before, error));
    if (this.#keys.size <= MAX_KEYS) return;
    for (const oldest of this.#keys.keys()) {
      this.#keys.delete(oldest);
      break;
    }
  }

  /** Nobody will ask for this key again. */
  forget(key: K): void {
    this.#keys.delete(key);
  }

  /** What holds back an opening for `key`, or for none in particular, now. */
  hold(key?: K): Hold | undefined {
    const now = this.#clock.now();
    const one = key === undefined ? undefined : this.#keys.get(key);
    const later = one !== undefined && (this.#all === undefined || one.until > this.#all.until) ? one : this.#all;
    return later !== undefined && later.until > now ? later : undefined;
  }

  /** What failed twice in a row or more, and did not work since. */
  loops(): CrashLoop<K>[] {
    const now = this.#clock.now();
    const loop = ({ failures, error, until }: Trouble): CrashLoop<K> => ({
      failures,
      error,
      nextMs: Math.max(0, Math.ceil(until - now)),
    });
    const found: CrashLoop<K>[] = [];
    const isLoop = (trouble: Trouble): boolean => trouble.failures > 1 && this.#isRecent(trouble);
    if (this.#all !== undefined && isLoop(this.#all)) found.push(loop(this.#all));
    for (const [key, trouble] of this.#keys) if (isLoop(trouble)) found.push({ key, ...loop(trouble) });
    return found;
  }

  /** Whether its pause is under way, or was over for no longer than the longest. */
  #isRecent({ until }: Trouble): boolean {
    return this.#clock.now() - until < this.#options.maxMs;
  }

  #next(before: Trouble | undefined, error: ProxyError): Trouble {
    const failures = (before?.failures ?? 0) + 1;
    const { firstMs, maxMs } = this.#options;
    const pause = failures === 1 ? 0 : Math.min(maxMs, firstMs * 2 ** (failures - 2));
    const spread = pause * (0.8 + 0.4 * this.#random());
    return { failures, error, until: this.#clock.now() + Math.min(spread, maxMs) };
  }
}
