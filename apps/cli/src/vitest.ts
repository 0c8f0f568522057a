import { runningFramework } from './testing/frameworks.js';
import { placeOf, type UsedTape, type UseTapeOptions, usedTape } from './testing/use-tape.js';

/**
 * Tapes in tests: `shadowcat/vitest` for Vitest and, under the same roof, `node:test` (`shadowcat/node-test` is for the latter
 * alone, and can be required). docs/testing.md shows how.
 */
export * from './testing/public.js';

const framework = await runningFramework();

/**
 * A server whose answers come from `name`, a tape beside the test file.
 *
 * In a test it is that test's alone, and is awaited:
 *
 *     test('reads a note', async () => {
 *       const tape = await useTape('notes.tape.jsonl');
 *       await client.connect(tape.transport());
 *
 * In a file or a `describe` the tests there share it; it is open from before the first of them until after the last:
 *
 *     const tape = useTape('notes.tape.jsonl');
 *     beforeAll(() => client.connect(tape.transport()));
 *
 * A request that is not on the tape fails the test that made it, a recording that nobody asked for the test, or the suite, that
 * used the tape: with a `TapeError` that names tape, line, reason and what would mend it. `SHADOWCAT_MODE` decides whether the
 * tape is replayed (default), recorded from `options.upstream`, or left out; on CI it is always replayed.
 *
 * Throws in a concurrent Vitest test that does not hand over its context.
 */
export function useTape(name: string | URL, options: UseTapeOptions = {}): UsedTape {
  return usedTape(framework, { name, options, at: placeOf(useTape) });
}
