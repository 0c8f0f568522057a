import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@shadowcat/kernel';
import { createOffload, type Offload } from '@shadowcat/offload';
import { ManualClock } from '@shadowcat/testkit';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openTapeFile } from '../src/file-writer.js';
import { formatTapeFile } from '../src/format-file.js';
import { readTapeFile } from '../src/read-file.js';
import { openRedaction } from '../src/redaction.js';
import { redactTapeFile, scanTapeFile } from '../src/secrets-file.js';
import { loadTapeKey, type TapeKey } from '../src/tape-key.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'shadowcat-secrets-'));
  folders.push(made);
  return made;
}

const HEAD = '{"k":"head","v":1,"form":"capture","requires":[],"scope":"all","at":"2026-11-21T10:00:00.000Z"}';
const PLANTED = 'pl4nted-S3cret-9';
const record = (id: number, m: string, from = 'client'): string =>
  `{"k":"msg","t":5,"s":"s1","x":"${id}","from":"${from}","m":${m}}`;
const asked = (id: number, args: string): string =>
  `{"jsonrpc":"2.0", "id":${id},"method":"tools/call","params":{"name":"a","arguments":${args}}}`;
const RECORDS = [
  '{"k":"conn","t":0,"s":"s1","event":"opened","by":"client"}',
  '{"k":"http","t":1,"s":"s1","x":"1","from":"client","method":"POST","target":"/mcp","headers":{}}',
  record(1, asked(1, '{"n":1.0}')),
  record(1, '{"jsonrpc":"2.0","id":1,"result":{"a":9007199254740993}}', 'server'),
  '{"k":"x-","t":1,"s":"s1","x":"1","end":"answered"}',
  '{"k":"http","t":1,"s":"s1","x":"2","from":"client","method":"POST","target":"/mcp","headers":{}}',
  record(2, asked(2, `{"api_key":"${PLANTED}"}`)),
  record(2, `{"jsonrpc":"2.0","id":2,"result":{"text":"${'x'.repeat(20_000)} token=${PLANTED}"}}`, 'server'),
  '{"k":"x-","t":1,"s":"s1","x":"2","end":"answered"}',
  `{"k":"err","t":1,"s":"s1","text":"login https://u:${PLANTED}@example.com/"}`,
];

async function writeTape(path: string, records: readonly string[] = RECORDS): Promise<void> {
  const writer = openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log: silentLog });
  for (const line of records) writer.append(line);
  await writer.finish();
}

const keyOf = (directory: string): Promise<TapeKey> => loadTapeKey({ directory });

/** What is in all files of a directory together, the key aside. */
function everythingIn(directory: string): string {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'tape.key')
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
}

describe('a scan', () => {
  it('finds each secret with line, pointer and kind, and never says what it is', async () => {
    const path = join(folder(), 'a.tape.jsonl');
    await writeTape(path);
    const found = await scanTapeFile(path, {});
    expect(found).toEqual([
      { line: 8, kind: 'key', name: 'api_key', pointer: '/m/params/arguments/api_key' },
      { line: 9, kind: 'assignment', name: 'token', pointer: '/m/result/text' },
      { line: 11, kind: 'url-password', pointer: '/text' },
    ]);
    expect(await scanTapeFile(path, { allow: ['api key', 'token'] })).toHaveLength(1);
    expect(await scanTapeFile(path, { patterns: ['2\\.0'] })).toHaveLength(3 + 4);
  });

  it('looks into blobs, and at tapes that are cut or were never finished', async () => {
    const directory = folder();
    const path = join(directory, 'a.tape.jsonl');
    await writeTape(path);
    writeFileSync(`${path}.part`, readFileSync(path).subarray(0, -40));
    expect(await scanTapeFile(`${path}.part`, {})).toHaveLength(3);
    const torn = readFileSync(path, 'utf8');
    writeFileSync(`${path}.part`, torn.slice(0, torn.indexOf(PLANTED) + PLANTED.length));
    expect(await scanTapeFile(`${path}.part`, {})).toHaveLength(1);
    await formatTapeFile(path);
    const found = await scanTapeFile(path, {});
    expect(found.filter(({ kind }) => kind === 'key')).toMatchObject([{ pointer: '/m/params/arguments/api_key' }]);
    expect(found.filter(({ blob }) => blob !== undefined)).toMatchObject([{ kind: 'assignment', pointer: '' }]);
  });
});

describe('redacting a tape', () => {
  it('leaves no secret and nothing else changed, and is done once', async () => {
    const directory = folder();
    const path = join(directory, 'a.tape.jsonl');
    await writeTape(path);
    chmodSync(path, 0o640);
    const before = readFileSync(path, 'utf8').split('\n');
    const key = await keyOf(directory);
    const made = await redactTapeFile(path, { rules: {}, key });
    expect(made.hidden.map(({ kind }) => kind)).toEqual(['key', 'assignment', 'url-password']);
    expect(everythingIn(directory)).not.toContain(PLANTED);
    const after = readFileSync(path, 'utf8').split('\n');
    const changed = after.flatMap((line, at) => (line === before[at] ? [] : [at + 1]));
    expect(changed).toEqual([1, 8, 9, 11, 12]);
    const tape = await readTapeFile(path);
    expect(tape.head.redaction).toEqual({ policy: 'default@3', key: key.id });
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(await scanTapeFile(path, {})).toEqual([]);
    expect(await redactTapeFile(path, { rules: {}, key })).toEqual({ out: path, hidden: [], left: [] });
    expect(readFileSync(path, 'utf8').split('\n')).toEqual(after);
  });

  it('writes elsewhere when asked, and leaves the tape alone', async () => {
    const directory = folder();
    const [path, out] = [join(directory, 'a.tape.jsonl'), join(directory, 'b.tape.jsonl')];
    await writeTape(path);
    const before = readFileSync(path, 'utf8');
    await redactTapeFile(path, { rules: {}, key: await keyOf(directory), out });
    expect(readFileSync(path, 'utf8')).toBe(before);
    expect(await scanTapeFile(out, {})).toEqual([]);
  });

  it('keeps checkpoints right', async () => {
    const directory = folder();
    const path = join(directory, 'a.tape.jsonl');
    const many = Array.from({ length: 300 }, (_, at) => `{"k":"err","t":1,"s":"s1","text":"TOKEN=${PLANTED}${at}"}`);
    const writer = openTapeFile(path, { head: HEAD }, { clock: new ManualClock(), log: silentLog });
    for (const line of [...RECORDS, ...many]) {
      writer.append(line);
      // A checkpoint comes between two batches.
      while (writer.state().queued > 0) await new Promise(setImmediate);
    }
    await writer.finish();
    expect(readFileSync(path, 'utf8')).toContain('"k":"ckpt"');
    await redactTapeFile(path, { rules: {}, key: await keyOf(directory) });
    expect((await readTapeFile(path)).records).toHaveLength(RECORDS.length + 300 + 3);
  });

  it('makes the blobs of a golden tape anew, and removes those with secrets unless another tape needs them', async () => {
    const directory = folder();
    const [path, other] = [join(directory, 'a.tape.jsonl'), join(directory, 'b.tape.jsonl')];
    await writeTape(path);
    await writeTape(other);
    await formatTapeFile(path);
    await formatTapeFile(other);
    const key = await keyOf(directory);
    const first = await redactTapeFile(path, { rules: {}, key });
    expect(first.left).toHaveLength(1);
    expect(existsSync(join(directory, first.left[0] ?? ''))).toBe(true);
    expect((await readTapeFile(other)).problems).toEqual([]);
    expect((await redactTapeFile(other, { rules: {}, key })).left).toEqual([]);
    expect(everythingIn(directory)).not.toContain(PLANTED);
    for (const tape of [path, other]) {
      expect((await readTapeFile(tape)).problems).toEqual([]);
      expect(await scanTapeFile(tape, {})).toEqual([]);
      const text = readFileSync(tape, 'utf8');
      await formatTapeFile(tape);
      expect(readFileSync(tape, 'utf8')).toBe(text);
    }
  });

  it('refuses a tape that was changed or cut, and one whose placeholders are of another key', async () => {
    const directory = folder();
    const path = join(directory, 'a.tape.jsonl');
    await writeTape(path);
    const key = await keyOf(directory);
    const whole = readFileSync(path, 'utf8');
    writeFileSync(path, whole.replace('1.0', '1.5'));
    await expect(redactTapeFile(path, { rules: {}, key })).rejects.toThrow(/changed after/);
    writeFileSync(path, whole.slice(0, -50));
    await expect(redactTapeFile(path, { rules: {}, key })).rejects.toThrow(/cut/);
    writeFileSync(path, whole);
    await redactTapeFile(path, { rules: { allow: ['token'] }, key });
    const another = await keyOf(folder());
    await expect(redactTapeFile(path, { rules: {}, key: another })).rejects.toThrow(/another key/);
  });
});

describe('redaction of large texts', () => {
  it('happens on a worker and gives the same', async () => {
    const key = await keyOf(folder());
    const hooks = new URL('./support/source-hooks.mjs', import.meta.url).href;
    const module = new URL('../src/tape-worker.ts', import.meta.url);
    const redaction = openRedaction(
      { keys: ['employee'] },
      key,
      createOffload({ module, execArgv: ['--import', hooks] }),
    );
    const text = JSON.stringify({ employee: PLANTED, text: 'x'.repeat(100_000), list: [`token=${PLANTED}`] });
    try {
      expect(redaction.later('{"employee":"x"}')).toBeUndefined();
      expect(redaction.later(JSON.stringify({ text: 'x '.repeat(10_000) }))).toBeUndefined();
      const many = JSON.stringify({ text: `token=${PLANTED} `.repeat(1000) });
      expect(await redaction.later(many)).toBe(redaction.redactor.json(many));
      const redacted = await redaction.later(text);
      expect(redacted).toBe(redaction.redactor.json(text));
      expect(redacted).not.toContain(PLANTED);
    } finally {
      await redaction.close();
    }
  });

  it('gives each large message its time from when the worker is free for it', async () => {
    const jobs: { readonly timed: boolean; readonly done: PromiseWithResolvers<string> }[] = [];
    const run = (_name: string, input: unknown, { signal }: { signal?: AbortSignal } = {}): Promise<never> => {
      if ((input as { text: string }).text === '""') return Promise.resolve('""' as never);
      const done = Promise.withResolvers<string>();
      jobs.push({ timed: signal !== undefined, done });
      return done.promise as Promise<never>;
    };
    const close = (): Promise<void> => Promise.resolve();
    const offload: Offload = { run, close, [Symbol.asyncDispose]: close };
    const redaction = openRedaction({}, await keyOf(folder()), offload);
    const text = JSON.stringify('x'.repeat(100_000));
    const [slow, behind] = [redaction.later(text), redaction.later(text)];
    await vi.waitFor(() => expect(jobs.length).toBeGreaterThan(0));
    await new Promise((resolve) => setImmediate(resolve));
    expect(jobs).toMatchObject([{ timed: true }]);
    jobs[0]?.done.reject(new Error('too slow'));
    await expect(slow).rejects.toThrow('too slow');
    await vi.waitFor(() => expect(jobs.length).toBe(2));
    jobs[1]?.done.resolve('made');
    expect(await behind).toBe('made');
  });
});
