import { expect, it } from 'vitest';
import { heldMore, measureLeaks } from '../src/leak.js';

/** `node tooling/e2e/dist/leak-main.js` does the same with more. */
it('holds nothing more after many calls and sessions than before', async () => {
  const { before, after, failures } = await measureLeaks({ calls: 2000, sessions: 100 });
  expect(failures).toEqual([]);
  expect(heldMore(before, after)).toEqual([]);
}, 300_000);
