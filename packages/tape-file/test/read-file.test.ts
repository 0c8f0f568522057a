import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createOffload } from '@shadowcat/offload';
import { soundTape } from '@shadowcat/tape';
import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import {
  inspectTapeFile,
  layoutOf,
  listTapes,
  openTapeFile,
  readTapeFile,
  recoverTape,
  tapeName,
  tapeOpener,
} from '../src/index.js';
import { HEAD, keepingLog, record, scratch } from './support/rig.js';

/** Writes a tape of `count` records with a checkpoint every 256, and gives back its path. */
async function tapeOf(directory: string, count: number, name = 'x.tape.jsonl'): Promise<string> {
  const path = join(directory, name);
  const writer = openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log: keepingLog() });
  for (let n = 1; n <= count; n += 1) {
    writer.append(record(n));
    if (n % 256 === 0) while (writer.state().written < n) await new Promise((resolve) => setImmediate(resolve));
  }
  await writer.finish();
  return path;
}

describe('reading a tape file', () => {
  it.each([
    ['a file that is not there', 'missing.tape.jsonl', /there is no such file/],
    ['a directory', 'directory', /this is a directory/],
    ['something else', 'other.tape.jsonl', /other\.tape\.jsonl:1: /],
    ['an empty file', 'empty.tape.jsonl', /the file is empty/],
  ])('refuses %s in one line', async (_, name, message) => {
    const directory = await scratch();
    await mkdir(join(directory, 'directory'));
    await writeFile(join(directory, 'other.tape.jsonl'), 'hello\n');
    await writeFile(join(directory, 'empty.tape.jsonl'), '');
    const refused = readTapeFile(join(directory, name));
    await expect(refused).rejects.toMatchObject({ code: 'tape_invalid', message: expect.stringMatching(message) });
    await expect(refused).rejects.toMatchObject({ message: expect.not.stringContaining('\n') });
  });

  it('happens on a worker for large tapes, with the same result', async () => {
    const path = await tapeOf(await scratch(), 600);
    const hooks = new URL('./support/source-hooks.mjs', import.meta.url).href;
    const module = new URL('../src/tape-worker.ts', import.meta.url);
    await using offload = createOffload({ module, execArgv: ['--import', hooks] });
    const here = await readTapeFile(path);
    expect(await readTapeFile(path, { offload, large: 1 })).toEqual(here);
    await writeFile(path, (await readFile(path, 'utf8')).replace('"n":300', '"n":301'));
    await expect(readTapeFile(path, { offload, large: 1 })).rejects.toMatchObject({
      code: 'tape_invalid',
      message: expect.stringContaining('digest'),
    });
    await writeFile(path, 'no tape');
    await expect(readTapeFile(path, { offload, large: 1 })).rejects.toMatchObject({ code: 'tape_invalid' });
  });
});

describe('recovering a tape', () => {
  it('makes a tape of every prefix that has its head', async () => {
    const directory = await scratch();
    const bytes = await readFile(await tapeOf(directory, 300));
    const headEnd = bytes.indexOf(0x0a) + 1;
    const lengths = [headEnd, headEnd + 1];
    for (let length = headEnd + 100; length < bytes.length; length += 211) lengths.push(length);
    for (const [index, length] of lengths.entries()) {
      const part = join(directory, `${index}.tape.jsonl.part`);
      await writeFile(part, bytes.subarray(0, length));
      const recovery = await recoverTape(part);
      const tape = soundTape(await inspectTapeFile(recovery.out));
      expect(tape.end).toMatchObject({ recovered: true });
      expect(tape.records.filter(({ k }) => k === 'x-')).toHaveLength(recovery.open);
      expect(tape.records.filter(({ k }) => k === 'msg')).toHaveLength(recovery.open);
      expect((await stat(recovery.out)).mode & 0o777).toBe(0o600);
    }
  });

  it('keeps what comes before the checkpoint that does not fit', async () => {
    const path = await tapeOf(await scratch(), 900);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"n":700', '"n":701'));
    const out = `${path}.out`;
    await recoverTape(path, out);
    const tape = soundTape(await inspectTapeFile(out));
    const kept = tape.records.filter(({ k }) => k === 'msg').length;
    expect(kept).toBeGreaterThanOrEqual(256);
    expect(kept).toBeLessThan(700);
  });

  it('keeps nothing of a tape without a checkpoint that fits', async () => {
    const path = await tapeOf(await scratch(), 10);
    await writeFile(path, (await readFile(path, 'utf8')).replace('"n":5', '"n":6'));
    await expect(recoverTape(path, `${path}.out`)).rejects.toMatchObject({
      message: expect.stringContaining('no part of it can be trusted'),
    });
  });

  it('removes what follows the end', async () => {
    const path = await tapeOf(await scratch(), 3);
    await writeFile(path, `${await readFile(path, 'utf8')}{"k":"future"}\n`);
    await recoverTape(path, `${path}.out`);
    expect(soundTape(await inspectTapeFile(`${path}.out`)).records.filter(({ k }) => k === 'msg')).toHaveLength(3);
  });

  it('is refused for a whole tape, for no tape, and over a file that exists', async () => {
    const directory = await scratch();
    const path = await tapeOf(directory, 3);
    await expect(recoverTape(path, `${path}.out`)).rejects.toMatchObject({
      message: expect.stringContaining('nothing to recover'),
    });
    await writeFile(join(directory, 'no.tape.jsonl.part'), 'hello\n');
    await expect(recoverTape(join(directory, 'no.tape.jsonl.part'))).rejects.toMatchObject({ code: 'tape_invalid' });
    await expect(recoverTape(join(directory, 'missing.part'))).rejects.toMatchObject({ code: 'tape_invalid' });
    await writeFile(`${path}.part`, (await readFile(path)).subarray(0, 200));
    await expect(recoverTape(`${path}.part`)).rejects.toMatchObject({
      message: expect.stringContaining('exists already'),
    });
  });
});

describe('a directory of tapes', () => {
  it('is listed by name, with what cannot be read', async () => {
    const directory = await scratch();
    await tapeOf(directory, 3, 'b.tape.jsonl');
    const cut = (await readFile(join(directory, 'b.tape.jsonl'))).subarray(0, 200);
    await writeFile(join(directory, 'c.tape.jsonl.part'), cut);
    await writeFile(join(directory, 'a.tape.jsonl'), 'hello');
    await writeFile(join(directory, 'notes.txt'), 'x');
    const tapes = await listTapes(directory);
    expect(tapes.map(({ path }) => path.slice(directory.length + 1))).toEqual([
      'a.tape.jsonl',
      'b.tape.jsonl',
      'c.tape.jsonl.part',
    ]);
    expect(tapes[0]).toMatchObject({ summary: undefined, error: expect.stringContaining('a.tape.jsonl:1: ') });
    expect(tapes[1]?.summary).toMatchObject({
      whole: true,
      records: 5,
      exchanges: [{ x: '1' }, { x: '2' }, { x: '3' }],
    });
    expect(tapes[2]?.summary).toMatchObject({ whole: false, problems: [{ kind: 'truncated' }] });
    await expect(listTapes(join(directory, 'missing'))).rejects.toMatchObject({ code: 'tape_invalid' });
  });
});

describe('the names of tapes', () => {
  it('are a time and a short id; a path that ends like a tape is one file', () => {
    const wall = Date.UTC(2026, 10, 21, 10, 15, 0);
    expect(tapeName(wall, 'session')).toMatch(/^2026-11-21T10-15-00-[0-9a-f]{4}\.tape\.jsonl$/);
    expect(tapeName(wall, 'sessionless')).toMatch(/^2026-11-21T10-15-00-[0-9a-f]{4}-sessionless\.tape\.jsonl$/);
    expect(layoutOf('a/x.tape.jsonl')).toBe('file');
    expect(layoutOf('tapes')).toBe('directory');
  });

  it('never come twice from one opener', async () => {
    const directory = await scratch();
    const open = tapeOpener(directory, {}, { clock: new ManualClock(), log: keepingLog() });
    const writers = Array.from({ length: 400 }, () => open('session', HEAD));
    expect(new Set(writers.map(({ name }) => name)).size).toBe(400);
    await Promise.all(writers.map((writer) => writer.finish()));
  });
});
