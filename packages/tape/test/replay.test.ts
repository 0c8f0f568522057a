import { type Handler, ProxyError } from '@shadowcat/kernel';
import { jsonReply, settled, streamReply } from '@shadowcat/testkit';
import { callSlot, errorText, failureSlot, type JsonObject, sessionSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { soundTape } from '../src/index.js';
import { call, record, recordingRig, replayRig, result, TestClient, type TestSession } from './support/rig.js';
import { legacyServer } from './support/servers.js';

const progress = (token: unknown, n: number): JsonObject =>
  ({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: token, progress: n } }) as JsonObject;

async function* listed(...messages: JsonObject[]): AsyncGenerator<JsonObject> {
  yield* messages;
}

/** Answers each call with how often the tool was called. */
function counter(): Handler {
  let calls = 0;
  return legacyServer({
    'tools/call': (message) => {
      calls += 1;
      return result(message.id, `call ${calls}`);
    },
  });
}

describe('a request that is on the tape', () => {
  it('is answered with the wire text of the recording: big integers, 1.0, order, escapes; only the id is the live one', async () => {
    const answer = (id: string): string =>
      `{"result":{"big":9007199254740993,"f":1.0,"s":"\\u00e9"}, "id":${id},"jsonrpc":"2.0"}`;
    const tapes = await record(
      legacyServer({ 'tools/call': (message) => answer(message.idText ?? '') }),
      async (client) => {
        await client.open();
        await client.post(call(1, 'x'));
      },
    );
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    expect(
      (await client.post('{"jsonrpc":"2.0","id":1.50,"method":"tools/call","params":{"name":"x","arguments":{}}}'))
        .text,
    ).toBe(answer('1.50'));
  });

  it('is matched whatever the order of its keys, but not with other numbers', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      await client.post(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":{"b":"\\u0041","c":9007199254740993}}}}',
      );
    });
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    await client.open();
    const ask = (args: string): string =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":${args},"name":"x"}}`;
    await expect(client.post(ask('{"a":{"c":9007199254740992,"b":"A"}}'))).rejects.toMatchObject({
      code: 'replay_miss',
    });
    await expect(client.post(ask('{"a":{ "c":9007199254740993, "b":"A"}}'))).resolves.toMatchObject({ status: 200 });
  });

  it('is matched without tokens, trace context and who the client is', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      await client.post(call(1, 'x', {}, { progressToken: 1, traceparent: '00-1', kept: 1 }));
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    await expect(client.post(call(1, 'x', {}, { kept: 2 }))).rejects.toMatchObject({ code: 'replay_miss' });
    await expect(client.post(call(1, 'x', {}, { traceparent: '00-2', kept: 1 }))).resolves.toMatchObject({
      status: 200,
    });
  });

  it('gives each of several equal calls its own answer, in order, and then is exhausted', async () => {
    const tapes = await record(counter(), async (client) => {
      await client.open();
      for (const id of [1, 2, 3]) await client.post(call(id, 'x'));
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    const answers = await Promise.all([7, 7, 9].map((id) => client.post(call(id, 'x'))));
    expect(answers.flatMap(({ messages }) => messages)).toEqual([
      result(7, 'call 1'),
      result(7, 'call 2'),
      result(9, 'call 3'),
    ]);
    await expect(client.post(call(4, 'x'))).rejects.toMatchObject({
      data: { reason: 'exhausted', line: expect.stringMatching(/^t1\.tape\.jsonl:\d+$/) },
    });
  });

  it('is answered with the status and error of the recording', async () => {
    const error = { code: -32602, message: 'no such tool', data: { n: 1 } };
    const server = legacyServer({
      'tools/call': (message) => jsonReply({ jsonrpc: '2.0', id: message.id, error }, { status: 400 }),
    });
    const tapes = await record(server, async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    expect(await client.post(call('a', 'x'))).toMatchObject({
      status: 400,
      messages: [{ jsonrpc: '2.0', id: 'a', error }],
    });
  });

  it('is ping, whether or not it was recorded', async () => {
    const tapes = await record(legacyServer(), (client) => client.open().then(() => undefined));
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    expect((await client.post({ jsonrpc: '2.0', id: 'p', method: 'ping' })).text).toBe(
      '{"jsonrpc":"2.0","id":"p","result":{}}',
    );
  });
});

describe('a session', () => {
  it('has its ids for itself: two with equal ids get their own answers', async () => {
    const server = legacyServer({
      'tools/call': (message, exchange) =>
        result(
          message.id,
          `for ${exchange.context.get(sessionSlot)?.upstream?.sessionId === undefined ? '?' : (message.value['params'] as JsonObject)['name']} ${++asked}`,
        ),
    });
    let asked = 0;
    const tapes = await record(server, async (_, handler) => {
      const [a, b] = [new TestClient(handler), new TestClient(handler)];
      await a.open('a');
      await b.open('b');
      await b.post(call(1, 'who'));
      await a.post(call(1, 'who'));
    });
    const { replay } = replayRig(tapes);
    const [a, b] = [new TestClient(replay), new TestClient(replay)];
    // In the other order: each is bound to the session whose client it is.
    await b.open('b');
    await a.open('a');
    const [forA, forB] = await Promise.all([a.post(call(1, 'who')), b.post(call(1, 'who'))]);
    expect(forA.messages).toEqual([result(1, 'for who 2')]);
    expect(forB.messages).toEqual([result(1, 'for who 1')]);
    await expect(a.post(call(2, 'who'))).rejects.toMatchObject({ data: { reason: 'exhausted' } });
  });

  it('is used again when all are used, with fresh state, as often as clients come', async () => {
    const tapes = await record(counter(), async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
      await client.end();
    });
    const { replay } = replayRig(tapes);
    for (let run = 0; run < 3; run += 1) {
      const client = new TestClient(replay);
      await client.open();
      expect((await client.post(call(1, 'x'))).messages).toEqual([result(1, 'call 1')]);
      await client.end();
    }
    expect(replay.summary()).toMatchObject({ served: 6, reused: 2, misses: [], exitCode: 0 });
  });

  it('that this replay did not open is unknown', async () => {
    const tapes = await record(legacyServer(), (client) => client.open().then(() => undefined));
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    await client.open();
    client.session?.bind({ target: 't', sessionId: 'another' });
    await expect(client.post(call(1, 'x'))).rejects.toMatchObject({ code: 'session_not_found' });
  });

  it('is over after DELETE', async () => {
    const tapes = await record(legacyServer(), (client) => client.open().then(() => undefined));
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    const session = client.session as TestSession;
    await client.end();
    client.session = session;
    await expect(client.post(call(1, 'x'))).rejects.toMatchObject({ code: 'session_not_found' });
  });

  it('of a server without sessions is none here either, and begins again with initialize', async () => {
    let calls = 0;
    const server = legacyServer(
      { 'tools/call': (message) => result(message.id, `call ${++calls}`) },
      { stateless: true },
    );
    const tapes = await record(server, async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
    });
    const { replay } = replayRig(tapes);
    for (let run = 0; run < 2; run += 1) {
      const client = new TestClient(replay);
      await client.open();
      expect(client.session).toBeUndefined();
      expect((await client.post(call(5, 'x'))).messages).toEqual([result(5, 'call 1')]);
    }
    expect(replay.summary()).toMatchObject({ reused: 1, exitCode: 0 });
  });

  it('that began before its recording is opened with what the recorder was told', async () => {
    const rig = recordingRig();
    const handler = rig.layer(legacyServer());
    const seen = new TestClient(legacyServer());
    await seen.open();
    const resumed = new TestClient(handler);
    resumed.session = seen.session;
    if (resumed.session !== undefined)
      resumed.session.initializeResult = {
        protocolVersion: '2025-06-18',
        capabilities: {},
        serverInfo: { name: 'old', version: '1' },
      };
    await resumed.post(call(1, 'x'));
    await rig.layer.close();
    const client = new TestClient(replayRig(rig.read()).replay);
    expect((await client.open()).messages[0]).toMatchObject({ id: 0, result: { serverInfo: { name: 'old' } } });
    await expect(client.post(call(1, 'x'))).resolves.toMatchObject({ status: 200 });
  });
});

describe('ids and tokens', () => {
  it('are the live ones: an extra ping before does not cost a single progress callback', async () => {
    const server = legacyServer({
      'tools/call:long': (message) => {
        const token = ((message.value['params'] as JsonObject)['_meta'] as JsonObject)['progressToken'];
        return listed(
          progress(token, 1),
          progress(token, 2),
          progress(token, 3),
          progress(token, 4),
          result(message.id, 'done'),
        );
      },
    });
    const tapes = await record(server, async (client) => {
      await client.open();
      await client.post(call(1, 'long', {}, { progressToken: 1 }));
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    await client.post({ jsonrpc: '2.0', id: 1, method: 'ping' });
    const got = await client.post(call(2, 'long', {}, { progressToken: 'two' }));
    expect(got.headers['content-type']).toBe('text/event-stream');
    expect(got.messages).toEqual([1, 2, 3, 4].map((n) => progress('two', n)).concat(result(2, 'done')));
  });

  it('of progress that nobody asked for this time are left out', async () => {
    const server = legacyServer({ 'tools/call:long': (message) => listed(progress(1, 1), result(message.id, 'done')) });
    const tapes = await record(server, async (client) => {
      await client.open();
      await client.post(call(1, 'long', {}, { progressToken: 1 }));
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    expect(await client.post(call(2, 'long'))).toMatchObject({
      headers: { 'content-type': 'text/event-stream' },
      messages: [result(2, 'done')],
    });
  });
});

describe('lists', () => {
  const list = (id: number): JsonObject => ({ jsonrpc: '2.0', id, method: 'tools/list' }) as JsonObject;

  it('repeat their last recording', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      await client.post(list(1));
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    for (const id of [5, 6, 7])
      expect((await client.post(list(id))).messages).toEqual([result(id, 'answer of tools/list')]);
  });

  it('change when the tape has sent list_changed, not before', async () => {
    let version = 1;
    const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
    const server = legacyServer({
      'tools/list': (message) => result(message.id, `version ${version}`),
      'tools/call:grow': (message) => {
        version += 1;
        return listed(changed, result(message.id, 'grown'));
      },
    });
    const tapes = await record(server, async (client) => {
      await client.open();
      await client.post(list(1));
      await client.post(call(2, 'grow'));
      await client.post(list(3));
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    const texts: unknown[] = [];
    for (const step of [list(1), list(2), call(3, 'grow'), list(4), list(5)])
      texts.push(...(await client.post(step)).messages);
    expect(texts).toEqual([
      result(1, 'version 1'),
      result(2, 'version 1'),
      changed,
      result(3, 'grown'),
      result(4, 'version 2'),
      result(5, 'version 2'),
    ]);
  });
});

describe('secrets', () => {
  it('match although the tape does not have them, and come back as what the tape has', async () => {
    const server = legacyServer({
      'tools/call:login': (message) => ({ jsonrpc: '2.0', id: message.id ?? null, result: { token: 'minted' } }),
    });
    const args = { password: 'hunter2', url: 'https://u:pw@h/?api_key=k', json: '{"secret":"s"}' };
    const tapes = await record(server, async (client) => {
      await client.open();
      await client.post(call(1, 'login', args));
      await client.post(call(2, 'use', { token: 'minted' }));
    });
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    await client.open();
    const got = await client.post(call(1, 'login', args));
    const token = JSON.parse(got.text).result.token as string;
    expect(token).toMatch(/^~redacted\./);
    await expect(client.post(call(2, 'use', { token }))).resolves.toMatchObject({ status: 200 });
    const miss = client.post(call(3, 'login', { ...args, password: 'hunter3' }));
    await expect(miss).rejects.toMatchObject({ data: { reason: 'arguments-differ' } });
    await expect(miss).rejects.not.toMatchObject({ message: expect.stringContaining('hunter') });
  });

  it('that were hidden with another key are named as the reason', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      await client.post(call(1, 'login', { password: 'hunter2' }));
    });
    const other = tapes.map((tape) => ({
      ...tape,
      head: { ...tape.head, redaction: { policy: 'default@1', key: 'another' } },
      records: tape.records.map((record) =>
        record.k === 'msg'
          ? { ...record, text: record.text.replace(/~redacted\..{16}~/, '~redacted.0123456789abcdef~') }
          : record,
      ),
    }));
    const client = new TestClient(replayRig(other).replay);
    await client.open();
    await expect(client.post(call(1, 'login', { password: 'hunter2' }))).rejects.toMatchObject({
      data: { reason: 'redaction-key-missing' },
      message: expect.stringContaining('.shadowcat/tape.key'),
    });
  });
});

describe('an exchange without an answer', () => {
  const unanswered = (drive: (client: TestClient) => Promise<void>, server: Handler) =>
    record(server, async (client) => {
      await client.open();
      await drive(client);
    });
  async function* never(): AsyncGenerator<JsonObject> {
    yield progress(1, 1);
    await new Promise(() => undefined);
  }

  it('that the recorded client cancelled is held until the live client goes or cancels', async () => {
    const tapes = await unanswered(
      async (client) => {
        const answer = await client.raw(call(1, 'slow', {}, { progressToken: 1 }));
        const chunks = answer.body.bytes()[Symbol.asyncIterator]();
        await chunks.next();
        await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
        await answer[Symbol.asyncDispose]();
      },
      legacyServer({ 'tools/call': () => never() }),
    );
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    await client.open();
    const answer = await client.raw(call(9, 'slow', {}, { progressToken: 9 }));
    const frames = answer.body.frames();
    expect((await frames.next()).value?.message).toEqual(progress(9, 1));
    let over = false;
    const rest = frames.next().then((next) => {
      over = true;
      return next;
    });
    await settled();
    expect(over).toBe(false);
    await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 9 } });
    expect(await rest).toMatchObject({ done: true });
    await answer[Symbol.asyncDispose]();
    expect(replay.summary()).toMatchObject({ unused: [], misses: [], exitCode: 0 });
  });

  it('ends for a client that goes', async () => {
    const tapes = await unanswered(
      async (client) => {
        const answer = await client.raw(call(1, 'slow', {}, { progressToken: 1 }));
        for await (const _ of answer.body.bytes()) break;
        await answer[Symbol.asyncDispose]();
      },
      legacyServer({ 'tools/call': () => never() }),
    );
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    const controller = new AbortController();
    const answer = await client.raw(call(1, 'slow'), { signal: controller.signal });
    const frames = answer.body.frames();
    const next = frames.next();
    await settled();
    controller.abort();
    expect(await next).toMatchObject({ done: true });
    await answer[Symbol.asyncDispose]();
  });

  it('that the server closed is closed', async () => {
    const tapes = await unanswered(
      async (client) => void (await client.post(call(1, 'x', {}, { progressToken: 1 }))),
      legacyServer({ 'tools/call': () => listed(progress(1, 1)) }),
    );
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    expect((await client.post(call(2, 'x', {}, { progressToken: 2 }))).messages).toEqual([progress(2, 1)]);
  });

  it('that the proxy answered with an error is answered with the same', async () => {
    const base = legacyServer();
    const server: Handler = async (exchange) => {
      if (exchange.context.get(callSlot)?.method === 'tools/call')
        throw new ProxyError('child_exited', 'the child died (exit code 1)');
      return base(exchange);
    };
    const tapes = await unanswered(
      async (client) => void (await client.post(call(1, 'x')).catch(() => undefined)),
      server,
    );
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    await expect(client.post(call(1, 'x'))).rejects.toMatchObject({
      code: 'child_exited',
      message: 'the child died (exit code 1)',
    });
  });

  it.each([
    [new ProxyError('child_exited', 'the child died (exit code 1)'), 'the child died (exit code 1)'],
    [
      new ProxyError('upstream_closed', 'http://127.0.0.1:4711 ended it'),
      'the server ended its stream before it answered',
    ],
    [
      new ProxyError('upstream_closed', 'http://127.0.0.1:4711 broke', { cause: new Error('ECONNRESET') }),
      'the connection of the server broke before it answered',
    ],
  ])(
    'that ended with an error of the proxy in the middle of a stream gets what came before, then the error: %o',
    async (failure, said) => {
      const base = legacyServer();
      const server: Handler = async (exchange) => {
        if (exchange.context.get(callSlot)?.method !== 'tools/call') return base(exchange);
        return streamReply(
          (async function* () {
            yield `data: ${JSON.stringify(progress(1, 1))}\n\n`;
            exchange.context.set(failureSlot, failure);
            yield `data: ${errorText(failure, '1')}\n\n`;
          })(),
        );
      };
      const tapes = await unanswered(
        async (client) => void (await client.post(call(1, 'x', {}, { progressToken: 1 }))),
        server,
      );
      const client = new TestClient(replayRig(tapes).replay);
      await client.open();
      expect((await client.post(call(5, 'x', {}, { progressToken: 5 }))).messages).toEqual([
        progress(5, 1),
        JSON.parse(errorText(new ProxyError(failure.code, said), '5')),
      ]);
    },
  );

  it('because the recording ended before is a miss that says so', async () => {
    const tapes = await unanswered(
      async (client) => void (await client.raw(call(1, 'slow'))),
      legacyServer({ 'tools/call': () => never() }),
    );
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    await expect(client.post(call(1, 'slow'))).rejects.toMatchObject({ data: { reason: 'truncated-tape' } });
  });

  it('whose reply was no message gets that reply', async () => {
    const server = legacyServer({
      'tools/call': () => jsonReply('<h1>Bad gateway', { status: 502, headers: { 'content-type': 'text/html' } }),
    });
    const tapes = await unanswered(async (client) => void (await client.post(call(1, 'x'))), server);
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    const got = await client.raw(call(1, 'x'));
    expect(got.head).toMatchObject({ status: 502, headers: { 'content-type': 'text/html' } });
    expect(new TextDecoder().decode(await got.body.collect(100))).toBe('<h1>Bad gateway');
  });
});

describe('batches', () => {
  it('are answered as one array, a miss in it as its own error', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    const got = await client.post([
      call('a', 'x'),
      call('b', 'unrecorded'),
      { jsonrpc: '2.0', id: 'c', method: 'ping' },
    ]);
    expect(JSON.parse(got.text)).toEqual([
      result('a', 'answer of tools/call'),
      {
        jsonrpc: '2.0',
        id: 'b',
        error: {
          code: -32004,
          message: expect.stringContaining('unknown-target'),
          data: expect.objectContaining({ reason: 'unknown-target' }),
        },
      },
      { jsonrpc: '2.0', id: 'c', result: {} },
    ]);
  });

  it('that were recorded are served one by one, and as a batch', async () => {
    const server = legacyServer();
    const batching: Handler = async (exchange) => {
      const seen = exchange.context.get(callSlot);
      if (seen?.batch !== true) return server(exchange);
      return jsonReply(JSON.stringify(seen.messages.map(({ id }) => result(id, `batched ${id}`))));
    };
    const tapes = await record(batching, async (client) => {
      await client.open();
      await client.post([call(1, 'x'), call(2, 'y')]);
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    expect((await client.post(call(8, 'y'))).messages).toEqual([result(8, 'batched 2')]);
    expect(JSON.parse((await client.post([call(9, 'x')])).text)).toEqual([result(9, 'batched 1')]);
  });
});

describe('tapes', () => {
  it('of a directory are one replay', async () => {
    const tapes = await record(
      legacyServer(),
      async (_, handler) => {
        const [a, b] = [new TestClient(handler), new TestClient(handler)];
        await a.open('a');
        await a.post(call(1, 'of-a'));
        await b.open('b');
        await b.post(call(1, 'of-b'));
      },
      { layout: 'directory' },
    );
    expect(tapes).toHaveLength(2);
    const { replay } = replayRig(tapes.map(soundTape));
    const b = new TestClient(replay);
    await b.open('b');
    await expect(b.post(call(1, 'of-b'))).resolves.toMatchObject({ status: 200 });
    await expect(b.post(call(2, 'of-a'))).rejects.toMatchObject({
      data: { reason: 'wrong-session', line: expect.stringMatching(/^t1\.tape\.jsonl:/) },
    });
    expect(replay.summary()).toMatchObject({ exitCode: 1, unused: [{ method: 'tools/call', target: 'of-a' }] });
  });
});
