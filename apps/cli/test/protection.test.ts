import { silentLog } from '@shadowcat/kernel';
import type { Meter } from '@shadowcat/metrics';
import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { Owned } from '../src/stack/owned.js';
import { openProtection, type ProtectedConfig } from '../src/stack/protection.js';

type Group = ProtectedConfig['groups'][number];

const meter: Meter = { counter: () => () => {}, histogram: () => () => {}, read: () => {} };

function protectionWith(
  maxEjection: number,
  names: readonly string[],
  groups: readonly Group[] = [{ members: names }],
) {
  const owned = new Owned(silentLog);
  const clock = new ManualClock();
  const protection = openProtection(
    {
      groups,
      protection: {
        totalMs: 0,
        idleMs: 0,
        maxInFlight: 10,
        breaker: { failures: 2, ratio: 0.5, minimum: 20, windowMs: 10_000, openMs: 30_000, maxEjection },
        health: { check: 'off', intervalMs: 5000, jitter: 0, timeoutMs: 1000, rise: 1, fall: 3 },
        retry: { attempts: 1, budget: 0.2, minimum: 3, tools: [], hints: true },
        hedgeAfterMs: 0,
      },
    },
    { clock, log: silentLog, owned, meter },
  );
  const gates = names.map((name) => protection.gate(name));
  const fail = (): void => {
    for (const gate of gates) {
      gate.enter()?.done('timeout');
      gate.enter()?.done('timeout');
    }
  };
  return { protection, gates, fail };
}

describe('--max-ejection', () => {
  it.each<[share: number, targets: string, out: number]>([
    [1, 'abc', 3],
    [0.5, 'abcd', 2],
    [0.5, 'abc', 1],
    [0.1, 'abc', 1],
    [0.1, 'a', 1],
  ])('of %d lets so many of %s be out: %i', (share, targets, out) => {
    const { gates, fail, protection } = protectionWith(share, targets.split(''));
    fail();
    expect(gates.filter((gate) => !gate.available())).toHaveLength(out);
    expect(protection.stats().breakers.filter(({ state }) => state === 'open')).toHaveLength(out);
  });

  it('is about each group by itself, and not about members that are shown as one', () => {
    const names = 'abcdx'.split('');
    const groups: Group[] = [
      { members: ['a', 'b'] },
      { members: ['c', 'd'] },
      { members: ['a', 'x'], combine: 'collisions' },
    ];
    const { gates, fail } = protectionWith(0.5, names, groups);
    fail();
    expect(gates.map((gate) => gate.available())).toEqual([false, true, false, true, false]);
  });

  it('spares a member of two groups for the sake of either', () => {
    const groups: Group[] = [{ members: ['a', 'b'] }, { members: ['b', 'c'] }];
    const { gates, fail } = protectionWith(0.5, ['a', 'b', 'c'], groups);
    fail();
    expect(gates.map((gate) => gate.available())).toEqual([false, true, false]);
  });

  it('keeps the others in until one is back', () => {
    const { gates, fail } = protectionWith(0.5, ['a', 'b']);
    const [a, b] = gates;
    fail();
    expect([a?.available(), b?.available()]).toEqual([false, true]);
    a?.probed();
    fail();
    expect([a?.available(), b?.available()]).toEqual([false, true]);
  });
});

it('a target has one gate, whoever asks for it', () => {
  const { protection, gates } = protectionWith(1, ['a']);
  expect(protection.gate('a')).toBe(gates[0]);
});
