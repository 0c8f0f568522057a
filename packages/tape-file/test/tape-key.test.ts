import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findTapeKey, loadTapeKey } from '../src/index.js';
import { scratch } from './support/rig.js';

describe('the key of a project', () => {
  it('is made on first use, for its owner only, and found again', async () => {
    const directory = await scratch();
    const first = await loadTapeKey({ directory });
    const path = join(directory, '.shadowcat', 'tape.key');
    expect(first.path).toBe(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(path, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
    expect(await readFile(join(directory, '.shadowcat', '.gitignore'), 'utf8')).toBe('*\n');
    const second = await loadTapeKey({ directory });
    expect(second.hmac('x')).toBe(first.hmac('x'));
    expect(second.id).toBe(first.id);
    expect((await loadTapeKey({ directory: await scratch() })).id).not.toBe(first.id);
  });

  it('is one, however many make it at once, and leaves no draft', async () => {
    const directory = await scratch();
    const keys = await Promise.all(Array.from({ length: 10 }, () => loadTapeKey({ directory })));
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1);
    expect((await readdir(join(directory, '.shadowcat'))).sort()).toEqual(['.gitignore', 'tape.key']);
  });

  it('is found from a directory below, up to the root of the repository and no further', async () => {
    const outside = await scratch();
    await loadTapeKey({ directory: outside });
    const root = join(outside, 'repository');
    const below = join(root, 'packages', 'a');
    await mkdir(below, { recursive: true });
    await mkdir(join(root, '.git'));
    const atRoot = await loadTapeKey({ directory: root });
    expect(atRoot.path).toBe(join(root, '.shadowcat', 'tape.key'));
    expect((await loadTapeKey({ directory: below })).id).toBe(atRoot.id);
  });

  it('can be given', async () => {
    const directory = await scratch();
    const key = await loadTapeKey({ directory, value: 'ab'.repeat(32) });
    expect(key.path).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
    await expect(loadTapeKey({ directory, value: 'short' })).rejects.toMatchObject({
      message: expect.stringContaining('64 hex digits'),
    });
  });

  it('is refused when it is malformed, and warned about when others can read it', async () => {
    const directory = await scratch();
    const { path = '' } = await loadTapeKey({ directory });
    await chmod(path, 0o644);
    expect((await loadTapeKey({ directory })).warning).toContain('chmod 600');
    await writeFile(path, 'oops');
    await expect(loadTapeKey({ directory })).rejects.toMatchObject({
      code: 'tape_invalid',
      message: expect.stringContaining(path),
    });
  });

  it('that cannot be kept is made for this run only, with a warning', async () => {
    const directory = await scratch();
    await writeFile(join(directory, '.shadowcat'), 'a file where a directory has to be');
    const key = await loadTapeKey({ directory });
    expect(key).toMatchObject({ path: undefined, warning: expect.stringContaining('no tape key can be kept') });
  });
});

describe('the key of tapes that are replayed', () => {
  it('is found from where they lie, wherever the replay runs', async () => {
    const [project, elsewhere] = [await scratch(), await scratch()];
    const made = await loadTapeKey({ directory: project });
    const tapes = join(project, 'tapes', 'today');
    await mkdir(tapes, { recursive: true });
    const found = await findTapeKey({ directories: [elsewhere, tapes], ids: new Set([made.id]) });
    expect(found.id).toBe(made.id);
    expect(found.hmac('x')).toBe(made.hmac('x'));
    expect(await readdir(elsewhere)).toEqual([]);
  });

  it('is the one that they were made with, where there are several', async () => {
    const [here, project] = [await scratch(), await scratch()];
    await loadTapeKey({ directory: here });
    const made = await loadTapeKey({ directory: project });
    expect((await findTapeKey({ directories: [here, project], ids: new Set([made.id]) })).id).toBe(made.id);
  });

  it('is the one of the working directory when none fits, so that a miss can name it', async () => {
    const [here, tapes] = [await scratch(), await scratch()];
    const own = await loadTapeKey({ directory: here });
    expect((await findTapeKey({ directories: [here, tapes], ids: new Set(['00000000']) })).id).toBe(own.id);
  });

  it('is none that anybody keeps when there is none: nothing is made', async () => {
    const [here, tapes] = [await scratch(), await scratch()];
    const key = await findTapeKey({ directories: [here, tapes], ids: new Set(['00000000']) });
    expect(key.path).toBeUndefined();
    expect([...(await readdir(here)), ...(await readdir(tapes))]).toEqual([]);
  });

  it('can be given', async () => {
    const directory = await scratch();
    const made = await loadTapeKey({ directory });
    const value = 'ab'.repeat(32);
    const key = await findTapeKey({ directories: [directory], ids: new Set([made.id]), value });
    expect(key.id).toBe((await loadTapeKey({ directory, value })).id);
  });
});
