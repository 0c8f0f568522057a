import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { processMark, runsStill } from '../src/index.js';

describe('the mark of a process', () => {
  it('tells whether it still runs', async () => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
    await once(child, 'spawn');
    const mark = processMark(child.pid);
    expect(mark).toMatch(/^[0-9]+-[0-9a-f]{8}$/);
    expect([runsStill(mark), runsStill(processMark())]).toEqual([true, true]);
    child.stdin.end();
    await once(child, 'exit');
    expect(runsStill(mark)).toBe(false);
  });

  it('is not that of another process with the same number', () => {
    const mark = processMark();
    const changed = `${mark.slice(0, -1)}${mark.endsWith('0') ? '1' : '0'}`;
    expect(runsStill(changed)).toBe(false);
  });

  it.each(['', '1', '0-00000000', '-1-00000000', `${process.pid}`, 'x-00000000', `${'9'.repeat(30)}-00000000`])(
    'is not %j',
    (text) => expect(runsStill(text)).toBe(false),
  );
});
