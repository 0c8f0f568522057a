import { ProxyError } from '@shadowcat/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalOf } from '../src/canonical.js';
import { jsonTree, memberOf, stringOf } from '../src/json-tree.js';

describe('the spans of a JSON text', () => {
  it('delimit every value', () => {
    const text = ' { "a" : [1.0, "x\\n", null] , "\\u0062":{}} ';
    const node = jsonTree(text);
    const a = memberOf(node, 'a');
    expect(text.slice(node.start, node.end)).toBe(text.trim());
    expect(a?.kind === 'array' && a.items.map((item) => text.slice(item.start, item.end))).toEqual([
      '1.0',
      '"x\\n"',
      'null',
    ]);
    expect(a?.kind === 'array' && a.items[1] && stringOf(text, a.items[1])).toBe('x\n');
    expect(memberOf(node, 'b')).toMatchObject({ kind: 'object', members: [] });
    expect(memberOf(a, 'b')).toBeUndefined();
  });

  it.each(['', ' ', '{', '[1,', '[1 2]', '{"a"}', '{"a":1,}', '"x', '"a\nb"', 'nul', '01', '1 1', '-', '{a:1}', '"\\'])(
    'need JSON: %j',
    (text) => {
      expect(() => jsonTree(text)).toThrow(ProxyError);
    },
  );

  it('are found in whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        const node = jsonTree(text);
        expect([node.start, node.end]).toEqual([0, text.length]);
      }),
    );
  });

  it('are not looked for beyond a depth, nor is the stack used up by long strings', () => {
    expect(() => jsonTree(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toThrow(/deeper/);
    expect(jsonTree(JSON.stringify('\n'.repeat(2_000_000))).kind).toBe('string');
  });
});

describe('the canonical spelling', () => {
  const canonical = (text: string): string => canonicalOf(text, jsonTree(text));

  it.each([
    ['{"b":1,"a":2}', '{"a":2,"b":1}'],
    ['[ 1 , 1.0, 1e0 ]', '[1,1.0,1e0]'],
    ['"\\u0041\\/"', '"A/"'],
    ['{"n":9007199254740993}', '{"n":9007199254740993}'],
    ['{"é":{"z":[],"a":{}}}', '{"é":{"a":{},"z":[]}}'],
  ])('of %s is %s', (text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  it('is the same for every order of keys and space, and its own spelling', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const once = canonical(JSON.stringify(value));
        expect(canonical(JSON.stringify(reversed(value), null, 1))).toBe(once);
        expect(canonical(once)).toBe(once);
      }),
    );
  });
});

/** The same value with the keys of its objects in reverse. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}
