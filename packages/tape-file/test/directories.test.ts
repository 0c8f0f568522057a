import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeDirectory, makeDirectoryNow } from '../src/directories.js';
import { scratch } from './support/rig.js';

/** A place that exists and in which nothing can be made, whoever asks: the system says `ENOENT`, or that it may not. */
const NOWHERE = '/proc/shadowcat-no-such-process';

describe.each([
  ['at once', async (path: string) => makeDirectoryNow(path)],
  ['in the background', makeDirectory],
])('making a directory %s', (_, make) => {
  it('makes those above it, and is content with one that exists', async () => {
    const path = join(await scratch(), 'a', 'b', 'c');
    await make(path);
    await make(path);
    expect((await stat(path)).isDirectory()).toBe(true);
  });

  it('says so where nothing can be made, instead of trying for ever', async () => {
    await expect(make(NOWHERE)).rejects.toThrow(/mkdir/);
    await expect(make(join(NOWHERE, 'deeper'))).rejects.toThrow(/mkdir/);
  });

  it('says so where a file is in the way', async () => {
    const directory = await scratch();
    await mkdir(join(directory, 'x'));
    await writeFile(join(directory, 'x', 'file'), '');
    await expect(make(join(directory, 'x', 'file', 'y'))).rejects.toThrow(/ENOTDIR/);
  });
});
