import { ManualClock } from '@shadowcat/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryBudget } from '../src/protect/retry-budget.js';

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('request' as const), n: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('spend' as const), n: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), n: fc.integer({ min: 1, max: 12_000 }) }) },
);

describe('the budget for repetitions', () => {
  it('never allows more than its share in any window, whatever comes when', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const clock = new ManualClock();
        const budget = new RetryBudget({ ratio: 0.2, minimum: 3, windowMs: 10_000 }, { clock });
        const requests: number[] = [];
        const spent: number[] = [];
        for (const { kind, n } of steps) {
          if (kind === 'pass') clock.advance(n);
          for (let i = 0; i < n && kind === 'request'; i += 1) {
            budget.request();
            requests.push(clock.now());
          }
          for (let i = 0; i < n && kind === 'spend'; i += 1) {
            if (!budget.spend()) continue;
            spent.push(clock.now());
            // What the budget forgets may be a tenth of the window younger than the window.
            const recent = (at: number): boolean => at > clock.now() - 9_000;
            const within = (at: number): boolean => at > clock.now() - 10_000;
            const allowed = Math.max(3, requests.filter(within).length * 0.2);
            expect(spent.filter(recent).length).toBeLessThanOrEqual(allowed);
          }
        }
        // In all: a fifth of all requests, or three for each window that was begun.
        const windows = Math.ceil((clock.now() + 1) / 9_000);
        expect(spent.length).toBeLessThanOrEqual(requests.length * 0.2 + 3 * windows);
        expect(budget.stats().spent).toBe(spent.length);
      }),
    );
  });

  it('allows the minimum without any requests, and tells what is left', () => {
    const clock = new ManualClock();
    const budget = new RetryBudget({}, { clock });
    expect([1, 2, 3, 4].map(() => budget.spend())).toEqual([true, true, true, false]);
    expect(budget.stats()).toEqual({ spent: 3, refused: 1, left: 0 });
    for (let i = 0; i < 25; i += 1) budget.request();
    expect(budget.stats().left).toBe(2);
    clock.advance(10_000);
    expect(budget.stats().left).toBe(3);
  });
});
