import { describe, expect, it } from 'vitest';
import { ChildFailed, exitCodeOf, runQuietly, signalFilter } from '../lib/child.mjs';

describe('signalFilter', () => {
  it('takes echoes of one Ctrl-C for one, and a second Ctrl-C for a second', () => {
    const isNew = signalFilter(500);
    const told = [
      ['SIGINT', 1000],
      ['SIGINT', 1003],
      ['SIGTERM', 1004],
      ['SIGINT', 1499],
      ['SIGINT', 1500],
    ].map(([signal, now]) => isNew(String(signal), Number(now)));
    expect(told).toEqual([true, false, true, false, true]);
  });
});

describe('exitCodeOf', () => {
  it.each([
    [0, null, 0],
    [4, null, 4],
    [null, 'SIGINT', 130],
    [null, 'SIGTERM', 143],
    [null, null, 1],
  ])('code %s, signal %s: %s', (code, signal, expected) => {
    expect(exitCodeOf(code, /** @type {NodeJS.Signals | null} */ (signal))).toBe(expected);
  });
});

describe('runQuietly', () => {
  it('keeps what the program says on both streams', async () => {
    const script = 'console.log("out"); console.error("err")';
    const output = await runQuietly({ command: process.execPath, args: ['-e', script] });
    expect(output.split('\n').sort()).toEqual(['', 'err', 'out']);
  });

  it('rejects with code and output when the program fails', async () => {
    const failing = runQuietly({ command: process.execPath, args: ['-e', 'console.log("why"); process.exit(3)'] });
    await expect(failing).rejects.toMatchObject({ code: 3, output: 'why\n' });
  });

  it('rejects when there is no such program', async () => {
    await expect(runQuietly({ command: 'no-such-program-anywhere', args: [] })).rejects.toBeInstanceOf(ChildFailed);
  });
});
