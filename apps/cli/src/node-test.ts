import * as nodeTest from 'node:test';
import { inVitest, nodeFramework } from './testing/frameworks.js';
import { TapeError } from './testing/tape-error.js';
import { placeOf, type UsedTape, type UseTapeOptions, usedTape } from './testing/use-tape.js';

/**
 * Tapes in tests of `node:test`, also in CommonJS: nothing here is awaited while the module is loaded, so that it can be required.
 * docs/testing.md shows how.
 */
export * from './testing/public.js';

const framework = nodeFramework(nodeTest);

/**
 * A server whose answers come from `name`, a tape beside the file that calls. What is said about `useTape` of `shadowcat/vitest`
 * holds here as well.
 *
 * Throws in a file that Vitest runs, whose hooks are others.
 */
export function useTape(name: string | URL, options: UseTapeOptions = {}): UsedTape {
  const at = placeOf(useTape);
  if (inVitest()) throw new TapeError("Vitest runs this file: import { useTape } from 'shadowcat/vitest'", at);
  return usedTape(framework, { name, options, at });
}
