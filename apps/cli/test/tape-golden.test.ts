import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '@shadowcat/kernel';
import { LINT_RULES } from '@shadowcat/tape';
import { openTapeFile } from '@shadowcat/tape-file';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../src/stack/system.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const HEAD =
  '{"k":"head","v":1,"form":"capture","requires":[],"scope":"all","at":"2026-11-21T10:00:00.000Z","redaction":{"policy":"default@1","key":"k"}}';

/** A session whose tool answers `text`. */
function records(text: string, id = 0): string[] {
  const of = (x: string, m: object, from: string): string =>
    JSON.stringify({ k: 'msg', t: 12, s: 's1', x, from, m: { jsonrpc: '2.0', ...m } });
  const over = (x: string): string => JSON.stringify({ k: 'x-', t: 3, s: 's1', x, end: 'answered' });
  const tools = [{ name: 'echo', inputSchema: { type: 'object', properties: text === 'a' ? { p: {} } : {} } }];
  return [
    of('1', { id, method: 'initialize', params: {} }, 'client'),
    of('1', { id, result: {} }, 'server'),
    over('1'),
    of('2', { id: id + 1, method: 'tools/list' }, 'client'),
    of('2', { id: id + 1, result: { tools } }, 'server'),
    over('2'),
    of('3', { id: id + 2, method: 'tools/call', params: { name: 'echo' } }, 'client'),
    of('3', { id: id + 2, result: { content: [{ type: 'text', text }] } }, 'server'),
    over('3'),
  ];
}

async function tapesIn(tapes: Readonly<Record<string, readonly string[]>>): Promise<string> {
  const cwd = emptyDirectory({});
  for (const [name, lines] of Object.entries(tapes)) {
    const writer = openTapeFile(join(cwd, name), { head: HEAD }, { clock: systemClock, log: silentLog });
    for (const line of lines) writer.append(line);
    await writer.finish();
  }
  return cwd;
}

const read = (cwd: string, name: string): string => readFileSync(join(cwd, name), 'utf8');

describe('tape fmt', () => {
  it('makes the same file of two recordings, in place or where -o says, and prints its digest', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('x'), 'b.tape.jsonl': records('x', 40) });
    const first = await shadowcat(['tape', 'fmt', 'a.tape.jsonl'], { cwd });
    expect(first).toMatchObject({ code: 0, err: '11 lines\n' });
    expect(first.out).toMatch(/^[0-9a-f]{64} {2}a\.tape\.jsonl\n$/);
    const second = await shadowcat(['tape', 'fmt', 'b.tape.jsonl', '-o', 'c.tape.jsonl'], { cwd });
    expect(second.code).toBe(0);
    expect(read(cwd, 'c.tape.jsonl')).toBe(read(cwd, 'a.tape.jsonl'));
    expect(read(cwd, 'a.tape.jsonl')).toContain(first.out.slice(0, 64));
    expect(read(cwd, 'b.tape.jsonl')).toContain('"form":"capture"');
    const before = read(cwd, 'a.tape.jsonl');
    await shadowcat(['tape', 'fmt', 'a.tape.jsonl'], { cwd });
    expect(read(cwd, 'a.tape.jsonl')).toBe(before);
    expect(readdirSync(cwd).sort()).toEqual(['a.tape.jsonl', 'b.tape.jsonl', 'c.tape.jsonl']);
    expect(statSync(join(cwd, 'c.tape.jsonl')).mode & 0o777).toBe(0o600);
  });

  it('seals an edited tape, with one changed line and the last', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('hello') });
    await shadowcat(['tape', 'fmt', 'a.tape.jsonl'], { cwd });
    const before = read(cwd, 'a.tape.jsonl').split('\n');
    writeFileSync(join(cwd, 'a.tape.jsonl'), before.join('\n').replace('hello', 'hullo'));
    expect(await shadowcat(['tape', 'lint', 'a.tape.jsonl'], { cwd })).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^a\.tape\.jsonl:11: T004 error: .*edited.*tape fmt\)\n$/),
    });
    expect(await shadowcat(['tape', 'show', 'a.tape.jsonl'], { cwd })).toMatchObject({ code: 1 });
    expect(await shadowcat(['tape', 'fmt', 'a.tape.jsonl'], { cwd })).toMatchObject({ code: 0 });
    const after = read(cwd, 'a.tape.jsonl').split('\n');
    expect(after.flatMap((line, at) => (line === before[at] ? [] : [at + 1]))).toEqual([9, 11]);
    expect(await shadowcat(['tape', 'lint', 'a.tape.jsonl'], { cwd })).toMatchObject({ code: 0, out: '' });
  });

  it('keeps large values in files beside the tape, and copies them where -o says', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('big '.repeat(6000)) });
    expect((await shadowcat(['tape', 'fmt', 'a.tape.jsonl'], { cwd })).err).toBe(
      '11 lines, 1 large value beside it in blobs/\n',
    );
    mkdirSync(join(cwd, 'sub'));
    await shadowcat(['tape', 'fmt', 'a.tape.jsonl', '-o', 'sub/a.tape.jsonl'], { cwd });
    expect(read(cwd, 'sub/a.tape.jsonl')).toBe(read(cwd, 'a.tape.jsonl'));
    expect(existsSync(join(cwd, 'sub', 'blobs'))).toBe(true);
    expect(await shadowcat(['tape', 'diff', 'a.tape.jsonl', 'sub/a.tape.jsonl'], { cwd })).toMatchObject({ code: 0 });
    mkdirSync(join(cwd, 'alone'));
    copyFileSync(join(cwd, 'a.tape.jsonl'), join(cwd, 'alone', 'a.tape.jsonl'));
    expect(await shadowcat(['tape', 'lint', 'alone/a.tape.jsonl'], { cwd })).toMatchObject({
      code: 3,
      out: expect.stringMatching(/^alone\/a\.tape\.jsonl:9: T007 broken: the blob blobs\/.* is missing/),
    });
  });

  it('can be recovered when it was cut off', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('x') });
    await shadowcat(['tape', 'fmt', 'a.tape.jsonl'], { cwd });
    writeFileSync(join(cwd, 'a.tape.jsonl'), read(cwd, 'a.tape.jsonl').slice(0, -300));
    expect(await shadowcat(['tape', 'recover', 'a.tape.jsonl', '-o', 'b.tape.jsonl'], { cwd })).toMatchObject({
      code: 0,
    });
    const linted = await shadowcat(['tape', 'lint', 'b.tape.jsonl'], { cwd });
    expect(linted).toMatchObject({ code: 0, out: expect.stringMatching(/T006 warning/) });
  });

  it.each([
    ['.', /-o: \. is a directory/],
    ['nowhere/a.tape.jsonl', /-o: there is no directory nowhere/],
  ])('does not write to %s', async (out, message) => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('x') });
    const outcome = await shadowcat(['tape', 'fmt', 'a.tape.jsonl', '-o', out], { cwd });
    expect(outcome).toMatchObject({ code: 2, err: expect.stringMatching(message) });
  });

  it('leaves a tape alone that is cut off or corrupt', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('x') });
    const text = read(cwd, 'a.tape.jsonl');
    for (const broken of [text.slice(0, -20), text.replace('echo', 'ecko')]) {
      writeFileSync(join(cwd, 'b.tape.jsonl'), broken);
      expect(await shadowcat(['tape', 'fmt', 'b.tape.jsonl'], { cwd })).toMatchObject({
        code: 3,
        err: expect.stringContaining('tape recover'),
      });
      expect(read(cwd, 'b.tape.jsonl')).toBe(broken);
    }
  });
});

describe('tape lint', () => {
  it('exits with 3 for a capture that was changed or cut', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('x'), 'b.tape.jsonl': records('x') });
    writeFileSync(join(cwd, 'a.tape.jsonl'), read(cwd, 'a.tape.jsonl').replace('echo', 'ecko'));
    writeFileSync(join(cwd, 'b.tape.jsonl'), read(cwd, 'b.tape.jsonl').slice(0, -20));
    writeFileSync(join(cwd, 'c.tape.jsonl'), 'hello\n');
    const { code, out, err } = await shadowcat(['tape', 'lint', 'a.tape.jsonl', 'b.tape.jsonl', 'c.tape.jsonl'], {
      cwd,
    });
    expect(code).toBe(3);
    expect(out.split('\n').map((line) => line.split(': ')[1])).toEqual([
      'T003 broken',
      'T001 broken',
      'T002 broken',
      undefined,
    ]);
    expect(err).toBe('3 tapes: 3 errors, 0 warnings\n');
  });

  it('is JSON if asked', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('x').slice(0, -1) });
    const { code, out } = await shadowcat(['tape', 'lint', 'a.tape.jsonl', '--format', 'json'], { cwd });
    expect({ code, found: JSON.parse(out) }).toMatchObject({
      code: 1,
      found: [{ file: 'a.tape.jsonl', rule: 'T101', line: 8 }],
    });
  });

  it('also writes reports, with a finding for each line', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('x').slice(0, -1), 'b.tape.jsonl': records('x') });
    const reports = ['--report', 'sarif=out/l.sarif', '--report', 'junit=out/l.xml'];
    const { code } = await shadowcat(['tape', 'lint', 'a.tape.jsonl', 'b.tape.jsonl', ...reports], { cwd });
    expect(code).toBe(1);
    const { runs } = JSON.parse(read(cwd, 'out/l.sarif')) as { runs: { results: object[] }[] };
    expect(runs[0]?.results).toMatchObject([
      {
        ruleId: 'tape-lint/T101',
        locations: [{ physicalLocation: { artifactLocation: { uri: 'a.tape.jsonl' }, region: { startLine: 8 } } }],
      },
    ]);
    expect(read(cwd, 'out/l.xml')).toContain(
      '<testsuite name="b.tape.jsonl" file="b.tape.jsonl" tests="1" failures="0"',
    );
    expect(read(cwd, 'out/l.xml')).toContain('<testcase classname="a.tape.jsonl" name="T101 (line 8)">');
    const wrong = await shadowcat(['tape', 'lint', 'a.tape.jsonl', '--report', 'pdf=x'], { cwd });
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('--report: ') });
  });

  it('lists its rules, each with what to do', async () => {
    const { code, out } = await shadowcat(['tape', 'lint', '--rules']);
    expect(code).toBe(0);
    for (const { id, what, fix } of Object.values(LINT_RULES)) {
      expect(out).toContain(`${id} `);
      expect(out).toContain(what);
      expect(out).toContain(`fix: ${fix}`);
    }
  });

  it('needs a tape', async () => {
    expect(await shadowcat(['tape', 'lint'])).toMatchObject({ code: 2 });
    expect(await shadowcat(['tape', 'lint', 'none.tape.jsonl'])).toMatchObject({ code: 2 });
  });

  it('says which line of a golden tape is not as fmt writes it', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('x') });
    await shadowcat(['tape', 'fmt', 'a.tape.jsonl'], { cwd });
    const { createHash } = await import('node:crypto');
    const lines = read(cwd, 'a.tape.jsonl').trimEnd().split('\n');
    lines[1] = (lines[1] ?? '').replace('{"k":', '{ "k":');
    const end = (lines.pop() ?? '').replace(/,"sha.*/, '');
    const sha = createHash('sha256')
      .update(`${lines.join('\n')}\n${end}`)
      .digest('hex');
    writeFileSync(join(cwd, 'a.tape.jsonl'), `${lines.join('\n')}\n${end},"sha":"${sha}"}\n`);
    expect(await shadowcat(['tape', 'lint', 'a.tape.jsonl'], { cwd })).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^a\.tape\.jsonl:2: T303 warning: /),
    });
  });
});

describe('tape diff', () => {
  it('says what is another one, with file and line on both sides', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('a'), 'b.tape.jsonl': records('b', 7) });
    const { code, out } = await shadowcat(['tape', 'diff', 'a.tape.jsonl', 'b.tape.jsonl'], { cwd });
    expect(code).toBe(1);
    expect(out.split('\n')).toEqual([
      'What the server offers:',
      '  breaking: tool echo /inputSchema/properties/p: the property is gone (a.tape.jsonl:6, b.tape.jsonl:6)',
      'What was asked and answered:',
      '  answered otherwise: tools/list (a.tape.jsonl:6, b.tape.jsonl:6)',
      '    /tools/0/inputSchema/properties/p: {} → nothing',
      '  answered otherwise: tools/call echo (a.tape.jsonl:9, b.tape.jsonl:9)',
      '    /content/0/text: "a" → "b"',
      '',
    ]);
    const asJson = await shadowcat(['tape', 'diff', 'a.tape.jsonl', 'b.tape.jsonl', '--format', 'json'], { cwd });
    expect(JSON.parse(asJson.out)).toMatchObject({ equal: false, surface: [{ rating: 'breaking' }] });
  });

  it('exits with 0 when there is nothing, 2 for a tape that is not there, 3 for one that is broken', async () => {
    const cwd = await tapesIn({ 'a.tape.jsonl': records('a'), 'b.tape.jsonl': records('a', 7) });
    expect(await shadowcat(['tape', 'diff', 'a.tape.jsonl', 'b.tape.jsonl'], { cwd })).toMatchObject({
      code: 0,
      out: '',
    });
    expect(await shadowcat(['tape', 'diff', 'a.tape.jsonl', 'none'], { cwd })).toMatchObject({ code: 2 });
    writeFileSync(join(cwd, 'b.tape.jsonl'), 'hello\n');
    expect(await shadowcat(['tape', 'diff', 'a.tape.jsonl', 'b.tape.jsonl'], { cwd })).toMatchObject({ code: 3 });
  });
});
