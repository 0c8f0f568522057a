import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ProxyError } from '@shadowcat/kernel';
import { summariseTape, type TapeSummary } from '@shadowcat/tape';
import { inspectTapeFile, type ReadFileOptions } from './read-file.js';
import { PART_SUFFIX, TAPE_SUFFIX } from './tape-names.js';

/** One tape of a directory. What cannot be read at all has an `error` instead of a summary. */
export interface ListedTape {
  readonly path: string;
  readonly summary: TapeSummary | undefined;
  readonly error: string | undefined;
}

/** The tapes of a directory by name, those being written or cut short (`.part`) included. */
export async function listTapes(directory: string, options: ReadFileOptions = {}): Promise<ListedTape[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw new ProxyError('tape_invalid', `${directory}: cannot be read: ${(error as Error).message}`, { cause: error });
  });
  const tapes: ListedTape[] = [];
  for (const name of names.sort()) {
    if (!name.endsWith(TAPE_SUFFIX) && !name.includes(`${TAPE_SUFFIX}${PART_SUFFIX}`)) continue;
    tapes.push(await listed(join(directory, name), options));
  }
  return tapes;
}

async function listed(path: string, options: ReadFileOptions): Promise<ListedTape> {
  try {
    return { path, summary: summariseTape(await inspectTapeFile(path, options)), error: undefined };
  } catch (error) {
    return { path, summary: undefined, error: ProxyError.from(error).message };
  }
}
