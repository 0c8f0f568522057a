import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packTapeFiles } from '../src/pack-file.js';
import { type TarFile, tarOf } from '../src/tar.js';
import { unpackTapeFile } from '../src/unpack-file.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shadowcat-unpack-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function packOf(files: readonly TarFile[]): Promise<string> {
  async function* each(): AsyncGenerator<TarFile> {
    yield* files;
  }
  const parts: Uint8Array[] = [];
  for await (const part of tarOf(each())) parts.push(part);
  const path = join(folder, 'x.tape.tar.gz');
  await writeFile(path, gzipSync(Buffer.concat(parts)));
  return path;
}

const overlays = (count: number, size: number): TarFile[] =>
  Array.from({ length: count }, (_, at) => ({ name: `${at}.overlay.yaml`, bytes: Buffer.alloc(size) }));

describe('a pack that is too large', () => {
  it.each([
    ['files', overlays(4, 1)],
    ['bytes', overlays(2, 6000)],
  ])('in %s is given up as soon as that is known', async (_, files) => {
    const pack = await packOf(files);
    const options = { directory: join(folder, 'out'), overlaysOf: () => [], limits: { files: 3, bytes: 10_000 } };
    await expect(unpackTapeFile(pack, options)).rejects.toMatchObject({
      code: 'tape_invalid',
      message: `${pack}: it holds more than 3 files or 10000 bytes`,
    });
    expect(await readdir(folder)).toEqual(['x.tape.tar.gz']);
  });

  it('as a file is not even opened', async () => {
    const pack = await packOf(overlays(1, 1));
    const options = { directory: join(folder, 'out'), overlaysOf: () => [], limits: { files: 3, bytes: 10 } };
    await expect(unpackTapeFile(pack, options)).rejects.toThrow('it is larger than 10 bytes');
  });
});

describe('packing and unpacking', () => {
  const TAPE = join(import.meta.dirname, '..', '..', 'tape', 'test', 'tapes', 'v1-capture.tape.jsonl');

  it('leave nothing behind when they are stopped on the way', async () => {
    const stop = new AbortController();
    // Asked for in the middle of both.
    const overlaysOf = (): string[] => {
      stop.abort('SIGINT');
      return [];
    };
    const out = join(folder, 'y.tape.tar.gz');
    await expect(packTapeFiles([TAPE], { out, overlaysOf, stop: stop.signal })).rejects.toThrow();
    expect(await readdir(folder)).toEqual([]);
    const pack = await packOf([{ name: 'a.tape.jsonl', bytes: await readFile(TAPE) }]);
    const again = new AbortController();
    const options = { directory: join(folder, 'out'), stop: again.signal };
    await expect(
      unpackTapeFile(pack, {
        ...options,
        overlaysOf: () => {
          again.abort('SIGINT');
          return [];
        },
      }),
    ).rejects.toThrow();
    expect(await readdir(folder)).toEqual(['x.tape.tar.gz']);
  });
});
