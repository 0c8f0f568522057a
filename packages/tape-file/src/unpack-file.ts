import { createReadStream } from 'node:fs';
import { mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ProxyError } from '@shadowcat/kernel';
import { blobPaths } from '@shadowcat/tape';
import { makeDirectory } from './directories.js';
import { PACK_LIMITS, type PackLimits } from './pack-file.js';
import { foldedName, type OverlaysOf, packedKind } from './pack-names.js';
import { inspectTapeFile, readTapeFile } from './read-file.js';
import { type TarEntry, tarEntries } from './tar.js';

/** What came out of a pack: names relative to the directory. */
export interface Unpacked {
  readonly tapes: readonly string[];
  readonly overlays: readonly string[];
  readonly blobs: readonly string[];
}

export interface UnpackOptions {
  /** The directory to make. */
  readonly directory: string;
  readonly overlaysOf: OverlaysOf;
  /** Aborted: nothing is left behind. */
  readonly stop?: AbortSignal | undefined;
  /** How many files and bytes it may hold. Default {@link PACK_LIMITS}. */
  readonly limits?: PackLimits;
}

/**
 * Makes a directory of what is in a pack, which is not trusted. It must not exist. Throws `tape_invalid` for what is no pack,
 * holds anything but tapes, their overlays and their blobs, or is beyond the limits; nothing is left behind then.
 */
export async function unpackTapeFile(pack: string, options: UnpackOptions): Promise<Unpacked> {
  const { directory, overlaysOf, stop, limits = PACK_LIMITS } = options;
  let draft: string | undefined;
  try {
    if ((await stat(pack)).size > limits.bytes) throw invalid(`it is larger than ${limits.bytes} bytes`);
    // A directory of its own: there is nothing in it that a file could replace, or a link that it could follow.
    draft = await mkdtemp(`${directory}.`);
    const names = await extract(pack, draft, { limits, stop });
    const unpacked = sorted(names);
    await check(unpacked, { directory: draft, overlaysOf });
    stop?.throwIfAborted();
    await rename(draft, directory);
    return unpacked;
  } catch (error) {
    if (draft !== undefined) await rm(draft, { recursive: true, force: true });
    const why = error instanceof Error ? error.message : String(error);
    const shown = draft === undefined ? why : why.replaceAll(`${draft}${sep}`, '');
    throw new ProxyError('tape_invalid', `${pack}: ${shown}`, { cause: error });
  }
}

async function extract(
  pack: string,
  draft: string,
  { limits, stop }: { readonly limits: PackLimits; readonly stop: AbortSignal | undefined },
): Promise<readonly string[]> {
  const file = createReadStream(pack);
  const source = createGunzip();
  file.on('error', (error) => source.destroy(error));
  // Also what goes wrong when nobody reads any more.
  source.on('error', () => {});
  file.pipe(source);
  const names = new Map<string, string>();
  let bytes = 0;
  try {
    for await (const entry of tarEntries(stop === undefined ? source : addAbortSignal(stop, source))) {
      const { name, size } = entry;
      bytes += size;
      if (packedKind(name) === undefined) throw invalid(`"${name}" in it is no tape, overlay or blob`);
      if (names.has(foldedName(name))) throw invalid(`"${name}" is in it twice`);
      if (names.size >= limits.files || bytes > limits.bytes)
        throw invalid(`it holds more than ${limits.files} files or ${limits.bytes} bytes`);
      names.set(foldedName(name), name);
      await save(entry, join(draft, name));
    }
  } finally {
    file.destroy();
    source.destroy();
  }
  return [...names.values()];
}

async function save({ content }: TarEntry, path: string): Promise<void> {
  await makeDirectory(dirname(path));
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const part of content) await file.writeFile(part);
  } finally {
    await file.close();
  }
}

function sorted(names: readonly string[]): Unpacked {
  const of = (kind: ReturnType<typeof packedKind>): string[] =>
    names.filter((name) => packedKind(name) === kind).sort();
  return { tapes: of('tape'), overlays: of('overlay'), blobs: of('blob') };
}

/** All tapes are sound, and nothing is there but what belongs to them. */
async function check({ tapes, overlays, blobs }: Unpacked, { directory, overlaysOf }: UnpackOptions): Promise<void> {
  if (tapes.length === 0) throw invalid('there is no tape in it');
  const wanted = new Set<string>();
  for (const name of tapes) {
    const path = join(directory, name);
    await readTapeFile(path);
    for (const blob of blobPaths(await inspectTapeFile(path))) wanted.add(blob);
    for (const overlay of overlaysOf(name)) wanted.add(overlay);
  }
  const stray = [...overlays, ...blobs].find((name) => !wanted.has(name));
  if (stray !== undefined) throw invalid(`"${stray}" in it belongs to no tape of it`);
}

const invalid = (message: string): ProxyError => new ProxyError('tape_invalid', message);
