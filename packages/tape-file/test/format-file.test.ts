import { lstat, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatTapeFile } from '../src/format-file.js';
import { inspectTapeFile, readTapeFile, recoverTape } from '../src/index.js';
import { scratch } from './support/rig.js';

const LARGE = 'a'.repeat(20_000);
const GOLDEN = [
  '{"k":"head","v":1,"form":"golden","requires":[]}',
  `{"k":"msg","s":"-","x":"a","from":"client","m":{"jsonrpc":"2.0","method":"${LARGE}"}}`,
  '{"k":"end","lines":2,"lost":0,"sha":"0000000000000000000000000000000000000000000000000000000000000000"}',
  '',
].join('\n');

/** A golden tape with a large value; gives its path. */
async function tapeIn(directory: string): Promise<string> {
  const path = join(directory, 'x.tape.jsonl');
  await writeFile(path, GOLDEN);
  return path;
}

describe('formatting a tape file', () => {
  it('leaves a link a link, and no draft', async () => {
    const directory = await scratch();
    const path = await tapeIn(directory);
    const link = join(directory, 'link.tape.jsonl');
    await symlink(path, link);
    const { sha } = await formatTapeFile(link);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await readFile(path, 'utf8')).toContain(sha);
    expect((await readdir(directory)).sort()).toEqual(['blobs', 'link.tape.jsonl', 'x.tape.jsonl']);
  });

  it('mends a blob that somebody changed', async () => {
    const directory = await scratch();
    const path = await tapeIn(directory);
    await formatTapeFile(path);
    const [folder = ''] = await readdir(join(directory, 'blobs'));
    const [name = ''] = await readdir(join(directory, 'blobs', folder));
    const blob = join(directory, 'blobs', folder, name);
    await writeFile(blob, LARGE.replaceAll('a', 'b'));
    await expect(readTapeFile(path)).rejects.toThrow(/x\.tape\.jsonl:2: the blob .* was changed/);
    await tapeIn(directory);
    await formatTapeFile(path);
    expect(await readFile(blob, 'utf8')).toBe(LARGE);
    await readTapeFile(path);
  });

  it('reads regular files only: a device may have no end', async () => {
    await expect(inspectTapeFile('/dev/zero')).rejects.toThrow('/dev/zero: this is no regular file');
    await expect(recoverTape('/dev/zero')).rejects.toThrow('/dev/zero: this is no regular file');
  });
});
