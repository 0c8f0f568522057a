import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cutTo, textTable } from '../src/text-table.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

const TAPES = join(import.meta.dirname, '..', '..', '..', 'packages', 'tape', 'test', 'tapes');

function withTapes(): string {
  const cwd = emptyDirectory({});
  for (const form of ['capture', 'golden'])
    copyFileSync(join(TAPES, `v1-${form}.tape.jsonl`), join(cwd, `${form}.tape.jsonl`));
  return cwd;
}

describe('tape show --messages', () => {
  it('shows every message with its line, its time and who sent it', async () => {
    const { code, out } = await shadowcat(['tape', 'show', 'capture.tape.jsonl', '--messages'], { cwd: withTapes() });
    expect(code).toBe(0);
    const lines = out.split('\n').map((line) => line.replaceAll(/ +/g, ' ').trim());
    expect(lines).toEqual(
      expect.arrayContaining([
        'session s1',
        expect.stringMatching(/^4 \+\d ms → initialize \{"capabilities".*…$/),
        expect.stringMatching(/^\d+ \+\d+ ms → tools\/call draw \{"_meta"/),
        expect.stringMatching(/^\d+ \+\d+ ms ← notifications\/progress \{"progress":1,"progressToken":1\}$/),
        expect.stringMatching(/^\d+ \+\d+ ms ← sampling\/createMessage /),
        expect.stringMatching(/^\d+ \+\d+ ms · closed-by-client$/),
        expect.stringMatching(/^\d+ \+\d+ ms ← err drawing$/),
        expect.stringMatching(/^\d+ \+\d+ ms · error the server did not answer$/),
        'session -',
      ]),
    );
    expect(lines.filter((line) => line.length > 130)).toEqual([]);
  });

  it.each([
    ['a terminal', { columns: 60 }, 60],
    ['COLUMNS', { env: { COLUMNS: '110' } }, 110],
    ['a terminal, whatever COLUMNS says', { columns: 80, env: { COLUMNS: '140' } }, 80],
    ['nobody', { env: { COLUMNS: 'wide' } }, 100],
  ])('is as wide as %s says', async (_, circumstances, columns) => {
    const argv = ['tape', 'show', 'golden.tape.jsonl', '--messages'];
    const { out } = await shadowcat(argv, { cwd: withTapes(), ...circumstances });
    const lengths = out
      .split('\n')
      .filter((line) => /^ *\d+ .*…$/.test(line))
      .map((line) => line.length);
    expect(Math.max(...lengths)).toBe(columns);
    const file = ['-o', 'shown.txt'];
    const cwd = withTapes();
    await shadowcat([...argv, ...file], { cwd, ...circumstances });
    expect(
      Math.max(
        ...readFileSync(join(cwd, 'shown.txt'), 'utf8')
          .split('\n')
          .map(({ length }) => length),
      ),
    ).toBe(100);
  });

  it('has no times on a tape that has none', async () => {
    const cwd = withTapes();
    const messages = await shadowcat(['tape', 'show', 'golden.tape.jsonl', '--messages'], { cwd });
    expect(messages.out).not.toMatch(/\+\d+ m?s/);
    const table = await shadowcat(['tape', 'show', 'golden.tape.jsonl'], { cwd });
    expect(table.out).not.toMatch(/ms|TOOK/);
    expect(table.out).toContain('tools/call                 draw');
  });

  it('is JSON if asked', async () => {
    const argv = ['tape', 'show', 'golden.tape.jsonl', '--messages', '--format', 'json'];
    const { out } = await shadowcat(argv, { cwd: withTapes() });
    expect((JSON.parse(out) as { messages: unknown[] }).messages[0]).toEqual({
      line: 5,
      s: '-',
      x: 'tools/list#1',
      first: true,
      from: 'client',
      kind: 'request',
      label: 'tools/list',
      content: expect.stringContaining('_meta'),
    });
  });
});

describe('tape show --html', () => {
  it('writes a page that needs nothing else', async () => {
    const cwd = withTapes();
    const { code, out } = await shadowcat(['tape', 'show', 'golden.tape.jsonl', '--html', '-o', 'page.html'], { cwd });
    expect({ code, out }).toEqual({ code: 0, out: '' });
    const page = readFileSync(join(cwd, 'page.html'), 'utf8');
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/<script|src=|href=|https?:\/\//);
    expect(page).toContain("default-src 'none'");
    expect(page).toContain('<b>tools/call</b> draw');
    expect(page).toContain('closed-by-client');
    const factsOf = (end: string): string[] => page.match(new RegExp(`class="(bad|dim)">[^<]*${end}`, 'g')) ?? [];
    expect(factsOf('closed-by-client').every((facts) => facts.includes('"dim"'))).toBe(true);
    expect(factsOf('error').every((facts) => facts.includes('"bad"'))).toBe(true);
    expect(page.match(/<details/g)?.length).toBe(page.match(/<\/details>/g)?.length);
  });

  it('shows what a tape holds as text', async () => {
    const cwd = withTapes();
    const path = join(cwd, 'capture.tape.jsonl');
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('"name":"draw"', `"name":"<script>alert('&')</script>"`));
    const { code, out } = await shadowcat(['tape', 'show', 'capture.tape.jsonl', '--html'], { cwd });
    expect(code).toBe(3);
    expect(out).not.toContain('<script>');
    expect(out).toContain('&lt;script&gt;alert(&#39;&amp;&#39;)');
  });
});

describe('texts', () => {
  it.each([
    ['abcdef', 6, 'abcdef'],
    ['abcdefg', 6, 'abcde…'],
    ['日本語です', 6, '日本…'],
    ['日本語', 6, '日本語'],
    ['e\u0301e\u0301e\u0301', 2, 'e\u0301…'],
    ['', 2, ''],
  ])('%j is cut to %i columns', (text, columns, cut) => {
    expect(cutTo(text, columns)).toBe(cut);
  });
});

describe('tables', () => {
  it('stay in line with characters that take two columns, or none', () => {
    const table = textTable(
      ['A', 'B'],
      [
        ['日本', 'x'],
        ['e\u0301', 'x'],
        ['🦊', 'x'],
      ],
    );
    expect(table.split('\n').slice(1, 4)).toEqual(['日本  x', 'e\u0301     x', '🦊    x']);
  });
});

describe('a hostile tape', () => {
  const EVIL = '"\'><script>alert(1)</script><img src=x onerror=alert(2)>\u001b]0;x\u0007\u009b2J\u202e\r';
  const hostile = async (): Promise<string> => {
    const message = (from: string, m: object) => ({ k: 'msg', s: EVIL, x: EVIL, from, m: { jsonrpc: '2.0', ...m } });
    const recordsWith = (text: string) => [
      { k: 'head', v: 1, form: 'capture', requires: [], by: EVIL, at: EVIL },
      {
        k: 'sess',
        s: EVIL,
        era: 'legacy',
        version: EVIL,
        client: { name: EVIL, version: EVIL },
        server: { name: EVIL },
      },
      message('client', { id: EVIL, method: 'tools/call', params: { name: EVIL, arguments: { [EVIL]: EVIL } } }),
      message('server', { method: EVIL, params: { [EVIL]: EVIL } }),
      message('server', { id: EVIL, result: { content: [{ type: 'text', text }] } }),
      { k: 'raw', s: EVIL, x: EVIL, from: 'server', text: EVIL, why: EVIL },
      { k: 'note', s: EVIL, text: EVIL },
      { k: 'err', s: EVIL, text: EVIL },
      { k: 'x-', s: EVIL, x: EVIL, end: 'error', code: EVIL, message: EVIL },
      { k: 'gap', lost: 1, why: EVIL },
    ];
    const tape = (text: string): string =>
      recordsWith(text)
        .map((record) => `${JSON.stringify(record)}\n`)
        .join('');
    const cwd = emptyDirectory({ 'evil.tape.jsonl': tape(EVIL), 'other.tape.jsonl': tape(`other ${EVIL}`) });
    for (const name of ['evil', 'other'])
      await shadowcat(['tape', 'recover', `${name}.tape.jsonl`, '-o', `whole-${name}.tape.jsonl`], { cwd });
    return cwd;
  };
  // Line breaks of our own aside.
  const STEERING = /(?!\n)[\p{Cc}\u202a-\u202e]/u;

  it('is only text on a page, which takes nothing from elsewhere', async () => {
    const { out } = await shadowcat(['tape', 'show', 'evil.tape.jsonl', '--html'], { cwd: await hostile() });
    expect(out).not.toMatch(/<script|<img|\son\w+\s*=\s*[^&]*>(?<=<[^>]*)/);
    expect(out).toContain('&lt;script&gt;alert(1)');
    expect(out).toContain("default-src 'none'");
    expect(out).not.toMatch(/<[^>]+\s(?:src|href)=/);
  });

  it.each([
    [['tape', 'show', 'evil.tape.jsonl']],
    [['tape', 'show', 'evil.tape.jsonl', '--messages']],
    [['tape', 'ls', '.']],
    [['tape', 'lint', 'evil.tape.jsonl']],
    [['tape', 'diff', 'whole-evil.tape.jsonl', 'whole-other.tape.jsonl']],
    [['tape', 'bind', '--suggest', 'whole-evil.tape.jsonl']],
    [['tape', 'scan', 'evil.tape.jsonl']],
    [['tape', 'fmt', 'evil.tape.jsonl']],
  ])('steers no terminal: %j', async (argv) => {
    const { out, err } = await shadowcat(argv, { cwd: await hostile() });
    expect(`${out}${err}`).not.toMatch(STEERING);
    expect(`${out}${err}`.length).toBeGreaterThan(0);
  });
});
