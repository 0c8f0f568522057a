import { basename } from 'node:path';
import { TAPE_SUFFIX } from './tape-names.js';
import { MAX_TAR_NAME } from './tar.js';

const OVERLAY_SUFFIX = '.overlay.yaml';
/** So that the name of its overlay, which may be its own with this behind it, fits too. */
const MAX_TAPE_NAME = MAX_TAR_NAME - OVERLAY_SUFFIX.length;
const BLOB = /^blobs\/[0-9a-f]{2}\/[0-9a-f]{62}\.[a-z0-9]{1,8}$/;
/** What some file system has another meaning for: separators, drives, wildcards, hidden files, options, devices. */
const UNSAFE = /^[.~-]|[/\\:*?"<>|]|\p{C}|^(?:con|prn|aux|nul|(?:com|lpt)[\d¹²³]) *\./iu;

/** What a file of a pack is, by its name; `undefined` for what no pack has. */
export function packedKind(name: string): 'tape' | 'overlay' | 'blob' | undefined {
  if (BLOB.test(name)) return 'blob';
  if (UNSAFE.test(name) || Buffer.byteLength(name) > MAX_TAR_NAME) return undefined;
  if (name.endsWith(TAPE_SUFFIX)) return 'tape';
  return name.endsWith(OVERLAY_SUFFIX) ? 'overlay' : undefined;
}

/** Where the overlays of a tape lie, if it has some: paths or names beside its own. */
export type OverlaysOf = (tape: string) => readonly string[];

/** Names that are the same for a file system which ignores case, or how letters are composed. */
export const foldedName = (name: string): string => name.normalize('NFC').toLowerCase();

/** Why these tapes cannot be packed under their names, on one line. */
export function packProblem(paths: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (const path of paths) {
    const name = basename(path);
    if (packedKind(name) !== 'tape' || Buffer.byteLength(name) > MAX_TAPE_NAME)
      return `${name} cannot be packed under this name: it has to end in ${TAPE_SUFFIX}, be plain, and have ${MAX_TAPE_NAME} bytes at most`;
    if (seen.has(foldedName(name))) return `there are two tapes called ${name}: pack one of them by itself`;
    seen.add(foldedName(name));
  }
  return undefined;
}
