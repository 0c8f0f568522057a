import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineTexts } from '../src/line-texts.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** All lines, each as it is read or `undefined`; `broken` are the numbers of lines that are made no UTF-8. */
function both(lines: readonly string[], broken: ReadonlySet<number>): { read: unknown[]; plain: unknown[] } {
  const parts = lines.map((line, at) => (broken.has(at) ? Uint8Array.of(0x61, 0xff) : encoder.encode(line)));
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length + 1, 0));
  const texts = new LineTexts(bytes);
  const places: [number, number][] = [];
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    places.push([at, at + part.length]);
    bytes[at + part.length] = 0x0a;
    at += part.length + 1;
  }
  const or = (work: () => string): string | undefined => {
    try {
      return work();
    } catch {
      return undefined;
    }
  };
  return {
    read: places.map(([start, end]) => or(() => texts.line(start, end))),
    plain: places.map(([start, end]) => or(() => decoder.decode(bytes.subarray(start, end)))),
  };
}

describe('lines that are read many at once', () => {
  it('are those that are read one by one', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replaceAll('\n', ' ')),
      fc.constantFrom('', 'ü'.repeat(30_000), 'x'.repeat(65_536), '€'.repeat(40_000), '\r', '\ufeffa'),
    );
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 12 }),
        fc.array(fc.nat({ max: 12 }), { maxLength: 2 }),
        (lines, broken) => {
          const { read, plain } = both(lines, new Set(broken));
          expect(read).toEqual(plain);
        },
      ),
      { numRuns: 200 },
    );
  });
});
