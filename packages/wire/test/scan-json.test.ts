import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outlineJson, scanJson } from '../src/scan-json.js';

/** What `scanJson` says: nothing, or the code of its error. */
function verdict(text: string, limits = {}): string | undefined {
  try {
    scanJson(text, limits);
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('scanJson', () => {
  it.each([
    '{}',
    '[]',
    ' \t\r\n[ ] \n',
    '""',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D"',
    '"é 漢 😀 \u2028 \u007f"',
    '0',
    '-0',
    '-0.0e-0',
    '1.0',
    '9007199254740993',
    '1E+400',
    'true',
    'false',
    'null',
    '{"":1," ":2}',
    '{ "a" : [ 1 , { "b" : null } ] }',
  ])('accepts %j', (text) => {
    expect(parses(text)).toBe(true);
    expect(verdict(text)).toBeUndefined();
  });

  it.each([
    '',
    ' ',
    '{',
    '[',
    '"',
    '"\\',
    '"\\u12"',
    '"\\u12g4"',
    '"\\x"',
    '"\u0000"',
    '"a\nb"',
    '01',
    '-',
    '+1',
    '.5',
    '1.',
    '1e',
    '1e+',
    '0x1',
    'NaN',
    'tru',
    'truex',
    'nulll',
    "{'a':1}",
    '{a:1}',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{"a":1 "b":2}',
    '{,}',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[1}',
    '{"a":1]',
    '{} {}',
    '[]]',
    '\ufeff{}',
    '\u00a01',
    '/**/1',
  ])('refuses %j', (text) => {
    expect(parses(text)).toBe(false);
    expect(verdict(text)).toBe('parse_error');
  });

  it.each([
    ['{"a":1,"a":1}'],
    ['{"a":1,"b":2,"a":3}'],
    ['{"a":1,"\\u0061":2}'],
    ['{"\\/":1,"/":2}'],
    ['[{"x":{"k":[],"k":{}}}]'],
    ['{"__proto__":1,"__proto__":2}'],
    [`{${Array.from({ length: 40 }, (_, index) => `"k${index}":0`).join(',')},"k3":1}`],
    [`{${Array.from({ length: 13 }, (_, index) => `"k${index}":0`).join(',')},"k12":1}`],
  ])('refuses a key that comes twice in one object: %s', (text) => {
    expect(verdict(text)).toBe('invalid_request');
  });

  it('accepts a key that comes again in another object', () => {
    expect(verdict('{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}],"A":1}')).toBeUndefined();
    expect(verdict('{"toString":1,"constructor":2,"__proto__":3}')).toBeUndefined();
  });

  it('names the key', () => {
    expect(() => scanJson('{"name":1,"name":2}')).toThrow('the JSON has the key "name" twice in one object');
  });

  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const objects = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  it.each([
    ['arrays', nested],
    ['objects', objects],
  ])('bounds the depth of %s', (_name, make) => {
    expect(verdict(make(64))).toBeUndefined();
    expect(verdict(make(65))).toBe('invalid_request');
    expect(verdict(make(4_500))).toBe('invalid_request');
    expect(verdict(make(3), { depth: 3 })).toBeUndefined();
    expect(verdict(make(4), { depth: 3 })).toBe('invalid_request');
  });

  it('bounds the number of values, containers included', () => {
    expect(verdict('[1,2,{"a":3}]', { nodes: 5 })).toBeUndefined();
    expect(verdict('[1,2,{"a":3}]', { nodes: 4 })).toBe('invalid_request');
    expect(verdict(`[${'0,'.repeat(99_998)}0]`)).toBeUndefined();
    expect(verdict(`[${'0,'.repeat(99_999)}0]`)).toBe('invalid_request');
  });

  it('says where the text is broken', () => {
    expect(() => scanJson('{"a":x}')).toThrow('the JSON is broken at character 5');
    expect(() => scanJson('"a\u0007"')).toThrow('the JSON is broken at character 2');
    expect(() => scanJson('{"a":')).toThrow('the JSON ends too early');
  });
});

/** Apart from duplicate keys, which may stand before what is broken, both must say the same. */
function agree(text: string): void {
  const said = verdict(text, { depth: 10_000, nodes: 1_000_000 });
  if (said === 'invalid_request') expect(() => scanJson(text)).toThrow('twice in one object');
  else expect(said === undefined, JSON.stringify(text)).toBe(parses(text));
}

describe('scanJson and JSON.parse agree', () => {
  const json = fc.oneof(
    fc.json(),
    fc.json({ stringUnit: 'binary' }),
    fc.jsonValue().map((value) => JSON.stringify(value, null, 2)),
  );

  it('on any JSON', () => {
    fc.assert(fc.property(json, agree), { numRuns: 500 });
  });

  const piece = fc.oneof(
    fc.constantFrom(...'{}[]:,"\\\'0123456789+-.eEtrufalsn \t\r\n/\u0000\u001f\u00a0\ufeff'),
    fc.constantFrom('\\u', '\\u00', 'null', 'true', '1e5', '""', '\\"'),
    fc.string({ maxLength: 3 }),
  );
  it('on JSON that was changed somewhere', () => {
    const changed = fc
      .tuple(json, fc.array(fc.tuple(fc.nat(), fc.nat(3), piece), { minLength: 1, maxLength: 3 }))
      .map(([text, changes]) => {
        let out = text;
        for (const [where, removed, put] of changes) {
          const at = where % (out.length + 1);
          out = out.slice(0, at) + put + out.slice(at + removed);
        }
        return out;
      });
    fc.assert(fc.property(changed, agree), { numRuns: 3_000 });
  });

  it('on any pieces of it', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
        agree,
      ),
      { numRuns: 3_000 },
    );
  });

  it('and a key put in twice is always found', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), { minKeys: 1 }),
        fc.nat(),
        (object, pick) => {
          const keys = Object.keys(object);
          const key = keys[pick % keys.length] ?? '';
          const escaped = [...key].map((char) =>
            [...Array(char.length).keys()]
              .map((at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`)
              .join(''),
          );
          const text = JSON.stringify(object).replace(/}$/, `,"${escaped.join('')}":0}`);
          expect(verdict(text)).toBe('invalid_request');
        },
      ),
    );
  });
});

describe('outlineJson', () => {
  it.each<[string, string[]]>([
    [' {"jsonrpc":"2.0","result":{"method":1},"i\\u0064":[{"a":1}]} ', ['jsonrpc', 'result', 'id']],
    ['[{"method":"x"}]', []],
    ['"method"', []],
    ['{}', []],
  ])('tells the keys of the value itself: %s', (text, keys) => {
    expect(outlineJson(text, {}).keys).toEqual(keys);
  });
});
