import { describe, expect, it } from 'vitest';
import { exportLosses, harOf, mermaidOf, otlpOf, readTape, type Tape } from '../src/index.js';
import { newDigest } from './support/rig.js';

/** A capture of these records; it has no end, which exporters do not ask for. */
function tapeOf(records: readonly (object | string)[], head: object = {}): Tape {
  const first = { k: 'head', v: 1, form: 'capture', requires: [], at: '2026-11-21T10:00:00.000Z', ...head };
  const text = [first, ...records]
    .map((record) => `${typeof record === 'string' ? record : JSON.stringify(record)}\n`)
    .join('');
  return readTape(new TextEncoder().encode(text), { name: 't.tape.jsonl', newDigest });
}

const of = (s: string, x: string, from: string, m: object, more: object = {}): object => ({
  k: 'msg',
  t: 1000,
  s,
  x,
  from,
  ...more,
  m: { jsonrpc: '2.0', ...m },
});
const http = (x: string, from: string, more: object): object => ({
  k: 'http',
  t: 0,
  s: 's1',
  x,
  from,
  headers: {},
  ...more,
});
const over = (x: string, end: string, s = 's1'): object => ({ k: 'x-', t: 1000, s, x, end });
const call = (id: number, name = 'a', meta: object = {}): object => ({
  id,
  method: 'tools/call',
  params: { name, _meta: meta },
});

interface Har {
  readonly log: { readonly entries: readonly Entry[] };
}
interface Entry {
  readonly time: number;
  readonly request: { readonly method: string; readonly url: string; readonly postData?: { readonly text: string } };
  readonly response: {
    readonly status: number;
    readonly content: { readonly text: string; readonly mimeType: string };
  };
  readonly _mcp: { readonly events?: readonly number[] };
}
const entriesOf = (tape: Tape): readonly Entry[] =>
  (JSON.parse([...harOf([tape], { version: '1' })].join('')) as Har).log.entries;

describe('a HAR', () => {
  it.each<[what: string, records: readonly object[], expected: object]>([
    [
      'a batch',
      [
        of('s1', '1', 'client', call(1), { batch: true }),
        of('s1', '1', 'client', call(2), { batch: true }),
        of('s1', '1', 'server', { id: 2, result: {} }, { batch: true }),
        of('s1', '1', 'server', { id: 1, result: {} }, { batch: true }),
      ],
      {
        request: { postData: { text: expect.stringMatching(/^\[\{.*"id":1.*\},\{.*"id":2.*\}\]$/) } },
        response: {
          content: {
            mimeType: 'application/json',
            text: '[{"jsonrpc":"2.0","id":2,"result":{}},{"jsonrpc":"2.0","id":1,"result":{}}]',
          },
        },
      },
    ],
    [
      'the end of a session',
      [http('1', 'client', { method: 'DELETE', target: '/mcp?a=1' }), http('1', 'server', { status: 204 })],
      {
        request: { method: 'DELETE', url: 'http://localhost/mcp?a=1', queryString: [{ name: 'a', value: '1' }] },
        response: { status: 204, content: { text: '', mimeType: 'x-unknown' } },
      },
    ],
    [
      'a body that is no message',
      [
        http('1', 'client', { method: 'POST', target: '/mcp' }),
        { k: 'raw', t: 0, s: 's1', x: '1', from: 'client', text: '{' },
        http('1', 'server', { status: 400, headers: { 'content-type': 'text/plain' } }),
        { k: 'raw', t: 0, s: 's1', x: '1', from: 'server', text: 'no JSON' },
      ],
      {
        request: { postData: { text: '{' } },
        response: { status: 400, content: { mimeType: 'text/plain', text: 'no JSON' } },
      },
    ],
    [
      'a stream that is primed, and open to the end',
      [
        http('1', 'client', { method: 'GET', target: '/mcp' }),
        http('1', 'server', { status: 200, headers: { 'content-type': 'text/event-stream; charset=utf-8' } }),
        { k: 'sse', t: 500, s: 's1', x: '1', sse: { id: 'a', retry: 5 } },
        { k: 'sse', t: 500, s: 's1', x: '1', sse: { retry: 7 } },
        of('s1', '1', 'server', { method: 'notifications/message' }, { sse: { id: 'b', event: 'x' } }),
        over('1', 'open-at-end'),
      ],
      {
        time: 3,
        response: {
          content: {
            text: 'id: a\nretry: 5\ndata: \n\nretry: 7\n\nevent: x\nid: b\ndata: {"jsonrpc":"2.0","method":"notifications/message"}\n\n',
          },
        },
        _mcp: { end: 'open-at-end', events: [0.5, 1, 2] },
      },
    ],
    [
      'what was cut off before it was answered',
      [of('s1', '1', 'client', call(1))],
      { response: { status: 0, bodySize: -1, _error: 'cut off' } },
    ],
    [
      'what the client took back',
      [of('s1', '1', 'client', call(1)), over('1', 'cancelled-by-client')],
      { time: 1, response: { status: 0, _error: 'cancelled-by-client' } },
    ],
    [
      'a session id that somebody put on the tape',
      [http('1', 'client', { method: 'GET', target: '/mcp', headers: { 'mcp-session-id': 'secret' } })],
      { request: { headers: [{ name: 'mcp-session-id', value: 's1' }] } },
    ],
  ])('has %s', (_, records, expected) => {
    expect(entriesOf(tapeOf(records))).toMatchObject([expected]);
  });

  it('has the times of a golden tape that kept them, also where they go back', () => {
    const records = [
      of('s1', '1', 'client', call(1)),
      of('s1', '1', 'server', { id: 1, result: {} }, { t: -300 }),
      of('s1', '2', 'client', call(2)),
      of('s1', '2', 'server', { id: 2, result: {} }),
    ];
    const tape = tapeOf(records, { form: 'golden', at: undefined });
    expect(entriesOf(tape).map(({ time }) => time)).toEqual([0, 1]);
    expect(exportLosses([tape], 'har')).toEqual([]);
  });
});

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly links?: readonly { readonly spanId: string }[];
  readonly status: { readonly code?: number };
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[];
}
function spansOf(...tapes: readonly Tape[]): readonly Span[] {
  const made = JSON.parse([...otlpOf(tapes, { version: '1', newDigest })].join('')) as {
    resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
  };
  return made.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}
const attribute = (span: Span | undefined, name: string): string | undefined =>
  span?.attributes.find(({ key }) => key === name)?.value.stringValue;

describe('a trace', () => {
  it('has what the server asks on a standing stream below the session, and says when nobody answered', () => {
    const [root, asked] = spansOf(
      tapeOf([
        http('1', 'client', { method: 'GET', target: '/mcp' }),
        of('s1', '1', 'server', { id: 'q', method: 'roots/list' }),
        over('1', 'closed-by-client'),
      ]),
    );
    expect(asked).toMatchObject({ name: 'roots/list', kind: 2, parentSpanId: root?.spanId, status: { code: 2 } });
    expect(attribute(asked, 'error.type')).toBe('unanswered');
  });

  it('has no request that the tape does not have: how an older session was opened', () => {
    const spans = spansOf(
      tapeOf([{ k: 'sess', s: 's1', era: 'legacy', resumed: true, result: {} }, of('s1', '1', 'client', call(1))]),
    );
    expect(spans.map(({ name }) => name)).toEqual(['session', 'tools/call a']);
  });

  it('links the requests of one operation', () => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const params = { name: 'a', _meta: meta };
    const inputRequests = { q: { method: 'roots/list' } };
    const [first, second] = spansOf(
      tapeOf([
        of('-', '1', 'client', { id: 1, method: 'tools/call', params }),
        of('-', '1', 'server', { id: 1, result: { resultType: 'input_required', inputRequests, requestState: 'st' } }),
        over('1', 'answered', '-'),
        of('-', '2', 'client', {
          id: 2,
          method: 'tools/call',
          params: { ...params, requestState: 'st', inputResponses: { q: { roots: [] } } },
        }),
        of('-', '2', 'server', { id: 2, result: { content: [] } }),
      ]),
    );
    expect(second?.links).toMatchObject([{ traceId: first?.traceId, spanId: first?.spanId }]);
    expect(second?.traceId).not.toBe(first?.traceId);
    expect(attribute(first, 'mcp.protocol.version')).toBe('2026-07-28');
    expect(attribute(first, 'mcp.session.id')).toBeUndefined();
  });

  it.each<[end: string, type: string | undefined]>([
    ['cancelled-by-client', 'cancelled-by-client'],
    ['reset', 'reset'],
    ['answered', undefined],
  ])('of a call that ended as %s has the error type %s', (end, type) => {
    const spans = spansOf(tapeOf([of('s1', '1', 'client', call(1)), over('1', end)]));
    expect(attribute(spans[1], 'error.type')).toBe(type);
    expect(spans[1]?.status.code).toBe(type === undefined ? undefined : 2);
  });

  it('does not take the trace context of a golden tape, which is the same everywhere, for one', () => {
    const traceparent = '00-00000000000000000000000000000001-0000000000000001-00';
    const [root, span] = spansOf(
      tapeOf([of('s1', '1', 'client', call(1, 'a', { traceparent }))], { form: 'golden', at: undefined }),
    );
    expect(span).toMatchObject({ traceId: root?.traceId, parentSpanId: root?.spanId });
  });

  it('has ids in their own spelling', () => {
    const line =
      '{"k":"msg","s":"s1","x":"1","from":"client","m":{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}}';
    expect(attribute(spansOf(tapeOf([line]))[1], 'jsonrpc.request.id')).toBe('9007199254740993');
  });

  it('tells the sessions of several tapes apart', () => {
    const [a, b] = ['x', 'y'].map((name) => tapeOf([of('s1', '1', 'client', call(1, name))]));
    const sessions = spansOf(a as Tape, { ...(b as Tape), name: 'other' }).map((span) =>
      attribute(span, 'mcp.session.id'),
    );
    expect(sessions).toEqual(['1.s1', '1.s1', '2.s1', '2.s1']);
  });
});

describe('a diagram', () => {
  it('says which call was answered when several were under way', () => {
    const records = [
      of('s1', '1', 'client', call(1, 'a')),
      of('s1', '2', 'client', call(2, 'b')),
      of('s1', '2', 'server', { id: 2, result: {} }),
      of('s1', '1', 'server', { id: 1, error: { code: -32000, message: 'x'.repeat(200) } }),
    ];
    const lines = [...mermaidOf([tapeOf(records)])].join('').split('\n');
    expect(lines.slice(3, 8).map((line) => line.trim())).toEqual([
      'Note over C,S: session s1',
      'C->>S: tools/call a',
      'C->>S: tools/call b',
      'S-->>C: result (tools/call b)',
      expect.stringMatching(/^S--xC: error -32000 x{67}#8230;$/),
    ]);
  });
});
