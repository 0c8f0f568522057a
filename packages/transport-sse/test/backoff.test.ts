import { describe, expect, it } from 'vitest';
import { backoffDelay, DEFAULT_BACKOFF } from '../src/backoff.js';

const at = (failures: number, retry: number | undefined, random: number): number =>
  backoffDelay(failures, retry, { ...DEFAULT_BACKOFF, random: () => random });

describe('backoffDelay', () => {
  it.each([
    {
      failures: 0,
      retry: undefined,
      random: 0.9,
      ms: 1_000,
      why: 'a first attempt without a retry field waits a second',
    },
    { failures: 0, retry: 250, random: 0.9, ms: 250, why: 'a first attempt follows the retry field' },
    { failures: 1, retry: undefined, random: 0.5, ms: 1_000, why: 'half of two seconds' },
    { failures: 3, retry: undefined, random: 0.5, ms: 4_000, why: 'half of eight seconds' },
    { failures: 20, retry: undefined, random: 1, ms: 60_000, why: 'never more than a minute' },
    { failures: 2, retry: 3_000, random: 0, ms: 3_000, why: 'never sooner than the retry field' },
  ])('$why', ({ failures, retry, random, ms }) => {
    expect(at(failures, retry, random)).toBe(ms);
  });
});
