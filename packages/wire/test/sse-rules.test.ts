import type { Frame } from '@shadowcat/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sse, sseFraming } from '../src/sse-framing.js';

const encoder = new TextEncoder();

interface Dispatched {
  readonly data: string;
  readonly event: string;
  readonly lastId: string;
}

/**
 * The standard's own interpretation of a stream (WHATWG HTML, 9.2.6), as plainly as it can be written: on the whole text, line
 * by line, with the buffers that it names. What it dispatches is what a browser would.
 */
function standard(text: string): { events: Dispatched[]; retry: number | undefined } {
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  // The last piece is not ended by a line end.
  lines.pop();
  const events: Dispatched[] = [];
  let [data, event, id, lastId] = ['', '', '', ''];
  let retry: number | undefined;
  let newRetry: number | undefined;
  for (const line of lines) {
    if (line === '') {
      lastId = id;
      retry = newRetry;
      if (data !== '') events.push({ data: data.replace(/\n$/, ''), event: event === '' ? 'message' : event, lastId });
      [data, event] = ['', ''];
      continue;
    }
    if (line.startsWith(':')) continue;
    const [, name = '', value = ''] = /^([^:]*)(?:: ?([\s\S]*))?$/.exec(line) ?? [];
    if (name === 'event') event = value;
    if (name === 'data') data += `${value}\n`;
    if (name === 'id' && !value.includes('\0')) id = value;
    // The standard takes it at once; ours comes with its block, so one that the stream cuts off is not seen.
    if (name === 'retry' && /^[0-9]+$/.test(value)) newRetry = Number(value);
  }
  return { events, retry };
}

/** What a reader of our frames makes of them by the same rules. */
function ours(chunks: readonly Uint8Array[]): { events: Dispatched[]; retry: number | undefined } {
  const decoder = sseFraming.decoder();
  const frames: Frame[] = [...chunks.flatMap((chunk) => [...decoder.push(chunk)]), ...decoder.end()];
  const events: Dispatched[] = [];
  let lastId = '';
  let retry: number | undefined;
  for (const { text, sse: fields } of frames) {
    lastId = fields?.id ?? lastId;
    retry = fields?.retry ?? retry;
    const event = fields?.event ?? '';
    if (text !== undefined) events.push({ data: text, event: event === '' ? 'message' : event, lastId });
  }
  return { events, retry };
}

/** Without events of empty data: the standard dispatches them, and no message of MCP is empty. */
function withData({ events, retry }: ReturnType<typeof standard>): ReturnType<typeof standard> {
  return { events: events.filter(({ data }) => data !== ''), retry };
}

function split(bytes: Uint8Array, ...places: readonly number[]): Uint8Array[] {
  const bounds = [0, ...places.toSorted((a, b) => a - b), bytes.length];
  return bounds.slice(1).map((end, index) => bytes.slice(bounds[index], end));
}

const TRANSCRIPTS: readonly string[] = [
  'data: a\n\n',
  '\ufeffdata: a\r\n\r\n',
  'id: 1\r\ndata:a\r\ndata: b\r\n\r\n',
  ':c\r\rid\rdata: x\r\r',
  'data\n\ndata\ndata\n\ndata:  y\n\n',
  'event: e\nid: a\0b\nretry: 5\ndata: é😀\n\n',
  'retry: 1x\nretry: 12\n\r\ndata: z\n\rdata: w\n\n',
  'id: 0\ndata: \n\ndata: m\n\nid\ndata: n\n\n',
  'Data: 1\nfoo\n: x\ndata: 1: 2\n\ndata: lost\n',
];

describe('an event stream, read by the rules of the standard', () => {
  it.each(TRANSCRIPTS)('%j, cut at every pair of bytes', (text) => {
    const bytes = encoder.encode(text);
    const expected = withData(standard(text));
    for (let one = 0; one <= bytes.length; one += 1) {
      for (let two = one; two <= bytes.length; two += 1) expect(ours(split(bytes, one, two))).toEqual(expected);
    }
  });

  it('is the same for any stream, however it is cut', () => {
    const end = fc.constantFrom('\n', '\r', '\r\n');
    const name = fc.constantFrom('data', 'data', 'id', 'event', 'retry', 'foo', '', ' data', 'DATA', '\ufeffdata');
    const value = fc.oneof(
      fc.constantFrom('', ' ', '  x', ':', '5', '007', 'a\0b', '{"id":1}', 'é漢😀\u2028\u0085'),
      fc.string({ unit: 'binary', maxLength: 4 }).map((text) => text.replace(/[\r\n]/g, '').toWellFormed()),
    );
    const field = fc.tuple(name, fc.constantFrom(':', ': ', ''), value, end).map((parts) => parts.join(''));
    const piece = fc.oneof({ weight: 3, arbitrary: field }, { weight: 2, arbitrary: end });
    const stream = fc
      .tuple(fc.constantFrom('', '\ufeff'), fc.array(piece, { maxLength: 25 }), fc.constantFrom('', 'data: cut', ':'))
      .map(([mark, pieces, rest]) => mark + pieces.join('') + rest);
    fc.assert(
      fc.property(stream, fc.array(fc.nat(200), { maxLength: 6 }), (text, places) => {
        const bytes = encoder.encode(text);
        const within = places.map((place) => Math.min(place, bytes.length));
        expect(ours(split(bytes, ...within))).toEqual(withData(standard(text)));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['line', { line: 20 }, `data: ${'x'.repeat(15)}\n\n`],
    ['comment', { line: 20 }, `:${'x'.repeat(20)}\n\n`],
    ['event', { event: 30 }, 'data: 123456\ndata: 123456\ndata: 1\n\n'],
  ] as const)('ends with a plain reason over a %s that is too long, wherever it is cut', (_what, limits, text) => {
    const bytes = encoder.encode(text);
    for (let at = 0; at <= bytes.length; at += 1) {
      const decoder = sse(limits).decoder();
      const read = (): unknown => split(bytes, at).map((chunk) => decoder.push(chunk));
      expect(read).toThrow(
        expect.objectContaining({ code: 'upstream_protocol', message: expect.stringContaining('longer than') }),
      );
    }
  });
});
