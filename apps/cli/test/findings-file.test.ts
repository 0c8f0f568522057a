import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '@shadowcat/kernel';
import { Tally } from '@shadowcat/shadow';
import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { FindingsFile } from '../src/stack/findings-file.js';
import { emptyDirectory } from './support/fake-host.js';

const look = { method: 'tools/call', tool: 'look' };

function summed(path: string): { readonly compared: number; readonly lines: number; readonly unreadable: number } {
  const text = readFileSync(path, 'utf8');
  const tally = new Tally();
  const unreadable = tally.add(text);
  const lines = text.split('\n').filter((line) => line !== '').length;
  return { compared: tally.compared.reduce((sum, row) => sum + row.compared, 0), lines, unreadable };
}

function bench(maxBytes?: number, folder = emptyDirectory()) {
  const clock = new ManualClock();
  const path = join(folder, 'deep', 'shadow.jsonl');
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (_details: object, message: string) => void warnings.push(message) };
  const open = (): FindingsFile =>
    new FindingsFile(maxBytes === undefined ? { path } : { path, maxBytes }, { clock, log });
  return { clock, path, warnings, open, folder };
}

const count = (file: FindingsFile): void => file.count((tally, at) => tally.answered(look, [], at));

describe('a file of findings', () => {
  it('gets them in batches, for its owner only', async () => {
    const { clock, path, open } = bench();
    const file = open();
    for (let step = 0; step < 5; step += 1) count(file);
    expect(clock.pending).toBe(1);
    await file.close();
    expect(summed(path)).toEqual({ compared: 5, lines: 1, unreadable: 0 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(clock.pending).toBe(0);
  });

  it('is gone on with, by several and after a line that was cut off', async () => {
    const { path, open } = bench();
    const [one, other] = [open(), open()];
    count(one);
    await one.close();
    appendFileSync(path, '{"k":"compa');
    count(other);
    await other.close();
    expect(summed(path)).toEqual({ compared: 2, lines: 3, unreadable: 1 });
  });

  it('is written by the clock', async () => {
    const { clock, path, open } = bench();
    const file = open();
    count(file);
    await clock.pass(2000);
    await expect.poll(() => summed(path).compared).toBe(1);
    await file.close();
  });

  it('is added up when it has grown, and nothing is lost', async () => {
    const { path, open, folder } = bench(500);
    for (let step = 0; step < 10; step += 1) {
      const file = open();
      count(file);
      await file.close();
    }
    const { compared, lines } = summed(path);
    expect(compared).toBe(10);
    expect(lines).toBeLessThan(6);
    expect(readdirSync(join(folder, 'deep'))).toEqual(['shadow.jsonl']);
  });

  it('keeps what cannot be written for later, and says so once', async () => {
    const { clock, path, open, warnings, folder } = bench();
    writeFileSync(join(folder, 'deep'), 'in the way');
    const file = open();
    for (let step = 0; step < 3; step += 1) {
      count(file);
      await clock.pass(2000);
    }
    await expect.poll(() => warnings.length).toBe(1);
    const { rmSync } = await import('node:fs');
    rmSync(join(folder, 'deep'));
    mkdirSync(join(folder, 'deep'));
    await file.close();
    expect(summed(path).compared).toBe(3);
    expect(warnings).toHaveLength(1);
  });

  it('that is a pipe without a reader holds nothing up', async () => {
    const { path, open, warnings, folder } = bench();
    mkdirSync(join(folder, 'deep'));
    execFileSync('mkfifo', [path]);
    const file = open();
    count(file);
    await file.close();
    expect(warnings).toEqual([expect.stringContaining('cannot be written'), expect.stringContaining('are lost')]);
  });

  it('counts nothing twice when only a part of a batch could be written', async () => {
    const { clock, path, open, warnings, folder } = bench();
    mkdirSync(join(folder, 'deep'));
    execFileSync('mkfifo', [path]);
    // A pipe takes 64 KiB, in the middle of a line, until somebody reads.
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const tally = new Tally();
    const bytes = Buffer.alloc(1024 * 1024);
    const take = (): string => bytes.subarray(0, readSync(reader, bytes)).toString();
    const file = open();
    for (let tool = 0; tool < 600; tool += 1) {
      file.count((into, at) => into.answered({ method: 'tools/call', tool: `tool-${tool}` }, [], at));
    }
    await clock.pass(2000);
    await expect.poll(() => warnings.length).toBe(1);
    let text = take();
    count(file);
    await file.close();
    text += take();
    closeSync(reader);
    expect(tally.add(text)).toBe(1);
    expect(tally.compared.map(({ compared }) => compared)).toEqual(Array(601).fill(1));
  });
});
