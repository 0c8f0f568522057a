import { readFile, stat } from 'node:fs/promises';
import { ProxyError } from '@shadowcat/kernel';
import type { Offload } from '@shadowcat/offload';
import { readTape, soundTape, type Tape } from '@shadowcat/tape';
import { loadBlobs } from './blob-files.js';
import { newDigest } from './digest.js';

/** The largest tape that is read, in bytes. */
const MAX_TAPE = 1_073_741_824;
/** From this size on a tape is read and verified on a worker, where there is one. */
const LARGE_TAPE = 4_194_304;

/** The module whose `inspect` reads a tape on a worker. */
export const TAPE_WORKER = new URL('./tape-worker.js', import.meta.url);

export interface ReadFileOptions {
  /**
   * Workers to read large tapes on, of {@link TAPE_WORKER}, for who has other work meanwhile: handing a tape over takes as
   * long as reading it. Without them it is read on this thread.
   */
  readonly offload?: Offload;
  /** From how many bytes on a tape is large. Default 4 MiB. */
  readonly large?: number;
  readonly signal?: AbortSignal;
}

/**
 * A tape that can be used as it is. Throws `tape_invalid` naming file, line and what to do: for what is no tape, was cut
 * short, was changed after it was written, or is beyond the limits for hostile input.
 */
export async function readTapeFile(path: string, options: ReadFileOptions = {}): Promise<Tape> {
  return loadBlobs(soundTape(await inspectTapeFile(path, options)), path);
}

/** A tape as far as it makes sense, without its blobs, with what is wrong in `problems`. Throws `tape_invalid` when it has no head. */
export async function inspectTapeFile(path: string, options: ReadFileOptions = {}): Promise<Tape> {
  const size = await sizeOf(path);
  const { offload, large = LARGE_TAPE, signal } = options;
  return offload === undefined || size < large ? inspectHere(path) : inspectThere(offload, path, signal);
}

/** Reads a tape on this thread. */
export async function inspectHere(path: string): Promise<Tape> {
  return readTape(await readTapeBytes(path), { name: path, newDigest });
}

/** What is in a tape's file. Throws `tape_invalid` when it cannot be read, or is larger than a tape may be. */
export async function readTapeBytes(path: string): Promise<Uint8Array> {
  await sizeOf(path);
  return readFile(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

function inspectThere(offload: Offload, path: string, signal: AbortSignal | undefined): Promise<Tape> {
  return offload.run<Tape>('inspect', path, signal === undefined ? {} : { signal });
}

async function sizeOf(path: string): Promise<number> {
  const file = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (file.isDirectory()) throw new ProxyError('tape_invalid', `${path}: this is a directory; name the tapes in it`);
  // A pipe or a device may have no end, and no size that could be told before it is read.
  if (!file.isFile()) throw new ProxyError('tape_invalid', `${path}: this is no regular file: copy the tape into one`);
  if (file.size > MAX_TAPE) throw new ProxyError('tape_invalid', `${path}: the tape is larger than ${MAX_TAPE} bytes`);
  return file.size;
}

function unreadable(path: string, error: unknown): ProxyError {
  const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
  const why = missing
    ? 'there is no such file'
    : `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  return new ProxyError('tape_invalid', `${path}: ${why}`, { cause: error });
}
