import { createHash } from 'node:crypto';
import type { Digest } from '@shadowcat/tape';

/** What may wait to be hashed, in bytes: handing over a few hundred bytes costs more than hashing them. */
const MAX_WAITING = 16_384;

/** SHA-256, as tapes are sealed with. Bytes that were handed over may not be changed afterwards. */
export function newDigest(): Digest {
  const hash = createHash('sha256');
  let waiting: Uint8Array[] = [];
  let size = 0;
  const flush = (): void => {
    if (size > 0) hash.update(Buffer.concat(waiting, size));
    waiting = [];
    size = 0;
  };
  return {
    update(bytes) {
      const more = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
      if (more.length >= MAX_WAITING) {
        flush();
        hash.update(more);
        return;
      }
      waiting.push(more);
      size += more.length;
      if (size >= MAX_WAITING) flush();
    },
    with(suffix) {
      flush();
      return hash.copy().update(suffix).digest('hex');
    },
  };
}
