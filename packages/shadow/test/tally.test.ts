import { describe, expect, it } from 'vitest';
import type { Difference } from '../src/compare.js';
import { BEYOND, Tally } from '../src/tally.js';

const at = Date.UTC(2026, 6, 28);
const call = { method: 'tools/call', tool: 'look' };
const value = (pointer: string): Difference => ({
  pointer,
  place: pointer,
  kind: 'value',
  primary: 'string',
  shadow: 'string',
});

describe('a tally', () => {
  it('counts calls and differences', () => {
    const tally = new Tally();
    tally.answered(call, [], at);
    tally.answered(call, [value('/a'), value('/b')], at + 1);
    tally.answered(call, [value('/a')], at + 2);
    tally.failed(call, at + 3);
    expect(tally.compared).toEqual([{ ...call, compared: 3, different: 2, failed: 1, first: at, last: at + 3 }]);
    expect(tally.differences).toMatchObject([
      { ...call, pointer: '/a', count: 2, first: at + 1, last: at + 2 },
      { ...call, pointer: '/b', count: 1 },
    ]);
  });

  it('is the same when it is written in batches and added up', () => {
    const [whole, parts, sum] = [new Tally(), new Tally(), new Tally()];
    for (let step = 0; step < 20; step += 1) {
      const found = step % 3 === 0 ? [value(`/${step % 2}`)] : [];
      for (const tally of [whole, parts]) tally.answered({ ...call, tool: `t${step % 4}` }, found, at + step);
      if (step % 5 === 0) expect(sum.add(parts.drain())).toBe(0);
    }
    sum.add(parts.drain());
    const by = (row: { tool: string }): string => row.tool;
    const rows = (tally: Tally): unknown[][] =>
      [tally.compared, tally.differences].map((all) => all.toSorted((a, b) => by(a).localeCompare(by(b))));
    expect(rows(sum)).toEqual(rows(whole));
    expect(parts.empty).toBe(true);
  });

  it('leaves out lines that are not its own and says how many', () => {
    const tally = new Tally();
    tally.answered(call, [value('/a')], at);
    const lines = tally.drain();
    const alien = ['{"k":"compa', '[]', '{"k":"compared","method":"x","tool":"","compared":-1}', 'null'];
    const broken = lines.replace('"value"', '"else"');
    expect(tally.add(`${alien.join('\n')}\n${lines}\n${broken}`)).toBe(5);
    expect(tally.differences).toHaveLength(1);
    expect(tally.compared).toMatchObject([{ compared: 2 }]);
  });

  it('tells a bounded number of differences and tools apart', () => {
    const tally = new Tally({ maxDifferences: 3 });
    for (let step = 0; step < 10; step += 1) tally.answered(call, [value(`/${step}`)], at);
    expect(tally.differences.map(({ pointer, count }) => [pointer, count])).toEqual([
      ['/0', 1],
      ['/1', 1],
      ['/2', 1],
      [BEYOND, 7],
    ]);
    for (let step = 0; step < 3000; step += 1) tally.answered({ ...call, tool: `t${step}` }, [], at);
    expect(tally.compared.length).toBeLessThanOrEqual(2001);
    expect(tally.compared.reduce((sum, row) => sum + row.compared, 0)).toBe(3010);
  });
});
