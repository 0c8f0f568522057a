import { runningFramework } from './testing/frameworks.js';
import type { TapeOptions } from './testing/options.js';
import { type OpenTape, openedTape, type UsedTape, type UseTapeOptions, usedTape } from './testing/use-tape.js';

/**
 * Tapes in tests: `shadowcat/vitest` for Vitest and, under the same roof, `node:test` (`shadowcat/node-test` is the same module).
 * docs/testing.md shows how.
 */
export type { TapeTransport } from './testing/client-transport.js';
export type { StdioCommand } from './testing/endpoint.js';
export type { ConcurrentTest } from './testing/frameworks.js';
export type { TapeMode } from './testing/mode.js';
export type { CommandUpstream, TapeOptions, Upstream, UrlUpstream } from './testing/options.js';
export { TapeError } from './testing/tape-error.js';
export type { OpenTape, Tape, UsedTape, UseTapeOptions } from './testing/use-tape.js';

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

/**
 * The same for other test frameworks and for scripts: whoever opens the tape closes it, best with
 * `await using tape = await openTape('test/notes.tape.jsonl')`. Relative paths begin at the working directory. Rejects when the
 * tape cannot be opened.
 */
export function openTape(name: string | URL, options: TapeOptions = {}): Promise<OpenTape> {
  return openedTape(name, options, placeOf(openTape));
}

/** Where somebody calls `callee`. */
function placeOf(callee: (...parts: never[]) => unknown): Error {
  const at = new Error('a tape is asked for here');
  Error.captureStackTrace(at, callee);
  return at;
}
