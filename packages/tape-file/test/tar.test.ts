import { describe, expect, it } from 'vitest';
import { type TarFile, tarEntries, tarOf } from '../src/tar.js';

async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

async function archive(files: readonly TarFile[]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of tarOf(each(files))) parts.push(part);
  return Buffer.concat(parts);
}

function* cut(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(source: AsyncIterable<Uint8Array>): Promise<[string, string][]> {
  const files: [string, string][] = [];
  for await (const { name, size, content } of tarEntries(source)) {
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    expect(Buffer.concat(parts)).toHaveLength(size);
    files.push([name, Buffer.concat(parts).toString()]);
  }
  return files;
}

const FILES: readonly [string, string][] = [
  ['empty', ''],
  ['one byte', 'x'],
  [`${'n'.repeat(96)}.txt`, 'y'.repeat(512)],
  ['Grüße ☃', 'z'.repeat(513)],
];
const archived = archive(FILES.map(([name, text]) => ({ name, bytes: Buffer.from(text) })));

describe('tar', () => {
  it.each([1, 7, 511, 512, 513, 100_000])('reads what it wrote, in pieces of %i bytes', async (size) => {
    expect(await read(each(cut(await archived, size)))).toEqual(FILES);
  });

  it('says of any shorter part that it is cut off', async () => {
    const whole = await archived;
    // The last block says nothing that the one before did not.
    for (let length = 0; length <= whole.length - 1024; length += 100)
      await expect(read(each(cut(whole.subarray(0, length), 300)))).rejects.toThrow('it is cut off');
  });

  it('notices every changed byte of a header', async () => {
    const whole = await archived;
    for (let at = 0; at < 512; at += 1) {
      const changed = Buffer.from(whole);
      changed.writeUInt8(whole.readUInt8(at) ^ 0x04, at);
      // Two of the checksum's own bytes may say the same number in another way.
      const same = (await read(each([changed])).catch(() => undefined))?.[0]?.[0];
      if (same !== undefined) expect([at, same]).toEqual([expect.toBeOneOf([154, 155]), 'empty']);
    }
  });

  it('writes no name that its header has no room for', async () => {
    await expect(archive([{ name: 'ü'.repeat(51), bytes: Buffer.from('') }])).rejects.toThrow(RangeError);
  });
});
