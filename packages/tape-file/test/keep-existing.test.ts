import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@shadowcat/kernel';
import { ManualClock } from '@shadowcat/testkit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { tapeOpener } from '../src/tape-opener.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keep-existing-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const head = '{"k":"head","v":1,"form":"capture","requires":[]}';

function open(existing: 'keep' | 'replace', note: string) {
  const out = join(folder, 'x.tape.jsonl');
  const writer = tapeOpener(out, { existing }, { clock: new ManualClock(), log: silentLog })('all', head);
  void writer.append(`{"k":"note","text":"${note}"}`);
  return writer;
}

const tapes = async (): Promise<Record<string, string | undefined>> => {
  const names = (await readdir(folder)).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return Object.fromEntries(names.map((name, at) => [name, /"text":"(\w+)"/.exec(texts[at] ?? '')?.[1]]));
};

it('gives each of several recordings at once a tape of its own', async () => {
  const writers = [open('keep', 'a'), open('keep', 'b'), open('keep', 'c')];
  await Promise.all(writers.map((writer) => writer.finish()));
  expect(await tapes()).toEqual({ 'x.tape.jsonl': 'a', 'x.2.tape.jsonl': 'b', 'x.3.tape.jsonl': 'c' });
});

it('keeps a finished tape', async () => {
  await open('keep', 'a').finish();
  await open('keep', 'b').finish();
  expect(await tapes()).toEqual({ 'x.tape.jsonl': 'a', 'x.2.tape.jsonl': 'b' });
});

it('replaces a finished tape where a recording is made again', async () => {
  await open('replace', 'a').finish();
  await open('replace', 'b').finish();
  expect(await tapes()).toEqual({ 'x.tape.jsonl': 'b' });
});
