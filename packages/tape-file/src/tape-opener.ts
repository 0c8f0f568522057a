import type { TapeScope, TapeWriter } from '@shadowcat/tape';
import { openTapeFile, type TapeFileComponents, type TapeFileOptions } from './file-writer.js';
import { tapePath } from './tape-names.js';

/** What the recorder opens its tapes with: files under `out`, which is a tape or a directory for tapes. */
export function tapeOpener(
  out: string,
  options: Omit<TapeFileOptions, 'head'>,
  components: TapeFileComponents,
): (scope: TapeScope, head: string) => TapeWriter {
  const taken = new Set<string>();
  return (scope, head) => {
    const wall = components.clock.wall();
    let path = tapePath(out, wall, scope);
    // Four digits can come twice in a second that opens many tapes.
    for (let tries = 0; taken.has(path) && tries < 100; tries += 1) path = tapePath(out, wall, scope);
    taken.add(path);
    if (taken.size > 10_000) taken.clear();
    return openTapeFile(path, { ...options, head }, components);
  };
}
