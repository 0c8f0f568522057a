import { exchangeOf } from '@shadowcat/testkit';
import { credentialSlot } from '@shadowcat/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HashOn } from '../src/group.js';
import { bench, of, TestSession } from './support/members.js';

const SEED = 20260728;

/** Uniform numbers that are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 6 });
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
const parts = (list: readonly number[]) => list.map((weight) => ({ weight }));

describe('turns', () => {
  it.each(['round-robin', 'weighted'] as const)(
    'are exact over a round, whatever the weights (%s)',
    async (balance) => {
      await fc.assert(
        fc.asyncProperty(weights, fc.integer({ min: 1, max: 3 }), async (list, rounds) => {
          const { spread } = bench(parts(list), { balance });
          const counts = Object.values(await spread(sum(list) * rounds));
          expect(counts).toEqual(list.map((weight) => weight * rounds));
        }),
        { seed: SEED, numRuns: 50 },
      );
    },
  );

  it('are spread, not in a row', async () => {
    const { ask } = bench(parts([5, 1, 1]));
    const order: string[] = [];
    for (let i = 0; i < 7; i += 1) order.push(await ask());
    expect(order.join('')).toBe('aabacaa');
  });

  it('owe nobody more than a round when weights are changed', async () => {
    const { spread, members } = bench(parts([10_000, 1]));
    await spread(5000);
    members[0]?.setWeight(1);
    const { a = 0, b = 0 } = await spread(20);
    expect(a + b).toBe(20);
    expect(Math.abs(a - b)).toBeLessThanOrEqual(4);
  });

  it('follow a weight that is changed: 1 %, 10 %, 100 %', async () => {
    const { spread, members } = bench(parts([99, 1]));
    expect(await spread(1000)).toEqual({ a: 990, b: 10 });
    members[0]?.setWeight(90);
    members[1]?.setWeight(10);
    const second = await spread(1000);
    expect(second['b']).toBeGreaterThanOrEqual(98);
    expect(second['b']).toBeLessThanOrEqual(102);
    members[0]?.setWeight(0);
    expect(await spread(100)).toEqual({ a: 0, b: 100 });
  });
});

describe.each(['random', 'power-of-two'] as const)('%s', (balance) => {
  it('gives each its share where nobody is busy', async () => {
    const random = seeded(SEED);
    await fc.assert(
      fc.asyncProperty(weights, async (list) => {
        const { spread } = bench(parts(list), { balance }, random);
        const counts = Object.values(await spread(4000));
        for (const [i, weight] of list.entries()) {
          const share = weight / sum(list);
          // Six standard deviations.
          const slack = 6 * Math.sqrt(4000 * share * (1 - share)) + 1;
          expect(Math.abs((counts[i] ?? 0) - 4000 * share)).toBeLessThan(slack);
        }
      }),
      { seed: SEED, numRuns: 20 },
    );
  });
});

describe('the load', () => {
  /** Members that answer nothing until they are released. */
  function busy(balance: 'least-connections' | 'power-of-two', list: readonly number[]) {
    const release = Promise.withResolvers<void>();
    const handler = async (): Promise<never> => {
      await release.promise;
      throw new Error('released');
    };
    const made = bench(
      list.map((weight) => ({ weight, handler })),
      { balance },
      seeded(SEED),
    );
    const running: Promise<unknown>[] = [];
    const begin = (count: number): void => {
      for (let i = 0; i < count; i += 1) running.push(made.group.handle(exchangeOf({ body: '{}' })).catch(() => {}));
    };
    const end = async (): Promise<void> => {
      release.resolve();
      await Promise.all(running);
    };
    return { ...made, begin, end, loads: () => made.members.map((member) => member.inFlight()) };
  }

  it('is level with least-connections, by weight', async () => {
    const { begin, end, loads } = busy('least-connections', [3, 1, 1]);
    begin(50);
    expect(loads()).toEqual([30, 10, 10]);
    await end();
    expect(loads()).toEqual([0, 0, 0]);
  });

  it('is nearly level with two choices, and far from what chance alone makes of it', async () => {
    const { begin, end, loads } = busy('power-of-two', [1, 1, 1, 1]);
    begin(400);
    expect(Math.max(...loads()) - Math.min(...loads())).toBeLessThanOrEqual(8);
    await end();
  });

  it('of a member that hangs keeps new exchanges away from it', async () => {
    const { members, begin, end, gate, spread } = busy('least-connections', [1, 1]);
    gate('b').condition = 'down';
    begin(5);
    gate('b').condition = 'up';
    begin(5);
    expect(members.map((member) => member.inFlight())).toEqual([5, 5]);
    await end();
    expect(await spread(0)).toEqual({ a: 0, b: 0 });
  });
});

describe('hash', () => {
  const KEYS = 4000;
  const withUser = (i: number) => exchangeOf({ body: '{}', headers: { 'x-user': `user-${i}` } });
  const hashed = (list: readonly number[]) => bench(parts(list), { balance: 'hash', hashOn: { header: 'x-user' } });
  async function placements(list: readonly number[], closed: readonly string[] = []): Promise<string[]> {
    const { ask, gate } = hashed(list);
    for (const name of closed) gate(name).condition = 'down';
    const names: string[] = [];
    for (let i = 0; i < KEYS; i += 1) names.push(await ask(withUser(i)));
    return names;
  }
  const moved = (before: readonly string[], after: readonly string[]): number =>
    before.filter((name, i) => name !== after[i]).length / before.length;

  it('gives equal keys the same member, in another process, too', async () => {
    expect(await placements([1, 1, 1])).toEqual(await placements([1, 1, 1]));
  });

  it('shares keys by weight', async () => {
    const names = await placements([1, 2, 5]);
    const share = (name: string): number => names.filter((one) => one === name).length / KEYS;
    expect(share('a')).toBeCloseTo(1 / 8, 1);
    expect(share('b')).toBeCloseTo(2 / 8, 1);
    expect(share('c')).toBeCloseTo(5 / 8, 1);
  });

  it.each([2, 4, 9])('moves 1/n of the keys when a member is added to %i, all of them to the new one', async (n) => {
    const before = await placements(Array(n).fill(1));
    const after = await placements(Array(n + 1).fill(1));
    expect(moved(before, after)).toBeGreaterThan(0.8 / (n + 1));
    expect(moved(before, after)).toBeLessThan(1.2 / (n + 1));
    const added = 'abcdefghij'[n];
    expect(after.filter((name, i) => name !== before[i] && name !== added)).toEqual([]);
  });

  it('moves only the keys of a member that is not available', async () => {
    const before = await placements([1, 1, 1, 1]);
    const after = await placements([1, 1, 1, 1], ['b']);
    expect(before.filter((name, i) => name !== after[i] && name !== 'b')).toEqual([]);
    expect(after).not.toContain('b');
  });

  it.each<[HashOn, (key: string) => Parameters<ReturnType<typeof bench>['ask']>[0]]>([
    [
      'credential',
      (key) => {
        const exchange = exchangeOf({ body: '{}' });
        exchange.context.set(credentialSlot, key);
        return exchange;
      },
    ],
    ['session', (key) => of(new TestSession(undefined, key), { jsonrpc: '2.0', id: 1, method: 'initialize' })],
  ])('hashes the %s', async (hashOn, make) => {
    const { ask } = bench(parts([1, 1, 1]), { balance: 'hash', hashOn });
    const first = await ask(make('one'));
    for (let i = 0; i < 5; i += 1) expect(await ask(make('one'))).toBe(first);
    const others = new Set<string>();
    for (let i = 0; i < 50; i += 1) others.add(await ask(make(`key-${i}`)));
    expect(others.size).toBe(3);
  });

  it('takes turns for exchanges without the key', async () => {
    const { spread } = hashed([1, 1, 1]);
    expect(await spread(9)).toEqual({ a: 3, b: 3, c: 3 });
  });
});
