import type { Json, JsonObject } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { schemaProblems } from '../src/verify/schema-problems.js';

const problems = (schema: JsonObject, value: Json): string[] =>
  schemaProblems(schema, value).map(({ path, wanted }) => `/${path.join('/')}: ${wanted}`);

describe('a schema', () => {
  it.each<[JsonObject, Json, string[]]>([
    [{ multipleOf: 0.1 }, 0.3, []],
    [{ multipleOf: 0.01 }, 19.99, []],
    [{ multipleOf: 0.1 }, 0.35, ['/: a multiple of 0.1']],
    [{ multipleOf: 3 }, 1e300, []],
    [{ multipleOf: 0 }, 1, []],
    [{ $ref: '#/%' }, 1, []],
    [{ $ref: '#/$defs/a%20b', $defs: { 'a b': { type: 'string' } } }, 1, ['/: of type string']],
    [{ $ref: '#/constructor' }, 1, []],
    [{ pattern: '^[a-z]+$' }, 'A', ['/: like ^[a-z]+$']],
    [{ pattern: '[' }, 'A', []],
    [{ items: { $ref: '#' }, type: ['array', 'null'] }, [[null, [1]]], ['/0/1/0: of type array or null']],
  ])('%j of %j', (schema, value, expected) => {
    expect(problems(schema, value)).toEqual(expected);
  });

  it.each<[string, JsonObject]>([
    ['anyOf', { anyOf: [{ $ref: '#' }, { $ref: '#' }] }],
    ['oneOf', { oneOf: [{ $ref: '#' }, { $ref: '#' }, { $ref: '#' }] }],
    ['allOf', { allOf: [{ $ref: '#' }, { $ref: '#' }] }],
    ['not', { not: { allOf: [{ $ref: '#' }, { $ref: '#' }] } }],
    ['items', { allOf: [{ items: { $ref: '#' } }, { items: { $ref: '#' } }] }],
  ])('that leads to itself in several ways comes to an end: %s', (_, schema) => {
    const nested = Array.from({ length: 40 }).reduce<Json>((value) => [value], 1);
    expect(problems(schema, nested)).toEqual([]);
  });

  it.each(['^(a+)+$', '^(a|aa)+$', '^((a+))+$', '^(a|a)*$', '^(?:a*)*$', '^(a{1,}){2,}$', 'a*a*a*a*a*b'])(
    'with a pattern that may take for ever is not tried: %s',
    (pattern) => {
      expect(problems({ pattern }, `${'a'.repeat(5000)}!`)).toEqual([]);
    },
  );
});
