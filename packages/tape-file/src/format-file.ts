import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ProxyError } from '@shadowcat/kernel';
import { goldenOf, soundTape, type Tape } from '@shadowcat/tape';
import { loadBlobs, saveBlobs, writeWhole } from './blob-files.js';
import { newDigest } from './digest.js';
import { inspectTapeFile } from './read-file.js';

export interface FormatOptions {
  /** Where the golden form goes. Default: in the place of the tape. */
  readonly out?: string;
  /** Keep when each record happened. */
  readonly times?: boolean;
}

/** What `formatTapeFile` made. */
export interface Formatted {
  readonly out: string;
  /** The digest in its `end` record. */
  readonly sha: string;
  readonly lines: number;
  readonly blobs: number;
  /** The tape that was formatted. */
  readonly from: Tape;
}

/**
 * Writes the golden form of a tape, and its blobs beside it. A golden tape that was edited is sealed again. Throws
 * `tape_invalid` for a tape that is cut short, corrupt or none; nothing is written then.
 */
export async function formatTapeFile(path: string, options: FormatOptions = {}): Promise<Formatted> {
  const { out = path, times = false } = options;
  const read = await inspectTapeFile(path);
  soundTape({ ...read, problems: read.problems.filter(({ kind }) => kind !== 'edited') });
  const golden = goldenOf(await loadBlobs(read, path), { newDigest, times });
  const { mode } = await stat(path);
  try {
    await saveBlobs(dirname(out), golden.blobs);
    await writeWhole(out, golden.lines, mode & 0o777);
  } catch (error) {
    throw new ProxyError('tape_invalid', `${out}: cannot be written: ${(error as Error).message}`, { cause: error });
  }
  return { out, sha: golden.sha, lines: golden.lines.length, blobs: golden.blobs.length, from: read };
}
