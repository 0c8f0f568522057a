import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VERBS, workingFolder } from '../lib/verbs.mjs';

const ROOT = join(import.meta.dirname, '..', '..', '..');

describe('npm start', () => {
  it('without words records a proxy in front of server-everything', () => {
    const args = VERBS.start?.args(ROOT, []) ?? [];
    expect(args.slice(1, 6)).toEqual(['reverse', '--record', 'tapes/', '--', 'node']);
    expect(args.at(-2)).toMatch(/server-everything[\\/]dist[\\/]index\.js$/);
    expect(args.at(-1)).toBe('stdio');
    expect(VERBS.start?.hint?.([])).toContain('http://127.0.0.1:8787/mcp');
  });

  it('with words passes these to shadowcat and adds nothing', () => {
    const words = ['reverse', '--upstream', 'http://localhost:3000/mcp'];
    expect(VERBS.start?.args(ROOT, words)?.slice(1)).toEqual(words);
    expect(VERBS.start?.hint?.(words)).toBeUndefined();
  });
});

describe('workingFolder', () => {
  const env = { INIT_CWD: '/srv/tapes', npm_package_json: join(ROOT, 'package.json') };

  it.each([
    ['words name files where the user stands', { verb: 'start', words: ['replay', 'a.jsonl'], env }, '/srv/tapes'],
    ['the default records in the checkout', { verb: 'start', words: [], env }, ROOT],
    ['checks run in the checkout', { verb: 'test', words: ['lint'], env }, ROOT],
    ['started without npm', { verb: 'start', words: ['doctor'], env: {} }, ROOT],
    [
      'started from a script of another package',
      { verb: 'start', words: ['doctor'], env: { ...env, npm_package_json: '/srv/other/package.json' } },
      ROOT,
    ],
  ])('%s', (_what, call, expected) => {
    expect(workingFolder({ root: ROOT, ...call })).toBe(expected);
  });
});
