import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { soundTape } from '@shadowcat/tape';
import { ManualClock, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { type FileOps, inspectTapeFile, nodeFiles, openTapeFile } from '../src/index.js';
import { TapeShelf } from '../src/tape-shelf.js';
import { HEAD, keepingLog, noSpace, record, scratch, troubledFiles } from './support/rig.js';

/** A tape on a disk that can be made to fail. */
async function rig(options: { queue?: number; durable?: boolean } = {}, files: FileOps = troubledFiles()) {
  const path = join(await scratch(), 'tapes', 'x.tape.jsonl');
  const clock = new ManualClock();
  const log = keepingLog();
  const writer = openTapeFile(path, { head: HEAD, ...options }, { clock, log, files });
  const numbers = async (): Promise<(number | undefined)[]> => {
    const { records } = soundTape(await inspectTapeFile(path));
    return records.flatMap((found) =>
      found.k === 'msg' ? Number(found.x) : found.k === 'gap' ? `gap of ${found.lost}` : [],
    ) as never;
  };
  const append = async (...range: [number, number]): Promise<void> => {
    for (let n = range[0]; n <= range[1]; n += 1) writer.append(record(n));
    await writer.settled?.();
  };
  return {
    path,
    part: `${path}.part`,
    clock,
    log,
    writer,
    numbers,
    append,
    levels: () => log.said.map((x) => x.level),
  };
}

describe('a disk that is full', () => {
  it('is reported once, and what passes is kept until there is space again', async () => {
    const files = troubledFiles();
    const { writer, clock, append, levels, log, numbers } = await rig({}, files);
    await append(1, 1);
    files.half = true;
    for (let n = 2; n <= 4; n += 1) await append(n, n);
    expect(writer.state()).toMatchObject({ status: 'failing', written: 1, lost: 0, queued: 3, error: noSpace.message });
    expect(writer.room()).toBeUndefined();
    expect(levels()).toEqual(['error']);
    expect(log.said[0]?.message).toContain('no space left on device');
    files.half = false;
    clock.advance(1000);
    while (writer.state().status === 'failing') await settled();
    expect(writer.state()).toMatchObject({ status: 'ok', written: 4, lost: 0 });
    expect(levels()).toEqual(['error', 'info']);
    await append(5, 5);
    await writer.finish();
    expect(await numbers()).toEqual([1, 2, 3, 4, 5]);
    expect(clock.pending).toBe(0);
  });

  it('is tried again each second without any traffic', async () => {
    const files = troubledFiles();
    let tries = 0;
    const { truncate: cut } = files;
    files.truncate = (fd, length) =>
      cut(fd, length).finally(() => {
        tries += 1;
      });
    const { writer, clock, append } = await rig({}, files);
    files.fail = true;
    await append(1, 1);
    for (let second = 1; second <= 3; second += 1) {
      clock.advance(999);
      await settled();
      const before = writer.state();
      expect(before.status).toBe('failing');
      clock.advance(1);
      while (tries <= second) await settled();
      await settled();
    }
    files.fail = false;
    clock.advance(1000);
    while (writer.state().status === 'failing') await settled();
    expect(writer.state()).toMatchObject({ written: 1, lost: 0 });
    await writer.finish();
  });

  it('is tried again also where the timer fires a little early', async () => {
    const files = troubledFiles();
    const path = join(await scratch(), 'x.tape.jsonl');
    const manual = new ManualClock();
    const clock = {
      now: () => manual.now(),
      wall: () => 0,
      timer: (ms: number, fire: () => void) => manual.timer(ms - 1, fire),
    };
    const writer = openTapeFile(path, { head: HEAD }, { clock, log: keepingLog(), files });
    files.fail = true;
    writer.append(record(1));
    await writer.settled?.();
    files.fail = false;
    manual.advance(999);
    while (writer.state().status === 'failing') await settled();
    await writer.finish();
  });

  it('loses what does not fit into the queue, with a gap where it is missing', async () => {
    const files = troubledFiles();
    const { writer, clock, append, numbers } = await rig({ queue: 350 }, files);
    await append(1, 1);
    files.half = true;
    await append(2, 2);
    await append(3, 20);
    const { lost, queued } = writer.state();
    expect(lost).toBeGreaterThan(10);
    expect(queued + lost).toBe(19);
    files.half = false;
    clock.advance(1000);
    while (writer.state().status === 'failing') await settled();
    await append(21, 21);
    await writer.finish();
    const kept = Array.from({ length: queued + 1 }, (_, index) => index + 1);
    expect(await numbers()).toEqual([...kept, `gap of ${lost}`, 21]);
    expect(await tapeEnd(writer.name)).toMatchObject({ lost });
  });

  it('from the first byte on loses no head', async () => {
    const files = troubledFiles();
    files.half = true;
    const { writer, clock, append, numbers } = await rig({}, files);
    await append(1, 1);
    files.half = false;
    clock.advance(1000);
    await append(2, 2);
    await writer.finish();
    expect(await numbers()).toEqual([1, 2]);
  });

  it('until the end leaves what was written, and says how it becomes a tape', async () => {
    const files = troubledFiles();
    const { writer, part, append, log } = await rig({}, files);
    await append(1, 1);
    files.half = true;
    await append(2, 2);
    await writer.finish();
    expect(await readdir(dirname(part))).toEqual(['x.tape.jsonl.part']);
    expect(writer.state()).toMatchObject({ status: 'closed', lost: 1, error: noSpace.message });
    expect(log.said.at(-1)?.message).toContain(
      `could not be finished: ${noSpace.message} (shadowcat tape recover ${part})`,
    );
    expect((await readFile(part, 'utf8')).split('\n')).toEqual([HEAD, record(1), '']);
  });

  it('leaves no torn line, even where what was written in part cannot be taken back', async () => {
    const files = troubledFiles();
    let stuck = false;
    const { writer, clock, append, numbers, path } = await rig(
      { queue: 500 },
      {
        ...files,
        write: async (fd, bytes, position) => {
          if (!stuck) return nodeFiles.write(fd, bytes, position);
          await nodeFiles.write(fd, bytes.subarray(0, bytes.length - 3), position);
          throw noSpace;
        },
        truncate: async (fd, length) => {
          if (stuck) throw noSpace;
          await nodeFiles.truncate(fd, length);
        },
      },
    );
    await append(1, 1);
    stuck = true;
    for (let n = 2; n <= 9; n += 1) writer.append(record(n));
    await writer.settled?.();
    stuck = false;
    clock.advance(1000);
    while (writer.state().status === 'failing') await settled();
    await writer.finish();
    const { lost } = writer.state();
    expect((await numbers()).slice(-1)).toEqual([`gap of ${lost}`]);
    expect((await readFile(path, 'utf8')).split('\n').slice(-2)).toEqual([expect.stringMatching(/^\{"k":"end"/), '']);
  });

  it('costs no more memory however many tapes there are', async () => {
    const folder = await scratch();
    const files = troubledFiles();
    const log = keepingLog();
    const clock = new ManualClock();
    const shelf = new TapeShelf(log, { maxHeld: 2000 });
    const writers = Array.from({ length: 10 }, (_, index) =>
      openTapeFile(join(folder, `${index}.tape.jsonl`), { head: HEAD }, { clock, log, files, shelf }),
    );
    files.fail = true;
    for (let n = 1; n <= 10; n += 1)
      for (const writer of writers) {
        writer.append(record(n));
        await writer.settled?.();
      }
    const queued = (): number => writers.reduce((sum, writer) => sum + writer.state().queued, 0);
    expect(queued()).toBe(Math.floor(2000 / record(1).length));
    expect(log.said).toHaveLength(1);
    files.fail = false;
    clock.advance(1000);
    while (writers.some((writer) => writer.state().status === 'failing')) await settled();
    expect(log.said.map(({ level }) => level)).toEqual(['error', 'info']);
    await Promise.all(writers.map((writer) => writer.finish()));
    expect(queued()).toBe(0);
  });
});

describe('a disk that is full twice', () => {
  it('is told with what was lost each time, and a later gap with its own reason', async () => {
    const files = troubledFiles();
    const { writer, clock, append, log, numbers } = await rig({ queue: 1000 }, files);
    await append(1, 1);
    const trouble = async (from: number): Promise<void> => {
      files.fail = true;
      await append(from, from + 19);
      files.fail = false;
      clock.advance(1000);
      while (writer.state().status === 'failing') await settled();
    };
    await trouble(2);
    const first = writer.state().lost;
    await trouble(22);
    const { lost } = writer.state();
    expect(first).toBeGreaterThan(0);
    expect(
      log.said.filter(({ level }) => level === 'info').map(({ message }) => /(\d+) records/.exec(message)?.[1]),
    ).toEqual([String(first), String(lost - first)]);
    let free: () => void = () => undefined;
    files.hold = new Promise((resolve) => {
      free = resolve;
    });
    for (let n = 50; n < 200; n += 1) writer.append(record(n, 1000));
    files.hold = undefined;
    free();
    await writer.settled?.();
    await writer.finish();
    expect((await numbers()).length).toBeGreaterThan(20);
    const gaps = (await readFile(writer.name, 'utf8')).split('\n').filter((line) => line.startsWith('{"k":"gap"'));
    expect(gaps.map((gap) => JSON.parse(gap).why)).toEqual([
      noSpace.message,
      noSpace.message,
      'records came faster than they could be written',
    ]);
  });
});

describe('a disk that fails once', () => {
  it.each(['EIO', 'EINTR', 'EAGAIN', 'EDQUOT', 'EROFS'])('with %s loses nothing', async (code) => {
    const files = troubledFiles();
    let failures = 1;
    const { writer, clock, append, numbers } = await rig(
      {},
      {
        ...files,
        write: async (fd, bytes, position) => {
          if (failures-- > 0) throw Object.assign(new Error(`${code}: it failed`), { code });
          await nodeFiles.write(fd, bytes, position);
        },
      },
    );
    await append(1, 3);
    expect(writer.state()).toMatchObject({ status: 'failing', error: `${code}: it failed` });
    clock.advance(1000);
    await append(4, 4);
    await writer.finish();
    expect(writer.state()).toMatchObject({ written: 4, lost: 0 });
    expect(await numbers()).toEqual([1, 2, 3, 4]);
  });
});

describe('a tape that syncs', () => {
  it('does so after each write, off the main thread, and keeps what could not be synced', async () => {
    const done: string[] = [];
    let broken = false;
    const { writer, clock, append, numbers } = await rig(
      { durable: true },
      {
        ...nodeFiles,
        writeNow: () => {
          throw new Error('never on the main thread');
        },
        write: async (fd, bytes, position) => {
          await nodeFiles.write(fd, bytes, position);
          done.push('write');
        },
        sync: async (fd) => {
          if (broken) throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
          await nodeFiles.sync(fd);
          done.push('sync');
        },
      },
    );
    await append(1, 2);
    await append(3, 3);
    expect(done).toEqual(['write', 'sync', 'write', 'sync']);
    broken = true;
    await append(4, 4);
    expect(writer.state()).toMatchObject({ status: 'failing', written: 3 });
    broken = false;
    clock.advance(1000);
    await append(5, 5);
    await writer.finish();
    expect(await numbers()).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('a place that cannot be written', () => {
  it('is reported, and written once it can be', async () => {
    const folder = join(await scratch(), 'tapes');
    const path = join(folder, 'x.tape.jsonl');
    await writeFile(folder, 'a file where a directory has to be');
    const clock = new ManualClock();
    const log = keepingLog();
    const writer = openTapeFile(path, { head: HEAD }, { clock, log });
    writer.append(record(1));
    await writer.settled?.();
    expect(writer.state()).toMatchObject({ status: 'failing', error: expect.stringMatching(/ENOTDIR|EEXIST/) });
    expect(log.said).toHaveLength(1);
    await rm(folder);
    clock.advance(1000);
    while (writer.state().status === 'failing') await settled();
    await writer.finish();
    expect(soundTape(await inspectTapeFile(path)).end).toMatchObject({ lost: 0, lines: 2 });
  });
});

describe('a tape that somebody takes away while it is written', () => {
  it.each([
    ['removed', /was removed, or renamed/, (part: string) => rm(part)],
    ['renamed', /was removed, or renamed/, (part: string) => rename(part, `${part}.mine`)],
    ['with its folder', /was removed, or renamed/, (part: string) => rm(dirname(part), { recursive: true })],
    ['cut', /was cut/, (part: string) => truncate(part, 10)],
    [
      'replaced',
      /another file was put in its place/,
      async (part: string) => {
        await rename(part, `${part}.mine`);
        await writeFile(part, 'other\n');
      },
    ],
  ])('%s is begun again, which the log and a gap tell', async (_, why, take) => {
    const { writer, part, clock, append, log, numbers, levels } = await rig({}, nodeFiles);
    await append(1, 5);
    await take(part);
    clock.advance(2000);
    while (!existsSync(part) || log.said.length === 0) await settled();
    expect(log.said[0]?.message).toMatch(why);
    expect(log.said[0]?.message).toContain('without the 5 records');
    await append(6, 7);
    await writer.finish();
    expect(await numbers()).toEqual(['gap of 5', 6, 7]);
    expect(writer.state()).toMatchObject({ status: 'closed', lost: 5, written: 7 });
    expect(levels().filter((level) => level === 'error')).toHaveLength(1);
    expect(await tapeEnd(writer.name)).toMatchObject({ lost: 5 });
  });

  it('and cut is noticed also when more was written since', async () => {
    const { writer, part, clock, append, log, numbers } = await rig({}, nodeFiles);
    await append(1, 5);
    const { size } = await stat(part);
    clock.advance(2000);
    // The checkpoint is there when the file has been looked at.
    while ((await stat(part)).size === size) await settled();
    await truncate(part, 10);
    await append(6, 9);
    clock.advance(2000);
    while (log.said.length === 0) await settled();
    await append(10, 10);
    await writer.finish();
    expect(await numbers()).toEqual(['gap of 9', 10]);
  });

  it('is noticed at the end at the latest', async () => {
    const { writer, part, append, numbers } = await rig({}, nodeFiles);
    await append(1, 5);
    await rename(part, `${part}.mine`);
    await writeFile(part, 'of somebody else\n');
    await writer.finish();
    expect(await numbers()).toEqual(['gap of 5']);
    expect(await readFile(`${part}.1`, 'utf8')).toBe('of somebody else\n');
  });
});

describe('a recording of nothing', () => {
  it('leaves the tape of that name as it was', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    await writeFile(path, 'a tape');
    const log = keepingLog();
    await openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log }).finish();
    expect(await readdir(dirname(path))).toEqual(['x.tape.jsonl']);
    expect(await readFile(path, 'utf8')).toBe('a tape');
    expect(log.said).toEqual([{ level: 'warn', message: expect.stringContaining('nothing was recorded') }]);
  });
});

describe('many tapes at once', () => {
  it('keep only so many files open, and lose nothing', async () => {
    const folder = await scratch();
    const log = keepingLog();
    const clock = new ManualClock();
    const shelf = new TapeShelf(log, { maxOpen: 4 });
    const open = new Set<number>();
    let most = 0;
    const counted = async (opening: Promise<number>): Promise<number> => {
      const fd = await opening;
      open.add(fd);
      most = Math.max(most, open.size);
      return fd;
    };
    const files: FileOps = {
      ...nodeFiles,
      create: (path) => counted(nodeFiles.create(path)),
      reopen: (path) => counted(nodeFiles.reopen(path)),
      close: (fd) => {
        open.delete(fd);
        return nodeFiles.close(fd);
      },
    };
    const writers = Array.from({ length: 20 }, (_, index) =>
      openTapeFile(join(folder, `${index}.tape.jsonl`), { head: HEAD }, { clock, log, files, shelf }),
    );
    for (let n = 1; n <= 5; n += 1)
      for (const writer of writers) {
        writer.append(record(n));
        await writer.settled?.();
      }
    expect(open.size).toBeLessThanOrEqual(5);
    await Promise.all(writers.map((writer) => writer.finish()));
    expect({ open: open.size, said: log.said }).toEqual({ open: 0, said: [] });
    for (const writer of writers) {
      const { records } = soundTape(await inspectTapeFile(writer.name));
      expect(records.filter(({ k }) => k === 'msg')).toHaveLength(5);
    }
  });

  it('close files where the system has no descriptor left, and lose nothing', async () => {
    let left = 20;
    const taken = async (opening: () => Promise<number>): Promise<number> => {
      if (left === 0) throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
      left -= 1;
      return opening();
    };
    const files: FileOps = {
      ...nodeFiles,
      create: (path) => taken(() => nodeFiles.create(path)),
      reopen: (path) => taken(() => nodeFiles.reopen(path)),
      close: async (fd) => {
        await nodeFiles.close(fd);
        left += 1;
      },
    };
    const folder = await scratch();
    const clock = new ManualClock();
    const log = keepingLog();
    const shelf = new TapeShelf(log, { maxTurns: 4 });
    const writers = Array.from({ length: 30 }, (_, index) =>
      openTapeFile(join(folder, `${index}.tape.jsonl`), { head: HEAD }, { clock, log, files, shelf }),
    );
    for (const writer of writers) writer.append(record(1));
    await Promise.all(writers.map((writer) => writer.settled?.()));
    const failing = (): number => writers.filter((writer) => writer.state().status === 'failing').length;
    expect(failing()).toBe(10);
    while (failing() > 0) {
      clock.advance(1000);
      await settled();
    }
    for (const writer of writers) writer.append(record(2));
    await Promise.all(writers.map((writer) => writer.settled?.()));
    await Promise.all(writers.map((writer) => writer.finish()));
    expect(writers.map((writer) => writer.state())).toMatchObject(writers.map(() => ({ written: 2, lost: 0 })));
    expect(log.said[0]?.message).toContain('too many open files');
    expect(log.said.filter(({ message }) => message.includes('finished'))).toEqual([]);
  });
});

async function tapeEnd(path: string) {
  return (await inspectTapeFile(path)).end;
}
