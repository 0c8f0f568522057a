import { expect, it } from 'vitest';
import { heldMore, measureLeaks } from '../src/leak.js';

it('what there is more of is named', () => {
  const before = { handles: { TCPSocketWrap: 1 }, timers: 2, descriptors: 20, heap: 100, children: 1 };
  expect(heldMore(before, { ...before, handles: {}, timers: 1, heap: 120 })).toEqual([]);
  const more = { handles: { TCPSocketWrap: 2, PipeWrap: 1 }, timers: 3, descriptors: 21, heap: 121, children: 2 };
  expect(heldMore(before, more)).toEqual([
    'handles: TCPSocketWrap: 2, at most 1 expected',
    'handles: PipeWrap: 1, at most 0 expected',
    'timers: 3, at most 2 expected',
    'descriptors: 21, at most 20 expected',
    'children: 2, at most 1 expected',
    'bytes of heap: 121, at most 120 expected',
  ]);
});

/** `node tooling/e2e/dist/leak-main.js` does the same with more. */
it('holds nothing more after many calls and sessions than before', async () => {
  const { before, after, failures } = await measureLeaks({ calls: 2000, sessions: 100 });
  expect(failures).toEqual([]);
  expect(heldMore(before, after)).toEqual([]);
}, 300_000);
