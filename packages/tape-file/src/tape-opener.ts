import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TapeScope, TapeWriter } from '@shadowcat/tape';
import { makeDirectoryNow } from './directories.js';
import { openTapeFile, type TapeFileComponents, type TapeFileOptions } from './file-writer.js';
import { layoutOf, PART_SUFFIX, TAPE_SUFFIX, tapePath } from './tape-names.js';
import { beingWritten, ownerOf } from './tape-owner.js';
import { TapeShelf } from './tape-shelf.js';

export interface TapeOpenerOptions extends Omit<TapeFileOptions, 'head' | 'fd'> {
  /**
   * What happens to a finished tape of the same name: it is replaced when the new one is finished (default), or kept, and the
   * new one gets the next free name (`x.2.tape.jsonl`). The latter is for commands that clients start several times, perhaps
   * at once: some start a second one only to find out which revision the server speaks.
   */
  readonly existing?: 'replace' | 'keep';
}

/**
 * What the recorder opens its tapes with: files under `out`, which is a tape or a directory for tapes. Throws at once, in one
 * plain line, when no tape can be made there, or another process records to it. Later failures are the writers' to report.
 */
export function tapeOpener(
  out: string,
  options: TapeOpenerOptions,
  components: TapeFileComponents,
): (scope: TapeScope, head: string) => TapeWriter {
  const { existing = 'replace', ...file } = options;
  const shared = { ...components, shelf: components.shelf ?? new TapeShelf(components.log) };
  if (layoutOf(out) === 'file') {
    const { path, fd } = existing === 'keep' ? claimFree(out, shared) : claimOver(out, shared);
    return (_, head) => openTapeFile(path, { ...file, head, fd }, shared);
  }
  probe(out);
  const taken = new Set<string>();
  return (scope, head) => {
    const wall = components.clock.wall();
    let path = tapePath(out, wall, scope);
    // Four digits can come twice in a second that opens many tapes, here or in another process.
    const isTaken = (): boolean => taken.has(path) || existsSync(path) || existsSync(`${path}${PART_SUFFIX}`);
    for (let tries = 0; tries < 100 && isTaken(); tries += 1) path = tapePath(out, wall, scope);
    taken.add(path);
    if (taken.size > 10_000) taken.clear();
    return openTapeFile(path, { ...file, head }, shared);
  };
}

interface Claim {
  readonly path: string;
  readonly fd: number;
}

/** How many names are tried. */
const MAX_NAMES = 1000;

/** Takes the first name that is neither a tape nor being written; taking it is one step, also between processes. */
function claimFree(out: string, { log }: TapeFileComponents): Claim {
  for (let number = 1; number <= MAX_NAMES; number += 1) {
    const path = number === 1 ? out : `${out.slice(0, -TAPE_SUFFIX.length)}.${number}${TAPE_SUFFIX}`;
    if (existsSync(path)) continue;
    const fd = claim(`${path}${PART_SUFFIX}`);
    if (fd === undefined) continue;
    if (number > 1) log.warn({ tape: path }, `${out} exists already; this run is recorded to ${path}`);
    return { path, fd };
  }
  throw new Error(`there are ${MAX_NAMES} tapes of the name ${out}: move them, or name another`);
}

/** Takes the name; what an earlier recording left under it is kept under another one. */
function claimOver(out: string, { log, runs }: TapeFileComponents): Claim {
  const part = `${out}${PART_SUFFIX}`;
  if (!isFree(out)) throw new Error(`${out} is there, and is no file: name another`);
  for (let number = 0; number <= MAX_NAMES; number += 1) {
    const fd = claim(part);
    if (fd !== undefined) return { path: out, fd };
    const owner = ownerOf(part);
    if (owner !== undefined && runs?.(owner) === true)
      throw new Error(`${beingWritten(part, owner)}: end that, or name another file`);
    const kept = freeName(part);
    renameSync(part, kept);
    log.warn(
      { tape: kept },
      `an earlier recording was cut short; it is kept as ${kept} (shadowcat tape recover ${kept})`,
    );
  }
  throw new Error(`${part} is taken again and again: name another file`);
}

/** Whether there is nothing of this name, or a file, which a finished tape replaces. */
function isFree(out: string): boolean {
  try {
    return statSync(out, { throwIfNoEntry: false })?.isFile() !== false;
  } catch (error) {
    throw impossible(dirname(out), error);
  }
}

function freeName(part: string): string {
  let number = 1;
  while (existsSync(`${part}.${number}`)) number += 1;
  return `${part}.${number}`;
}

/** `undefined`: it is there already. */
function claim(part: string): number | undefined {
  const folder = dirname(part);
  make(folder);
  try {
    return openSync(part, 'wx+', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw impossible(folder, error);
  }
}

/** Makes a file, and removes it again: rights alone do not tell, as on a disk that is mounted to be read only. */
function probe(folder: string): void {
  make(folder);
  const path = join(folder, `.shadowcat-${randomBytes(8).toString('hex')}`);
  try {
    closeSync(openSync(path, 'wx', 0o600));
    unlinkSync(path);
  } catch (error) {
    throw impossible(folder, error);
  }
}

function make(folder: string): void {
  try {
    makeDirectoryNow(folder);
  } catch (error) {
    throw impossible(folder, error);
  }
}

function impossible(folder: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(
    `tapes cannot be written to ${folder}: ${reason}\nname another place, or let this user write there`,
    {
      cause: error,
    },
  );
}
