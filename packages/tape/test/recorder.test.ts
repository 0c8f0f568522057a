import {
  Body,
  Context,
  type Exchange,
  Frame,
  type Handler,
  opaqueFraming,
  ProxyError,
  type Reply,
  reply,
  silentLog,
  withExchange,
} from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, ManualClock, readReply, settled, streamReply } from '@shadowcat/testkit';
import {
  callSlot,
  errorText,
  failureSlot,
  jsonFraming,
  SESSION_HEADER,
  sessionSlot,
  sseFraming,
} from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { recorder, type TapeWriter } from '../src/index.js';
import { call, initialize, linesOf, recordingRig, redactor, result, TestClient, TestSession } from './support/rig.js';
import { legacyServer } from './support/servers.js';

const sse = (message: string | object): string =>
  `data: ${typeof message === 'string' ? message : JSON.stringify(message)}\n\n`;

/** The records of a tape, without head and end. */
function bodyOf(rig: ReturnType<typeof recordingRig>, tape = 0): string[] {
  const lines = linesOf(rig.tapes[tape] ?? { text: '' });
  return lines.filter((line) => !/^\{"k":"(head|end)"/.test(line));
}

describe('the recorder', () => {
  it('writes a session as it passes', async () => {
    const rig = recordingRig();
    const client = new TestClient(
      rig.layer(legacyServer({ 'tools/call:echo': (message) => result(message.id, 'hi') })),
    );
    await client.open();
    await client.post(call(1, 'echo', { message: 'hi' }));
    await client.end();
    await rig.layer.close();
    const accept = '"accept":"application/json, text/event-stream","content-type":"application/json"';
    expect(bodyOf(rig)).toEqual([
      '{"k":"conn","s":"s1","event":"opened","by":"client"}',
      `{"k":"http","s":"s1","x":"1","from":"client","method":"POST","target":"/mcp","headers":{${accept}}}`,
      `{"k":"msg","s":"s1","x":"1","from":"client","m":${JSON.stringify(initialize())}}`,
      '{"k":"http","s":"s1","x":"1","from":"server","status":200,"headers":{"content-type":"application/json"}}',
      '{"k":"msg","s":"s1","x":"1","from":"server","m":{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"server","version":"2"}}}}',
      '{"k":"sess","s":"s1","era":"legacy","version":"2025-11-25","client":{"name":"tester","version":"1"},"server":{"name":"server","version":"2"}}',
      '{"k":"x-","s":"s1","x":"1","end":"answered"}',
      `{"k":"http","s":"s1","x":"2","from":"client","method":"POST","target":"/mcp","headers":{${accept}}}`,
      '{"k":"msg","s":"s1","x":"2","from":"client","m":{"jsonrpc":"2.0","method":"notifications/initialized"}}',
      '{"k":"http","s":"s1","x":"2","from":"server","status":202,"headers":{}}',
      '{"k":"x-","s":"s1","x":"2","end":"answered"}',
      `{"k":"http","s":"s1","x":"3","from":"client","method":"POST","target":"/mcp","headers":{${accept}}}`,
      `{"k":"msg","s":"s1","x":"3","from":"client","m":${JSON.stringify(call(1, 'echo', { message: 'hi' }))}}`,
      '{"k":"http","s":"s1","x":"3","from":"server","status":200,"headers":{"content-type":"application/json"}}',
      `{"k":"msg","s":"s1","x":"3","from":"server","m":${JSON.stringify(result(1, 'hi'))}}`,
      '{"k":"x-","s":"s1","x":"3","end":"answered"}',
      '{"k":"http","s":"s1","x":"4","from":"client","method":"DELETE","target":"/mcp","headers":{"accept":"application/json, text/event-stream"}}',
      '{"k":"http","s":"s1","x":"4","from":"server","status":200,"headers":{}}',
      '{"k":"x-","s":"s1","x":"4","end":"answered"}',
      '{"k":"conn","s":"s1","event":"closed","by":"client"}',
    ]);
  });

  it('stamps each record with the microseconds since the one before', async () => {
    const rig = recordingRig();
    const handler = rig.layer(async () => {
      rig.clock.advance(12.3456);
      return jsonReply(result(1, 'x'));
    });
    rig.clock.advance(2);
    await new TestClient(handler).post(call(1, 'x'));
    const times = (rig.tapes[0]?.text ?? '').matchAll(/"k":"(\w+-?)","t":(\d+)/g);
    expect([...times].map(([, kind, t]) => `${kind} ${t}`)).toEqual([
      'conn 2000',
      'http 0',
      'msg 0',
      'http 12346',
      'msg 0',
      'x- 0',
    ]);
  });

  it('keeps the wire text of messages: big integers, 1.0, key order, escapes; only line breaks become spaces', async () => {
    const rig = recordingRig();
    const asked =
      '{"id":9007199254740993,\n "jsonrpc":"2.0",\r\n "method":"tools/call","params":{"b":1.0,"a":"\\u00e9\\/"}}';
    const answered = '{"result":{"z":1e2,"a":-0.0},"id":9007199254740993,"jsonrpc":"2.0"}';
    const got = await new TestClient(rig.layer(async () => jsonReply(answered))).post(asked);
    expect(got.text).toBe(answered);
    const lines = bodyOf(rig);
    expect(lines[2]).toBe(`{"k":"msg","s":"-","x":"1","from":"client","m":${asked.replaceAll(/[\r\n]/g, ' ')}}`);
    expect(lines[4]).toBe(`{"k":"msg","s":"-","x":"1","from":"server","m":${answered}}`);
  });

  it('writes each event of a stream as it passes, before it is passed on', async () => {
    const rig = recordingRig();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* events(): AsyncGenerator<string> {
      yield 'id: e1\nretry: 100\ndata:\n\n';
      yield `: keep-alive\n\nevent: message\nid: e2\n${sse({ jsonrpc: '2.0', method: 'notifications/message', params: {} })}`;
      await held;
      yield sse(result(1, 'done'));
    }
    const answer = await new TestClient(rig.layer(async () => streamReply(events()))).raw(call(1, 'x'));
    const chunks = answer.body.bytes()[Symbol.asyncIterator]();
    await chunks.next();
    expect(bodyOf(rig).at(-1)).toBe('{"k":"sse","s":"-","x":"1","sse":{"id":"e1","retry":100}}');
    await chunks.next();
    expect(bodyOf(rig).at(-1)).toBe(
      '{"k":"msg","s":"-","x":"1","from":"server","sse":{"id":"e2","event":"message"},"m":{"jsonrpc":"2.0","method":"notifications/message","params":{}}}',
    );
    release();
    await chunks.next();
    expect(await chunks.next()).toMatchObject({ done: true });
    expect(bodyOf(rig).at(-1)).toBe('{"k":"x-","s":"-","x":"1","end":"answered"}');
  });

  it('passes on the very bytes, and a body that is all there as the same object', async () => {
    const rig = recordingRig();
    const whole = jsonReply(result(1, 'x'));
    const first = await new TestClient(rig.layer(async () => whole)).raw(call(1, 'x'));
    expect(first).toBe(whole);
    const odd = `event:x\r\ndata: {"jsonrpc":"2.0",\r\ndata: "id":1,"result":{}}\r\n\r\n:c\n\n`;
    const read = await new TestClient(rig.layer(async () => streamReply([odd.slice(0, 20), odd.slice(20)]))).post(
      call(1, 'x'),
    );
    expect(read.text).toBe(odd);
  });

  it('asks once and passes the same exchange on', async () => {
    const rig = recordingRig();
    const seen: Exchange[] = [];
    const handler = rig.layer(async (exchange) => {
      seen.push(exchange);
      return jsonReply(result(1, 'x'));
    });
    const exchange = classifiedExchange({ body: call(1, 'x') });
    await handler(exchange);
    expect(seen).toEqual([exchange]);
    expect(seen[0]).toBe(exchange);
  });

  it('sees a body that a layer changes as it leaves', async () => {
    const rig = recordingRig();
    const changing =
      (next: Handler): Handler =>
      (exchange) => {
        const body = exchange.body.with({
          transforms: true,
          frame: (frame) => frame.replace('{"jsonrpc":"2.0","id":1,"method":"changed"}'),
        });
        return next(withExchange(exchange, { body }));
      };
    const handler = changing(
      rig.layer(async (exchange) => {
        expect(new TextDecoder().decode(await exchange.body.collect(1000))).toContain('changed');
        return jsonReply(result(1, 'x'));
      }),
    );
    await handler(classifiedExchange({ body: call(1, 'x') }));
    expect(bodyOf(rig)[2]).toBe(
      '{"k":"msg","s":"-","x":"1","from":"client","m":{"jsonrpc":"2.0","id":1,"method":"changed"}}',
    );
  });

  it('records the messages of batches one by one', async () => {
    const rig = recordingRig();
    const batch = '[{"jsonrpc":"2.0","id":1,"method":"ping"} , {"jsonrpc":"2.0","id":1.0,"method":"ping"}]';
    await new TestClient(
      rig.layer(async () => jsonReply('[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":1.0,"result":{}}]')),
    ).post(batch);
    expect(bodyOf(rig).filter((line) => line.includes('"msg"'))).toEqual([
      '{"k":"msg","s":"-","x":"1","from":"client","batch":true,"m":{"jsonrpc":"2.0","id":1,"method":"ping"}}',
      '{"k":"msg","s":"-","x":"1","from":"client","batch":true,"m":{"jsonrpc":"2.0","id":1.0,"method":"ping"}}',
      '{"k":"msg","s":"-","x":"1","from":"server","batch":true,"m":{"jsonrpc":"2.0","id":1,"result":{}}}',
      '{"k":"msg","s":"-","x":"1","from":"server","batch":true,"m":{"jsonrpc":"2.0","id":1.0,"result":{}}}',
    ]);
    expect(bodyOf(rig).at(-1) ?? '').toContain('x-');
  });
});

describe('lanes', () => {
  it('are one a session and one for what has none; in one file', async () => {
    const rig = recordingRig();
    const handler = rig.layer(legacyServer());
    const [a, b] = [new TestClient(handler), new TestClient(handler)];
    await a.open();
    await b.open();
    await b.post(call(1, 'x'));
    await a.post(call(1, 'x'));
    await new TestClient(handler).post(call(1, 'x'));
    await rig.layer.close();
    const lanes = bodyOf(rig).flatMap((line) => (line.includes('"tools/call"') ? [JSON.parse(line).s] : []));
    expect(lanes).toEqual(['s2', 's1', '-']);
    expect(rig.tapes).toHaveLength(1);
  });

  it('have a tape each in a directory, finished when the session ends', async () => {
    const rig = recordingRig({ layout: 'directory' });
    const handler = rig.layer(legacyServer());
    const [a, b] = [new TestClient(handler), new TestClient(handler)];
    await a.open();
    await b.open();
    await new TestClient(handler).post(call(1, 'x'));
    expect(rig.tapes.map(({ scope }) => scope)).toEqual(['session', 'session', 'sessionless']);
    await a.end();
    await settled();
    expect(rig.tapes.map((tape) => tape.state().status)).toEqual(['closed', 'ok', 'ok']);
    expect(rig.layer.state()).toMatchObject({ status: 'recording', open: 2, finished: 1, exchanges: 6, lost: 0 });
    await rig.layer.close();
    expect(rig.read().map((tape) => tape.problems)).toEqual([[], [], []]);
    expect(bodyOf(rig, 0).at(-1)).toBe('{"k":"conn","s":"s1","event":"closed","by":"client"}');
    expect(bodyOf(rig, 1).at(-1)).toBe('{"k":"conn","s":"s1","event":"closed","by":"proxy"}');
  });

  it('of a server without sessions hold its initialize too', async () => {
    const rig = recordingRig({ layout: 'directory' });
    const client = new TestClient(rig.layer(legacyServer({}, { stateless: true })));
    await client.open();
    await client.post(call(1, 'x'));
    await rig.layer.close();
    expect(rig.tapes.map(({ scope }) => scope)).toEqual(['sessionless']);
    expect(bodyOf(rig).filter((line) => line.includes('"from":"client","m"'))).toHaveLength(3);
  });

  it('of a session that is older than the recording say so, and what it was opened with', async () => {
    const rig = recordingRig();
    const session = new TestSession('older-than-this', JSON.stringify(initialize()));
    session.protocolVersion = '2025-06-18';
    session.initializeResult = { protocolVersion: '2025-06-18', serverInfo: { name: 's', version: '1' } };
    const context = new Context();
    context.set(sessionSlot, session);
    await rig.layer(legacyServer())(
      classifiedExchange({ body: call(1, 'x'), context, headers: { [SESSION_HEADER]: session.id } }),
    );
    expect(bodyOf(rig)[1]).toBe(
      '{"k":"sess","s":"s1","era":"legacy","version":"2025-06-18","resumed":true,"result":{"protocolVersion":"2025-06-18","serverInfo":{"name":"s","version":"1"}}}',
    );
  });

  it('of a session that ended before its exchange came have that exchange all the same', async () => {
    const rig = recordingRig({ layout: 'directory' });
    const client = new TestClient(
      rig.layer(legacyServer({ 'tools/call:echo': (message) => result(message.id, 'hi') })),
    );
    const session = new TestSession('gone-by-then', JSON.stringify(initialize()));
    session.end();
    client.session = session;
    await client.post(call(1, 'echo'));
    await rig.layer.close();
    const kinds = bodyOf(rig).map((line) => /"k":"([^"]+)"/.exec(line)?.[1]);
    expect(kinds).toEqual(['conn', 'sess', 'http', 'msg', 'http', 'msg', 'x-', 'conn']);
  });

  it('of a session that ended hold what is still open when the recording ends', async () => {
    const rig = recordingRig({ layout: 'directory' });
    const answer = Promise.withResolvers<Reply>();
    const handler = rig.layer(() => answer.promise);
    const client = new TestClient(handler);
    client.session = new TestSession('ends-meanwhile', JSON.stringify(initialize()));
    const asked = client.post(call(1, 'echo'));
    await settled();
    client.session.end();
    await rig.layer.close();
    expect(bodyOf(rig).slice(-2)).toEqual([
      '{"k":"x-","s":"s1","x":"1","end":"open-at-end"}',
      '{"k":"conn","s":"s1","event":"closed","by":"proxy"}',
    ]);
    answer.resolve(jsonReply(result(1, 'late')));
    await asked;
  });

  it('of modern traffic name the revision once', async () => {
    const rig = recordingRig();
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const client = new TestClient(rig.layer(async () => jsonReply(result(1, 'x'))));
    await client.post(call(1, 'x', {}, meta));
    await client.post(call(1, 'x', {}, meta));
    expect(bodyOf(rig).filter((line) => line.includes('"sess"'))).toEqual([
      '{"k":"sess","s":"-","era":"modern","version":"2026-07-28"}',
    ]);
  });

  it('get what a child wrote beside its messages', async () => {
    const rig = recordingRig();
    const handler = rig.layer(async (exchange) => {
      const session = exchange.context.get(sessionSlot);
      rig.layer.note(session?.id, 'err', 'starting, token=hunter2');
      return jsonReply(result(0, 'x'), { headers: { [SESSION_HEADER]: 'upstream-1' } });
    });
    await new TestClient(handler).post(initialize());
    rig.layer.note('client-facing-unknown', 'raw', 'no JSON');
    rig.layer.note(undefined, 'err', 'late');
    const notes = bodyOf(rig).filter((line) => /"k":"(err|raw)"/.test(line));
    expect(notes).toHaveLength(3);
    expect(notes[0]).toMatch(/^\{"k":"err","s":"s1","text":"starting, token=~redacted\.[0-9a-f]{16}~"\}$/);
    expect(notes[1]).toBe('{"k":"raw","s":"-","text":"no JSON"}');
  });
});

describe('how an exchange ended', () => {
  const modern = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
  async function* endless(): AsyncGenerator<string> {
    yield sse({ jsonrpc: '2.0', method: 'notifications/message' });
    await new Promise(() => undefined);
  }
  const last = (rig: ReturnType<typeof recordingRig>): unknown => JSON.parse(bodyOf(rig).at(-1) ?? '');
  /** Takes one chunk of a reply and leaves. */
  async function leave(handler: Handler, body: object): Promise<void> {
    const answer = await new TestClient(handler).raw(body);
    for await (const _ of answer.body.bytes()) break;
    await answer[Symbol.asyncDispose]();
  }

  it('answered, also with an error of the server', async () => {
    const rig = recordingRig();
    await new TestClient(
      rig.layer(async () =>
        jsonReply({ jsonrpc: '2.0', id: 1, error: { code: -32602, message: 'no' } }, { status: 400 }),
      ),
    ).post(call(1, 'x'));
    expect(last(rig)).toMatchObject({ k: 'x-', end: 'answered' });
  });

  it('error, with the code and message of the proxy', async () => {
    const rig = recordingRig();
    const handler = rig.layer(async () => {
      throw new ProxyError('child_exited', 'the child died: token=hunter2');
    });
    await expect(handler(classifiedExchange({ body: call(1, 'x') }))).rejects.toMatchObject({ code: 'child_exited' });
    expect(last(rig)).toMatchObject({
      end: 'error',
      code: 'child_exited',
      message: expect.stringMatching(/^the child died: token=~/),
    });
  });

  it('error, when the answer is no message: its text is kept', async () => {
    const rig = recordingRig();
    const html = (): ReturnType<typeof reply> =>
      reply(
        { status: 502, headers: { 'content-type': 'text/html' } },
        Body.whole(new TextEncoder().encode('<h1>Bad'), opaqueFraming),
      );
    await new TestClient(rig.layer(async () => html())).post(call(1, 'x'));
    expect(bodyOf(rig).slice(-2)).toEqual([
      '{"k":"raw","s":"-","x":"1","from":"server","text":"<h1>Bad"}',
      '{"k":"x-","s":"-","x":"1","end":"error"}',
    ]);
  });

  it('cancelled-by-client, when the client said so', async () => {
    const rig = recordingRig();
    const handler = rig.layer(async (exchange) =>
      (await exchange.body.collect(1000)).length > 100 ? reply({ status: 202, headers: {} }) : streamReply(endless()),
    );
    const client = new TestClient(handler);
    const answer = await client.raw({ jsonrpc: '2.0', id: 7, method: 'x' });
    const chunks = answer.body.bytes()[Symbol.asyncIterator]();
    await chunks.next();
    await client.post({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 7, reason: 'no more, thank you' },
    });
    await answer[Symbol.asyncDispose]();
    expect(last(rig)).toMatchObject({ x: '1', end: 'cancelled-by-client' });
  });

  it('cancelled-by-client, when the client said so and the recording ended before the stream did', async () => {
    const rig = recordingRig();
    const client = new TestClient(
      rig.layer(async ({ context }) =>
        context.get(callSlot)?.expectsAnswer === true ? streamReply(endless()) : reply({ status: 202, headers: {} }),
      ),
    );
    await client.raw({ jsonrpc: '2.0', id: 7, method: 'x' });
    await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } });
    await rig.layer.close();
    expect(
      bodyOf(rig)
        .filter((line) => line.includes('"x":"1"'))
        .at(-1),
    ).toContain('"end":"cancelled-by-client"');
  });

  it('cancelled-by-client, when a modern client left; closed-by-client, when a legacy one did', async () => {
    const rig = recordingRig();
    const handler = rig.layer(async () => streamReply(endless()));
    await leave(handler, call(1, 'x', {}, modern));
    expect(last(rig)).toMatchObject({ end: 'cancelled-by-client' });
    await leave(handler, call(1, 'x'));
    expect(last(rig)).toMatchObject({ end: 'closed-by-client' });
  });

  it('closed-by-client, when a reply was never read', async () => {
    const rig = recordingRig();
    const answer = await new TestClient(rig.layer(async () => streamReply(endless()))).raw(call(1, 'x'));
    await answer[Symbol.asyncDispose]();
    expect(last(rig)).toMatchObject({ end: 'closed-by-client' });
  });

  it('closed-by-server, when a stream ended without the answer', async () => {
    const rig = recordingRig();
    await new TestClient(
      rig.layer(async () => streamReply([sse({ jsonrpc: '2.0', method: 'notifications/message' })])),
    ).post(call(1, 'x'));
    expect(last(rig)).toMatchObject({ end: 'closed-by-server' });
  });

  it('reset, when a stream broke', async () => {
    const rig = recordingRig();
    async function* broken(): AsyncGenerator<string> {
      yield sse({ jsonrpc: '2.0', method: 'notifications/message' });
      throw new Error('ECONNRESET');
    }
    const answer = await new TestClient(rig.layer(async () => streamReply(broken()))).raw(call(1, 'x'));
    await expect(readReply(answer)).rejects.toThrow('ECONNRESET');
    expect(last(rig)).toMatchObject({ end: 'reset' });
  });

  it.each([
    [
      'reset',
      new ProxyError('upstream_closed', 'it broke', { cause: new Error('ECONNRESET') }),
      { code: 'upstream_closed' },
    ],
    ['closed-by-server', new ProxyError('upstream_closed', 'it ended'), { code: 'upstream_closed' }],
    ['error', new ProxyError('child_exited', 'it died: token=hunter2'), { code: 'child_exited' }],
    ['error', new ProxyError('upstream_timeout', 'it took too long'), { code: 'upstream_timeout' }],
  ])('%s, when the proxy itself tells the client that there is no answer: %o', async (end, failure, about) => {
    const told = sse({ jsonrpc: '2.0', method: 'notifications/message' });
    const streamed: Handler = async ({ context }) =>
      streamReply(
        (async function* () {
          yield told;
          context.set(failureSlot, failure);
          yield sse(errorText(failure, '1'));
        })(),
      );
    const whole: Handler = async ({ context }) => {
      context.set(failureSlot, failure);
      return jsonReply(`[${JSON.stringify(result(7, 'x'))},${errorText(failure, '"a"')}]`);
    };
    const rig = recordingRig();
    const answer = await new TestClient(rig.layer(streamed)).post(call(1, 'x'));
    expect(answer.text).toContain(failure.message);
    const messages = (): string[] => bodyOf(rig).filter((line) => /"msg".*"from":"server"/.test(line));
    expect(messages()).toEqual([expect.stringContaining('notifications/message')]);
    expect(last(rig)).toMatchObject({ k: 'x-', end, ...about });
    expect(JSON.stringify(last(rig))).not.toContain('hunter2');
    await new TestClient(rig.layer(whole)).post(`[${JSON.stringify(call(7, 'x'))},${JSON.stringify(call('a', 'x'))}]`);
    expect(messages().slice(1)).toEqual([expect.stringContaining('"id":7')]);
    expect(last(rig)).toMatchObject({ x: '2', end, ...about });
  });

  it('answered, when the server says in its own words what the proxy would have said', async () => {
    const rig = recordingRig();
    const failure = new ProxyError('upstream_closed', 'it ended');
    const handler = rig.layer(async ({ context }) => {
      const said = jsonReply(errorText(new ProxyError('upstream_closed', 'the database ended'), '1'));
      context.set(failureSlot, failure);
      return said;
    });
    await new TestClient(handler).post(call(1, 'x'));
    expect(last(rig)).toMatchObject({ k: 'x-', end: 'answered' });
  });

  it('open-at-end, when the recording ended first; traffic goes on', async () => {
    const rig = recordingRig();
    const handler = rig.layer(async () => streamReply(endless()));
    const answer = await new TestClient(handler).raw(call(1, 'x'));
    const chunks = answer.body.bytes()[Symbol.asyncIterator]();
    await rig.layer.close();
    expect(bodyOf(rig).at(-2)).toBe('{"k":"x-","s":"-","x":"1","end":"open-at-end"}');
    expect((await chunks.next()).done).toBe(false);
    await expect(
      new TestClient(rig.layer(async () => jsonReply(result(2, 'on')))).post(call(2, 'x')),
    ).resolves.toMatchObject({ status: 200 });
    expect(rig.layer.state()).toMatchObject({ status: 'closed', open: 0, finished: 1 });
  });
});

describe('what is never stored', () => {
  it('is in no byte of the tape', async () => {
    const planted = [
      'planted-in-header',
      'planted=cookie',
      'planted-argument',
      'planted-json',
      'planted-url',
      'planted-query',
      'planted-result',
      'client-facing',
      'upstream-session',
      'planted-key',
    ];
    const rig = recordingRig();
    const server = legacyServer({
      'tools/call:login': (message, exchange) => {
        const session = exchange.context.get(sessionSlot);
        return {
          jsonrpc: '2.0',
          id: message.id ?? null,
          result: { token: 'planted-result', text: `for ${session?.id} at ${session?.upstream?.sessionId}` },
        };
      },
    });
    const client = new TestClient(rig.layer(server));
    await client.open();
    const args = {
      password: 'planted-argument',
      config: JSON.stringify({ nested: JSON.stringify({ api_key: 'planted-json' }) }),
      url: 'https://u:planted-url@h/?access_token=planted-query',
    };
    await client.post(call(1, 'login', args), {
      headers: { 'x-api-key': 'planted-key', 'mcp-param-token': 'planted-key' },
      target: '/mcp?api_key=planted-query',
    });
    await client.end();
    await rig.layer.close();
    const text = rig.tapes.map((tape) => tape.text).join('');
    for (const secret of planted) expect(text).not.toContain(secret);
    expect(text.match(/~redacted\.[0-9a-f]{16}~/g)?.length).toBeGreaterThan(6);
  });

  it('is the id of a session in the id of an event', async () => {
    const rig = recordingRig();
    const server = legacyServer({
      'tools/call': (message, exchange) => {
        const id = exchange.context.get(sessionSlot)?.upstream?.sessionId;
        return streamReply([`id: ${id}:1\n${sse(result(message.id, 'x'))}`]);
      },
    });
    const client = new TestClient(rig.layer(server));
    await client.open();
    await client.post(call(1, 'x'), { headers: { 'last-event-id': `${client.session?.upstream?.sessionId}:0` } });
    expect(rig.tapes[0]?.text).not.toContain('upstream-session');
    expect(rig.tapes[0]?.text).toMatch(/"sse":\{"id":"~redacted\.[0-9a-f]{16}~:1"/);
  });

  it('is a message that cannot be searched: it is kept as text, what it hides is not', async () => {
    const rig = recordingRig();
    const deep = `${'['.repeat(150)}"x"${']'.repeat(150)}`;
    const client = new TestClient(
      rig.layer(async () => jsonReply(`{"jsonrpc":"2.0","id":1,"result":{"password":"hunter2","deep":${deep}}}`)),
    );
    await client.post(call(1, 'x'));
    const raw = bodyOf(rig).find((line) => line.includes('"raw"')) ?? '';
    expect(raw).toContain('nested deeper than 128 levels');
    expect(raw).not.toContain('hunter2');
  });

  it('is a message that a reader would refuse: keys that come twice', async () => {
    const rig = recordingRig();
    await new TestClient(rig.layer(async () => jsonReply('{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}'))).post(
      call(1, 'x'),
    );
    await rig.layer.close();
    expect(rig.read()[0]?.problems).toEqual([]);
    expect(bodyOf(rig).find((line) => line.includes('"raw"'))).toContain('"a\\" twice');
  });
});

describe('a recorder in trouble', () => {
  function troubled(writer: Partial<TapeWriter>, options: { required?: boolean } = {}) {
    const errors: string[] = [];
    const base: TapeWriter = {
      name: 't',
      append: () => undefined,
      room: () => undefined,
      state: () => ({ status: 'ok', written: 0, bytes: 0, lost: 0, queued: 0 }),
      finish: async () => undefined,
    };
    const layer = recorder(
      { layout: 'file', ...options },
      {
        open: () => ({ ...base, ...writer }),
        redactor,
        keyId: 'k',
        clock: new ManualClock(),
        log: { ...silentLog, error: (_, message) => void errors.push(message) },
      },
    );
    return { layer, errors };
  }
  const failing = {
    state: () => ({
      status: 'failing' as const,
      written: 0,
      bytes: 0,
      lost: 9,
      queued: 0,
      error: 'ENOSPC: no space left on device',
    }),
  };

  it('lets the traffic go on, and says so in its state', async () => {
    const { layer } = troubled(failing);
    const got = await new TestClient(layer(async () => jsonReply(result(1, 'x')))).post(call(1, 'x'));
    expect(got.messages).toEqual([result(1, 'x')]);
    expect(layer.state()).toMatchObject({ status: 'failing', lost: 9, error: 'ENOSPC: no space left on device' });
  });

  it('refuses traffic when it is required', async () => {
    const { layer } = troubled(failing, { required: true });
    await expect(new TestClient(layer(async () => jsonReply(result(1, 'x')))).post(call(1, 'x'))).rejects.toMatchObject(
      {
        code: 'recorder_failed',
        message: expect.stringContaining('no space left'),
      },
    );
  });

  it('refuses what is required before the upstream has it, also when the tape fails at this very request', async () => {
    let asked = 0;
    let written = false;
    const { layer } = troubled(
      {
        state: () => ({ ...failing.state(), status: written ? 'failing' : 'ok' }),
        settled: async () => {
          written = true;
        },
      },
      { required: true },
    );
    const handler = layer(async () => {
      asked += 1;
      return jsonReply(result(1, 'x'));
    });
    await expect(new TestClient(handler).post(call(1, 'x'))).rejects.toMatchObject({ code: 'recorder_failed' });
    expect(asked).toBe(0);
  });

  it('never fails the traffic with a fault of its own', async () => {
    const { layer, errors } = troubled({
      append: () => {
        throw new Error('a fault');
      },
    });
    const client = new TestClient(layer(async () => streamReply([sse(result(1, 'x'))])));
    expect((await client.post(call(1, 'x'))).messages).toEqual([result(1, 'x')]);
    expect((await client.post(call(1, 'x'))).messages).toEqual([result(1, 'x')]);
    expect(errors).toHaveLength(1);
    expect(layer.state()).toMatchObject({ error: 'a fault' });
  });

  it('holds traffic back only while the queue of its tape is full', async () => {
    let release: () => void = () => undefined;
    const { layer } = troubled({
      room: () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    });
    let asked = 0;
    const handler = layer(async () => {
      asked += 1;
      return jsonReply(result(1, 'x'));
    });
    const answer = new TestClient(handler).post(call(1, 'x'));
    await settled();
    expect(asked).toBe(0);
    release();
    await settled();
    expect(asked).toBe(1);
    release();
    await expect(answer).resolves.toMatchObject({ status: 200 });
  });

  it('waits for its tapes when it is closed, once', async () => {
    let finished = 0;
    const { layer } = troubled({
      finish: async () => {
        finished += 1;
      },
    });
    await Promise.all([layer.close(), layer.close()]);
    expect(finished).toBe(1);
  });
});

describe('frames of a line', () => {
  it('are recorded as they are sent', async () => {
    const rig = recordingRig();
    async function* frames(): AsyncGenerator<Frame> {
      yield new Frame({ text: '{"jsonrpc":"2.0","id":1,"result":{}}' });
    }
    const handler = rig.layer(async () => reply({ status: 200, headers: {} }, Body.fromFrames(frames(), sseFraming)));
    await new TestClient(handler).post(call(1, 'x'));
    expect(bodyOf(rig).slice(-2)).toEqual([
      '{"k":"msg","s":"-","x":"1","from":"server","m":{"jsonrpc":"2.0","id":1,"result":{}}}',
      '{"k":"x-","s":"-","x":"1","end":"answered"}',
    ]);
  });

  it('that are no JSON are kept as text', async () => {
    const rig = recordingRig();
    await new TestClient(
      rig.layer(async () =>
        reply({ status: 200, headers: {} }, Body.whole(new TextEncoder().encode('{oops'), jsonFraming)),
      ),
    ).post(call(1, 'x'));
    expect(bodyOf(rig).slice(-2)[0]).toBe('{"k":"raw","s":"-","x":"1","from":"server","why":"no JSON","text":"{oops"}');
  });
});
