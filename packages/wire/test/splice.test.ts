import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elementSpans, spanOf, spliceMessage } from '../src/splice.js';

const at = (text: string, ...path: string[]): string | undefined => {
  const span = spanOf(text, path);
  return span === undefined ? undefined : text.slice(span.start, span.end);
};

const CALL =
  '{ "jsonrpc":"2.0", "params" : {"name":"a\\"}b","_meta":{"progressToken":1.0},"arguments":{"n":9007199254740993,"id":[1,"]"]}} ,"id": "\\u0031" }';

describe('spanOf', () => {
  it.each([
    [['id'], '"\\u0031"'],
    [['params', 'name'], '"a\\"}b"'],
    [['params', '_meta', 'progressToken'], '1.0'],
    [['params', '_meta'], '{"progressToken":1.0}'],
    [['params', 'arguments', 'n'], '9007199254740993'],
    [['params', 'arguments', 'id', '1'], '"]"'],
    [['params', 'arguments', 'id', '0'], '1'],
    [['params', 'arguments', 'id', '2'], undefined],
    [['params', 'arguments', 'id', '01'], undefined],
    [['params', 'none'], undefined],
    [['params', 'name', 'x'], undefined],
    [['id', '0'], undefined],
    [[], CALL.trim()],
  ])('%j is %s', (path, found) => {
    expect(at(CALL, ...path)).toBe(found);
  });

  it.each([
    ['{"id":1,"id":2}', '2', 'the last of two, as JSON.parse does'],
    ['{"\\u0069d":7}', '7', 'a key written with escapes'],
    ['{"i\\\\d":1,"id":3}', '3', 'not a key that only looks alike'],
    ['{"x":"\\\\","id":4}', '4', 'behind a string that ends with a backslash'],
    ['{"id":-1.5e+3}', '-1.5e+3', 'a number'],
    ['{"id":null}', 'null', 'null'],
    ['\n{\n"id"\n:\n[ ]\n}\n', '[ ]', 'whatever white space there is'],
  ])('finds in %s %s: %s', (text, found) => {
    expect(at(text, 'id')).toBe(found);
  });

  it.each(['', '{', '{"id', '{"id"', '{"id":', '{"id":"', '{"id":}', '[', '[1', '{"id":[', '{,}', '{"a" 1}', ']'])(
    'ends on broken text such as %j',
    (text) => {
      expect(() => [spanOf(text, ['id']), spanOf(text, ['0']), elementSpans(text)]).not.toThrow();
    },
  );

  it('does not take what every object inherits for a member', () => {
    expect(at('{}', '__proto__')).toBeUndefined();
    expect(at('{}', 'constructor')).toBeUndefined();
    expect(at('{"__proto__":{"a":1}}', '__proto__', 'a')).toBe('1');
  });
});

describe('elementSpans', () => {
  it.each([
    ['[]', []],
    [' [ 1 , {"a":[2,3]} ,"x,]" ] ', ['1', '{"a":[2,3]}', '"x,]"']],
    ['{"a":1}', []],
    ['1', []],
  ])('of %s', (text, elements) => {
    expect(elementSpans(text).map(({ start, end }) => text.slice(start, end))).toEqual(elements);
  });
});

describe('spliceMessage', () => {
  it('replaces what is there and leaves every other byte', () => {
    const out = spliceMessage(CALL, [
      { path: ['id'], json: '42' },
      { path: ['params', '_meta', 'progressToken'], json: '"x/1"' },
      { path: ['params', 'none'], json: '0' },
    ]);
    expect(out).toBe(CALL.replace('"\\u0031"', '42').replace('{"progressToken":1.0}', '{"progressToken":"x/1"}'));
  });

  it('gives the same text back when nothing is there', () => {
    expect(spliceMessage(CALL, [{ path: ['none'], json: '1' }])).toBe(CALL);
    expect(spliceMessage(CALL, [])).toBe(CALL);
  });

  it('lets the outer of two edits win', () => {
    const edits = [
      { path: ['a', 'b'], json: '2' },
      { path: ['a'], json: '{}' },
      { path: ['c'], json: '3' },
    ];
    expect(spliceMessage('{"a":{"b":1},"c":1}', edits)).toBe('{"a":{},"c":3}');
  });

  it('changes the value that JSON.parse reads, and nothing else', () => {
    const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), { minKeys: 1 });
    fc.assert(
      fc.property(object, fc.nat(), fc.jsonValue(), (value, pick, put) => {
        const keys = Object.keys(value);
        const key = keys[pick % keys.length] ?? '';
        const text = JSON.stringify(value, null, pick % 3);
        const span = spanOf(text, [key]);
        expect(span).toBeDefined();
        const { start, end } = span ?? { start: 0, end: 0 };
        expect(JSON.parse(text.slice(start, end))).toEqual((JSON.parse(text) as Record<string, unknown>)[key]);
        const json = JSON.stringify(put);
        const out = spliceMessage(text, [{ path: [key], json }]);
        expect(out).toBe(text.slice(0, start) + json + text.slice(end));
        JSON.parse(out);
      }),
      { numRuns: 500 },
    );
  });
});
