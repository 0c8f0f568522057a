import { readFileSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { soundTape } from '@shadowcat/tape';
import { ManualClock, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { type FileOps, inspectTapeFile, nodeFiles, openTapeFile, readTapeFile } from '../src/index.js';
import { backgroundFiles, HEAD, keepingLog, noSpace, record, scratch, troubledFiles } from './support/rig.js';

/** Waits until the writer has nothing under way. */
async function idle(writer: ReturnType<typeof openTapeFile>, written: number): Promise<void> {
  while (writer.state().written + writer.state().lost < written) await settled();
}

describe('a tape file', () => {
  it('is written beside its name, readable by its owner only, and renamed when it is finished', async () => {
    const path = join(await scratch(), 'deep', 'x.tape.jsonl');
    const writer = openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log: keepingLog() });
    writer.append(record(1));
    await idle(writer, 1);
    expect(await readFile(`${path}.part`, 'utf8')).toBe(`${HEAD}\n${record(1)}\n`);
    expect((await stat(`${path}.part`)).mode & 0o777).toBe(0o600);
    await Promise.all([writer.finish(), writer.finish()]);
    expect(await readdir(join(path, '..'))).toEqual(['x.tape.jsonl']);
    expect((await readTapeFile(path)).end).toMatchObject({ lines: 2, lost: 0 });
    expect(writer.state()).toMatchObject({ status: 'closed', written: 1, lost: 0, queued: 0 });
  });

  it('that nothing was recorded on is a tape', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    await openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log: keepingLog() }).finish();
    expect((await readTapeFile(path)).records).toHaveLength(2);
  });

  it('gets what comes in one turn in one write, and what comes meanwhile in the next', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    const files = troubledFiles();
    const writer = openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log: keepingLog(), files });
    for (let n = 1; n <= 3; n += 1) writer.append(record(n));
    while (files.writes.length === 0) await settled();
    await idle(writer, 3);
    for (let n = 4; n <= 50; n += 1) writer.append(record(n));
    await idle(writer, 50);
    expect(files.writes).toHaveLength(2);
    await writer.finish();
    expect((await readTapeFile(path)).records).toHaveLength(52);
  });

  it('has a checkpoint after 256 lines, after a mebibyte and after a second', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    const clock = new ManualClock();
    const writer = openTapeFile(path, { head: HEAD }, { clock, log: keepingLog() });
    const kinds = async (): Promise<string[]> => (await inspectTapeFile(`${path}.part`)).records.map(({ k }) => k);
    for (let n = 1; n <= 255; n += 1) writer.append(record(n));
    await idle(writer, 255);
    writer.append(record(256));
    await idle(writer, 256);
    expect((await kinds()).slice(-2)).toEqual(['ckpt', 'msg']);
    writer.append(record(257, 1_100_000));
    await idle(writer, 257);
    writer.append(record(258));
    await idle(writer, 258);
    expect((await kinds()).slice(-2)).toEqual(['ckpt', 'msg']);
    clock.advance(2000);
    while ((await kinds()).at(-1) !== 'ckpt') await settled();
    const { size } = await stat(`${path}.part`);
    clock.advance(5000);
    await settled();
    expect((await stat(`${path}.part`)).size).toBe(size);
    expect(clock.pending).toBe(0);
    writer.append(record(259));
    await writer.finish();
    expect(clock.pending).toBe(0);
    soundTape(await inspectTapeFile(path));
  });

  it('keeps what an earlier recording left under its name', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    await writeFile(`${path}.part`, 'earlier');
    await writeFile(`${path}.part.1`, 'much earlier');
    const log = keepingLog();
    const writer = openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log });
    writer.append(record(1));
    await writer.finish();
    expect(await readFile(`${path}.part.1`, 'utf8')).toBe('much earlier');
    expect(await readFile(`${path}.part.2`, 'utf8')).toBe('earlier');
    expect(log.said).toEqual([
      { level: 'warn', message: expect.stringContaining(`shadowcat tape recover ${path}.part.2`) },
    ]);
    soundTape(await inspectTapeFile(path));
  });
});

describe('a tape file on a disk that keeps up', () => {
  it('has what came in one turn before the next turn begins', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    const writer = openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log: keepingLog() });
    writer.append(record(1));
    await idle(writer, 1);
    writer.append(record(2));
    writer.append(record(3));
    await Promise.resolve();
    expect(readFileSync(`${path}.part`, 'utf8').split('\n').slice(-3)).toEqual([record(2), record(3), '']);
    expect(writer.state()).toMatchObject({ written: 3, queued: 0 });
    await writer.finish();
  });

  it('is written in the background for a second after two writes that took long, or one that took very long, and where a batch is large', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    const clock = new ManualClock();
    const took = { next: 0 };
    const prompt: number[] = [];
    const files: FileOps = {
      ...backgroundFiles,
      writeNow(fd, bytes, position) {
        prompt.push(bytes.length);
        clock.advance(took.next);
        return nodeFiles.writeNow?.(fd, bytes, position) ?? false;
      },
    };
    const writer = openTapeFile(path, { head: HEAD }, { clock, log: keepingLog(), files });
    let made = 0;
    const write = async (size = 0): Promise<number> => {
      made += 1;
      writer.append(record(made, size));
      await idle(writer, made);
      return prompt.length;
    };
    await write();
    expect(await write()).toBe(1);
    expect(await write(70_000)).toBe(1);
    took.next = 25;
    expect(await write()).toBe(2);
    expect(await write()).toBe(3);
    took.next = 0;
    expect(await write()).toBe(3);
    clock.advance(1000);
    took.next = 250;
    expect(await write()).toBe(4);
    took.next = 0;
    expect(await write()).toBe(4);
    clock.advance(1000);
    expect(await write()).toBe(5);
    await writer.finish();
    soundTape(await inspectTapeFile(path));
    expect((await readTapeFile(path)).records.filter(({ k }) => k === 'msg')).toHaveLength(made);
  });

  it('is written whole in the background when the system took only a part, or nothing', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    let tries = 0;
    const files: FileOps = {
      ...backgroundFiles,
      writeNow(fd, bytes, position) {
        tries += 1;
        if (tries > 1) throw noSpace;
        nodeFiles.writeNow?.(fd, bytes.subarray(0, bytes.length / 2), position);
        return false;
      },
    };
    const writer = openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log: keepingLog(), files });
    for (let n = 1; n <= 3; n += 1) {
      writer.append(record(n));
      await idle(writer, n);
    }
    expect(tries).toBe(2);
    expect(writer.state()).toMatchObject({ status: 'ok', written: 3, lost: 0 });
    await writer.finish();
    expect((await readTapeFile(path)).end).toMatchObject({ lines: 4, lost: 0 });
  });
});

describe('a queue that is full', () => {
  it('asks callers to wait until half of it is written', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    const files = troubledFiles();
    let release: () => void = () => undefined;
    files.hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    const writer = openTapeFile(
      path,
      { head: HEAD, queue: 1000 },
      { clock: new ManualClock(), log: keepingLog(), files },
    );
    writer.append(record(1));
    // Until its file is open, callers wait too.
    while (writer.room() !== undefined) await settled();
    for (let n = 2; n <= 30; n += 1) writer.append(record(n));
    const room = writer.room();
    expect(room).toBeInstanceOf(Promise);
    release();
    await room;
    expect(writer.room()).toBeUndefined();
    await writer.finish();
    expect((await readTapeFile(path)).end).toMatchObject({ lost: 0, lines: 31 });
  });

  it('drops records and says so in a gap, when it was opened that way', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    const files = troubledFiles();
    let release: () => void = () => undefined;
    files.hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    const writer = openTapeFile(
      path,
      { head: HEAD, queue: 1000, onFull: 'drop' },
      { clock: new ManualClock(), log: keepingLog(), files },
    );
    for (let n = 1; n <= 30; n += 1) writer.append(record(n));
    expect(writer.room()).toBeUndefined();
    release();
    await writer.finish();
    const tape = soundTape(await inspectTapeFile(path));
    const { lost } = writer.state();
    expect(lost).toBeGreaterThan(10);
    expect(tape.end).toMatchObject({ lost });
    expect(tape.problems).toEqual([
      { kind: 'gap', line: expect.any(Number), message: expect.stringContaining(`${lost} records are missing`) },
    ]);
    expect(tape.records.filter(({ k }) => k === 'msg')).toHaveLength(30 - lost);
  });
});
