import { existsSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { TapeScope, TapeWriter } from '@shadowcat/tape';
import { makeDirectoryNow } from './directories.js';
import { openTapeFile, type TapeFileComponents, type TapeFileOptions } from './file-writer.js';
import { layoutOf, PART_SUFFIX, TAPE_SUFFIX, tapePath } from './tape-names.js';

export interface TapeOpenerOptions extends Omit<TapeFileOptions, 'head' | 'fd'> {
  /**
   * What happens to a finished tape of the same name: it is replaced when the new one is finished (default), or kept, and the
   * new one gets the next free name (`x.2.tape.jsonl`). The latter is for commands that clients start several times, perhaps
   * at once: some start a second one only to find out which revision the server speaks.
   */
  readonly existing?: 'replace' | 'keep';
}

/** What the recorder opens its tapes with: files under `out`, which is a tape or a directory for tapes. */
export function tapeOpener(
  out: string,
  options: TapeOpenerOptions,
  components: TapeFileComponents,
): (scope: TapeScope, head: string) => TapeWriter {
  const { existing = 'replace', ...file } = options;
  const taken = new Set<string>();
  return (scope, head) => {
    if (existing === 'keep' && layoutOf(out) === 'file') return openFree(out, { ...file, head }, components);
    const wall = components.clock.wall();
    let path = tapePath(out, wall, scope);
    // Four digits can come twice in a second that opens many tapes.
    for (let tries = 0; taken.has(path) && tries < 100; tries += 1) path = tapePath(out, wall, scope);
    taken.add(path);
    if (taken.size > 10_000) taken.clear();
    return openTapeFile(path, { ...file, head }, components);
  };
}

/** How many names are tried. */
const MAX_NAMES = 1000;

/** Takes the first name that is neither a tape nor being written; taking it is one step, also between processes. */
function openFree(out: string, options: TapeFileOptions, components: TapeFileComponents): TapeWriter {
  for (let number = 1; number <= MAX_NAMES; number += 1) {
    const path = number === 1 ? out : `${out.slice(0, -TAPE_SUFFIX.length)}.${number}${TAPE_SUFFIX}`;
    if (existsSync(path)) continue;
    const fd = claim(`${path}${PART_SUFFIX}`);
    if (fd === 'taken') continue;
    if (number > 1) components.log.warn({ tape: path }, `${out} exists already; this run is recorded to ${path}`);
    return openTapeFile(path, fd === undefined ? options : { ...options, fd }, components);
  }
  return openTapeFile(out, options, components);
}

/** `undefined`: it cannot be made at all; the writer will find out why and say so. */
function claim(part: string): number | 'taken' | undefined {
  try {
    makeDirectoryNow(dirname(part));
    return openSync(part, 'wx', 0o600);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EEXIST' ? 'taken' : undefined;
  }
}
