import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMessages, readLine, readMessage, readMessages } from '../src/read-messages.js';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const refusal = (run: () => unknown): string => {
  try {
    run();
    return 'accepted';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('readMessages', () => {
  it.each([
    [
      'a request',
      '{"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"id":9,"n":9007199254740993}}',
      { kind: 'request', id: 1, idText: '1.0', method: 'tools/call' },
    ],
    [
      'a request whose id comes last, after others',
      '{"params":{"id":9,"a":{"id":8}},"method":"x","jsonrpc":"2.0","id":"\\u0031"}',
      { kind: 'request', id: '1', idText: '"\\u0031"', method: 'x' },
    ],
    ['a notification', '{"jsonrpc":"2.0","method":"n","params":{"id":1}}', { kind: 'notification', method: 'n' }],
    ['params that are null', '{"jsonrpc":"2.0","id":1,"method":"x","params":null}', { kind: 'request' }],
    ['params that are an array', '{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}', { kind: 'request' }],
    ['a result', '{"jsonrpc":"2.0","id":"a","result":{"id":7}}', { kind: 'response', id: 'a', idText: '"a"' }],
    ['a null result', '{"jsonrpc":"2.0","id":0,"result":null}', { kind: 'response', id: 0, idText: '0' }],
    ['an error', '{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":""}}', { kind: 'response', id: 2 }],
    ['an error without an id', '{"jsonrpc":"2.0","error":{"code":-1,"message":""}}', { kind: 'response' }],
    [
      'an error with a null id',
      '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}',
      { kind: 'response', id: null, idText: 'null' },
    ],
    ['a result beside a null error', '{"jsonrpc":"2.0","id":1,"result":{},"error":null}', { kind: 'response', id: 1 }],
  ])('reads %s', (_name, text, expected) => {
    const { batch, messages } = readMessages(bytesOf(`\n ${text}\r\n`));
    expect(batch).toBe(false);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatchObject({ ...expected, text, value: JSON.parse(text) });
    expect(Object.hasOwn(messages[0] ?? {}, 'id')).toBe('id' in expected || 'idText' in (messages[0] ?? {}));
  });

  it('leaves out what a notification has not', () => {
    const [message] = readMessages(bytesOf('{"jsonrpc":"2.0","method":"n"}')).messages;
    expect(Object.keys(message ?? {})).toEqual(['kind', 'text', 'value', 'method']);
  });

  it.each([
    ['no UTF-8', new Uint8Array([0x22, 0xc3, 0x28, 0x22]), 'parse_error'],
    ['UTF-8 cut short', bytesOf('"é"').slice(0, 2), 'parse_error'],
    ['a surrogate in UTF-8', new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]), 'parse_error'],
    ['a byte order mark', bytesOf('\ufeff{"jsonrpc":"2.0","method":"n"}'), 'parse_error'],
    ['no JSON', bytesOf('hello'), 'parse_error'],
    ['nothing', bytesOf(''), 'parse_error'],
    ['an empty batch', bytesOf('[]'), 'invalid_request'],
    ['a batch of batches', bytesOf('[[{"jsonrpc":"2.0","method":"n"}]]'), 'invalid_request'],
    ['a batch with one that is none', bytesOf('[{"jsonrpc":"2.0","method":"n"},1]'), 'invalid_request'],
    ['a duplicate key', bytesOf('{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}'), 'invalid_request'],
  ])('refuses %s', (_name, bytes, code) => {
    expect(refusal(() => readMessages(bytes))).toBe(code);
  });

  it.each([
    '1',
    'null',
    '"text"',
    '{}',
    '{"jsonrpc":"2.0"}',
    '{"jsonrpc":"1.0","id":1,"method":"x"}',
    '{"id":1,"method":"x"}',
    '{"jsonrpc":2.0,"id":1,"method":"x"}',
    '{"jsonrpc":"2.0","id":1,"method":1}',
    '{"jsonrpc":"2.0","id":1,"method":null}',
    '{"jsonrpc":"2.0","id":null,"method":"x"}',
    '{"jsonrpc":"2.0","id":true,"method":"x"}',
    '{"jsonrpc":"2.0","id":[1],"method":"x"}',
    '{"jsonrpc":"2.0","id":{},"method":"x"}',
    '{"jsonrpc":"2.0","id":1,"method":"x","params":"p"}',
    '{"jsonrpc":"2.0","id":1,"method":"x","params":1}',
    '{"jsonrpc":"2.0","id":1,"method":"x","result":{}}',
    '{"jsonrpc":"2.0","id":1,"method":"x","error":{"code":1,"message":""}}',
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
    '{"jsonrpc":"2.0","id":1,"error":"text"}',
    '{"jsonrpc":"2.0","id":1,"error":null}',
    '{"jsonrpc":"2.0","result":{}}',
    '{"jsonrpc":"2.0","id":null,"result":{}}',
    '{"__proto__":{"jsonrpc":"2.0","method":"x"}}',
  ])('refuses %s as no JSON-RPC message', (text) => {
    expect(refusal(() => parseMessages(text))).toBe('invalid_request');
    expect(readMessage(text)).toBeUndefined();
    expect(readLine(text)).toEqual([]);
  });

  it('cuts the messages of a batch out verbatim, each with its own id', () => {
    const texts = [
      '{ "jsonrpc":"2.0","method":"n" }',
      '{"jsonrpc":"2.0","params":{"id":5},"id":1.0,"method":"a"}',
      '{"jsonrpc":"2.0","id":"b","result":{"id":6}}',
      '{"jsonrpc":"2.0","error":{"code":1,"message":"","id":4}}',
    ];
    const { batch, messages } = parseMessages(` [ ${texts.join(' ,\n')} ] `);
    expect(batch).toBe(true);
    expect(messages.map((message) => message.text)).toEqual(texts);
    expect(messages.map((message) => message.idText)).toEqual([undefined, '1.0', '"b"', undefined]);
  });

  it('tells a batch of one from that message', () => {
    expect(parseMessages('[{"jsonrpc":"2.0","method":"n"}]').batch).toBe(true);
  });

  it('bounds batches, depth and values', () => {
    const one = '{"jsonrpc":"2.0","method":"n"}';
    const batch = (count: number): string => `[${Array.from({ length: count }, () => one).join(',')}]`;
    expect(parseMessages(batch(100)).messages).toHaveLength(100);
    expect(refusal(() => parseMessages(batch(101)))).toBe('invalid_request');
    expect(refusal(() => parseMessages(batch(3), { batch: 2 }))).toBe('invalid_request');
    expect(refusal(() => parseMessages('{"jsonrpc":"2.0","method":"n","params":{"a":{}}}', { depth: 2 }))).toBe(
      'invalid_request',
    );
    expect(refusal(() => parseMessages(one, { nodes: 2 }))).toBe('invalid_request');
  });

  it('keeps keys that mean something to JavaScript as mere keys', () => {
    const text =
      '{"jsonrpc":"2.0","id":1,"method":"x","__proto__":{"admin":true},"constructor":{},"params":{"__proto__":[]}}';
    const [message] = parseMessages(text).messages;
    expect(message?.text).toBe(text);
    expect('admin' in (message?.value ?? {})).toBe(false);
    expect('admin' in {}).toBe(false);
  });
});

describe('readMessage and readLine', () => {
  it('read what a line carries, white space aside', () => {
    expect(readMessage(' {"jsonrpc":"2.0","id":1,"result":{}}\r')).toEqual({
      kind: 'response',
      text: '{"jsonrpc":"2.0","id":1,"result":{}}',
      value: { jsonrpc: '2.0', id: 1, result: {} },
      id: 1,
      idText: '1',
    });
  });

  it.each(['', 'Server listening', '{', '[1]', '42'])('find no message in %j', (text) => {
    expect(readMessage(text)).toBeUndefined();
    expect(readLine(text)).toEqual([]);
  });

  it('take the id that JSON.parse takes, where a server writes two', () => {
    expect(readMessage('{"jsonrpc":"2.0","id":1,"result":{},"id":2}')).toMatchObject({ id: 2, idText: '2' });
  });

  it('read a batch as its messages', () => {
    const line = '[{"jsonrpc":"2.0","id":1,"result":{}} , 7, {"jsonrpc":"2.0","method":"n"}]';
    expect(readMessage(line)).toBeUndefined();
    expect(readLine(line).map((message) => message.text)).toEqual([
      '{"jsonrpc":"2.0","id":1,"result":{}}',
      '{"jsonrpc":"2.0","method":"n"}',
    ]);
  });

  it('never throw', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void [readMessage(text), readLine(text)]));
  });

  it('agree with readMessages on what they accept', () => {
    const message = fc.record(
      {
        jsonrpc: fc.constantFrom('2.0', '1.0'),
        id: fc.oneof(fc.integer(), fc.string(), fc.constant(null)),
        method: fc.oneof(fc.string(), fc.constant(1)),
        params: fc.jsonValue(),
        result: fc.jsonValue(),
        error: fc.oneof(fc.constant(null), fc.record({ code: fc.integer(), message: fc.string() })),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(message, (value) => {
        const text = JSON.stringify(value);
        const loose = readMessage(text);
        const strict = refusal(() => parseMessages(text));
        expect(strict).toBe(loose === undefined ? 'invalid_request' : 'accepted');
        if (loose !== undefined) expect(parseMessages(text).messages[0]).toEqual(loose);
      }),
      { numRuns: 500 },
    );
  });
});
