import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { TapeLayout, TapeScope } from '@shadowcat/tape';

/** How the name of every tape ends. */
export const TAPE_SUFFIX = '.tape.jsonl';
/** What is added while it is being written. */
export const PART_SUFFIX = '.part';

/** A path that ends like a tape is one file for everything; any other is a directory. */
export function layoutOf(path: string): TapeLayout {
  return path.endsWith(TAPE_SUFFIX) ? 'file' : 'directory';
}

/** `2026-11-21T10-15-00-3f2a.tape.jsonl`: UTC and four random digits; with `-sessionless` before the end for that tape. */
export function tapeName(wall: number, scope: TapeScope): string {
  const time = new Date(wall).toISOString().slice(0, 19).replaceAll(':', '-');
  const id = randomBytes(2).toString('hex');
  return `${time}-${id}${scope === 'sessionless' ? '-sessionless' : ''}${TAPE_SUFFIX}`;
}

/** The path of a new tape under what the user named. */
export function tapePath(out: string, wall: number, scope: TapeScope): string {
  return layoutOf(out) === 'file' ? out : join(out, tapeName(wall, scope));
}
