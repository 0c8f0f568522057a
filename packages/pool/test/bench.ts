import { ProxyError, silentLog } from '@shadowcat/kernel';
import { ManualClock, settled } from '@shadowcat/testkit';
import { createPool, type Lease, type Pool, type PoolComponents, type PoolOptions } from '../src/index.js';

export interface Thing {
  readonly key: string;
  readonly name: string;
  proved: boolean;
  closed: ProxyError | undefined;
  die: (reason: ProxyError) => void;
}

interface Opening {
  readonly key: string;
  readonly signal: AbortSignal;
  readonly succeed: () => Thing;
  readonly fail: (error: unknown) => void;
}

/** A pool whose openings and closings the test settles by hand. */
export class Bench {
  readonly clock = new ManualClock();
  readonly openings: Opening[] = [];
  readonly closings: { thing: Thing; done: () => void }[] = [];
  readonly pool: Pool<string, Thing>;
  #made = 0;

  constructor(options: Partial<PoolOptions> = {}, components: Partial<PoolComponents<string, Thing>> = {}) {
    this.pool = createPool<string, Thing>(
      {
        max: 2,
        queueLimit: 2,
        acquireTimeoutMs: 30_000,
        idleTtlMs: 60_000,
        sharing: 'shared',
        ...options,
      },
      {
        clock: this.clock,
        log: silentLog,
        random: () => 0.5,
        open: (key, signal) =>
          new Promise((resolve, reject) => {
            const succeed = (): Thing => {
              this.#made += 1;
              const thing: Thing = {
                key,
                name: `${key}#${this.#made}`,
                proved: true,
                closed: undefined,
                die: () => {},
              };
              resolve(thing);
              return thing;
            };
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
            this.openings.push({ key, signal, succeed, fail: reject });
          }),
        close: (thing, reason) => {
          thing.closed = reason;
          return new Promise((done) => this.closings.push({ thing, done }));
        },
        watch: (thing, gone) => {
          thing.die = gone;
        },
        proved: (thing) => thing.proved,
        ...components,
      },
    );
  }

  /** Acquires, and opens what it needs. */
  async ready(key: string): Promise<Lease<Thing>> {
    const lease = this.pool.acquire(key);
    await settled();
    this.openings.pop()?.succeed();
    return lease;
  }
}

/** The code that a promise is rejected with, or `fulfilled`. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'fulfilled',
    (error: unknown) => (error instanceof ProxyError ? error.code : String(error)),
  );
