import { existsSync, mkdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Makes a directory and those above it that are missing, all with this mode. Throws what the system says, such as `EACCES`. Not left to
 * `mkdir` with `recursive` alone: that one never returns where a directory that exists answers `ENOENT` for whatever is
 * to be made in it, as `/proc` does.
 */
export async function makeDirectory(path: string, how: { readonly mode?: number } = {}): Promise<void> {
  const first = firstMissing(path);
  if (first === undefined) return;
  await mkdir(first, how).catch(unlessThere);
  await mkdir(path, { ...how, recursive: true });
}

/** {@link makeDirectory} before it returns. */
export function makeDirectoryNow(path: string): void {
  const first = firstMissing(path);
  if (first === undefined) return;
  try {
    mkdirSync(first);
  } catch (error) {
    unlessThere(error);
  }
  mkdirSync(path, { recursive: true });
}

/** The topmost of the directories that are to be made. */
function firstMissing(path: string): string | undefined {
  let first: string | undefined;
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) {
    first = at;
    if (at === dirname(at)) break;
  }
  return first;
}

/** Somebody else may have made it meanwhile. */
function unlessThere(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}
