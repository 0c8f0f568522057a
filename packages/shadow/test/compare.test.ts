import type { JsonObject } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { compareAnswers } from '../src/compare.js';
import { ignoring } from '../src/ignored.js';

/** What differs between two results, each as `kind pointer`. */
function differences(primary: unknown, shadow: unknown, ignore: readonly string[] = []): string[] {
  const answer = (result: unknown): JsonObject => ({ jsonrpc: '2.0', id: 1, result }) as JsonObject;
  return compareAnswers(answer(primary), answer(shadow), ignoring(ignore)).map(
    ({ kind, pointer }) => `${kind} ${pointer}`,
  );
}

const text = (value: unknown): object => ({ content: [{ type: 'text', text: JSON.stringify(value) }] });

describe('answers are the same', () => {
  it.each([
    ['members in another order', { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
    ['_meta at any depth', { _meta: { at: 1 }, a: [{ _meta: 1, b: 2 }] }, { a: [{ b: 2, _meta: { x: 1 } }] }],
    ['cursors of their own', { tools: [], nextCursor: 'a' }, { tools: [], nextCursor: 'b' }],
    [
      'JSON in a text with other spaces and order',
      text({ a: 1, b: 2 }),
      { content: [{ type: 'text', text: '{ "b": 2, "a": 1 }' }] },
    ],
    ['no result at all', undefined, undefined],
  ])('with %s', (_name, primary, shadow) => {
    expect(differences(primary, shadow)).toEqual([]);
  });

  it('with other ids, and numbers of equal value', () => {
    const read = (json: string): JsonObject => JSON.parse(json) as JsonObject;
    expect(
      compareAnswers(read('{"id":1,"result":{"n":1.0}}'), read('{"id":"x","result":{"n":1e0}}'), ignoring([])),
    ).toEqual([]);
  });
});

describe('answers differ', () => {
  it.each([
    ['missing', { a: 1, b: 2 }, { a: 1 }, ['missing /b']],
    ['extra', { a: 1 }, { a: 1, b: null }, ['extra /b']],
    ['type', { a: 1 }, { a: '1' }, ['type /a']],
    ['null is a type', { a: null }, { a: {} }, ['type /a']],
    ['value', { a: 'x' }, { a: 'y' }, ['value /a']],
    ['keys are escaped', { 'a/b~': 1 }, { 'a/b~': 2 }, ['value /a~1b~0']],
    ['arrays by place', { a: [1, [2]] }, { a: [1, [3], 4] }, ['value /a/1/0', 'extra /a/2']],
    ['plain values in another order', { a: ['x', 'y'] }, { a: ['y', 'x'] }, ['order /a']],
    [
      'named things by name',
      { tools: [{ name: 'b', v: 1 }, { name: 'a' }] },
      { tools: [{ name: 'a' }, { name: 'b', v: 2 }] },
      ['value /tools/b/v', 'order /tools'],
    ],
    ['a thing more', { r: [{ uri: 'u:1' }] }, { r: [{ uri: 'u:0' }, { uri: 'u:1' }] }, ['extra /r/0']],
    [
      'names that are not unique',
      { t: [{ name: 'a' }, { name: 'a', x: 1 }] },
      { t: [{ name: 'a' }, { name: 'a', x: 2 }] },
      ['value /t/1/x'],
    ],
    ['JSON in a text', text({ a: { b: 1 } }), text({ a: { b: 2 } }), ['value /content/0/text/a/b']],
    ['JSON against text', text({ a: 1 }), { content: [{ type: 'text', text: 'none' }] }, ['value /content/0/text']],
    ['only one has a cursor', { nextCursor: 'a' }, {}, ['missing /nextCursor']],
    ['a member called like one of all objects', { a: {} }, { a: { constructor: 1 } }, ['extra /a/constructor']],
  ])('%s', (_name, primary, shadow, expected) => {
    expect(differences(primary, shadow)).toEqual(expected);
  });

  it('in whether they are errors, and in the errors', () => {
    const ok = { id: 1, result: {} };
    const error = (code: number): JsonObject => ({ id: 1, error: { code, message: 'm' } });
    const told = (a: JsonObject, b: JsonObject): unknown => compareAnswers(a, b, ignoring([]));
    expect(told(ok, error(1))).toEqual([
      { pointer: '/error', place: '/error', kind: 'extra', primary: undefined, shadow: 'object' },
    ]);
    expect(told(error(1), ok)).toMatchObject([{ pointer: '/error', kind: 'missing' }]);
    expect(told(error(1), error(2))).toMatchObject([{ pointer: '/error/code', kind: 'value' }]);
  });

  it('without their values, by places that are few', () => {
    const primary = { id: 1, result: { tools: [{ name: 'pay', secret: 'hush' }], list: [{ x: 'hush' }] } };
    const shadow = { id: 1, result: { tools: [{ name: 'pay', secret: 1 }], list: [{ x: 'psst' }] } };
    const found = compareAnswers(primary, shadow, ignoring([]));
    expect(found).toEqual([
      { pointer: '/tools/pay/secret', place: '/tools/*/secret', kind: 'type', primary: 'string', shadow: 'number' },
      { pointer: '/list/0/x', place: '/list/*/x', kind: 'value', primary: 'string', shadow: 'string' },
    ]);
    expect(JSON.stringify(found)).not.toMatch(/hush|psst/);
  });

  it('without the names and addresses that are data', () => {
    const primary = { users: [{ name: 'Ada Hush', pay: 1 }], resources: [{ uri: 'https://x/?key=hush', v: 1 }] };
    const shadow = { users: [{ name: 'Ada Hush', pay: 2 }], resources: [{ uri: 'https://x/?key=hush', v: 2 }] };
    expect(differences(primary, shadow)).toEqual(['value /users/0/pay', 'value /resources/0/v']);
    expect(differences(text(primary), text(shadow))).toEqual([
      'value /content/0/text/users/0/pay',
      'value /content/0/text/resources/0/v',
    ]);
  });

  it('in at most 50 places, by pointers that end', () => {
    const many = Array.from({ length: 1000 }, (_, index) => index);
    expect(differences({ many }, { many: many.map((value) => value + 1) })).toHaveLength(50);
    const [only = ''] = differences({ ['k'.repeat(5000)]: 1 }, {});
    expect(only.length).toBeLessThan(250);
  });

  it('deeply nested, without going deeper than is safe', () => {
    const nested = (value: number): unknown => JSON.parse(`${'['.repeat(50_000)}${value}${']'.repeat(50_000)}`);
    expect(differences({ a: nested(1) }, { a: nested(2) })).toHaveLength(1);
  });
});

describe('what is ignored', () => {
  const primary = {
    content: [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ],
    at: { day: 1 },
  };
  const shadow = {
    content: [
      { type: 'text', text: 'x' },
      { type: 'text', text: 'y' },
    ],
    at: { day: 2 },
  };

  it.each([
    [['/content/0/text'], ['value /content/1/text', 'value /at/day']],
    [['/content/*/text'], ['value /at/day']],
    [['/content', '/at'], []],
    [['/*/day', '/content/*'], []],
    [
      ['/content/text', '/at/day/x'],
      ['value /content/0/text', 'value /content/1/text', 'value /at/day'],
    ],
  ])('%j', (ignore, left) => {
    expect(differences(primary, shadow, ignore)).toEqual(left);
  });

  it('is named as things in lists are', () => {
    const list = (title: string): object => ({ tools: [{ name: 'a/b', title }] });
    expect(differences(list('x'), list('y'), ['/tools/a~1b/title'])).toEqual([]);
  });
});
