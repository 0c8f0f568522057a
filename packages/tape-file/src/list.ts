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

/** The names of a directory's tapes, those being written or cut short (`.part`) included. Throws `tape_invalid`. */
export async function tapesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw new ProxyError('tape_invalid', `${directory}: cannot be read: ${(error as Error).message}`, { cause: error });
  });
  return names.filter((name) => name.endsWith(TAPE_SUFFIX) || name.includes(`${TAPE_SUFFIX}${PART_SUFFIX}`)).sort();
}

/** The tapes of {@link tapesIn}, and what is on them. */
export async function listTapes(directory: string, options: ReadFileOptions = {}): Promise<ListedTape[]> {
  const tapes: ListedTape[] = [];
  for (const name of await tapesIn(directory)) tapes.push(await listed(join(directory, name), options));
  return tapes;
}

async function listed(path: string, options: ReadFileOptions): Promise<ListedTape> {
  try {
    return { path, summary: summariseTape(await inspectTapeFile(path, options)), error: undefined };
  } catch (error) {
    return { path, summary: undefined, error: ProxyError.from(error).message };
  }
}
