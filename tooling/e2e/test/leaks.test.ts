import { expect, it } from 'vitest';
import { measureLeaks } from '../src/leak.js';

/** `node tooling/e2e/dist/leak-main.js` does the same with more. */
it('holds nothing more after many calls and sessions than before', async () => {
  const { before, after, failures } = await measureLeaks({ calls: 2000, sessions: 100 });
  expect(failures).toEqual([]);
  expect({ ...after, heap: 0 }).toEqual({ ...before, heap: 0 });
  expect(after.heap).toBeLessThan(before.heap * 1.2);
}, 120_000);
