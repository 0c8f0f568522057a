import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ProxyError } from '@shadowcat/kernel';
import { type ExchangeResult, type Tape, updatedTape } from '@shadowcat/tape';
import { saveBlobs, writeWhole } from './blob-files.js';
import { newDigest } from './digest.js';

/**
 * Writes the live answers that a verification found into the tape, whole or not at all; a golden tape stays golden. Resolves
 * with the numbers of the lines that changed. `keyId`: of the key that hid what is hidden in the answers. Throws `tape_invalid` when the file cannot be written.
 */
export async function updateTapeFile(
  tape: Tape,
  results: readonly ExchangeResult[],
  { keyId }: { readonly keyId: string },
): Promise<readonly number[]> {
  const path = tape.name;
  const source = (await readFile(path, 'utf8')).split('\n');
  const updated = updatedTape(tape, results, { source, newDigest, keyId });
  if (updated === undefined) return [];
  try {
    const { mode } = await stat(path);
    await saveBlobs(dirname(path), updated.blobs);
    await writeWhole(path, updated.lines, mode & 0o777);
  } catch (error) {
    throw new ProxyError('tape_invalid', `${path}: cannot be written: ${(error as Error).message}`, { cause: error });
  }
  return updated.changed;
}
