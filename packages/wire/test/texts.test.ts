import { readReply } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { jsonReply } from '../src/json-reply.js';
import { textAt } from '../src/splice.js';
import { failureText } from '../src/texts.js';

describe('failureText', () => {
  it('has data only where there is some, and the id as it was written', () => {
    expect(failureText('1.0', { code: -32602, message: 'a "b"' })).toBe(
      '{"jsonrpc":"2.0","id":1.0,"error":{"code":-32602,"message":"a \\"b\\""}}',
    );
    expect(JSON.parse(failureText('"x"', { code: 1, message: 'm', data: { why: 'so' } }))).toEqual({
      jsonrpc: '2.0',
      id: 'x',
      error: { code: 1, message: 'm', data: { why: 'so' } },
    });
  });
});

describe('jsonReply', () => {
  it('is 200 with the type of JSON unless it is told otherwise', async () => {
    expect(jsonReply('{}').head).toEqual({ status: 200, headers: { 'content-type': 'application/json' } });
    const own = jsonReply('{"a":1}', { status: 404, headers: { 'x-own': '1' } });
    expect(own.head).toEqual({ status: 404, headers: { 'content-type': 'application/json', 'x-own': '1' } });
    expect((await readReply(own)).messages).toEqual([{ a: 1 }]);
  });
});

describe('textAt', () => {
  it('is the text of a value as it stands, or nothing', () => {
    expect(textAt('{"a":{"b":[1, 1.0]}}', ['a', 'b'])).toBe('[1, 1.0]');
    expect(textAt('{"a":1}', ['a', 'b'])).toBeUndefined();
  });
});
