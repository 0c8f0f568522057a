import { describe, expect, it } from 'vitest';
import { parseEnvFile, readEnvFile } from '../src/config/env-file.js';

const valuesOf = (text: string): Record<string, string | undefined> => {
  const parsed = parseEnvFile('.env', text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return Object.fromEntries(parsed.value.map(({ name, value }) => [name, value]));
};

describe('a file of variables', () => {
  it.each([
    ['A=1\nB=two words\n', { A: '1', B: 'two words' }],
    ['# comment\n\nexport A=1 # one\r\nB=a#b\nC=#all comment', { A: '1', B: 'a#b', C: '' }],
    [
      'A="x # y" # z\nB=\'$HOME \\n\'\nC="one\\ntwo\\t\\"q\\" \\\\ \\d"',
      { A: 'x # y', B: '$HOME \\n', C: 'one\ntwo\t"q" \\ \\d' },
    ],
    ['A = spaced \nB=\nPASSED_ON', { A: 'spaced', B: '', PASSED_ON: undefined }],
    ['\uFEFFA=1\nA=2', { A: '2' }],
    ['URL=postgres://u:p@h/db?x=1&y=2', { URL: 'postgres://u:p@h/db?x=1&y=2' }],
  ])('%j means %j', (text, wanted) => {
    expect(valuesOf(text)).toEqual(wanted);
  });

  it.each([
    ['A=1\nnot a variable', '.env:2: this is not a variable: write NAME=value, or NAME to pass it on'],
    ['\n\nA="open', '.env:3: the value begins with a quote that does not end: close it on the same line'],
    ['1A=secret', '.env:1: this is not a variable: write NAME=value, or NAME to pass it on'],
  ])('%j is refused with its place, without its value', (text, problem) => {
    expect(parseEnvFile('.env', text)).toEqual({ problem });
  });

  it('that cannot be read is named', () => {
    expect(readEnvFile('no-such-file', '/', '--env-file')).toEqual({
      problem: '--env-file: cannot read no-such-file (ENOENT)',
    });
  });
});
