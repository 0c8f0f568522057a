import { createHash } from 'node:crypto';
import type { Digest } from '@shadowcat/tape';

/** SHA-256, as tapes are sealed with. */
export function newDigest(): Digest {
  const hash = createHash('sha256');
  return {
    update: (bytes) => void hash.update(bytes),
    with: (suffix) => hash.copy().update(suffix).digest('hex'),
  };
}
