import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { importFile } from '../src/import-file.js';
import { loadTapeKey } from '../src/tape-key.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const ASK = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const LARGE = 'x'.repeat(40_000);
const ANSWER = `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"large":"${LARGE}"}}`;

/** A typed netstring. */
const net = (content: string | Buffer, type = ','): Buffer => {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes, Buffer.from(type)]);
};
const list = (...items: readonly Buffer[]): Buffer => net(Buffer.concat(items), ']');
const dictionary = (members: Readonly<Record<string, Buffer>>): Buffer =>
  net(Buffer.concat(Object.entries(members).flatMap(([key, value]) => [net(key, ';'), value])), '}');

/** A flow of mitmproxy whose answer is encoded. */
function flow(encoding: string, answer: Buffer): Buffer {
  const time = { timestamp_start: net('1700000000.5', '^'), timestamp_end: net('1700000001', '#') };
  const type = list(net('Content-Type'), net('application/json'));
  return dictionary({
    version: net('17', '#'),
    type: net('http', ';'),
    request: dictionary({
      ...time,
      host: net('a.example', ';'),
      port: net('80', '#'),
      scheme: net('http'),
      method: net('POST'),
      path: net('/mcp'),
      headers: list(),
      content: net(ASK),
    }),
    response: dictionary({
      ...time,
      status_code: net('200', '#'),
      headers: list(type, list(net('Content-Encoding'), net(encoding))),
      content: net(answer),
    }),
    error: net('', '~'),
  });
}

async function imported(bytes: Buffer | string): Promise<{ text: string; blobs: number; losses: readonly string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'shadowcat-import-'));
  folders.push(folder);
  const [file, out] = [join(folder, 'flows'), join(folder, 'flows.tape.jsonl')];
  writeFileSync(file, bytes);
  const key = await loadTapeKey({ directory: folder, value: '0'.repeat(64) });
  const { blobs, losses } = await importFile([file], { out, rules: {}, key, by: 'test' });
  return { text: readFileSync(out, 'utf8'), blobs, losses };
}

describe('importing a file', () => {
  it.each([
    ['identity', (text: string) => Buffer.from(text)],
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
    ['gzip, br', (text: string) => brotliCompressSync(gzipSync(text))],
  ])('decodes bodies that are in %s, and puts large values beside the tape', async (encoding, pack) => {
    const { text, blobs, losses } = await imported(flow(encoding, pack(ANSWER)));
    expect(losses).toEqual([]);
    expect(blobs).toBe(1);
    expect(text).toContain('"end":"answered"');
    expect(text).not.toContain(LARGE);
  });

  it.each([
    ['is no gzip', 'gzip', Buffer.from('no gzip at all')],
    ['is in a coding that nobody knows', 'rot13', Buffer.from(ANSWER)],
    ['becomes larger than a message may be', 'gzip', gzipSync(Buffer.alloc(40_000_000))],
  ])('leaves a body out that %s', async (_, encoding, body) => {
    const { text, losses } = await imported(flow(encoding, body));
    expect(losses[0]).toBe('1 body could not be decoded: left out');
    expect(text).toContain('"end":"reset"');
  });

  it('refuses a file that is too large, packed or not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shadowcat-import-'));
    folders.push(folder);
    const file = join(folder, 'large.har');
    writeFileSync(file, '');
    truncateSync(file, 268_435_457);
    const key = await loadTapeKey({ directory: folder, value: '0'.repeat(64) });
    const options = { out: join(folder, 'x.tape.jsonl'), rules: {}, key, by: 'test' };
    await expect(importFile([file], options)).rejects.toThrow('large.har: it is larger than 268435456 bytes');
    writeFileSync(file, gzipSync(Buffer.alloc(268_435_457)));
    await expect(importFile([file], options)).rejects.toThrow('large.har: it is compressed and cannot be unpacked');
  });

  it('refuses flows whose bodies are more, once decoded, than it reads', async () => {
    const bomb = flow('gzip', gzipSync(Buffer.concat([Buffer.from(ANSWER), Buffer.alloc(34_000_000, ' ')])));
    await expect(imported(Buffer.concat(Array(9).fill(bomb)))).rejects.toThrow(
      'flows: its bodies are more than 268435456 bytes when they are decoded',
    );
  });

  it('decodes no bodies of other traffic', async () => {
    const unread = flow('gzip', Buffer.from('this is no gzip')).toString('latin1');
    const other = Buffer.from(unread.replace(ASK, 'x'.repeat(ASK.length)), 'latin1');
    const { losses } = await imported(Buffer.concat([flow('identity', Buffer.from(ANSWER)), other]));
    expect(losses).toEqual(['1 flow was no MCP and left out']);
  });

  it('refuses a body with more codings than anything sends', async () => {
    const { losses } = await imported(flow(Array(100).fill('identity').join(','), Buffer.from(ANSWER)));
    expect(losses).toContain('1 body could not be decoded: left out');
  });

  it('reads pipes, and not without end', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shadowcat-import-'));
    folders.push(folder);
    const [pipe, out] = [join(folder, 'pipe'), join(folder, 'x.tape.jsonl')];
    execFileSync('mkfifo', [pipe]);
    const key = await loadTapeKey({ directory: folder, value: '0'.repeat(64) });
    const written = writeFile(pipe, `${ASK}\n${ANSWER}\n`);
    await expect(importFile([pipe], { out, rules: {}, key, by: 'test' })).resolves.toMatchObject({ messages: 2 });
    await written;
    await expect(importFile(['/dev/zero'], { out, rules: {}, key, by: 'test' })).rejects.toThrow(
      '/dev/zero: it is larger than 268435456 bytes',
    );
    await expect(importFile([folder], { out, rules: {}, key, by: 'test' })).rejects.toThrow('this is a directory');
  });

  it('says that a tape is one already, and that two files are of one stdio server', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shadowcat-import-'));
    folders.push(folder);
    const [tape, har] = [join(folder, 'a.jsonl'), join(folder, 'a.har')];
    writeFileSync(tape, '{"k":"head","v":1,"form":"golden","requires":[],"scope":"all"}\n');
    writeFileSync(har, '{"log":{"entries":[]}}');
    const key = await loadTapeKey({ directory: folder, value: '0'.repeat(64) });
    const options = { out: join(folder, 'x.tape.jsonl'), rules: {}, key, by: 'test' };
    await expect(importFile([tape], options)).rejects.toThrow('a.jsonl: this is a tape already');
    await expect(importFile([har, har], options)).rejects.toThrow('only a stdio log can be in two files');
  });

  it('writes to a device without taking its place', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shadowcat-import-'));
    folders.push(folder);
    const [log, pipe] = [join(folder, 'log'), join(folder, 'pipe')];
    writeFileSync(log, `${ASK}\n${ANSWER}\n`);
    execFileSync('mkfifo', [pipe]);
    const key = await loadTapeKey({ directory: folder, value: '0'.repeat(64) });
    const read = readFile(pipe, 'utf8');
    await importFile([log], { out: pipe, rules: {}, key, by: 'test', form: 'capture' });
    expect(statSync(pipe).isFIFO()).toBe(true);
    expect(await read).toContain('"k":"end"');
  });
});
