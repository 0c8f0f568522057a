import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '@shadowcat/kernel';
import { soundTape } from '@shadowcat/tape';
import { ManualClock, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { type FileOps, inspectTapeFile, openTapeFile, type TapeFileOptions } from '../src/index.js';
import { TapeShelf } from '../src/tape-shelf.js';
import { backgroundFiles, HEAD, keepingLog, record, scratch } from './support/rig.js';

type Step = 'create' | 'write' | 'sync' | 'rename' | 'close' | 'identify';

/** The file system, one step of which does not answer until it is told to. */
function hangingFiles(): FileOps & { hang: Step | undefined; answer(): void } {
  let waiting: (() => void)[] = [];
  const files = {
    ...backgroundFiles,
    hang: undefined as Step | undefined,
    answer() {
      files.hang = undefined;
      for (const go of waiting.splice(0)) go();
      waiting = [];
    },
  };
  const held =
    <A extends unknown[], R>(step: Step, work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (files.hang === step) await new Promise<void>((resolve) => waiting.push(resolve));
      return work(...args);
    };
  return Object.assign(files, {
    create: held('create', backgroundFiles.create),
    write: held('write', backgroundFiles.write),
    sync: held('sync', backgroundFiles.sync),
    rename: held('rename', backgroundFiles.rename),
    close: held('close', backgroundFiles.close),
    identify: held('identify', backgroundFiles.identify),
  });
}

async function rig(options: Partial<TapeFileOptions> & { hang?: Step; maxOpen?: number } = {}) {
  const { hang, maxOpen, ...own } = options;
  const path = join(await scratch(), 'x.tape.jsonl');
  const clock = new ManualClock();
  const log = keepingLog();
  const files = hangingFiles();
  files.hang = hang;
  const shelf = new TapeShelf(log, maxOpen === undefined ? {} : { maxOpen });
  const writer = openTapeFile(path, { head: HEAD, ...own }, { clock, log, files, shelf });
  const numbers = async (): Promise<string[]> => {
    const { records } = soundTape(await inspectTapeFile(path));
    return records.flatMap((found) => (found.k === 'msg' ? found.x : found.k === 'gap' ? `gap of ${found.lost}` : []));
  };
  return { path, clock, log, files, shelf, writer, numbers };
}

/** Whether it has settled once everything that can happen has happened. */
async function isSettled(promise: Promise<unknown> | undefined): Promise<boolean> {
  let done = promise === undefined;
  void promise?.then(() => {
    done = true;
  });
  for (let turn = 0; turn < 20; turn += 1) await settled();
  return done;
}

describe('a file system that does not answer', () => {
  it('when a tape is opened holds callers for five seconds, and then no more', async () => {
    const { clock, writer, files, log, numbers } = await rig({ hang: 'create' });
    writer.append(record(1));
    const room = writer.room();
    const settledAll = writer.settled?.();
    expect(await isSettled(room)).toBe(false);
    await clock.pass(4_000);
    expect(await isSettled(room)).toBe(false);
    expect(writer.state().status).toBe('ok');
    await clock.pass(1_000);
    expect(await isSettled(room)).toBe(true);
    expect(await isSettled(settledAll)).toBe(true);
    expect(writer.room()).toBeUndefined();
    expect(writer.state()).toMatchObject({ status: 'failing', error: expect.stringContaining('not answered') });
    writer.append(record(2));
    files.answer();
    while (writer.state().status === 'failing') await settled();
    expect(log.said.map(({ level }) => level)).toEqual(['error', 'info']);
    expect(log.said[1]?.message).toContain('nothing is lost');
    await writer.finish();
    expect(await numbers()).toEqual(['1', '2']);
    expect(clock.pending).toBe(0);
  });

  it.each(['write', 'sync'] as const)(
    'in the middle of a %s lets the traffic go on, and loses what does not fit',
    async (step) => {
      const { clock, writer, files, numbers } = await rig({ queue: 1000, durable: true });
      writer.append(record(1));
      await writer.settled?.();
      files.hang = step;
      for (let n = 2; n <= 3; n += 1) writer.append(record(n, 600));
      await isSettled(undefined);
      for (let n = 4; n <= 5; n += 1) writer.append(record(n, 600));
      const room = writer.room();
      expect(await isSettled(room)).toBe(false);
      await clock.pass(5_000);
      expect(await isSettled(room)).toBe(true);
      for (let n = 6; n <= 9; n += 1) writer.append(record(n, 600));
      expect(writer.room()).toBeUndefined();
      expect(writer.state()).toMatchObject({ status: 'failing', lost: 5 });
      files.answer();
      while (writer.state().status === 'failing') await settled();
      writer.append(record(10));
      await writer.settled?.();
      await writer.finish();
      expect(await numbers()).toEqual(['1', '2', '3', '4', 'gap of 5', '10']);
      expect(clock.pending).toBe(0);
    },
  );

  it('is not what a process sees that was stopped, and goes on', async () => {
    const path = join(await scratch(), 'x.tape.jsonl');
    let alarms: (() => void)[] = [];
    const timer = (_: number, fire: () => void): Timer => {
      alarms.push(fire);
      const cancel = (): void => {
        alarms = alarms.filter((other) => other !== fire);
      };
      return { cancel };
    };
    const clock: Clock = { now: () => 0, wall: () => 0, timer };
    const [log, files] = [keepingLog(), hangingFiles()];
    const writer = openTapeFile(path, { head: HEAD, durable: true }, { clock, log, files });
    writer.append(record(1));
    await writer.settled?.();
    files.hang = 'write';
    writer.append(record(2));
    await isSettled(undefined);
    // What is due fires at once, before the answer is seen that came meanwhile.
    for (const fire of alarms.splice(0)) fire();
    files.answer();
    await writer.settled?.();
    expect(log.said).toEqual([]);
    expect(writer.state()).toMatchObject({ status: 'ok', written: 2 });
    await writer.finish();
  });

  it.each(['write', 'sync', 'rename', 'identify'] as const)(
    'to the %s of a tape that ends holds up nobody for ever',
    async (step) => {
      const { clock, writer, files, log, path, numbers } = await rig();
      writer.append(record(1));
      await writer.settled?.();
      files.hang = step;
      writer.append(record(2));
      if (step !== 'write') await writer.settled?.();
      const finished = writer.finish();
      expect(await isSettled(finished)).toBe(false);
      await clock.pass(30_000);
      expect(await isSettled(finished)).toBe(true);
      expect(writer.state().status).toBe('closed');
      expect(log.said.at(-1)?.message).toMatch(/could not be finished: .*not answered/);
      expect(existsSync(path)).toBe(false);
      expect(clock.pending).toBe(0);
      // What is still under way may go on, and leaves no half of a tape.
      files.answer();
      await isSettled(undefined);
      if (step !== 'write') while (!existsSync(path)) await settled();
      if (step !== 'write') expect(await numbers()).toEqual(['1', '2']);
    },
  );

  it('when it is asked for a file keeps that file open: its descriptor must not become that of another', async () => {
    const { clock, writer, files, shelf } = await rig({ maxOpen: 1 });
    let closed = 0;
    const { close } = files;
    files.close = (fd) => {
      closed += 1;
      return close(fd);
    };
    writer.append(record(1));
    await writer.settled?.();
    files.hang = 'identify';
    clock.advance(1005);
    await isSettled(undefined);
    shelf.opened({ rest: () => undefined });
    await isSettled(undefined);
    expect(closed).toBe(0);
    files.answer();
    while (closed === 0) await settled();
    writer.append(record(2));
    await writer.settled?.();
    await writer.finish();
  });

  it('when a tape rests holds up what comes next for five seconds only', async () => {
    const { clock, writer, files, path, shelf } = await rig({ maxOpen: 1 });
    writer.append(record(1));
    await writer.settled?.();
    files.hang = 'close';
    shelf.opened({ rest: () => undefined });
    writer.append(record(2));
    const room = writer.room();
    expect(await isSettled(room)).toBe(false);
    await clock.pass(5_000);
    expect(await isSettled(room)).toBe(true);
    files.answer();
    while (writer.state().status === 'failing') await settled();
    await writer.finish();
    expect(existsSync(path)).toBe(true);
  });
});
