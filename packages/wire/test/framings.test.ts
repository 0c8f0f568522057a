import { Body, Frame, type Framing } from '@shadowcat/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { framingOf, mediaType } from '../src/framings.js';
import { jsonFraming } from '../src/json-framing.js';
import { ndjson, ndjsonFraming } from '../src/ndjson-framing.js';
import { oneLine } from '../src/one-line.js';
import { sseBytes } from '../src/sse-event.js';
import { sse, sseFraming } from '../src/sse-framing.js';

const encoder = new TextEncoder();
const bytesOf = (text: string): Uint8Array => encoder.encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);

function decode(framing: Framing, chunks: readonly Uint8Array[]): Frame[] {
  const decoder = framing.decoder();
  return [...chunks.flatMap((chunk) => decoder.push(chunk)), ...decoder.end()];
}

function bytesAfter(frames: readonly Frame[]): string {
  return frames.map((frame) => textOf(frame.bytes ?? new Uint8Array(0))).join('');
}

/** What frames say, without the ones that are white space only. */
function meaning(frames: readonly Frame[]): unknown[] {
  return frames
    .filter((frame) => frame.text !== undefined || frame.sse !== undefined)
    .map((frame) => [frame.text ?? null, frame.sse ?? {}]);
}

/** The input in one piece, cut in two at every byte, and byte by byte. */
function cuts(bytes: Uint8Array): Uint8Array[][] {
  const twos = Array.from({ length: bytes.length + 1 }, (_, at) => [bytes.slice(0, at), bytes.slice(at)]);
  return [[bytes], ...twos, Array.from(bytes, (byte) => new Uint8Array([byte]))];
}

describe('the SSE framing', () => {
  const transcripts: [name: string, stream: string, meaning: [text: string | null, sse: object][]][] = [
    ['nothing', '', []],
    ['an event', 'data: {"id":1}\n\n', [['{"id":1}', {}]]],
    [
      'two events',
      'data: 1\n\ndata: 2\n\n',
      [
        ['1', {}],
        ['2', {}],
      ],
    ],
    ['no space after the colon', 'data:1\n\n', [['1', {}]]],
    ['only one space is taken away', 'data:  1\n\n', [[' 1', {}]]],
    [
      'all fields',
      'event: message\nid: a/7\nretry: 250\ndata: 1\n\n',
      [['1', { event: 'message', id: 'a/7', retry: 250 }]],
    ],
    ['data in several lines', 'data: {\ndata:  "a": 1\ndata: }\n\n', [['{\n "a": 1\n}', {}]]],
    ['an empty line of data among others', 'data: a\ndata\ndata: b\n\n', [['a\n\nb', {}]]],
    ['a priming event', 'id: 0\ndata: \n\n', [[null, { id: '0' }]]],
    ['a priming event with retry', 'id: 0\nretry: 3000\ndata:\n\n', [[null, { id: '0', retry: 3000 }]]],
    ['an id alone', 'id: 9\n\n', [[null, { id: '9' }]]],
    ['an empty id', 'id\ndata: 1\n\n', [['1', { id: '' }]]],
    ['retry alone', 'retry: 10\n\n', [[null, { retry: 10 }]]],
    ['retry that is no number', 'retry: 1s\ndata: 1\n\n', [['1', {}]]],
    ['retry that is empty', 'retry:\ndata: 1\n\n', [['1', {}]]],
    ['an id with a null character', 'id: a\0b\ndata: 1\n\n', [['1', {}]]],
    ['the last of two fields', 'id: 1\nid: 2\nevent: a\nevent: b\ndata: x\n\n', [['x', { id: '2', event: 'b' }]]],
    ['unknown fields', 'foo: 1\ndatax: 2\n data: 3\ndata: 4\n\n', [['4', {}]]],
    ['a field name with capitals', 'Data: 1\n\n', []],
    ['a colon in the value', 'data: a: b\n\n', [['a: b', {}]]],
    [
      'comments',
      ': keep-alive\n\n:\n\n:x\n',
      [
        [null, { comment: ' keep-alive' }],
        [null, { comment: '' }],
        [null, { comment: 'x' }],
      ],
    ],
    ['a comment within an event', 'id: 1\n: note\ndata: 1\n:more\n\n', [['1', { id: '1', comment: ' note\nmore' }]]],
    [
      'a comment right before an event',
      ':x\ndata: 1\n\n',
      [
        [null, { comment: 'x' }],
        ['1', {}],
      ],
    ],
    [
      'CRLF',
      'id: 1\r\ndata: a\r\ndata: b\r\n\r\n: c\r\n\r\ndata: d\r\n\r\n',
      [
        ['a\nb', { id: '1' }],
        [null, { comment: ' c' }],
        ['d', {}],
      ],
    ],
    [
      'CR',
      'id: 1\rdata: a\rdata: b\r\rdata: c\r\r',
      [
        ['a\nb', { id: '1' }],
        ['c', {}],
      ],
    ],
    [
      'mixed line ends',
      'data: a\r\n\ndata: b\n\rdata: c\r\r\ndata: d\n\r\n',
      [
        ['a', {}],
        ['b', {}],
        ['c', {}],
        ['d', {}],
      ],
    ],
    ['blank lines', '\n\n\r\n\rdata: 1\n\n\n\n', [['1', {}]]],
    [
      'a byte order mark',
      '\ufeffdata: 1\n\ndata: 2\n\n',
      [
        ['1', {}],
        ['2', {}],
      ],
    ],
    [
      'a byte order mark before a comment',
      '\ufeff: c\ndata: 1\n\n',
      [
        [null, { comment: ' c' }],
        ['1', {}],
      ],
    ],
    ['a byte order mark that is not the first', '\ufeff\ufeffdata: 1\n\n', []],
    ['a byte order mark in a later event', 'data: 1\n\n\ufeffdata: 2\n\n', [['1', {}]]],
    ['only a byte order mark', '\ufeff', []],
    [
      'characters of one to four bytes',
      'data: aé漢😀\u2028\n\nevent: é\ndata: ü\n\n',
      [
        ['aé漢😀\u2028', {}],
        ['ü', { event: 'é' }],
      ],
    ],
    ['an event that is cut short', 'data: 1\n\ndata: 2\n', [['1', {}]]],
    ['a line that is cut short', 'data: 1\n\ndata: 2', [['1', {}]]],
    ['a comment that is cut short', 'data: 1\n\n: ke', [['1', {}]]],
    [
      'JSON that is not to be changed',
      'data: {"b":9007199254740993,"a":1.0,"c":"\\u00e9\\/"}\n\n',
      [['{"b":9007199254740993,"a":1.0,"c":"\\u00e9\\/"}', {}]],
    ],
  ];

  it.each(transcripts)('reads %s, wherever it is cut', (_name, stream, expected) => {
    for (const chunks of cuts(bytesOf(stream))) {
      const frames = decode(sseFraming, chunks);
      expect(meaning(frames)).toEqual(expected);
      expect(bytesAfter(frames)).toBe(stream);
    }
  });

  it('hands an event out with its last byte, and a comment too', () => {
    const decoder = sseFraming.decoder();
    expect(decoder.push(bytesOf('data: 1\n'))).toHaveLength(0);
    expect(decoder.push(bytesOf('\n'))).toHaveLength(1);
    expect(decoder.push(bytesOf('data: 2\r\n\r'))).toHaveLength(1);
    expect(decoder.push(bytesOf('\n: c\n'))).toHaveLength(1);
  });

  it('replaces what is no UTF-8 and keeps the bytes', () => {
    const bytes = new Uint8Array([...bytesOf('data: '), 0xff, ...bytesOf('\n\n')]);
    const [frame] = decode(sseFraming, [bytes]);
    expect(frame?.text).toBe('\ufffd');
    expect(frame?.bytes).toEqual(bytes);
  });

  it('does not take the beginning of a byte order mark for one, wherever it is cut', () => {
    const bytes = new Uint8Array([0xef, 0xbb, ...bytesOf(':no comment\ndata: 1\n\n')]);
    for (const chunks of cuts(bytes)) {
      const frames = decode(sseFraming, chunks);
      expect(meaning(frames)).toEqual([['1', {}]]);
      expect(frames).toHaveLength(1);
      expect(Buffer.concat(frames.map((frame) => frame.bytes ?? new Uint8Array(0)))).toEqual(Buffer.from(bytes));
    }
  });

  it('keeps every byte of any stream, however it is cut', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'data: {}\n',
        '\n',
        '\r',
        '\r\n',
        'id: 1\n',
        ':c\n',
        '\ufeff',
        'data',
        ':',
        ' ',
        'retry: 5\r\n',
        '\0',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    );
    const stream = fc.array(piece, { maxLength: 30 }).map((pieces) => encoder.encode(pieces.join('')));
    fc.assert(
      fc.property(stream, fc.array(fc.nat(40), { maxLength: 20 }), (bytes, sizes) => {
        const chunks: Uint8Array[] = [];
        let at = 0;
        for (const size of sizes) {
          chunks.push(bytes.slice(at, at + size));
          at += size;
        }
        chunks.push(bytes.slice(at));
        const frames = decode(sseFraming, chunks);
        expect(Buffer.concat(frames.map((frame) => frame.bytes ?? new Uint8Array(0)))).toEqual(Buffer.from(bytes));
        expect(meaning(frames)).toEqual(meaning(decode(sseFraming, [bytes])));
      }),
      { numRuns: 500 },
    );
  });

  it('bounds lines and events', () => {
    const small = sse({ line: 10, event: 25 });
    const read =
      (stream: string): (() => unknown) =>
      () =>
        decode(
          small,
          Array.from(bytesOf(stream), (byte) => new Uint8Array([byte])),
        );
    const refused = expect.objectContaining({ code: 'upstream_protocol' });
    expect(read('data: 6789\r\n\r\ndata: 6789\n\n')).not.toThrow();
    expect(read('data: 67890\n\n')).toThrow(refused);
    expect(read(':234567890')).not.toThrow();
    expect(read(':2345678901')).toThrow(refused);
    expect(read('data: 89\ndata: 89\ndata:\n\n')).not.toThrow();
    expect(read('data: 89\ndata: 89\ndata: \n\n')).toThrow(refused);
    expect(read(':3\n:3\n:3\n:3\n:3\n:3\n:3\n:3\n:3\n:3\n')).not.toThrow();
  });

  it('takes an answer of 32 MiB and no more, as a JSON body does', () => {
    const limit = 32 * 1024 * 1024;
    expect(() => decode(sseFraming, [bytesOf(`data: ${'x'.repeat(limit - 8)}\n\n`)])).not.toThrow();
    expect(() => decode(sseFraming, [bytesOf(`data: ${'x'.repeat(limit - 5)}\n\n`)])).toThrow(String(limit));
    const line = `data: ${'x'.repeat(limit / 4 - 7)}\n`;
    expect(() => decode(sseFraming, [bytesOf(line.repeat(4)), bytesOf(':\n')])).toThrow(String(limit));
  });
});

describe('sseBytes', () => {
  it.each([
    [new Frame({ text: '{"a":1}' }), 'data: {"a":1}\n\n'],
    [
      new Frame({ text: '1', sse: { id: '7', event: 'message', retry: 5 } }),
      'event: message\nid: 7\nretry: 5\ndata: 1\n\n',
    ],
    [new Frame({ text: 'a\r\nb\rc\nd' }), 'data: a\ndata: b\ndata: c\ndata: d\n\n'],
    [new Frame({ text: null, sse: { id: '0' } }), 'id: 0\ndata: \n\n'],
    [new Frame({ text: null, sse: { retry: 9 } }), 'retry: 9\n\n'],
    [new Frame({ text: null, sse: { comment: ' keep-alive' } }), ': keep-alive\n\n'],
    [new Frame({ text: null, sse: { comment: ' a\n b' } }), ': a\n: b\n\n'],
    [
      new Frame({ text: '1', sse: { id: '7\ndata: forged\n\n', event: 'a\r\nb' } }),
      'event: ab\nid: 7data: forged\ndata: 1\n\n',
    ],
    [new Frame({ text: null }), ''],
  ])('%# makes an event of a frame', (frame, bytes) => {
    expect(textOf(sseBytes(frame))).toBe(bytes);
    expect(textOf(sseFraming.encode(frame))).toBe(bytes);
  });

  it('is what the decoder reads back', () => {
    const line = fc.string({ unit: 'binary' }).filter((text) => !/[\r\n\0]/.test(text) && text.isWellFormed());
    const frames = fc.record({ id: line, event: line, retry: fc.nat() }, { requiredKeys: [] });
    const text = fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((value) => !value.includes('\r') && value.isWellFormed());
    fc.assert(
      fc.property(frames, text, (fields, data) => {
        const [frame, ...rest] = decode(sseFraming, [sseBytes(new Frame({ text: data, sse: fields }))]);
        expect(rest).toEqual([]);
        expect(frame?.text).toBe(data);
        expect(frame?.sse ?? {}).toEqual(fields);
      }),
    );
  });
});

describe('the ndjson framing', () => {
  it.each<[name: string, stream: string, texts: (string | undefined)[]]>([
    ['nothing', '', []],
    ['a line', '{"a":1}\n', ['{"a":1}']],
    ['CRLF', '1\r\n2\r\n', ['1', '2']],
    ['a last line without an end', '1\n2', ['1', '2']],
    ['a last line that ends with CR', '1\n2\r', ['1', '2']],
    ['blank lines', '\n\r\n1\n\n', [undefined, undefined, '1', undefined]],
    ['CR inside of a line', '{"a":\r1}\n', ['{"a":\r1}']],
    ['white space', ' 1 \n', [' 1 ']],
    ['what is no JSON', 'Server listening on stdio\n{}\n', ['Server listening on stdio', '{}']],
    ['characters of one to four bytes', '"aé漢😀\u2028"\n"é"\n', ['"aé漢😀\u2028"', '"é"']],
  ])('reads %s, wherever it is cut', (_name, stream, texts) => {
    for (const chunks of cuts(bytesOf(stream))) {
      const frames = decode(ndjsonFraming, chunks);
      expect(frames.map((frame) => frame.text)).toEqual(texts);
      expect(bytesAfter(frames)).toBe(stream);
    }
  });

  it('writes a message in one line', () => {
    const text = '{\r\n  "a": "\\n"\n}';
    expect(textOf(ndjsonFraming.encode(new Frame({ text })))).toBe('{   "a": "\\n" }\n');
    expect(textOf(ndjsonFraming.encode(new Frame({ text: null })))).toBe('');
    expect(oneLine('{"a":1}')).toBe('{"a":1}');
  });

  it('bounds lines, also those that never end', () => {
    const small = ndjson({ lineLimit: 4 });
    const refused = expect.objectContaining({ code: 'upstream_protocol' });
    expect(() => decode(small, [bytesOf('123\n45'), bytesOf('6\n')])).not.toThrow();
    expect(() => decode(small, [bytesOf('1234\n')])).toThrow(refused);
    expect(() => decode(small, [bytesOf('12'), bytesOf('345')])).toThrow(refused);
    expect(() => ndjsonFraming.decoder().push(new Uint8Array(10 * 1024 * 1024).fill(0x20))).not.toThrow();
    expect(() => ndjsonFraming.decoder().push(new Uint8Array(10 * 1024 * 1024 + 1).fill(0x20))).toThrow(refused);
  });
});

describe('the JSON framing', () => {
  it.each<[stream: string, text: string]>([
    ['{"b":1.0,"a":"é😀"}', '{"b":1.0,"a":"é😀"}'],
    [' [1,2]\n', ' [1,2]\n'],
    ['\ufeff{}', '{}'],
    ['oops', 'oops'],
  ])('makes one frame of %j, wherever it is cut', (stream, text) => {
    for (const chunks of cuts(bytesOf(stream))) {
      const frames = decode(jsonFraming, chunks);
      expect(frames.map((frame) => frame.text)).toEqual([text]);
      expect(bytesAfter(frames)).toBe(stream);
    }
  });

  it('makes none of an empty body', () => {
    expect(decode(jsonFraming, [new Uint8Array(0)])).toEqual([]);
  });

  it('writes the text of a frame', () => {
    expect(textOf(jsonFraming.encode(new Frame({ text: '{"é":1}' })))).toBe('{"é":1}');
    expect(jsonFraming.encode(new Frame({ text: null }))).toHaveLength(0);
  });

  it('bounds what it gathers', () => {
    const decoder = jsonFraming.decoder();
    const mebibyte = new Uint8Array(1024 * 1024);
    for (let count = 0; count < 32; count += 1) decoder.push(mebibyte);
    expect(() => decoder.push(new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'upstream_protocol' }));
  });

  it('lets an observer read while the chunks pass as they came', async () => {
    const chunks = [bytesOf('{"id"'), bytesOf(':1}')];
    const seen: unknown[] = [];
    const body = Body.stream(
      {
        async *[Symbol.asyncIterator]() {
          yield* chunks;
        },
      },
      jsonFraming,
    ).with({ transforms: false, frame: (frame) => void seen.push(frame.message) });
    const passed: Uint8Array[] = [];
    for await (const chunk of body.bytes()) passed.push(chunk);
    expect(passed).toEqual(chunks);
    expect(seen).toEqual([{ id: 1 }]);
  });
});

describe('framingOf', () => {
  it.each([
    ['application/json', 'json'],
    ['Application/JSON; charset=utf-8', 'json'],
    ['application/problem+json', 'json'],
    ['text/event-stream', 'sse'],
    ['text/event-stream;charset=utf-8', 'sse'],
    ['application/x-ndjson', 'ndjson'],
    ['text/html', 'opaque'],
    ['application/jsonp', 'opaque'],
    ['', 'opaque'],
    [undefined, 'opaque'],
  ])('%s is %s', (type, name) => {
    expect(framingOf(type).name).toBe(name);
  });

  it('looks at the essence of the media type', () => {
    expect(mediaType(' Text/Event-Stream ; a=b')).toBe('text/event-stream');
  });
});
