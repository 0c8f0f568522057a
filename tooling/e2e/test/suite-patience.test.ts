import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';

/** What ../src/suite-patience.ts takes for granted; another version of the suite may be written otherwise. */

const { resolve } = createRequire(import.meta.url);
const suite = await readFile(
  join(dirname(resolve('@modelcontextprotocol/conformance/package.json')), 'dist/index.js'),
  'utf8',
);

it('the suite breaks off a request in a function of its own, and in one of these places', () => {
  const timers = suite.match(/setTimeout\([^,]*abort[^,]*,/g) ?? [];
  expect(timers.map((timer) => timer.replace(/\w+(?=\.abort)/, 'it'))).toEqual([
    'setTimeout(()=>it.abort(),',
    'setTimeout(()=>{it.abort()},',
    'setTimeout(()=>it.abort(),',
  ]);
});

it('the check that a notification does not come is the first that has its limit', () => {
  const calls = suite.matchAll(/(?<=`([^`]*)`,async\(\)=>\{.{0,300})`subscriptions\/listen`,.{1,99},(\d+),async/g);
  const [absence] = [...calls].filter(([, , ms]) => ms === '1500');
  expect(absence?.[1]).toBe(`Server doesn't send notification types the client didn't request`);
});

it('a request is broken off later, other timers are as they were', async () => {
  const asked: number[] = [];
  const original = globalThis.setTimeout;
  const spy = (work: () => void, ms: number): NodeJS.Timeout => {
    asked.push(ms);
    return original(work, ms);
  };
  globalThis.setTimeout = Object.assign(spy, original) as typeof setTimeout;
  const given = new AbortController();
  const limit = (ms: number): number | undefined => {
    clearTimeout(setTimeout(() => given.abort(), ms));
    return asked.at(-1);
  };
  try {
    await import('../src/suite-patience.js');
    expect([500, 800, 1500, 1500, 30_000].map(limit)).toEqual([20_000, 20_000, 4000, 20_000, 30_000]);
    clearTimeout(setTimeout(() => {}, 500));
    expect(asked.at(-1)).toBe(500);
  } finally {
    globalThis.setTimeout = original;
  }
});
