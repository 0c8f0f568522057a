import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { soundTape } from '@shadowcat/tape';
import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it, vi } from 'vitest';
import { inspectTapeFile, recoverTape, tapeOpener } from '../src/index.js';
import { HEAD, keepingLog, record, scratch } from './support/rig.js';

/** What the next names are made of, before they are random. */
const digits: string[] = [];
vi.mock('node:crypto', async (load) => {
  const crypto = await load<typeof import('node:crypto')>();
  const randomBytes = (size: number): Buffer =>
    Buffer.from(digits.shift() ?? crypto.randomBytes(size).toString('hex'), 'hex');
  return { ...crypto, randomBytes };
});

const OWNED = HEAD.replace('}', ',"process":"7-0badcafe"}');
const runs = (mark: string): boolean => mark === '7-0badcafe';

function opener(out: string, options: Parameters<typeof tapeOpener>[1] = {}) {
  const log = keepingLog();
  return { log, open: tapeOpener(out, options, { clock: new ManualClock(), log, runs }) };
}

describe('a place for tapes', () => {
  it.each([
    ['a folder behind a file', 'file/tapes'],
    ['a tape behind a file', 'file/x.tape.jsonl'],
    ['a folder that cannot be made', '/proc/shadowcat-tapes'],
    ['a tape that cannot be made', '/proc/x.tape.jsonl'],
    ['a folder in which nothing can be made', '/proc'],
  ])('is refused at once, in plain words, where it is %s', async (_, name) => {
    const folder = await scratch();
    await writeFile(join(folder, 'file'), '');
    const out = name.startsWith('/') ? name : join(folder, name);
    for (const existing of ['keep', 'replace'] as const)
      expect(() => opener(out, { existing })).toThrow(
        /^tapes cannot be written to .+: E[A-Z]+: .+\nname another place/,
      );
  });

  it('is made where it is missing, and left as it was', async () => {
    const folder = await scratch();
    opener(join(folder, 'a', 'b'));
    expect(await readdir(join(folder, 'a', 'b'))).toEqual([]);
  });
});

describe('a tape that another process records', () => {
  it('is not taken from it, but from one that has ended', async () => {
    const out = join(await scratch(), 'x.tape.jsonl');
    await writeFile(`${out}.part`, `${OWNED}\n`);
    expect(() => opener(out)).toThrow(
      /x\.tape\.jsonl\.part is being recorded by process 7: end that, or name another file/,
    );
    expect(await readFile(`${out}.part`, 'utf8')).toBe(`${OWNED}\n`);

    const ended = OWNED.replace('7-', '8-');
    await writeFile(`${out}.part`, `${ended}\n`);
    const { open, log } = opener(out);
    expect(await readFile(`${out}.part.1`, 'utf8')).toBe(`${ended}\n`);
    expect(log.said).toEqual([{ level: 'warn', message: expect.stringContaining(`tape recover ${out}.part.1`) }]);
    const writer = open('all', HEAD);
    writer.append(record(1));
    await writer.finish();
    expect(soundTape(await inspectTapeFile(out)).records).toHaveLength(3);
  });

  it('lies beside the tape of the next run, where each run has its own', async () => {
    const out = join(await scratch(), 'x.tape.jsonl');
    await writeFile(`${out}.part`, `${OWNED}\n`);
    const { open } = opener(out, { existing: 'keep' });
    const writer = open('all', HEAD);
    writer.append(record(1));
    await writer.finish();
    expect(await readdir(join(out, '..'))).toEqual(['x.2.tape.jsonl', 'x.tape.jsonl.part']);
  });

  it('is not recovered until it ends', async () => {
    const out = join(await scratch(), 'x.tape.jsonl');
    await writeFile(`${out}.part`, `${OWNED}\n${record(1)}\n`);
    await expect(recoverTape(`${out}.part`, undefined, runs)).rejects.toMatchObject({
      code: 'tape_invalid',
      message: expect.stringContaining('is being recorded by process 7'),
    });
    expect(existsSync(out)).toBe(false);
    expect(await recoverTape(`${out}.part`, undefined, () => false)).toMatchObject({ out, open: 1 });
  });
});

describe('what is no tape under the name of one', () => {
  it.each([
    ['a link to a device', (part: string) => symlink('/dev/full', part)],
    ['a folder', (part: string) => mkdir(part)],
    ['nothing but zeros', (part: string) => writeFile(part, Buffer.alloc(10_000))],
    ['an empty file', (part: string) => writeFile(part, '')],
    ['a pipe that nobody writes to', (part: string) => void execFileSync('mkfifo', [part])],
  ])('is put aside: %s', async (_, put) => {
    const out = join(await scratch(), 'x.tape.jsonl');
    await put(`${out}.part`);
    const writer = opener(out).open('all', HEAD);
    writer.append(record(1));
    await writer.finish();
    expect(await readdir(join(out, '..'))).toEqual(['x.tape.jsonl', 'x.tape.jsonl.part.1']);
  });
});

describe('what is no file under the name of the tape', () => {
  it.each([
    ['a folder', (out: string) => mkdir(out)],
    ['a pipe', (out: string) => void execFileSync('mkfifo', [out])],
    ['a device', (out: string) => symlink('/dev/full', out)],
  ])('is refused at once, not after the recording: %s', async (_, put) => {
    const out = join(await scratch(), 'x.tape.jsonl');
    await put(out);
    expect(() => opener(out)).toThrow(/x\.tape\.jsonl is there, and is no file: name another/);
    expect(await readdir(join(out, '..'))).toEqual(['x.tape.jsonl']);
  });
});

describe('tapes in a folder', () => {
  it('do not take the name of a tape that another process records there, or has finished', async () => {
    const folder = await scratch();
    const clock = new ManualClock();
    const parts = { clock, log: keepingLog(), runs };
    const name = (digits: string): string =>
      `${new Date(clock.wall()).toISOString().slice(0, 19).replaceAll(':', '-')}-${digits}.tape.jsonl`;
    await writeFile(join(folder, name('aaaa')), 'finished');
    await writeFile(join(folder, `${name('bbbb')}.part`), `${OWNED}\n`);
    const open = tapeOpener(folder, {}, parts);
    digits.push('aaaa', 'bbbb', 'cccc');
    const writer = open('session', HEAD);
    expect(writer.name).toBe(join(folder, name('cccc')));
    await writer.finish();
    expect(await readFile(join(folder, name('aaaa')), 'utf8')).toBe('finished');
  });
});

describe('what cannot be recovered', () => {
  it.each([
    ['an empty file', '', /the file is empty/],
    ['something else', 'hello\n', /:1: /],
    ['half a head', HEAD.slice(0, 20), /:1: /],
    ['a head without its line break', HEAD, /:1: /],
    ['zeros', '\0'.repeat(1000), /:1: /],
  ])('is refused in one line: %s', async (_, text, message) => {
    const part = join(await scratch(), 'x.tape.jsonl.part');
    await writeFile(part, text);
    const refused = recoverTape(part);
    await expect(refused).rejects.toMatchObject({ code: 'tape_invalid', message: expect.stringMatching(message) });
    await expect(refused).rejects.toMatchObject({ message: expect.not.stringContaining('\n') });
    expect(await readdir(join(part, '..'))).toEqual(['x.tape.jsonl.part']);
  });

  it('a head alone can: it is a tape of nothing', async () => {
    const part = join(await scratch(), 'x.tape.jsonl.part');
    await writeFile(part, `${HEAD}\n`);
    const { out } = await recoverTape(part);
    expect(soundTape(await inspectTapeFile(out)).records.map(({ k }) => k)).toEqual(['head', 'end']);
  });

  it('what was recovered is finished', async () => {
    const part = join(await scratch(), 'x.tape.jsonl.part');
    await writeFile(part, `${HEAD}\n${record(1)}\n{"k":"ms`);
    const { out } = await recoverTape(part);
    await expect(recoverTape(out)).rejects.toMatchObject({ message: expect.stringContaining('nothing to recover') });
    await expect(recoverTape(part)).rejects.toMatchObject({ message: expect.stringContaining('exists already') });
  });

  it('is a tape that only lacks its name: it says how it gets that', async () => {
    const part = join(await scratch(), 'x.tape.jsonl.part');
    await writeFile(part, `${HEAD}\n`);
    const { out } = await recoverTape(part);
    await rename(out, part);
    await expect(recoverTape(part)).rejects.toMatchObject({
      message: `${part}: the tape is whole: there is nothing to recover; rename it to ${out}`,
    });
  });
});
