import { describe, expect, it } from 'vitest';
import { exitError } from '../src/child-errors.js';

describe('the last words of a child', () => {
  it.each([
    ['nothing', [], 'it wrote nothing to stderr'],
    ['a plain line', ['starting', 'no config found'], 'its last words: no config found'],
    [
      "Node's report of an uncaught error",
      [
        'file:///s.js:1',
        "throw new Error('boom')",
        '      ^',
        'Error: boom',
        '    at file:///s.js:1:7',
        'Node.js v24.0.0',
      ],
      'its last words: Error: boom',
    ],
    [
      "Python's traceback",
      ['Traceback (most recent call last):', '  File "s.py", line 1', 'ModuleNotFoundError: No module named x'],
      'its last words: ModuleNotFoundError: No module named x',
    ],
    [
      "Go's panic",
      ['panic: boom', '', 'goroutine 1 [running]:', 'main.main()', 'exit status 2'],
      'its last words: panic: boom',
    ],
  ])('are found in %s', (_what, lines, words) => {
    expect(exitError('node', { code: 1, signal: null }, lines).message).toBe(
      `the server command (node) exited with code 1; ${words}`,
    );
  });

  it('are few: 2 KiB, the newest ones, each at most 300 characters', () => {
    const lines = Array.from({ length: 20 }, (_, index) => `${index} ${'x'.repeat(1000)}`);
    const error = exitError('node', { code: null, signal: 'SIGSEGV' }, lines);
    const kept = error.data?.['stderr'] as string[];
    expect(error.data).toMatchObject({ signal: 'SIGSEGV' });
    expect(kept.map((line) => line.split(' ')[0])).toEqual(['14', '15', '16', '17', '18', '19']);
    expect(kept.join('').length).toBeLessThanOrEqual(2048);
  });
});
