import { ProxyError } from '@shadowcat/kernel';
import { settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { Bench, codeOf } from './bench.js';

describe('a pool of shared resources', () => {
  it('opens one resource for any number of acquires of a key', async () => {
    const bench = new Bench();
    const leases = [bench.pool.acquire('a'), bench.pool.acquire('a'), bench.pool.acquire('a')];
    expect(bench.openings).toHaveLength(1);
    bench.openings[0]?.succeed();
    const values = (await Promise.all(leases)).map((lease) => lease.value.name);
    expect(values).toEqual(['a#1', 'a#1', 'a#1']);
    expect(bench.pool.stats).toMatchObject({ open: 1, leased: 1, spawned: 1, waiting: 0 });
  });

  it('is idle when the last lease was given back, once each', async () => {
    const bench = new Bench();
    const first = await bench.ready('a');
    const second = await bench.pool.acquire('a');
    first.release();
    first.release();
    expect(bench.pool.stats).toMatchObject({ leased: 1, idle: 0 });
    second.release();
    expect(bench.pool.stats).toMatchObject({ leased: 0, idle: 1 });
  });

  it('closes a spoiled resource at once and frees its place afterwards', async () => {
    const bench = new Bench({ max: 1 });
    const lease = await bench.ready('a');
    lease.spoil(new ProxyError('upstream_protocol', 'nonsense'));
    expect(bench.closings).toHaveLength(1);
    const next = bench.pool.acquire('b');
    expect(bench.openings).toHaveLength(0);
    bench.closings[0]?.done();
    await settled();
    expect(bench.openings.map((opening) => opening.key)).toEqual(['b']);
    bench.openings[0]?.succeed();
    expect((await next).value.key).toBe('b');
  });

  it('never lends a resource that died', async () => {
    const bench = new Bench();
    const lease = await bench.ready('a');
    lease.release();
    lease.value.die(new ProxyError('child_exited', 'exit code 1'));
    const next = bench.pool.acquire('a');
    bench.openings[0]?.succeed();
    expect((await next).value.name).toBe('a#2');
    expect(bench.pool.stats).toMatchObject({ spoiled: 1, spawned: 2, closing: 1 });
  });

  it('closes the longest idle resource to make room for another key', async () => {
    const bench = new Bench({ max: 2 });
    const a = await bench.ready('a');
    const b = await bench.ready('b');
    b.release();
    a.release();
    const c = bench.pool.acquire('c');
    expect(bench.closings.map(({ thing }) => thing.key)).toEqual(['b']);
    bench.closings[0]?.done();
    await settled();
    bench.openings[0]?.succeed();
    expect((await c).value.key).toBe('c');
    expect(a.value.closed).toBeUndefined();
  });

  it('refuses at once when the queue is full, and a place that becomes free goes to the first in it', async () => {
    const bench = new Bench({ max: 1, queueLimit: 2 });
    const lease = await bench.ready('a');
    const b = bench.pool.acquire('b');
    const c = codeOf(bench.pool.acquire('c'));
    expect(await codeOf(bench.pool.acquire('d'))).toBe('pool_exhausted');
    lease.release();
    bench.closings[0]?.done();
    await settled();
    bench.openings[0]?.succeed();
    expect((await b).value.key).toBe('b');
    bench.clock.advance(30_000);
    expect(await c).toBe('pool_exhausted');
  });

  it('says what can be done about a pool that is full', async () => {
    const bench = new Bench({ max: 1, queueLimit: 1, remedy: 'raise --max-things' });
    await bench.ready('a');
    const waiting = bench.pool.acquire('b').catch((error: Error) => error.message);
    await expect(bench.pool.acquire('c')).rejects.toThrow('1 requests wait already; raise --max-things');
    bench.clock.advance(30_000);
    expect(await waiting).toBe(
      'all 1 connections to the upstream are in use and none became free within 30 s; raise --max-things',
    );
  });

  it('fails a waiter whose signal fires, and leaves no timer and no listener behind', async () => {
    const bench = new Bench({ max: 1 });
    await bench.ready('a');
    const pending = bench.clock.pending;
    const gone = new AbortController();
    const waiting = codeOf(bench.pool.acquire('b', { signal: gone.signal }));
    gone.abort();
    expect(await waiting).toBe('cancelled');
    expect(await codeOf(bench.pool.acquire('b', { signal: AbortSignal.abort() }))).toBe('cancelled');
    expect(bench.clock.pending).toBe(pending);
    expect(bench.pool.stats.waiting).toBe(0);
  });

  it('ends an opening that takes longer than the deadline', async () => {
    const bench = new Bench();
    const waiting = codeOf(bench.pool.acquire('a'));
    bench.clock.advance(30_000);
    expect(await waiting).toBe('upstream_timeout');
    await settled();
    expect(bench.openings[0]?.signal.aborted).toBe(true);
    expect(bench.pool.stats).toMatchObject({ open: 0, opening: 0, failed: 1 });
  });

  it('closes what lies idle for too long with one timer', async () => {
    const bench = new Bench({ max: 3 });
    const a = await bench.ready('a');
    const b = await bench.ready('b');
    a.release();
    bench.clock.advance(40_000);
    b.release();
    expect(bench.clock.pending).toBe(1);
    bench.clock.advance(20_000);
    expect(bench.closings.map(({ thing }) => thing.key)).toEqual(['a']);
    bench.clock.advance(40_000);
    expect(bench.closings.map(({ thing }) => thing.key)).toEqual(['a', 'b']);
    expect(bench.clock.pending).toBe(0);
    expect(bench.pool.stats.expired).toBe(2);
  });

  it('evicts what a key has, leased or opening, and fails who waits for it', async () => {
    const bench = new Bench();
    const lease = await bench.ready('a');
    const opening = codeOf(bench.pool.acquire('b'));
    const reason = new ProxyError('session_not_found', 'the session has ended');
    const evicted = Promise.all([bench.pool.evict('a', reason), bench.pool.evict('b', reason)]);
    expect(await opening).toBe('session_not_found');
    expect(lease.value.closed).toBe(reason);
    bench.closings[0]?.done();
    await evicted;
    lease.release();
    await settled();
    expect(bench.pool.stats).toMatchObject({ open: 0, failed: 0 });
  });
});

describe('a pool of exclusive resources', () => {
  it('opens one for each acquire and serves a key first come, first served', async () => {
    const bench = new Bench({ max: 2, sharing: 'exclusive' });
    const a = await bench.ready('a');
    const b = await bench.ready('a');
    expect(a.value).not.toBe(b.value);
    const order: string[] = [];
    const third = bench.pool.acquire('a').then((lease) => order.push(`third:${lease.value.name}`));
    const fourth = bench.pool.acquire('a').then((lease) => order.push(`fourth:${lease.value.name}`));
    b.release();
    a.release();
    await Promise.all([third, fourth]);
    expect(order).toEqual(['third:a#2', 'fourth:a#1']);
  });

  it('closes a resource that is too old when it is given back', async () => {
    const bench = new Bench({ sharing: 'exclusive', maxLifetimeMs: 1000 });
    const a = await bench.ready('a');
    bench.clock.advance(1000);
    a.release();
    expect(bench.closings).toHaveLength(1);
  });
});

describe('openings that fail', () => {
  const failed = (): ProxyError => new ProxyError('spawn_failed', 'no such command');

  it('fail their waiters with their error and hold the next one back for longer each time', async () => {
    const bench = new Bench();
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const waiting = codeOf(bench.pool.acquire('a'));
      const before = bench.clock.now();
      while (bench.openings.length === 0) await bench.clock.pass(10);
      pauses.push(bench.clock.now() - before);
      bench.openings.pop()?.fail(failed());
      expect(await waiting).toBe('spawn_failed');
    }
    expect(pauses).toEqual([0, 0, 250, 500, 1000]);
  });

  it('are refused at once in a long pause, with the last error and when to come back', async () => {
    const bench = new Bench({ backoff: { firstMs: 8000 } });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const waiting = codeOf(bench.pool.acquire('a'));
      bench.openings.pop()?.fail(failed());
      expect(await waiting).toBe('spawn_failed');
    }
    await expect(bench.pool.acquire('b')).rejects.toMatchObject({
      code: 'spawn_failed',
      message: 'no such command; the next start is in 8 s',
      retryAfter: 8,
    });
    expect(bench.pool.stats.trouble?.message).toBe('no such command');
    bench.clock.advance(8000);
    const lease = await bench.ready('b');
    lease.release();
    expect(bench.pool.stats.trouble).toBeUndefined();
  });

  it('are no trouble any more when nobody has tried for long, so that somebody is sent to try', async () => {
    const bench = new Bench({ backoff: { firstMs: 250, maxMs: 30_000 } });
    const waiting = codeOf(bench.pool.acquire('a'));
    bench.openings.pop()?.fail(failed());
    await waiting;
    bench.clock.advance(29_999);
    expect(bench.pool.stats.trouble?.message).toBe('no such command');
    bench.clock.advance(1);
    expect([bench.pool.stats.trouble, bench.pool.crashLoops()]).toEqual([undefined, []]);
  });

  it('are tried again within the deadline when the error is transient', async () => {
    const bench = new Bench({}, { transient: (error) => error.message === 'EAGAIN' });
    const lease = bench.pool.acquire('a');
    for (let attempt = 0; attempt < 3; attempt += 1) {
      while (bench.openings.length === 0) await bench.clock.pass(10);
      bench.openings.pop()?.fail(new ProxyError('spawn_failed', 'EAGAIN'));
      await settled();
    }
    while (bench.openings.length === 0) await bench.clock.pass(10);
    bench.openings.pop()?.succeed();
    expect((await lease).value.key).toBe('a');
  });

  it('count resources that died before they did their job', async () => {
    const bench = new Bench({ max: 10 });
    for (const key of ['a', 'b']) {
      const lease = await bench.ready(key);
      lease.value.proved = false;
      lease.value.die(new ProxyError('child_exited', 'exit code 1'));
    }
    void codeOf(bench.pool.acquire('c'));
    expect(bench.openings).toHaveLength(0);
    await bench.clock.pass(250);
    expect(bench.openings).toHaveLength(1);
  });

  it('hold back only the key whose resources die young', async () => {
    const bench = new Bench({ max: 10 });
    for (let times = 0; times < 2; times += 1) {
      const lease = await bench.ready('a');
      lease.value.die(new ProxyError('child_exited', 'signal SIGSEGV'));
    }
    void codeOf(bench.pool.acquire('a'));
    expect(bench.openings).toHaveLength(0);
    void codeOf(bench.pool.acquire('b'));
    expect(bench.openings.map((opening) => opening.key)).toEqual(['b']);
  });
});

describe('closing a pool', () => {
  it('fails waiters, awaits leases, closes everything, and gives the same promise again', async () => {
    const bench = new Bench({ max: 2 });
    const a = await bench.ready('a');
    const b = await bench.ready('b');
    b.release();
    const waiting = codeOf(bench.pool.acquire('c'));
    const closed = bench.pool.close();
    let over = false;
    void closed.then(() => {
      over = true;
    });
    expect(await waiting).toBe('draining');
    expect(await codeOf(bench.pool.acquire('a'))).toBe('draining');
    for (const closing of bench.closings) closing.done();
    await settled();
    expect(over).toBe(false);
    a.release();
    for (const closing of bench.closings) closing.done();
    await closed;
    expect(bench.pool.close()).toBe(closed);
    expect(bench.pool.stats.open).toBe(0);
    expect(bench.clock.pending).toBe(0);
  });

  it('closes what an opening under way brings', async () => {
    const stubborn: (() => void)[] = [];
    const closed: string[] = [];
    const bench = new Bench(
      {},
      {
        open: (key) =>
          new Promise((resolve) => {
            stubborn.push(() => resolve({ key, name: key, proved: true, closed: undefined, die: () => {} }));
          }),
        close: async (thing) => void closed.push(thing.key),
      },
    );
    const waiting = codeOf(bench.pool.acquire('a'));
    const ended = bench.pool.close();
    expect(await waiting).toBe('draining');
    stubborn[0]?.();
    await ended;
    expect(closed).toEqual(['a']);
  });

  it('takes leased resources away when it is destroyed', async () => {
    const bench = new Bench();
    const a = await bench.ready('a');
    const ended = bench.pool.destroy(new ProxyError('draining', 'now'));
    expect(a.value.closed?.message).toBe('now');
    bench.closings[0]?.done();
    await ended;
    a.release();
    expect(bench.pool.stats.open).toBe(0);
  });
});
