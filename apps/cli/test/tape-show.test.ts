import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
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
