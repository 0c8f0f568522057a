import { type Log, silentLog } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { Garbage } from '../src/garbage.js';

describe('output that is no message', () => {
  it('is all handed on, but logged only at first, then counted', () => {
    const logged: [object, string][] = [];
    const keep = (details: object, message: string): void => void logged.push([details, message]);
    const log: Log = { ...silentLog, warn: keep, info: keep };
    const seen: string[] = [];
    const garbage = new Garbage(log, { pid: 7 }, (line) => seen.push(line));
    for (let index = 0; index < 100; index += 1) garbage.report(`${index}${'x'.repeat(3000)}`);
    garbage.end();
    expect(seen).toHaveLength(100);
    expect(seen.every(({ length }) => length === 2000)).toBe(true);
    expect(logged).toHaveLength(6);
    expect(logged[4]?.[1]).toContain('only counted');
    expect(logged[5]?.[0]).toEqual({ pid: 7, lines: 95 });
  });
});
