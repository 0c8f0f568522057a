import { ProxyError, silentLog } from '@shadowcat/kernel';
import { ManualClock, settled } from '@shadowcat/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPool, type Lease, type Pool, type PoolStats } from '../src/index.js';

type Step =
  | {
      readonly kind: 'acquire' | 'opened' | 'failed' | 'release' | 'spoil' | 'abort' | 'dies' | 'closed';
      readonly n: number;
    }
  | { readonly kind: 'evict' | 'notClosed' | 'late' | 'loosen'; readonly n: number }
  | { readonly kind: 'pass'; readonly n: number };

interface Plan {
  readonly max: number;
  readonly maxPerGroup: number;
  readonly maxLifetimeMs: number;
  readonly spareMs: number;
  readonly sharing: 'shared' | 'exclusive';
  /** Whether openings end when they are told to. */
  readonly obedient: boolean;
  readonly steps: readonly Step[];
  /** Before which step the pool is closed. */
  readonly closeAt: number;
}

const KEYS = ['a', 'b', 'c'];
const GROUP_OF: Readonly<Record<string, string>> = { b: 'g', c: 'g' };
/** Another one each time; `SEED=n` runs one again. A failing run prints it, too, with the shrunk plan. */
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('acquire' as const), n: fc.nat(99) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('opened' as const, 'closed' as const), n: fc.nat(99) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('release' as const), n: fc.nat(99) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        ...([
          'failed',
          'spoil',
          'abort',
          'dies',
          'evict',
          'notClosed',
          'late',
          'loosen',
        ] as const satisfies Step['kind'][]),
      ),
      n: fc.nat(99),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), n: fc.constantFrom(1, 300, 5000, 70_000) }) },
);

const plan: fc.Arbitrary<Plan> = fc.record({
  max: fc.integer({ min: 1, max: 4 }),
  maxPerGroup: fc.integer({ min: 1, max: 4 }),
  maxLifetimeMs: fc.constantFrom(6000, 100_000, Number.POSITIVE_INFINITY),
  spareMs: fc.constantFrom(0, 250),
  obedient: fc.boolean(),
  sharing: fc.constantFrom('shared' as const, 'exclusive' as const),
  steps: fc.array(step, { maxLength: 60 }),
  closeAt: fc.nat(80),
});

interface Held {
  readonly key: string;
  readonly lease: Lease<Resource>;
}
interface Resource {
  readonly key: string;
  readonly serial: number;
  closed: boolean;
  gone: (reason: ProxyError) => void;
}
interface Ticket {
  readonly key: string;
  readonly order: number;
  readonly cancel: AbortController;
  outcome: 'waiting' | 'leased' | 'failed';
}

/** Drives a pool through a plan and keeps its own books. */
class Run {
  readonly clock = new ManualClock();
  readonly pool: Pool<string, Resource>;
  readonly openings: { key: string; succeed: () => void; fail: () => void }[] = [];
  readonly closings: ((error?: Error) => void)[] = [];
  readonly held: Held[] = [];
  readonly tickets: Ticket[] = [];
  readonly alive = new Set<Resource>();
  readonly #plan: Plan;
  #serial = 0;
  #ended: Promise<void> | undefined;

  constructor(chosen: Plan) {
    this.#plan = chosen;
    this.pool = createPool<string, Resource>(
      { ...chosen, queueLimit: 5, acquireTimeoutMs: 10_000, idleTtlMs: 60_000 },
      {
        clock: this.clock,
        log: silentLog,
        random: () => 0.5,
        open: (key, signal) =>
          new Promise((resolve, reject) => {
            let settledAlready = false;
            const succeed = (): void => {
              if (settledAlready) return;
              settledAlready = true;
              this.#serial += 1;
              const made: Resource = { key, serial: this.#serial, closed: false, gone: () => {} };
              this.alive.add(made);
              resolve(made);
            };
            const fail = (): void => {
              settledAlready = true;
              reject(new ProxyError('spawn_failed', 'no'));
            };
            if (chosen.obedient) signal.addEventListener('abort', fail, { once: true });
            this.openings.push({ key, succeed, fail });
          }),
        close: (resource) => {
          resource.closed = true;
          return new Promise((done, failed) => {
            this.closings.push((error) => {
              this.alive.delete(resource);
              if (error === undefined) done();
              else failed(error);
            });
          });
        },
        watch: (resource, gone) => {
          resource.gone = gone;
        },
      },
    );
  }

  acquire(n: number): void {
    const key = KEYS[n % KEYS.length] ?? 'a';
    const ticket: Ticket = { key, order: this.tickets.length, cancel: new AbortController(), outcome: 'waiting' };
    this.tickets.push(ticket);
    this.pool.acquire(key, { signal: ticket.cancel.signal }, GROUP_OF[key]).then(
      (lease) => {
        expect(lease.value.key).toBe(key);
        this.#firstCome(ticket);
        ticket.outcome = 'leased';
        this.held.push({ key, lease });
      },
      (error: unknown) => {
        expect(error).toBeInstanceOf(ProxyError);
        ticket.outcome = 'failed';
      },
    );
  }

  /** Nobody of the same key who came earlier still waits. */
  #firstCome(ticket: Ticket): void {
    for (const other of this.tickets) {
      if (other.order < ticket.order && other.key === ticket.key) expect(other.outcome).not.toBe('waiting');
    }
  }

  async take(step: Step): Promise<void> {
    const pick = <T>(from: T[]): T | undefined =>
      from.length === 0 ? undefined : from.splice(step.n % from.length, 1)[0];
    switch (step.kind) {
      case 'acquire':
        this.acquire(step.n);
        break;
      case 'opened':
        pick(this.openings)?.succeed();
        break;
      case 'failed':
        pick(this.openings)?.fail();
        break;
      case 'closed':
        pick(this.closings)?.();
        break;
      case 'notClosed':
        pick(this.closings)?.(new Error('it could not be closed in good order'));
        break;
      case 'loosen':
        this.held[step.n % (this.held.length || 1)]?.lease.loosen(() => step.n % 2 === 0);
        break;
      case 'late':
        // Well beyond the deadline of whoever opened it.
        await this.clock.pass(15_000);
        pick(this.openings)?.succeed();
        break;
      case 'release':
        pick(this.held)?.lease.release();
        break;
      case 'spoil':
        pick(this.held)?.lease.spoil(new ProxyError('upstream_protocol', 'broken'));
        break;
      case 'abort':
        pick(this.tickets.filter((ticket) => ticket.outcome === 'waiting'))?.cancel.abort();
        break;
      case 'dies':
        pick([...this.alive])?.gone(new ProxyError('child_exited', 'died'));
        break;
      case 'evict':
        void this.pool.evict(KEYS[step.n % KEYS.length] ?? 'a', new ProxyError('session_not_found', 'ended'));
        break;
      case 'pass':
        await this.clock.pass(step.n);
    }
    await settled();
    this.#check(this.pool.stats);
  }

  #check(stats: PoolStats): void {
    expect(stats.idle + stats.leased + stats.opening + stats.closing).toBe(stats.open);
    expect(stats.open).toBeLessThanOrEqual(this.#plan.max);
    expect(this.alive.size).toBeLessThanOrEqual(stats.open);
    const grouped = [...this.alive].filter(({ key }) => GROUP_OF[key] === 'g');
    expect(grouped.length).toBeLessThanOrEqual(this.#plan.maxPerGroup);
    expect(stats.waiting).toBe(this.tickets.filter((ticket) => ticket.outcome === 'waiting').length);
    if (this.#ended !== undefined) expect(stats.waiting).toBe(0);
  }

  close(): void {
    this.#ended = this.pool.close();
  }

  /** Gives everything back and lets everything settle: the pool must come to its end and hold nothing. */
  async finish(): Promise<void> {
    this.#ended ??= this.pool.close();
    let over = false;
    void this.#ended.then(() => {
      over = true;
    });
    for (let round = 0; round < 20 && !over; round += 1) {
      for (const opening of this.openings.splice(0)) opening.succeed();
      for (const { lease } of this.held.splice(0)) lease.release();
      for (const done of this.closings.splice(0)) done();
      await settled();
    }
    expect(over).toBe(true);
    expect(this.alive.size).toBe(0);
    expect(this.clock.pending).toBe(0);
    expect(this.tickets.every((ticket) => ticket.outcome !== 'waiting')).toBe(true);
  }
}

describe('any schedule of a pool', () => {
  it(`keeps its books, its bounds and its order, and ends with nothing left (SEED=${SEED})`, async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (chosen) => {
        const run = new Run(chosen);
        for (const [index, taken] of chosen.steps.entries()) {
          if (index === chosen.closeAt) run.close();
          await run.take(taken);
        }
        await run.finish();
      }),
      { numRuns: 500, seed: SEED },
    );
  });
});
