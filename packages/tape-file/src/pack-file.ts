import { createWriteStream } from 'node:fs';
import { readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { ProxyError } from '@shadowcat/kernel';
import { blobPaths, createRedactor, type RedactionOptions, soundTape } from '@shadowcat/tape';
import { loadBlobs } from './blob-files.js';
import type { OverlaysOf } from './pack-names.js';
import { inspectTapeFile } from './read-file.js';
import type { TapeSecret } from './secrets-file.js';
import { type TarFile, tarOf } from './tar.js';

/** What a pack may hold: files, and bytes of all of them. */
export interface PackLimits {
  readonly files: number;
  readonly bytes: number;
}
export const PACK_LIMITS: PackLimits = { files: 10_000, bytes: 1_073_741_824 };
/** In a gzip header (RFC 1952, 2.3): the place of the system that made it, and "unknown". */
const GZIP_OS = { at: 9, unknown: 255 } as const;

/** What was packed. */
export interface Packed {
  readonly out: string;
  readonly tapes: number;
  readonly overlays: number;
  readonly blobs: number;
}

export interface PackOptions {
  readonly out: string;
  readonly overlaysOf: OverlaysOf;
  /** Aborted: nothing is written. */
  readonly stop?: AbortSignal | undefined;
}

/**
 * Writes tapes, what lies beside them in blobs, and their overlays as one file, a tar archive in gzip, mode 0600. The names have to be
 * without a `packProblem`. Throws `tape_invalid` for tapes that are not sound, lack a blob, or are too large together; nothing is
 * written then.
 */
export async function packTapeFiles(paths: readonly string[], options: PackOptions): Promise<Packed> {
  const { out, overlaysOf, stop } = options;
  const files = new Map<string, string>();
  const add = async (name: string, path: string): Promise<void> => {
    if (await isFile(path)) files.set(name, path);
  };
  for (const path of paths) {
    const tape = soundTape(await inspectTapeFile(path));
    await loadBlobs(tape, path);
    await add(basename(path), path);
    for (const overlay of overlaysOf(path)) await add(basename(overlay), overlay);
    for (const blob of blobPaths(tape)) await add(blob, join(dirname(path), blob));
  }
  await checkLimits(files, out);
  const blobs = [...files.keys()].filter((name) => name.startsWith('blobs/'));
  const others = [...files.keys()].filter((name) => !name.startsWith('blobs/'));
  await write(
    out,
    [...others.sort(), ...blobs.sort()].map((name) => ({ name, path: files.get(name) ?? '' })),
    stop,
  );
  return { out, tapes: paths.length, overlays: others.length - paths.length, blobs: blobs.length };
}

/** The secrets of overlays, of those that there are. */
export async function scanOverlays(
  files: readonly string[],
  options: RedactionOptions,
): Promise<readonly (TapeSecret & { readonly file: string })[]> {
  const found: (TapeSecret & { readonly file: string })[] = [];
  for (const file of files) {
    if (!(await isFile(file))) continue;
    let line = 0;
    const redactor = createRedactor(
      options,
      () => '0'.repeat(16),
      (secret) => found.push({ file, line, ...secret }),
    );
    for (const text of (await readFile(file, 'utf8')).split('\n')) {
      line += 1;
      redactor.text(text);
    }
  }
  return found;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

async function checkLimits(files: ReadonlyMap<string, string>, out: string): Promise<void> {
  let bytes = 0;
  for (const path of files.values()) bytes += (await stat(path)).size;
  if (files.size <= PACK_LIMITS.files && bytes <= PACK_LIMITS.bytes) return;
  throw new ProxyError(
    'tape_invalid',
    `${out}: a pack has ${PACK_LIMITS.files} files and ${PACK_LIMITS.bytes} bytes at most, not ${files.size} and ${bytes}`,
  );
}

async function write(
  out: string,
  files: readonly { readonly name: string; readonly path: string }[],
  stop: AbortSignal | undefined,
): Promise<void> {
  async function* read(): AsyncGenerator<TarFile> {
    for (const { name, path } of files) yield { name, bytes: await readFile(path) };
  }
  // A link stays a link, a device a device.
  const target = await realpath(out).catch(() => out);
  const there = await stat(target).catch(() => undefined);
  const isNew = there === undefined || there.isFile();
  const draft = isNew ? `${target}.${process.pid}.new` : target;
  try {
    stop?.throwIfAborted();
    const archive = Readable.from(tarOf(read()), { objectMode: false });
    const sink = createWriteStream(draft, { mode: 0o600 });
    await pipeline(archive, createGzip({ level: 9 }), anywhere, sink, stop === undefined ? {} : { signal: stop });
    if (isNew) await rename(draft, target);
  } catch (error) {
    if (isNew) await rm(draft, { force: true });
    throw new ProxyError('tape_invalid', `${out}: cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

/** Which system made a file is nothing that it should tell. */
async function* anywhere(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const chunk of source) {
    if (at <= GZIP_OS.at && at + chunk.length > GZIP_OS.at) chunk[GZIP_OS.at - at] = GZIP_OS.unknown;
    at += chunk.length;
    yield chunk;
  }
}
