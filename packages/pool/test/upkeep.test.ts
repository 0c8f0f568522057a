import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ProxyError, silentLog } from '@shadowcat/kernel';
import { ManualClock, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { createPool, type WaitOutcome } from '../src/index.js';
import { Bench, codeOf } from './bench.js';

const broken = (message = 'it broke'): ProxyError => new ProxyError('child_exited', message);

describe('the one deadline of an acquire', () => {
  it('covers waiting and opening together', async () => {
    const bench = new Bench({ max: 1, acquireTimeoutMs: 30_000 });
    const first = await bench.ready('a');
    const waiting = codeOf(bench.pool.acquire('b'));
    await bench.clock.pass(20_000);
    first.release();
    bench.closings[0]?.done();
    await bench.clock.pass(9999);
    expect(bench.openings.map(({ key }) => key)).toEqual(['b']);
    expect(bench.pool.stats.waiting).toBe(1);
    await bench.clock.pass(1);
    expect(await waiting).toBe('upstream_timeout');
  });

  it('goes on over openings that are tried again', async () => {
    const bench = new Bench({ acquireTimeoutMs: 1000 }, { transient: () => true });
    const waiting = codeOf(bench.pool.acquire('a'));
    for (let opened = 0; bench.clock.now() < 1000; await bench.clock.pass(50))
      for (const opening of bench.openings.splice(0)) {
        opened += 1;
        expect(opened).toBeLessThan(10);
        opening.fail(broken());
      }
    expect(await waiting).toBe('pool_exhausted');
    expect(bench.pool.stats).toMatchObject({ waiting: 0, open: 0 });
  });
});

describe('a group', () => {
  it('has its share of places, and makes room among its own', async () => {
    const bench = new Bench({ max: 4, maxPerGroup: 2 });
    const acquire = async (key: string, group: string) => {
      const lease = bench.pool.acquire(key, {}, group);
      bench.openings.pop()?.succeed();
      return lease;
    };
    const other = await acquire('z', 'other');
    other.release();
    const [one, two] = [await acquire('a', 'greedy'), await acquire('b', 'greedy')];
    const waiting = bench.pool.acquire('c', {}, 'greedy');
    expect(bench.openings).toHaveLength(0);
    two.release();
    expect(bench.closings.map(({ thing }) => thing.key)).toEqual(['b']);
    bench.closings[0]?.done();
    await settled();
    bench.openings.pop()?.succeed();
    expect((await waiting).value.key).toBe('c');
    expect([one.value.closed, other.value.closed]).toEqual([undefined, undefined]);
  });

  it('that has all its places does not keep others waiting, and is told why it waits', async () => {
    const bench = new Bench({ max: 4, maxPerGroup: 1, queueLimit: 1 });
    await bench.ready('a');
    const lease = bench.pool.acquire('b', {}, 'greedy');
    bench.openings.pop()?.succeed();
    await lease;
    const waiting = codeOf(bench.pool.acquire('c', {}, 'greedy'));
    await expect(bench.pool.acquire('d', {}, 'greedy')).rejects.toThrow(
      'all 1 connections to the upstream that one client may have are in use and 1 requests wait already',
    );
    const others = bench.pool.acquire('e', {}, 'modest');
    bench.openings.pop()?.succeed();
    expect((await others).value.key).toBe('e');
    void bench.pool.destroy(broken());
    expect(await waiting).toBe('child_exited');
  });
});

describe('a lease on sufferance', () => {
  it('gives way when nobody needs it and its place is needed, the longest unused first', async () => {
    const bench = new Bench({ max: 3 });
    let here = true;
    const [kept, loose] = [await bench.ready('a'), await bench.ready('b')];
    loose.loosen(() => !here);
    await bench.clock.pass(1000);
    const idle = await bench.ready('c');
    idle.release();
    const first = bench.pool.acquire('d');
    expect(bench.closings.map(({ thing }) => thing.key)).toEqual(['c']);
    bench.closings.pop()?.done();
    await settled();
    bench.openings.pop()?.succeed();
    await first;
    here = false;
    const second = bench.pool.acquire('e');
    expect(bench.closings.map(({ thing }) => thing.key)).toEqual(['b']);
    bench.closings.pop()?.done();
    await settled();
    bench.openings.pop()?.succeed();
    await second;
    loose.release();
    expect(kept.value.closed).toBeUndefined();
    expect(bench.pool.stats).toMatchObject({ open: 3, leased: 3 });
  });

  it('stays while somebody else leases the same, and is none when it was given back', async () => {
    const bench = new Bench({ max: 1, queueLimit: 5 });
    const loose = await bench.ready('a');
    const firm = await bench.pool.acquire('a');
    loose.loosen(() => true);
    void codeOf(bench.pool.acquire('b'));
    expect(bench.closings).toHaveLength(0);
    loose.release();
    loose.loosen(() => true);
    void codeOf(bench.pool.acquire('c'));
    expect(bench.closings).toHaveLength(0);
    firm.release();
    expect(bench.closings).toHaveLength(1);
  });
});

describe('making room', () => {
  it('spares what was just used, and comes back to it', async () => {
    const bench = new Bench({ max: 1, spareMs: 250 });
    (await bench.ready('a')).release();
    const next = bench.pool.acquire('b');
    await bench.clock.pass(200);
    (await bench.pool.acquire('a')).release();
    await bench.clock.pass(249);
    expect(bench.closings).toHaveLength(0);
    await bench.clock.pass(1);
    bench.closings.pop()?.done();
    await settled();
    bench.openings.pop()?.succeed();
    expect((await next).value.key).toBe('b');
  });
});

describe('a lifetime', () => {
  it('ends idle resources, also those that are used again and again', async () => {
    const bench = new Bench({ maxLifetimeMs: 10_000, idleTtlMs: 60_000 });
    (await bench.ready('a')).release();
    await bench.clock.pass(9000);
    (await bench.pool.acquire('a')).release();
    await bench.clock.pass(1000);
    expect(bench.closings.map(({ thing }) => thing.name)).toEqual(['a#1']);
  });

  it('lets those who lease go on, and the next one opens', async () => {
    const bench = new Bench({ maxLifetimeMs: 10_000 });
    const old = await bench.ready('a');
    await bench.clock.pass(10_000);
    const next = await bench.ready('a');
    expect([old.value.name, next.value.name, old.value.closed]).toEqual(['a#1', 'a#2', undefined]);
    old.release();
    expect(bench.closings.map(({ thing }) => thing.name)).toEqual(['a#1']);
  });
});

describe('waiting', () => {
  it('that took long is logged, and each wait is told with its outcome', async () => {
    const logged: [object, string][] = [];
    const waits: [number, WaitOutcome][] = [];
    const bench = new Bench(
      { max: 1, name: 'files', slowAcquireMs: 1000 },
      {
        log: { ...silentLog, warn: (details, message) => logged.push([details, message]) },
        waited: (ms, outcome) => waits.push([ms, outcome]),
      },
    );
    const first = bench.pool.acquire('a');
    await bench.clock.pass(1500);
    bench.openings.pop()?.succeed();
    const lease = await first;
    const second = bench.pool.acquire('b');
    const third = new AbortController();
    const gone = codeOf(bench.pool.acquire('c', { signal: third.signal }));
    await bench.clock.pass(2000);
    third.abort();
    expect(await gone).toBe('cancelled');
    lease.release();
    bench.closings[0]?.done();
    await settled();
    bench.openings.pop()?.succeed();
    await second;
    expect(logged).toMatchObject([
      [{ pool: 'files', waitedMs: 1500, outcome: 'leased' }, 'slow acquire: opening took long'],
      [{ pool: 'files', waitedMs: 2000, outcome: 'leased' }, expect.stringContaining('slow acquire')],
    ]);
    expect(waits).toEqual([
      [1500, 'leased'],
      [2000, 'gone'],
      [2000, 'leased'],
    ]);
  });
});

describe('a return that fails', () => {
  it.each([
    ['closing', { close: () => Promise.reject(new Error('no')) }],
    [
      'judging',
      {
        proved: () => {
          throw new Error('no');
        },
      },
    ],
  ])('in %s leaks no place', async (_what, components) => {
    const bench = new Bench({ max: 1 }, components);
    for (let times = 0; times < 3; times += 1) {
      const lease = await bench.ready('a');
      lease.spoil(broken());
      for (const { done } of bench.closings.splice(0)) done();
      await bench.clock.pass(60_000);
    }
    const last = await bench.ready('a');
    last.release();
    const closed = bench.pool.close();
    for (const { done } of bench.closings.splice(0)) done();
    await closed;
    expect(bench.pool.stats).toMatchObject({ open: 0, spawned: 4, spoiled: 3 });
    expect(bench.clock.pending).toBe(0);
  });

  it('closes a resource that cannot be watched', async () => {
    let times = 0;
    const bench = new Bench(
      { max: 1 },
      {
        watch: () => {
          times += 1;
          if (times === 1) throw new Error('no');
        },
      },
    );
    const lease = bench.pool.acquire('a');
    bench.openings.pop()?.succeed();
    await settled();
    bench.closings.pop()?.done();
    await settled();
    bench.openings.pop()?.succeed();
    expect((await lease).value.name).toBe('a#2');
  });
});

describe('crash loops', () => {
  it('are told with their number, reason and pause, until something works', async () => {
    const bench = new Bench({ max: 10 });
    for (let times = 0; times < 3; times += 1) {
      const lease = bench.pool.acquire('a');
      while (bench.openings.length === 0) await bench.clock.pass(10);
      bench.openings.pop()?.succeed();
      (await lease).value.die(broken());
    }
    expect(bench.pool.crashLoops()).toEqual([{ key: 'a', failures: 3, error: broken(), nextMs: 500 }]);
    expect(bench.pool.stats.reopened).toBe(2);
    await bench.pool.evict('a', broken());
    expect(bench.pool.crashLoops()).toEqual([]);
  });

  it('of openings concern all keys', async () => {
    const bench = new Bench();
    for (let times = 0; times < 2; times += 1) {
      const waiting = codeOf(bench.pool.acquire('a'));
      bench.openings.pop()?.fail(broken());
      await waiting;
    }
    expect(bench.pool.crashLoops()).toEqual([{ failures: 2, error: broken(), nextMs: 250 }]);
    await bench.clock.pass(250);
    (await bench.ready('b')).release();
    expect(bench.pool.crashLoops()).toEqual([]);
  });
});

describe('a pool that nobody refers to', () => {
  it('is not held by its own upkeep', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const clock = new ManualClock();
    const pool = await unreferenced(clock);
    expect(clock.pending).toBe(1);
    await settled();
    gc();
    expect(pool.deref()).toBeUndefined();
    await clock.pass(60_000);
    expect(clock.pending).toBe(0);
  });
});

/** A pool with an idle resource, whose end it has planned. */
async function unreferenced(clock: ManualClock): Promise<WeakRef<object>> {
  const pool = createPool<string, object>(
    { max: 2, queueLimit: 1, acquireTimeoutMs: 1000, idleTtlMs: 60_000, sharing: 'shared' },
    { clock, log: silentLog, open: async () => ({}), close: async () => {}, watch: () => {} },
  );
  (await pool.acquire('a')).release();
  return new WeakRef(pool);
}
