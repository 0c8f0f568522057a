import { describe, expect, it } from 'vitest';
import { asLine, LineSplitter } from '../src/line-splitter.js';

function split(chunks: readonly Buffer[], limit = 20): { lines: string[]; tooLong: string[] } {
  const lines: string[] = [];
  const tooLong: string[] = [];
  const splitter = new LineSplitter(limit, {
    line: (text) => lines.push(text),
    tooLong: (start) => tooLong.push(start),
  });
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return { lines, tooLong };
}

describe('lines', () => {
  const input = Buffer.from('{"a":1}\n{"b":"é€"}\r\n\n  \n{"c":3}\nrest');

  it('are the same wherever the input is cut', () => {
    const expected = split([input]);
    expect(expected.lines).toEqual(['{"a":1}', '{"b":"é€"}', '{"c":3}', 'rest']);
    for (let first = 0; first <= input.length; first += 1) {
      for (let second = first; second <= input.length; second += 1) {
        const cut = [input.subarray(0, first), input.subarray(first, second), input.subarray(second)];
        expect(split(cut)).toEqual(expected);
      }
    }
  });

  it('that are too long are skipped and told once, the next one is whole', () => {
    const long = Buffer.from(`${'x'.repeat(50)}\n{"a":1}\n`);
    for (let cut = 0; cut <= long.length; cut += 1) {
      const found = split([long.subarray(0, cut), long.subarray(cut)]);
      expect(found.lines).toEqual(['{"a":1}']);
      expect(found.tooLong).toHaveLength(1);
    }
  });

  it('are made from any JSON text', () => {
    expect(asLine('{"a":1}')).toBe('{"a":1}\n');
    expect(JSON.parse(asLine('{\r\n  "a": [1,\n 2]\n}'))).toEqual({ a: [1, 2] });
    expect(asLine('{\n"a":1}').trimEnd()).not.toContain('\n');
  });
});
