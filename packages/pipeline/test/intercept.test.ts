import { type Exchange, type Handler, type Log, type Reply, silentLog } from '@shadowcat/kernel';
import {
  classifiedExchange,
  type ExchangeParts,
  handlerOf,
  jsonReply,
  ManualClock,
  readReply,
  settled,
  streamReply,
} from '@shadowcat/testkit';
import { callSlot, failureSlot, modernHeaders, readMessage } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { compose } from '../src/compose.js';
import { intercept } from '../src/intercept.js';
import { type Intercepted, type Interceptor, interceptorsOf, type Verdict, verdict } from '../src/interceptor.js';
import { rescue } from '../src/rescue.js';

type Judge = (message: Intercepted, pauses: number) => Verdict | Promise<Verdict>;
const by = (judge: Judge, parts: Partial<Interceptor> = {}): Interceptor => ({
  name: 'test',
  ...parts,
  intercept: (message, { pauses }) => judge(message, pauses),
});
/** Judges messages of one kind and direction, lets the others pass. */
const only = (kind: Intercepted['kind'], direction: Intercepted['direction'], judge: Judge): Interceptor =>
  by((message, pauses) =>
    message.kind === kind && message.direction === direction ? judge(message, pauses) : verdict.continue(),
  );
const up = (kind: Intercepted['kind'], judge: Judge) => only(kind, 'client-to-server', judge);
const down = (kind: Intercepted['kind'], judge: Judge) => only(kind, 'server-to-client', judge);

const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 1 } } };
const RESULT = '{"jsonrpc":"2.0","id":1,"result":{"content":[],"n":9007199254740993}}';
const SAMPLING = { jsonrpc: '2.0', id: 's1', method: 'sampling/createMessage', params: {} };

function proxy(
  interceptors: readonly Interceptor[],
  answer: Parameters<typeof handlerOf>[0] = () => RESULT,
  log: Log = silentLog,
) {
  const handler = handlerOf(answer);
  const clock = new ManualClock();
  const verdicts: string[] = [];
  const onVerdict = (name: string, action: string) => void verdicts.push(`${name} ${action}`);
  const stack: Handler = compose(rescue({ log }), intercept(interceptors, {}, { clock, log, onVerdict }))(handler);
  const open = (parts: ExchangeParts & { body?: object | string } = { body: CALL }) => {
    const exchange = classifiedExchange(parts);
    return { exchange, answer: stack(exchange) };
  };
  return {
    handler,
    clock,
    verdicts,
    open,
    ask: async (parts?: Parameters<typeof open>[0]) => {
      const { exchange, answer } = open(parts);
      return { ...(await readReply(await answer)), exchange };
    },
    /** The bodies that arrived upstream. */
    sent: () => handler.exchanges.map(textOf),
  };
}
const textOf = (exchange: Exchange): string => new TextDecoder().decode(exchange.body.ready);
const events = (...messages: (object | string)[]): Reply =>
  streamReply(
    messages.map((message) => (typeof message === 'string' ? message : `data: ${JSON.stringify(message)}\n\n`)),
  );

describe('with no interceptors', () => {
  it('the handler is the handler', () => {
    const handler = handlerOf(() => RESULT);
    expect(intercept([], {}, { clock: new ManualClock(), log: silentLog })(handler)).toBe(handler);
  });
});

describe('what an interceptor sees', () => {
  it('is each message of both directions with what is known about it', async () => {
    const seen: object[] = [];
    const looking = by(({ message, ...rest }) => {
      seen.push({ ...rest, of: message['id'] ?? null });
      return verdict.continue();
    });
    const { ask } = proxy([looking], () =>
      events({ jsonrpc: '2.0', method: 'notifications/progress', params: {} }, SAMPLING, `data: ${RESULT}\n\n`),
    );
    const { exchange } = await ask();
    const common = { era: 'legacy', session: undefined, exchange: exchange.id };
    expect(seen).toEqual([
      { ...common, direction: 'client-to-server', kind: 'request', method: 'tools/call', target: 'add', of: 1 },
      {
        ...common,
        direction: 'server-to-client',
        kind: 'notification',
        method: 'notifications/progress',
        target: undefined,
        of: null,
      },
      {
        ...common,
        direction: 'server-to-client',
        kind: 'request',
        method: 'sampling/createMessage',
        target: undefined,
        of: 's1',
      },
      { ...common, direction: 'server-to-client', kind: 'response', method: 'tools/call', target: 'add', of: 1 },
    ]);
  });

  it('are only the methods and directions it asks for', async () => {
    const seen: string[] = [];
    const watching = (name: string, parts: Partial<Interceptor>) =>
      by(
        ({ direction, kind, method }) => {
          seen.push(`${name}: ${direction} ${kind} ${method}`);
          return verdict.continue();
        },
        { ...parts, name },
      );
    const { ask } = proxy(
      [
        watching('tools', { methods: ['tools/*'] }),
        watching('sampling', { methods: ['sampling/createMessage'] }),
        watching('down', { directions: ['server-to-client'], methods: ['tools/call'] }),
      ],
      () => events(SAMPLING, `data: ${RESULT}\n\n`),
    );
    await ask();
    await ask({ body: { jsonrpc: '2.0', id: 's1', result: {} } });
    expect(seen).toEqual([
      'tools: client-to-server request tools/call',
      'sampling: server-to-client request sampling/createMessage',
      'down: server-to-client response tools/call',
      'tools: server-to-client response tools/call',
      'sampling: server-to-client request sampling/createMessage',
    ]);
  });

  it('does not touch a body that nobody there wants to see', async () => {
    const plain = jsonReply(RESULT);
    const { open } = proxy([by(() => verdict.continue(), { directions: ['client-to-server'] })], () => plain);
    expect((await open().answer).body).toBe(plain.body);
  });
});

describe('continue', () => {
  it('leaves every byte as it was, both ways', async () => {
    const { ask, sent } = proxy([by(() => verdict.continue())]);
    const text = `{ "jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"name":"x","arguments":{"n":9007199254740993}} }`;
    const answer = await ask({ body: text });
    expect(sent()).toEqual([text]);
    expect(answer.text).toBe(RESULT);
  });
});

describe('modify', () => {
  it('changes what the server gets, and nothing else of it', async () => {
    const { ask, handler, sent } = proxy([
      up('request', ({ message }) => {
        (message as { params: { arguments: { a: number } } }).params.arguments.a = 2;
        return verdict.modify(message);
      }),
    ]);
    const body =
      '{"jsonrpc": "2.0", "id":1.0, "method":"tools/call","params":{"name":"add","arguments":{"a":1,"big":9007199254740993}}}';
    await ask({ body, headers: { 'content-length': String(body.length) } });
    expect(sent()).toEqual([body.replace('"a":1', '"a":2')]);
    expect(handler.exchanges[0]?.head.headers['content-length']).toBe(String(body.length));
    expect(handler.exchanges[0]?.context.get(callSlot)?.message?.value['params']).toMatchObject({
      arguments: { a: 2 },
    });
  });

  it('changes what the client gets, in JSON and in a stream', async () => {
    const interceptors = [
      down('response', ({ message }) => verdict.modify({ ...message, result: { content: ['other'] } })),
    ];
    const expected = [{ jsonrpc: '2.0', id: 1, result: { content: ['other'] } }];
    expect((await proxy(interceptors).ask()).messages).toEqual(expected);
    const streamed = await proxy(interceptors, () => events(`id: 7\ndata: ${RESULT}\n\n`)).ask();
    expect(streamed.messages).toEqual(expected);
    expect(streamed.frames[0]?.sse?.id).toBe('7');
  });

  it('passes what one made of a message to the next: in order up, in reverse order down', async () => {
    const adding = (name: string): Interceptor =>
      by(
        ({ message, kind }) => {
          const part = (kind === 'request' ? message['params'] : message['result']) as { trace?: string };
          part.trace = `${part.trace ?? ''}${name}`;
          return verdict.modify(message);
        },
        { name },
      );
    const { ask, sent } = proxy([adding('a'), adding('b')]);
    const [answer] = (await ask()).messages;
    expect(JSON.parse(sent()[0] ?? '')).toMatchObject({ params: { trace: 'ab' } });
    expect(answer).toMatchObject({ result: { trace: 'ba' } });
  });

  it('may add and remove members, and keeps the id as it was written', async () => {
    const { ask, sent } = proxy([
      up('request', ({ message }) => verdict.modify({ ...message, params: undefined, extra: 1 })),
    ]);
    await ask({ body: '{"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"name":"x"}}' });
    expect(sent()).toEqual(['{"jsonrpc":"2.0","id":1.0,"method":"tools/call","extra":1}']);
  });

  it.each([
    ['the id', { ...CALL, id: 2 }],
    ['the method', { ...CALL, method: 'tools/list' }],
    ['the kind', { jsonrpc: '2.0', method: 'tools/call' }],
    ['the shape', { hello: 'world' }],
    ['it into text', 'text' as unknown as object],
  ])('may not change %s: the message is blocked', async (_, message) => {
    const { ask, handler, verdicts } = proxy([up('request', () => verdict.modify(message))]);
    const answer = await ask();
    expect(answer.messages[0]).toMatchObject({ id: 1, error: { data: { interceptor: 'test' } } });
    expect(handler.exchanges).toEqual([]);
    expect(verdicts).toEqual(['test failed']);
  });

  it('of a modern request sets the headers that repeat its body', async () => {
    const message = {
      ...CALL,
      params: {
        ...CALL.params,
        arguments: { region: 'eu', count: 1 },
        _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' },
      },
    };
    const parsed = readMessage(JSON.stringify(message));
    const headers = {
      ...(parsed === undefined ? {} : modernHeaders(parsed)),
      'mcp-param-region': 'eu',
      'mcp-param-other': 'x',
    };
    const { ask, handler } = proxy([
      up('request', () =>
        verdict.modify({
          ...message,
          params: { ...message.params, name: 'zählen', arguments: { region: 'us', count: 1 } },
        }),
      ),
    ]);
    await ask({ body: message, headers });
    expect(handler.exchanges[0]?.head.headers).toMatchObject({
      'mcp-method': 'tools/call',
      'mcp-name': '=?base64?esOkaGxlbg==?=',
      'mcp-protocol-version': '2026-07-28',
      'mcp-param-region': 'us',
      'mcp-param-other': 'x',
    });
    expect(handler.exchanges[0]?.context.get(callSlot)?.target).toBe('zählen');
  });
});

describe('block', () => {
  it('answers a request with an error of its id, and nothing goes upstream', async () => {
    const { ask, handler, verdicts } = proxy([up('request', () => verdict.block('not today'))]);
    const answer = await ask();
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.messages).toEqual([
      { jsonrpc: '2.0', id: 1, error: { code: -32003, message: 'not today', data: { interceptor: 'test' } } },
    ]);
    expect(answer.exchange.context.get(failureSlot)?.code).toBe('blocked');
    expect(handler.exchanges).toEqual([]);
    expect(verdicts).toEqual(['test block']);
  });

  it('with a code of its own', async () => {
    const { ask } = proxy([up('request', () => verdict.block('no', -32019))]);
    const answer = await ask({ body: { ...CALL, id: 'x","code":1' } });
    expect(answer.messages[0]).toMatchObject({ id: 'x","code":1', error: { code: -32019 } });
  });

  it.each([-32020, -31999, -32000.5, Number.NaN])('not with the code %d, which belongs to others', async (code) => {
    const { ask, verdicts } = proxy([up('request', () => verdict.block('no', code))]);
    expect((await ask()).messages[0]).toMatchObject({ error: { code: -32003 } });
    expect(verdicts).toEqual(['test failed']);
  });

  it('takes a notification of the client away', async () => {
    const { ask, handler } = proxy([up('notification', () => verdict.block('no'))]);
    expect(await ask({ body: { jsonrpc: '2.0', method: 'notifications/x' } })).toMatchObject({ status: 202, text: '' });
    expect(handler.exchanges).toEqual([]);
  });

  it("makes an error of a client's answer, because the server waits for one", async () => {
    const { ask, sent } = proxy([up('response', () => verdict.block('no'))], () => jsonReply('', { status: 202 }));
    await ask({ body: { jsonrpc: '2.0', id: 's1', result: { secret: 1 } } });
    expect(sent().map((text) => JSON.parse(text))).toEqual([
      { jsonrpc: '2.0', id: 's1', error: { code: -32003, message: 'no', data: { interceptor: 'test' } } },
    ]);
  });

  it('makes an error of a server’s answer', async () => {
    const { ask } = proxy([down('response', () => verdict.block('secret inside', -32007))]);
    const answer = await ask();
    expect(answer.messages).toEqual([
      { jsonrpc: '2.0', id: 1, error: { code: -32007, message: 'secret inside', data: { interceptor: 'test' } } },
    ]);
    expect(answer.text).not.toContain('9007');
  });

  it("takes a server's notification away, but not the event id that came with it", async () => {
    const note = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: {} });
    const { ask } = proxy([down('notification', () => verdict.block('no'))], () =>
      events(`data: ${note}\n\n`, `id: 8\ndata: ${note}\n\n`, `data: ${RESULT}\n\n`),
    );
    expect((await ask()).text).toBe(`id: 8\ndata: \n\ndata: ${RESULT}\n\n`);
  });

  it("answers a server's request in the client's place, who never sees it", async () => {
    const { ask, handler, sent } = proxy([down('request', () => verdict.block('no sampling', -32010))], (exchange) =>
      textOf(exchange).includes('tools/call')
        ? events(SAMPLING, `data: ${RESULT}\n\n`)
        : jsonReply('', { status: 202 }),
    );
    const answer = await ask({ body: CALL, headers: { 'mcp-session-id': 'abc', authorization: 'Bearer x' } });
    expect(answer.text).toBe(`data: ${RESULT}\n\n`);
    expect(JSON.parse(sent()[1] ?? '')).toEqual({
      jsonrpc: '2.0',
      id: 's1',
      error: { code: -32010, message: 'no sampling', data: { interceptor: 'test' } },
    });
    const refusal = handler.exchanges[1];
    expect(refusal?.head).toMatchObject({
      method: 'POST',
      headers: { 'mcp-session-id': 'abc', authorization: 'Bearer x', 'content-type': 'application/json' },
    });
    expect(refusal?.context.get(callSlot)).toMatchObject({ method: '(response)', sessionId: 'abc' });
  });

  it('of one request in a batch refuses all of the batch', async () => {
    const { ask, handler } = proxy([
      up('request', ({ message }) => (message['id'] === 2 ? verdict.block('no', -32011) : verdict.continue())),
    ]);
    const { text } = await ask({ body: [CALL, { ...CALL, id: 2 }] });
    expect(JSON.parse(text)).toMatchObject([
      { id: 1, error: { code: -32011 } },
      { id: 2, error: { code: -32011 } },
    ]);
    expect(handler.exchanges).toEqual([]);
  });

  it('of a notification in a batch leaves the rest', async () => {
    const { ask, sent } = proxy([up('notification', () => verdict.block('no'))]);
    await ask({ body: [{ jsonrpc: '2.0', method: 'notifications/x' }, CALL] });
    expect(sent()).toEqual([`[${JSON.stringify(CALL)}]`]);
  });

  it('of one answer in a batch of answers replaces that one', async () => {
    const { ask } = proxy(
      [down('response', ({ message }) => (message['id'] === 2 ? verdict.block('no') : verdict.continue()))],
      () => '[{"jsonrpc":"2.0","id":1,"result":1.0},{"jsonrpc":"2.0","id":2,"result":2.0}]',
    );
    const { text } = await ask({ body: [CALL, { ...CALL, id: 2 }] });
    expect(text).toContain('[{"jsonrpc":"2.0","id":1,"result":1.0},{"jsonrpc":"2.0","id":2,"error":');
  });
});

describe('pause', () => {
  it('holds a request until the promise settles, then asks again', async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { open, handler, clock, verdicts } = proxy([
      up('request', (_, pauses) => (pauses === 0 ? verdict.pause(gate) : verdict.continue())),
    ]);
    const { answer } = open();
    await settled();
    expect(handler.exchanges).toEqual([]);
    release();
    expect((await readReply(await answer)).text).toBe(RESULT);
    expect(verdicts).toEqual(['test pause', 'test continue', 'test continue']);
    expect(clock.pending).toBe(0);
  });

  it('for some milliseconds, and again', async () => {
    const { open, clock, handler } = proxy([
      up('request', (_, pauses) => (pauses < 2 ? verdict.pause(100) : verdict.block('after all'))),
    ]);
    const { answer } = open();
    await clock.pass(199);
    expect(clock.pending).toBeGreaterThan(0);
    await clock.pass(1);
    expect((await readReply(await answer)).messages[0]).toMatchObject({ error: { message: 'after all' } });
    expect(handler.exchanges).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('holds a stream in order', async () => {
    const gates: (() => void)[] = [];
    const { open, clock } = proxy(
      [
        down('notification', (_, pauses) =>
          pauses === 0 ? verdict.pause(new Promise<void>((go) => gates.push(go))) : verdict.continue(),
        ),
      ],
      () => events({ jsonrpc: '2.0', method: 'notifications/progress' }, `data: ${RESULT}\n\n`),
    );
    const reading = readReply(await open().answer);
    await settled();
    expect(gates.length).toBe(1);
    gates[0]?.();
    expect((await reading).messages.map((message) => message['method'] ?? 'answer')).toEqual([
      'notifications/progress',
      'answer',
    ]);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['for longer than it may', () => verdict.pause(new Promise(() => {}))],
    ['again and again', () => verdict.pause(7_000)],
    ['for a promise that fails', () => verdict.pause(Promise.reject(new Error('debugger gone')))],
  ])('%s: the message is blocked', async (_, judge) => {
    const { open, clock, verdicts } = proxy([up('request', judge)]);
    const { answer } = open();
    await clock.pass(60_000);
    expect((await readReply(await answer)).messages[0]).toMatchObject({ id: 1, error: { code: -32003 } });
    expect(verdicts.at(-1)).toBe('test failed');
    expect(clock.pending).toBe(0);
  });

  it('ends when nobody waits any more', async () => {
    const controller = new AbortController();
    const { open, clock, handler } = proxy([up('request', () => verdict.pause(new Promise(() => {})))]);
    const { answer, exchange } = open({ body: CALL, signal: controller.signal });
    await settled();
    controller.abort();
    await answer;
    expect(exchange.context.get(failureSlot)?.code).toBe('cancelled');
    expect(handler.exchanges).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe('an interceptor that fails', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('cannot: /etc/secret');
      },
    ],
    ['rejects', () => Promise.reject(new Error('cannot: /etc/secret'))],
    ['rejects with no error', () => Promise.reject('cannot: /etc/secret')],
    ['returns nothing', () => undefined as unknown as Verdict],
    ['returns something else', () => ({ action: 'allow' }) as unknown as Verdict],
    ['blocks without a reason', () => ({ action: 'block' }) as unknown as Verdict],
  ])('and %s has the message blocked, with the reason in the log only', async (_, judge) => {
    const logged: string[] = [];
    const log: Log = { ...silentLog, error: (_details, message) => void logged.push(message) };
    const { ask, handler } = proxy([up('request', judge as Judge)], undefined, log);
    const answer = await ask();
    expect(answer.messages[0]).toMatchObject({
      id: 1,
      error: { code: -32003, message: expect.stringContaining('interceptor test') },
    });
    expect(answer.text).not.toContain('secret');
    expect(logged).toEqual([expect.stringMatching(/^interceptor test failed, and the message was blocked: /)]);
    expect(handler.exchanges).toEqual([]);
  });
});

describe('interceptorsOf', () => {
  const good = by(() => verdict.continue());
  it.each([
    [good, 1],
    [[good, good], 2],
    [[], 0],
  ])('takes one or a list', (exported, count) => {
    expect(interceptorsOf(exported)).toHaveLength(count);
  });

  it.each([
    [undefined, 'its default export is no interceptor: it is not an object'],
    [() => {}, 'its default export is no interceptor: it is not an object'],
    [{ name: 'a' }, '`intercept` is not a function'],
    [{ intercept: () => {} }, '`name` is not a text'],
    [{ ...good, methods: 'tools/call' }, '`methods` is not a list of texts'],
    [{ ...good, directions: ['up'] }, '`directions` is not a list'],
    [[good, 5], 'entry 2 of its default export is no interceptor'],
  ])('refuses %j', (exported, message) => {
    expect(() => interceptorsOf(exported)).toThrow(message);
  });
});
