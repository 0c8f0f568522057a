import { readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ProxyError } from '@shadowcat/kernel';
import { blobPaths, type Tape, type TapeBlob, withBlobs } from '@shadowcat/tape';
import { newDigest } from './digest.js';
import { makeDirectory } from './directories.js';

/** What is read of one blob, and of all that belong to a tape, in bytes. */
const MAX_BLOB = 67_108_864;
const MAX_BLOBS = 1_073_741_824;

/** The tape with what lies beside it back in its messages. Throws `tape_invalid` for blobs that are missing, changed or too large. */
export async function loadBlobs(tape: Tape, path = tape.name): Promise<Tape> {
  const paths = blobPaths(tape);
  if (paths.size === 0) return tape;
  const contents = new Map<string, Uint8Array>();
  let total = 0;
  for (const blob of paths) {
    const file = join(dirname(path), blob);
    const size = await sizeOf(file);
    if (size === undefined) continue;
    total += size;
    if (size > MAX_BLOB || total > MAX_BLOBS)
      throw new ProxyError('tape_invalid', `${path}: the blob ${blob} is larger than a tape may have`);
    contents.set(blob, await readFile(file));
  }
  return withBlobs(tape, (blob) => contents.get(blob), newDigest);
}

/** Writes blobs below a directory; those that are there already are left alone. */
export async function saveBlobs(directory: string, blobs: readonly TapeBlob[]): Promise<void> {
  for (const { path, bytes } of blobs) {
    const file = join(directory, path);
    // Its name says what is in it; somebody may have changed it all the same.
    if ((await sizeOf(file)) === bytes.length && Buffer.compare(await readFile(file), bytes) === 0) continue;
    await makeDirectory(dirname(file));
    await writeWhole(file, bytes, 0o600);
  }
}

/** Writes a file that is there whole or not at all, also when something goes wrong on the way. Devices and pipes are written to. */
export async function writeWhole(path: string, content: Uint8Array | Iterable<string>, mode: number): Promise<void> {
  // A link stays a link.
  const target = await realpath(path).catch(() => path);
  const there = await stat(target).catch(() => undefined);
  if (there !== undefined && !there.isFile()) {
    await writeFile(target, content);
    return;
  }
  const draft = `${target}.${process.pid}.new`;
  try {
    await writeFile(draft, content, { mode });
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}
