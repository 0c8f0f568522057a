import { describe, expect, it } from 'vitest';
import { LateLines } from '../src/late-lines.js';

describe('lines that take a while', () => {
  it('keep their place, and those behind them wait', async () => {
    const out: string[] = [];
    const lines = new LateLines((line) => out.push(line));
    const [slow, slower] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    lines.add('1');
    lines.addLate(slower.promise, 1);
    lines.add('3');
    lines.addLate(slow.promise, 1);
    lines.add('5');
    expect(out).toEqual(['1']);
    slow.resolve('4');
    await slow.promise;
    expect(lines.length).toBe(4);
    slower.resolve('2');
    await lines.settled();
    expect(out).toEqual(['1', '2', '3', '4', '5']);
    lines.add('6');
    expect(out.at(-1)).toBe('6');
  });

  it('hold up whoever makes too many of them, until there is room', async () => {
    const lines = new LateLines(() => {});
    const large = Promise.withResolvers<string>();
    expect(lines.room()).toBeUndefined();
    lines.addLate(large.promise, 10_000_000);
    const room = lines.room();
    expect(room).toBeInstanceOf(Promise);
    large.resolve('large');
    await room;
    expect(lines.room()).toBeUndefined();
    expect(lines.length).toBe(0);
  });
});
