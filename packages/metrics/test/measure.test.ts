import { Body, type Frame, type Handler, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import {
  classifiedExchange,
  type ExchangeParts,
  exchangeOf,
  handlerOf,
  jsonReply,
  ManualClock,
  readReply,
  streamReply,
} from '@shadowcat/testkit';
import { failureSlot, jsonFraming, targetSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { measure, measureUpstream } from '../src/measure.js';
import type { Meter } from '../src/meter.js';

/** A meter that writes down what it is told. */
function notes(): { meter: Meter; seen: string[] } {
  const seen: string[] = [];
  const meter: Meter = {
    counter:
      (spec, ...labels) =>
      () =>
        void seen.push(`${spec.name} ${labels.join(' ')}`),
    histogram:
      (spec, ...labels) =>
      (value) =>
        void seen.push(`${spec.name} ${labels.join(' ')} = ${value}`),
    read: () => {},
  };
  return { meter, seen };
}

const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'x' } };
const OK = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}';
const TOOL_ERROR = '{"jsonrpc":"2.0","id":1,"result":{"content":[], "isError" : true}}';
const ERROR = '{"error":{"code":-1,"message":"no"},"jsonrpc":"2.0","id":1}';

async function outcomeOf(answer: Handler | Reply, parts: Parameters<typeof classifiedExchange>[0] = { body: CALL }) {
  const { meter, seen } = notes();
  const clock = new ManualClock();
  const layer = measure({ meter, clock });
  const handler: Handler = typeof answer === 'function' ? answer : () => Promise.resolve(answer);
  const got = await layer(handler)(classifiedExchange(parts));
  expect(seen).toEqual([]);
  expect(layer.inFlight()).toBe(1);
  const read = await readReply(got).catch((error: unknown) => error as Error);
  expect(layer.inFlight()).toBe(0);
  expect(seen.slice(0, 2).map((note) => note.split(' ')[0])).toEqual([
    'shadowcat_requests_total',
    'shadowcat_request_duration_seconds',
  ]);
  return { outcome: seen[0]?.replace('shadowcat_requests_total ', ''), errors: seen.slice(2), read };
}

describe('measure', () => {
  it('counts once and times to the end of the reply', async () => {
    const { meter, seen } = notes();
    const clock = new ManualClock();
    const handler = measure({ meter, clock })(() => {
      clock.advance(100);
      return Promise.resolve(jsonReply(OK));
    });
    const answer = await handler(classifiedExchange({ body: CALL }));
    clock.advance(150);
    await readReply(answer);
    await answer[Symbol.asyncDispose]();
    expect(seen).toEqual([
      'shadowcat_requests_total tools/call legacy ok',
      'shadowcat_request_duration_seconds tools/call legacy ok = 0.25',
    ]);
  });

  const quoting = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    result: { content: [{ text: ERROR }, { text: TOOL_ERROR }] },
  });
  const named = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    result: { level: 'error', error: { code: 1 }, inner: { isError: true } },
  });
  const answers: [string, string, string][] = [
    ['a result', OK, 'ok'],
    ['a JSON-RPC error', ERROR, 'error'],
    ["a tool's error", TOOL_ERROR, 'tool_error'],
    ['a result that quotes errors', quoting, 'ok'],
    ['a result with members of such names', named, 'ok'],
    ['a result that says isError: false', OK.replace('[]', '[],"isError":false'), 'ok'],
  ];
  it.each(answers)('of %s as ready JSON', async (_, text, outcome) => {
    const { outcome: got, errors, read } = await outcomeOf(jsonReply(text));
    // Errors that a server answers with are not the proxy's.
    expect(errors).toEqual([]);
    expect(got).toBe(`tools/call legacy ${outcome}`);
    expect(read).toMatchObject({ text });
  });

  it.each(answers)('of %s as JSON that arrives', async (_, text, outcome) => {
    const answer = streamReply([text], { headers: { 'content-type': 'application/json' } });
    const { outcome: got, read } = await outcomeOf(answer);
    expect(got).toBe(`tools/call legacy ${outcome}`);
    expect(read).toMatchObject({ text });
  });

  it.each(answers)('of %s in a stream, after other events', async (_, text, outcome) => {
    const progress =
      'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":{"error":{}}}}\n\n';
    const events = ['id: 1\ndata: \n\n', progress, `event: message\nid: 2\ndata: ${text}\n\n`, ': keep-alive\n\n'];
    const { outcome: got, read } = await outcomeOf(streamReply(events));
    expect(got).toBe(`tools/call legacy ${outcome}`);
    expect(read).toMatchObject({ text: events.join('') });
  });

  it('of a batch: an error of one is an error', async () => {
    const text = `[${OK},${ERROR},${OK}]`;
    expect((await outcomeOf(jsonReply(text))).outcome).toBe('tools/call legacy error');
    expect((await outcomeOf(streamReply([OK, TOOL_ERROR, OK].map((one) => `data: ${one}\n\n`)))).outcome).toBe(
      'tools/call legacy tool_error',
    );
  });

  it('of an answer that is too large to be looked into: by its status', async () => {
    const text = TOOL_ERROR.replace('[]', `["${'x'.repeat(70_000)}"]`);
    expect((await outcomeOf(jsonReply(text))).outcome).toBe('tools/call legacy ok');
  });

  it.each([
    [202, 'ok'],
    [400, 'client_error'],
    [404, 'client_error'],
    [500, 'upstream_error'],
  ])('of the status %i', async (status, outcome) => {
    expect((await outcomeOf(jsonReply('{}', { status }))).outcome).toBe(`tools/call legacy ${outcome}`);
  });

  it('of a stream that its client leaves before the answer', async () => {
    const { meter, seen } = notes();
    const handler = measure({ meter, clock: new ManualClock() })(() =>
      Promise.resolve(streamReply([': a\n\n', ': b\n\n'])),
    );
    const answer = await handler(classifiedExchange({ body: CALL }));
    for await (const _ of answer.body.bytes()) break;
    await answer[Symbol.asyncDispose]();
    expect(seen[0]).toBe('shadowcat_requests_total tools/call legacy cancelled');
  });

  it('of a stream that breaks before the answer', async () => {
    async function* breaking() {
      yield ': a\n\n';
      throw new ProxyError('upstream_closed', 'gone');
    }
    const { outcome, errors, read } = await outcomeOf(streamReply(breaking()));
    expect(outcome).toBe('tools/call legacy upstream_error');
    expect(errors).toEqual(['shadowcat_errors_total upstream_closed']);
    expect(read).toMatchObject({ code: 'upstream_closed' });
  });

  it('of a standing stream, however it ends', async () => {
    expect((await outcomeOf(streamReply([': a\n\n']), {})).outcome).toBe('(stream) legacy ok');
  });

  it('tells why a standing stream broke', async () => {
    async function* breaking() {
      yield ': a\n\n';
      throw new ProxyError('slow_client', 'it does not read');
    }
    const { outcome, errors } = await outcomeOf(streamReply(breaking()), {});
    expect({ outcome, errors }).toEqual({
      outcome: '(stream) legacy ok',
      errors: ['shadowcat_errors_total slow_client'],
    });
  });

  it('of an error that the rescue layer answered further in', async () => {
    const handler: Handler = (exchange) => {
      exchange.context.set(failureSlot, new ProxyError('blocked', 'no'));
      return Promise.resolve(jsonReply('{}'));
    };
    const { outcome, errors } = await outcomeOf(handler);
    expect({ outcome, errors }).toEqual({
      outcome: 'tools/call legacy refused',
      errors: ['shadowcat_errors_total blocked'],
    });
  });

  it.each([
    ['upstream_timeout', 'upstream_error'],
    ['parse_error', 'client_error'],
    ['pool_exhausted', 'refused'],
    ['draining', 'refused'],
    ['cancelled', 'cancelled'],
    ['internal', 'proxy_error'],
  ] as const)('of %s that is thrown', async (code, outcome) => {
    const { meter, seen } = notes();
    const layer = measure({ meter, clock: new ManualClock() });
    const throwing = layer(() => Promise.reject(new ProxyError(code, 'x')));
    await expect(throwing(exchangeOf({ body: '{' }))).rejects.toMatchObject({ code });
    expect(seen[0]).toBe(`shadowcat_requests_total (unread)  ${outcome}`);
    expect(seen.slice(2)).toEqual([`shadowcat_errors_total ${code}`]);
    expect(layer.inFlight()).toBe(0);
  });

  it('has one label for all methods that nobody knows', async () => {
    const invent = (method: string): ExchangeParts & { body: object } => ({ body: { jsonrpc: '2.0', id: 1, method } });
    expect((await outcomeOf(jsonReply(OK), invent('x/y'))).outcome).toBe('other legacy ok');
    expect((await outcomeOf(jsonReply(OK), invent('__proto__'))).outcome).toBe('other legacy ok');
  });

  it('keeps ready bodies ready, and declares no length that is void', async () => {
    const ready = await measure({ ...notes(), clock: new ManualClock() })(handlerOf(() => OK))(
      classifiedExchange({ body: CALL }),
    );
    expect(ready.body.ready).toBeDefined();
    const longer = { transforms: true as const, frame: (frame: Frame) => frame.replace(`${frame.text ?? ''}  `) };
    const body = Body.whole(new TextEncoder().encode(OK), jsonFraming).with(longer);
    const head = { status: 200, headers: { 'content-type': 'application/json', 'content-length': String(OK.length) } };
    const { read } = await outcomeOf(reply(head, body));
    expect(read).toMatchObject({ text: `${OK}  `, headers: { 'content-type': 'application/json' } });
    expect(read).not.toHaveProperty('headers.content-length');
  });
});

describe('measureUpstream', () => {
  it('times to the head, by target and outcome', async () => {
    const { meter, seen } = notes();
    const clock = new ManualClock();
    const handlers: Handler[] = [
      async (exchange) => {
        clock.advance(5);
        exchange.context.set(targetSlot, 'a');
        return jsonReply(OK);
      },
      () => Promise.reject(new ProxyError('upstream_unreachable', 'x')),
    ];
    await measureUpstream({ meter, clock })(handlers[0] as Handler)(exchangeOf());
    await expect(measureUpstream({ meter, clock }, 'b')(handlers[1] as Handler)(exchangeOf())).rejects.toThrow('x');
    expect(seen).toEqual([
      'shadowcat_upstream_duration_seconds a ok = 0.005',
      'shadowcat_upstream_duration_seconds b upstream_error = 0',
    ]);
  });
});
