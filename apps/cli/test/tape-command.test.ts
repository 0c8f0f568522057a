import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '@shadowcat/kernel';
import { openTapeFile } from '@shadowcat/tape-file';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../src/stack/system.js';
import { printable } from '../src/tapes/render.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const HEAD =
  '{"k":"head","v":1,"form":"capture","requires":[],"scope":"all","at":"2026-11-21T10:00:00.000Z","by":"test"}';
const RECORDS = [
  '{"k":"sess","t":0,"s":"s1","era":"legacy","version":"2025-11-25","client":{"name":"c","version":"1"},"server":{"name":"s","version":"2"}}',
  '{"k":"http","t":10,"s":"s1","x":"e1","from":"client","method":"POST","target":"/mcp","headers":{}}',
  '{"k":"msg","t":0,"s":"s1","x":"e1","from":"client","m":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read\\u001b[2J\\nfile"}}}',
  '{"k":"http","t":1500000,"s":"s1","x":"e1","from":"server","status":200,"headers":{}}',
  '{"k":"msg","t":0,"s":"s1","x":"e1","from":"server","m":{"jsonrpc":"2.0","id":1,"result":{}}}',
];
const EXIT = '{"k":"x-","t":5,"s":"s1","x":"e1","end":"answered"}';

async function writeTape(path: string, records: readonly string[]): Promise<void> {
  const writer = openTapeFile(path, { head: HEAD }, { clock: systemClock, log: silentLog });
  for (const record of records) writer.append(record);
  await writer.finish();
}

async function directoryOfTapes(): Promise<string> {
  const directory = emptyDirectory({ 'other.txt': '', 'no.tape.jsonl': 'no tape\n', 'shadowcat.yaml': 'broken: [\n' });
  await writeTape(join(directory, 'whole.tape.jsonl'), [...RECORDS, EXIT]);
  await writeTape(join(directory, 'cut.tape.jsonl'), RECORDS);
  const cut = join(directory, 'cut.tape.jsonl');
  truncateSync(cut, readFileSync(cut, 'utf8').lastIndexOf('{"k":"end"') + 4);
  return directory;
}

describe('tape show', () => {
  it('shows sessions and exchanges, without what would steer a terminal', async () => {
    const { code, out, err } = await shadowcat(['tape', 'show', 'whole.tape.jsonl'], { cwd: await directoryOfTapes() });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('whole.tape.jsonl: capture, format 1, recorded 2026-11-21T10:00:00.000Z\n');
    expect(out).toContain('session s1: legacy 2025-11-25, client c 1, server s 2\n');
    const row = out.split('\n').find((line) => line.includes('tools/call'));
    expect(row?.replaceAll(/ {2,}/g, ' | ')).toBe(
      '3 | s1 | tools/call | read\\u001b[2J\\u000afile | 200 | 2 | +0 ms | 1.5 s | answered',
    );
  });

  it('shows what there is of a tape that was cut, says where, and exits with 3', async () => {
    const { code, out, err } = await shadowcat(['tape', 'show', 'cut.tape.jsonl'], { cwd: await directoryOfTapes() });
    expect(code).toBe(3);
    expect(out).toContain('tools/call');
    expect(err).toMatch(
      /^shadowcat: cut.tape.jsonl:\d+: .*cut off\nKeep what is whole with: shadowcat tape recover cut.tape.jsonl\n$/,
    );
  });

  it('is JSON if asked', async () => {
    const { out } = await shadowcat(['tape', 'show', 'whole.tape.jsonl', '--format', 'json'], {
      cwd: await directoryOfTapes(),
    });
    expect(JSON.parse(out)).toMatchObject({ whole: true, exchanges: [{ method: 'tools/call', end: 'answered' }] });
  });

  it.each([
    ['no.tape.jsonl', 3, /no\.tape\.jsonl:1: /],
    ['none.tape.jsonl', 2, /there is no tape none\.tape\.jsonl/],
    ['.', 2, /\. is a directory/],
  ])('of %s exits with %d', async (name, code, message) => {
    const outcome = await shadowcat(['tape', 'show', name], { cwd: await directoryOfTapes() });
    expect(outcome.code).toBe(code);
    expect(outcome.err).toMatch(message);
  });
});

describe('tape ls', () => {
  it('lists the tapes of a directory and the state they are in', async () => {
    const { code, out } = await shadowcat(['tape', 'ls', '.'], { cwd: await directoryOfTapes() });
    expect(code).toBe(0);
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(rows.map((row) => [row[0], row[2], row[5]])).toEqual([
      ['TAPE', 'EXCHANGES', 'STATE'],
      ['cut.tape.jsonl', '1', 'truncated'],
      ['no.tape.jsonl', '-', expect.stringContaining('no.tape.jsonl:1')],
      ['whole.tape.jsonl', '1', 'whole'],
    ]);
  });

  it('is JSON if asked', async () => {
    const { out } = await shadowcat(['tape', 'ls', '.', '--format', 'json'], { cwd: await directoryOfTapes() });
    expect((JSON.parse(out) as { path: string }[]).map(({ path }) => path)).toEqual([
      'cut.tape.jsonl',
      'no.tape.jsonl',
      'whole.tape.jsonl',
    ]);
  });

  it('says when there are none, or no directory', async () => {
    expect(await shadowcat(['tape', 'ls', '.'])).toMatchObject({ code: 0, err: 'no tapes in .\n' });
    expect(await shadowcat(['tape', 'ls', 'nope'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('there is no directory nope'),
    });
    expect(await shadowcat(['tape', 'ls'])).toMatchObject({
      code: 2,
      err: "shadowcat: missing required argument 'dir'; `shadowcat tape ls --help` shows what it takes\n",
    });
  });
});

describe('tape recover', () => {
  it('makes a tape again, which is whole then', async () => {
    const cwd = await directoryOfTapes();
    writeFileSync(join(cwd, 'live.tape.jsonl.part'), readFileSync(join(cwd, 'cut.tape.jsonl')));
    const recovered = await shadowcat(['tape', 'recover', 'live.tape.jsonl.part'], { cwd });
    expect(recovered).toMatchObject({ code: 0, out: 'live.tape.jsonl\n' });
    expect(recovered.err).toMatch(/^kept \d+ records, gave up 4 bytes at the end, 1 exchanges were not finished\n$/);
    const shown = await shadowcat(['tape', 'show', 'live.tape.jsonl'], { cwd });
    expect(shown).toMatchObject({ code: 0, err: '' });
    expect(shown.out).toContain('recovered');
    expect(shown.out).toContain('open-at-end');
  });

  it('writes where -o says, and over nothing', async () => {
    const cwd = await directoryOfTapes();
    const argv = ['tape', 'recover', 'cut.tape.jsonl', '-o', 'mended.tape.jsonl'];
    expect(await shadowcat(argv, { cwd })).toMatchObject({ code: 0, out: 'mended.tape.jsonl\n' });
    expect(existsSync(join(cwd, 'mended.tape.jsonl'))).toBe(true);
    expect(await shadowcat(argv, { cwd })).toMatchObject({
      code: 2,
      err: expect.stringContaining('mended.tape.jsonl is there already'),
    });
  });

  it('has nothing to do for a tape that is whole', async () => {
    const { code, err } = await shadowcat(['tape', 'recover', 'whole.tape.jsonl'], { cwd: await directoryOfTapes() });
    expect({ code, err }).toEqual({ code: 3, err: expect.stringContaining('there is nothing to recover') });
  });
});

it('what a tape holds cannot steer a terminal', () => {
  expect(printable('a\u001b[31mb\tc\nd\u202ee\u0085f')).toBe('a\\u001b[31mb\\u0009c\\u000ad\\u202ee\\u0085f');
  expect(printable('größer 日本 🙂')).toBe('größer 日本 🙂');
});
