import { linkSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const SECRET = 'hunter2hunter2';
const ask = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'login', arguments: { password: SECRET, employee: 'EMP-4711' } },
});
const answer = (text: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text }] } });
const har = (url: string, text: string): object => ({
  startedDateTime: '2026-01-01T00:00:00.000Z',
  time: 5,
  request: {
    method: 'POST',
    url,
    headers: [{ name: 'Cookie', value: 'sid=planted-cookie-value' }],
    postData: { text: ask },
  },
  response: { status: 200, headers: [], content: { mimeType: 'application/json', text: answer(text) } },
  timings: { send: 0, wait: 5, receive: 0 },
});
const archive = (...entries: object[]): string => JSON.stringify({ log: { version: '1.2', entries } });
const SESSION = archive(har('http://a.example/mcp', 'hello'), {
  ...har('http://a.example/x', ''),
  request: { method: 'GET', url: 'http://a.example/x' },
});
const LOG = `2026-01-01T00:00:00.000Z [s] [info] Message from client: ${ask}\nstarting\n2026-01-01T00:00:00.250Z [s] [info] Message from server: ${answer('hello')}\n`;

const linesOf = (cwd: string, name: string): string[] => readFileSync(join(cwd, name), 'utf8').trimEnd().split('\n');

describe('tape import', () => {
  it('makes a golden tape beside the file, and says what it lacks', async () => {
    const cwd = emptyDirectory({ 'session.har': SESSION });
    expect(await shadowcat(['tape', 'import', 'session.har'], { cwd })).toMatchObject({
      code: 0,
      out: 'session.tape.jsonl\n',
      err: '2 messages of a HAR, 9 lines\n1 entry was no MCP and left out\n',
    });
    const lines = linesOf(cwd, 'session.tape.jsonl');
    expect(lines[0]).toContain('"form":"golden"');
    expect(lines.join('')).not.toMatch(/hunter2|planted-cookie/);
    expect(statSync(join(cwd, 'session.tape.jsonl')).mode & 0o777).toBe(0o600);
    expect(await shadowcat(['tape', 'lint', 'session.tape.jsonl'], { cwd })).toMatchObject({ code: 0 });
    expect(await shadowcat(['tape', 'scan', 'session.tape.jsonl'], { cwd })).toMatchObject({ code: 0 });
  });

  it('hides what the project calls a secret, with the same placeholders as before', async () => {
    const cwd = emptyDirectory({ 'session.har': SESSION });
    const words = ['tape', 'import', 'session.har', '--redact-pattern', 'EMP-\\d{4}'];
    for (const name of ['a.tape.jsonl', 'b.tape.jsonl'])
      expect(await shadowcat([...words, '-o', name], { cwd })).toMatchObject({ code: 0 });
    expect(linesOf(cwd, 'a.tape.jsonl')).toEqual(linesOf(cwd, 'b.tape.jsonl'));
    expect(linesOf(cwd, 'a.tape.jsonl').join('')).not.toContain('EMP-4711');
  });

  it.each([
    ['gzip', gzipSync],
    ['zlib', deflateSync],
  ])('reads what is packed with %s', async (_, pack) => {
    const cwd = emptyDirectory({ 'session.har': SESSION });
    writeFileSync(join(cwd, 'session.zhar'), pack(SESSION));
    for (const name of ['session.har', 'session.zhar'])
      await shadowcat(['tape', 'import', name, '-o', `${name}.tape.jsonl`], { cwd });
    expect(linesOf(cwd, 'session.zhar.tape.jsonl')).toEqual(linesOf(cwd, 'session.har.tape.jsonl'));
  });

  it('keeps times and text when asked to', async () => {
    const cwd = emptyDirectory({ 'x.log': LOG });
    await shadowcat(['tape', 'import', 'x.log'], { cwd });
    expect(linesOf(cwd, 'x.tape.jsonl').join('')).not.toMatch(/"t":|starting/);
    await shadowcat(['tape', 'import', 'x.log', '--times', '-o', 'timed.tape.jsonl'], { cwd });
    expect(linesOf(cwd, 'timed.tape.jsonl').join('')).toContain('"t":250000');
    expect(await shadowcat(['tape', 'import', 'x.log', '--capture', '-o', 'c.tape.jsonl'], { cwd })).toMatchObject({
      code: 0,
    });
    const capture = linesOf(cwd, 'c.tape.jsonl');
    expect(capture[0]).toContain('"at":"2026-01-01T00:00:00.000Z"');
    expect(capture.find((line) => line.startsWith('{"k":"err"'))).toContain('"text":"starting"');
    expect(await shadowcat(['tape', 'fmt', 'c.tape.jsonl'], { cwd })).toMatchObject({ code: 0 });
    expect(linesOf(cwd, 'c.tape.jsonl')).toEqual(linesOf(cwd, 'x.tape.jsonl'));
  });

  it('never writes over what it reads, by whatever name', async () => {
    const cwd = emptyDirectory({ 'session.har': SESSION });
    linkSync(join(cwd, 'session.har'), join(cwd, 'other.har'));
    symlinkSync('session.har', join(cwd, 'link.har'));
    for (const name of ['session.har', './session.har', 'other.har', 'link.har'])
      expect(await shadowcat(['tape', 'import', 'session.har', '-o', name], { cwd })).toMatchObject({
        code: 2,
        out: '',
        err: `shadowcat: -o: ${name} is what is read: name another file\n`,
      });
    expect(readFileSync(join(cwd, 'session.har'), 'utf8')).toBe(SESSION);
  });

  it('needs a name for what comes on stdin', async () => {
    expect(await shadowcat(['tape', 'import', '-'])).toMatchObject({
      code: 2,
      err: 'shadowcat: say with -o what the tape of stdin is called\n',
    });
  });

  it('takes the endpoint that is named', async () => {
    const cwd = emptyDirectory({
      'two.har': archive(har('http://a.example/mcp', 'of a'), har('http://b.example/mcp', 'of b')),
    });
    expect(await shadowcat(['tape', 'import', 'two.har'], { cwd })).toMatchObject({
      code: 3,
      err: expect.stringContaining(
        'two.har: there are several MCP endpoints; choose one with --url:\n  http://a.example/mcp (1)\n  http://b.example/mcp (1)\n',
      ),
    });
    expect(await shadowcat(['tape', 'import', 'two.har', '--url', 'http://b.example/mcp'], { cwd })).toMatchObject({
      code: 0,
    });
    expect(linesOf(cwd, 'two.tape.jsonl').join('')).toContain('of b');
  });

  it.each([
    [['nothing.har'], 2, 'there is no file nothing.har'],
    [['session.har', 'a', 'b'], 2, '3 files are too many'],
    [['session.har', 'session.har'], 3, 'only a stdio log can be in two files'],
    [['there.har'], 2, 'there.tape.jsonl is there already: name another file with -o'],
    [['session.har', '-o', 'no/x.tape.jsonl'], 2, '-o: there is no directory no'],
    [['session.har', '--from', 'pcap'], 2, 'har, mitmproxy, stdio-log'],
    [['session.har', '--from', 'mitmproxy'], 3, 'session.har: flow 1, byte 0: a length was expected'],
    [['empty.har'], 3, 'empty.har: there is no MCP in it'],
    [['session.har', 'session.har', '--from', 'har'], 3, 'only a stdio log can be in two files'],
    [['broken.gz'], 3, 'broken.gz: it is compressed and cannot be unpacked'],
    [['.'], 3, 'this is a directory'],
  ])('of %j ends with exit code %i', async (words, code, message) => {
    const cwd = emptyDirectory({
      'session.har': SESSION,
      'there.har': SESSION,
      'there.tape.jsonl': '',
      'empty.har': archive(),
    });
    writeFileSync(join(cwd, 'broken.gz'), gzipSync(SESSION).subarray(0, 50));
    const { code: ended, err } = await shadowcat(['tape', 'import', ...words], { cwd });
    expect({ ended, err }).toEqual({ ended: code, err: expect.stringContaining(message) });
  });
});
