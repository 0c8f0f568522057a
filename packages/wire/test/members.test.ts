import { describe, expect, it } from 'vitest';
import { keepMembers, withMembers } from '../src/members.js';

describe('withMembers', () => {
  const cases: readonly [
    what: string,
    text: string,
    path: string[],
    changes: Record<string, string | undefined>,
    expected: string,
  ][] = [
    [
      'removes a member',
      '{"a":1.0,"b":2,"c":9007199254740993}',
      [],
      { b: undefined },
      '{"a":1.0,"c":9007199254740993}',
    ],
    ['removes the last one', '{"a":1 , "b":2}', [], { b: undefined }, '{"a":1}'],
    ['removes the only one', '{ "a" : {} }', [], { a: undefined }, '{}'],
    ['replaces a member', '{"a":1,"b":2}', [], { a: '"x"' }, '{"b":2,"a":"x"}'],
    ['adds to an empty object', '{"r":{}}', ['r'], { a: '1' }, '{"r":{"a":1}}'],
    ['works inside', '{"r":{"a":[1,{"b":2}],"t":"}"},"z":0}', ['r'], { t: undefined }, '{"r":{"a":[1,{"b":2}]},"z":0}'],
    ['finds a key by its meaning', String.raw`{"\u0061":1,"b":2}`, [], { a: undefined }, '{"b":2}'],
    ['removes every copy', '{"a":1,"b":2,"a":3}', [], { a: undefined }, '{"b":2}'],
    ['leaves an object alone that has none of them', '{ "a" : 1 }', [], { b: undefined }, '{ "a" : 1 }'],
    ['leaves what is no object alone', '{"a":[1]}', ['a'], { b: '1' }, '{"a":[1]}'],
    ['leaves a text alone where nothing is at the path', '{"a":1}', ['x', 'y'], { b: '1' }, '{"a":1}'],
  ];
  it.each(cases)('%s', (_what, text, path, changes, expected) => {
    expect(withMembers(text, path, changes)).toBe(expected);
  });
});

describe('keepMembers', () => {
  const notB = (key: string): boolean => key !== 'b';

  it.each([
    ['{ "a" : 1.0 , "b":{"a":2}, "c":"\\u0041" }', '{"a" : 1.0,"c":"\\u0041"}'],
    ['{"\\u0062":1,"a":2}', '{"a":2}'],
    ['{"b":1}', '{}'],
    ['{}', '{}'],
    ['[{"a":1}]', '{}'],
    ['null', '{}'],
  ])('of %s leaves %s', (text, expected) => {
    expect(keepMembers(text, notB)).toBe(expected);
  });
});
