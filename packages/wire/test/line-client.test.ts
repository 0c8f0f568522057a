import { type Connection, ProxyError, type Reply, silentLog } from '@shadowcat/kernel';
import { ManualClock, memoryLine, readReply, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { failureSlot, LineClient, notificationText, StandingStream } from '../src/index.js';
import { Bench, MODERN_META, post, sessionDouble } from './lines.js';

const call = (id: number | string, more: object = {}): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 't', ...more },
});

describe('a request over a line', () => {
  it('is answered with JSON when the answer comes first, in the very text of the server', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(call('x')));
    expect(await bench.received()).toEqual([{ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 't' } }]);
    await bench.says('{ "jsonrpc":"2.0", "result":{"n":1.0,"big":9007199254740993}, "id":1 }');
    const reply = await replying;
    expect(reply.body.ready).toBeDefined();
    const read = await readReply(reply);
    expect(read).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(read.text).toBe('{ "jsonrpc":"2.0", "result":{"n":1.0,"big":9007199254740993}, "id":"x" }');
    expect(bench.clock.pending).toBe(0);
  });

  it('is answered with a stream when something else comes first', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(call(4, { _meta: { progressToken: 'p' } })));
    await bench.received();
    await bench.says({ method: 'notifications/progress', params: { progressToken: 1, progress: 1 } });
    const reply = await replying;
    expect(reply.head).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
    });
    await bench.says({ id: 1, result: { ok: true } });
    const { messages } = await readReply(reply);
    expect(messages).toEqual([
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'p', progress: 1 } },
      { jsonrpc: '2.0', id: 4, result: { ok: true } },
    ]);
    expect(bench.client.stats.inFlight).toBe(0);
  });

  it('becomes a stream when nothing comes for a while, so that keep-alives can flow', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(call(4)));
    await bench.received();
    bench.clock.advance(15_000);
    const reply = await replying;
    expect(reply.head.headers['content-type']).toBe('text/event-stream');
    await bench.says({ id: 1, result: {} });
    expect((await readReply(reply)).messages).toEqual([{ jsonrpc: '2.0', id: 4, result: {} }]);
    expect(bench.clock.pending).toBe(0);
  });

  it('with many others on the line gets its own answer', async () => {
    const bench = new Bench();
    const replies = [1, 1, 1].map((id) => bench.client.exchange(post(call(id))));
    await bench.received();
    await bench.says({ id: 2, result: 'second' });
    await bench.says({ id: 3, result: 'third' });
    await bench.says({ id: 1, result: 'first' });
    const results = await Promise.all(
      replies.map(async (reply) => (await readReply(await reply)).messages[0]?.['result']),
    );
    expect(results).toEqual(['first', 'second', 'third']);
  });

  it('of the modern era has the status of its error', async () => {
    const bench = new Bench({ shared: true });
    const expected: [number, number][] = [
      [-32601, 404],
      [-32602, 400],
      [-32020, 400],
      [-32022, 400],
      [-32603, 200],
      [-32000, 200],
    ];
    for (const [index, [code, status]] of expected.entries()) {
      const replying = bench.client.exchange(post(call(1, { _meta: MODERN_META })));
      await bench.received();
      await bench.says({ id: index + 1, error: { code, message: 'm' } });
      expect((await replying).head.status).toBe(status);
    }
    const legacy = bench.client.exchange(post(call(1)));
    await bench.received();
    await bench.says({ id: 7, error: { code: -32601, message: 'm' } });
    expect((await legacy).head.status).toBe(200);
  });

  it('is refused when the line carries too much', async () => {
    const bench = new Bench({ maxInFlight: 1 });
    void bench.client.exchange(post(call(1))).catch(() => {});
    await expect(bench.client.exchange(post(call(2)))).rejects.toMatchObject({ code: 'pool_exhausted' });
    await expect(bench.client.exchange(post(call(3)))).rejects.toMatchObject({ code: 'pool_exhausted' });
  });

  it('is refused while the server does not read what it was sent', async () => {
    const bench = new Bench({ maxUnsent: 1000 });
    bench.server.pause();
    const waiting: Promise<Reply>[] = [];
    for (let n = 0; n < 30; n += 1) waiting.push(bench.client.exchange(post(call(n, { pad: 'x'.repeat(100) }))));
    const outcomes = Promise.allSettled(waiting);
    await settled();
    bench.client.destroy(new ProxyError('draining', 'over'));
    const codes = (await outcomes).map((outcome) =>
      outcome.status === 'rejected' ? (outcome.reason as ProxyError).code : '',
    );
    expect(codes).toContain('pool_exhausted');
    expect(codes).toContain('draining');
  });
});

describe('what needs no answer', () => {
  it('is accepted with 202 when it was sent', async () => {
    const bench = new Bench();
    const read = await readReply(
      await bench.client.exchange(post({ jsonrpc: '2.0', method: 'notifications/initialized' })),
    );
    expect(read).toMatchObject({ status: 202, text: '' });
    expect(await bench.received()).toEqual([{ jsonrpc: '2.0', method: 'notifications/initialized' }]);
  });

  it('and belongs to nothing goes nowhere', async () => {
    const bench = new Bench();
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } };
    expect((await bench.client.exchange(post(cancel))).head.status).toBe(202);
    expect((await bench.client.exchange(post({ jsonrpc: '2.0', id: 'line-9', result: {} }))).head.status).toBe(202);
    expect(await bench.received()).toEqual([]);
    expect(bench.client.stats.unknown).toBe(2);
  });
});

describe('batches', () => {
  const batch = [call(1), { jsonrpc: '2.0', method: 'notifications/x' }, call(2)];

  it('are split, and their answers are one array when nothing else comes', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(batch));
    expect((await bench.received()).map((message) => message['method'])).toEqual([
      'tools/call',
      'notifications/x',
      'tools/call',
    ]);
    await bench.says({ id: 2, result: 2 });
    await bench.says({ id: 1, result: 1 });
    const read = await readReply(await replying);
    expect(read.text).toBe('[{"jsonrpc":"2.0","id":2,"result":2},{"jsonrpc":"2.0","id":1,"result":1}]');
  });

  it('become a stream like any request, with the answers that came before', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(batch));
    await bench.received();
    await bench.says({ id: 2, result: 2 });
    await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'x' } });
    await bench.says({ id: 1, result: 1 });
    const { messages } = await readReply(await replying);
    expect(messages.map((message) => message['id'] ?? message['method'])).toEqual([2, 'notifications/message', 1]);
  });

  it('from a server are taken apart', async () => {
    const bench = new Bench();
    const replies = [bench.client.exchange(post(call('a'))), bench.client.exchange(post(call('b')))];
    await bench.received();
    await bench.says('[{"jsonrpc":"2.0","id":2,"result":"b"},{"jsonrpc":"2.0","id":1,"result":"a"}]');
    const texts = await Promise.all(replies.map(async (reply) => (await readReply(await reply)).text));
    expect(texts).toEqual(['{"jsonrpc":"2.0","id":"a","result":"a"}', '{"jsonrpc":"2.0","id":"b","result":"b"}']);
  });

  it('that lose their line are answered as far as they got', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(batch));
    await bench.received();
    await bench.says({ id: 1, result: 1 });
    bench.client.destroy(new ProxyError('child_exited', 'it died'));
    expect((await readReply(await replying)).text).toBe(
      '[{"jsonrpc":"2.0","id":1,"result":1},{"jsonrpc":"2.0","id":2,"error":{"code":-32009,"message":"it died"}}]',
    );
  });
});

describe('what cannot be sent', () => {
  const refusing = (which: string): LineClient => {
    const { near, far } = memoryLine();
    far.listen({ message: () => {}, closed: () => {} });
    const connection: Connection = {
      name: 'pair',
      send: (text) =>
        text.includes(which)
          ? Promise.reject(new ProxyError('upstream_unreachable', 'connection refused'))
          : near.send(text),
      listen: (sink) => near.listen(sink),
      destroy: (reason) => near.destroy(reason),
      [Symbol.asyncDispose]: () => near[Symbol.asyncDispose](),
    };
    return new LineClient(connection, {}, { clock: new ManualClock(), log: silentLog, newId: () => 'line' });
  };

  it('may be sent elsewhere when it is alone', async () => {
    const replying = refusing('tools/call').exchange(post(call(1)));
    await expect(replying).rejects.toMatchObject({ code: 'upstream_unreachable' });
  });

  it.each(['first', 'second'])('may not when other messages of its POST were sent: the %s', async (which) => {
    const batch = [call(1, { name: 'first' }), call(2, { name: 'second' })];
    const replying = refusing(which).exchange(post(batch));
    await expect(replying).rejects.toMatchObject({ code: 'upstream_closed' });
  });
});

describe('requests and notifications of the server', () => {
  it('go to the stream of the only request in flight, and its client answers on another exchange', async () => {
    const bench = new Bench();
    const session = sessionDouble('s');
    const stream = new StandingStream({ session });
    bench.client.attach(stream);
    const replying = bench.client.exchange(post(call(1), { session }));
    await bench.received();
    await bench.says({ id: 0, method: 'sampling/createMessage', params: { messages: [] } });
    const reply = await replying;
    const frames = reply.body.frames();
    const asked = (await frames.next()).value?.message;
    expect(asked).toEqual({ jsonrpc: '2.0', id: 'line-1', method: 'sampling/createMessage', params: { messages: [] } });
    const answer = await bench.client.exchange(
      post({ jsonrpc: '2.0', id: 'line-1', result: { role: 'x' } }, { session }),
    );
    expect(answer.head.status).toBe(202);
    expect(await bench.received()).toEqual([{ jsonrpc: '2.0', id: 0, result: { role: 'x' } }]);
    await bench.says({ id: 1, result: {} });
    expect((await frames.next()).value?.message).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    expect((await frames.next()).done).toBe(true);
  });

  it('go to the GET stream when no request, or more than one, is in flight', async () => {
    const bench = new Bench();
    const session = sessionDouble('s');
    const stream = new StandingStream({ session });
    bench.client.attach(stream);
    const frames = stream.reply.body.frames();
    await bench.says({ method: 'notifications/tools/list_changed' });
    expect((await frames.next()).value?.text).toContain('list_changed');
    const replies = [
      bench.client.exchange(post(call(1), { session })),
      bench.client.exchange(post(call(2), { session })),
    ];
    await bench.received();
    await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'x' } });
    expect((await frames.next()).value?.text).toContain('notifications/message');
    await bench.says({ id: 1, result: {} });
    await bench.says({ id: 2, result: {} });
    for (const reply of replies) expect((await reply).head.headers['content-type']).toBe('application/json');
  });

  it('go to the oldest request when several are in flight and there is no GET stream', async () => {
    const bench = new Bench();
    const replies = [bench.client.exchange(post(call(1))), bench.client.exchange(post(call(2)))];
    await bench.received();
    await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'x' } });
    await bench.says({ id: 1, result: {} });
    await bench.says({ id: 2, result: {} });
    const [first, second] = await Promise.all(replies.map(async (reply) => readReply(await reply)));
    expect(first?.messages).toHaveLength(2);
    expect(second?.text).toBe('{"jsonrpc":"2.0","id":2,"result":{}}');
  });

  it('wait for a stream, bounded, and a request that waited has the id of its client', async () => {
    const bench = new Bench();
    const session = sessionDouble('s');
    await bench.says({ id: 3, method: 'roots/list' });
    for (let n = 0; n < 120; n += 1) {
      await bench.says({ method: 'notifications/message', params: { level: 'info', data: n } });
    }
    expect(bench.client.stats).toMatchObject({ waiting: 100, homeless: 21 });
    await bench.says({ id: 4, method: 'roots/list' });
    const stream = new StandingStream({ session });
    bench.client.attach(stream);
    stream.end();
    const { messages } = await readReply(stream.reply);
    expect(messages).toHaveLength(100);
    expect(messages.at(-1)).toEqual({ jsonrpc: '2.0', id: 'line-1', method: 'roots/list' });
    await bench.client.exchange(post({ jsonrpc: '2.0', id: 'line-1', result: { roots: [] } }, { session }));
    expect(await bench.received()).toEqual([{ jsonrpc: '2.0', id: 4, result: { roots: [] } }]);
  });

  it('that waited leave with the next request', async () => {
    const bench = new Bench();
    await bench.says({ method: 'notifications/tools/list_changed' });
    const replying = bench.client.exchange(post(call(1)));
    await bench.received();
    await bench.says({ id: 1, result: {} });
    expect((await readReply(await replying)).messages).toHaveLength(2);
  });

  it('are not sent to a client that has left', async () => {
    const bench = new Bench();
    const gone = new AbortController();
    const left = bench.client.exchange(post(call(1), { signal: gone.signal }));
    const stays = bench.client.exchange(post(call(2)));
    await bench.received();
    gone.abort();
    await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'x' } });
    await bench.says({ id: 2, result: {} });
    expect((await readReply(await stays)).messages).toHaveLength(2);
    await bench.says({ id: 1, result: {} });
    expect((await left).head.headers['content-type']).toBe('application/json');
  });

  it('ping is answered for the client when there is no way to reach it', async () => {
    const bench = new Bench();
    await bench.says({ id: 'p', method: 'ping' });
    expect(await bench.received()).toEqual([{ jsonrpc: '2.0', id: 'p', result: {} }]);
  });

  it('are taken back on the stream they were sent on', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(call(1)));
    const other = bench.client.exchange(post(call(2)));
    await bench.received();
    await bench.says({ id: 0, method: 'elicitation/create', params: {} });
    await bench.says({ method: 'notifications/cancelled', params: { requestId: 0, reason: 'timeout' } });
    await bench.says({ id: 1, result: {} });
    await bench.says({ id: 2, result: {} });
    const { messages } = await readReply(await replying);
    expect(messages[1]).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 'line-1', reason: 'timeout' },
    });
    expect((await readReply(await other)).messages).toHaveLength(1);
  });
});

describe('a shared line', () => {
  it('refuses requests of the server and answers its pings', async () => {
    const bench = new Bench({ shared: true });
    void bench.client.exchange(post(call(1))).catch(() => {});
    await bench.received();
    await bench.says({ id: 0, method: 'sampling/createMessage', params: {} });
    await bench.says({ id: 1, method: 'ping' });
    expect(await bench.received()).toMatchObject([
      { id: 0, error: { code: -32601 } },
      { id: 1, result: {} },
    ]);
  });

  it('sends to each client only what is its own, or everybody’s', async () => {
    const bench = new Bench({ shared: true });
    const sessions = [sessionDouble('a', ['file:///x']), sessionDouble('b')];
    const streams = sessions.map((session) => new StandingStream({ session }));
    for (const stream of streams) bench.client.attach(stream);
    await bench.says({ method: 'notifications/tools/list_changed' });
    await bench.says({ method: 'notifications/resources/updated', params: { uri: 'file:///x' } });
    await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'whose?' } });
    const [session] = sessions;
    const only = bench.client.exchange(post(call(1), session === undefined ? {} : { session }));
    await bench.received();
    await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'mine' } });
    const other = bench.client.exchange(post(call(1)));
    await bench.received();
    await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'whose?' } });
    await bench.says({ id: 1, result: {} });
    await bench.says({ id: 2, result: {} });
    for (const stream of streams) stream.end();
    const [a, b] = await Promise.all(streams.map(async ({ reply }) => (await readReply(reply)).messages));
    expect(a?.map((message) => message['method'])).toEqual([
      'notifications/tools/list_changed',
      'notifications/resources/updated',
    ]);
    expect(b?.map((message) => message['method'])).toEqual(['notifications/tools/list_changed']);
    expect((await readReply(await only)).messages).toMatchObject([{ params: { data: 'mine' } }, { id: 1 }]);
    expect((await readReply(await other)).messages).toHaveLength(1);
    expect(bench.client.stats.homeless).toBe(2);
  });

  const note = (data: string) => ({ method: 'notifications/message', params: { level: 'info', data } });

  it('keeps what may be a late word about another client from the one request that is left', async () => {
    const bench = new Bench({ shared: true });
    const first = bench.client.exchange(post(call(1)));
    const second = bench.client.exchange(post(call(2)));
    await bench.received();
    await bench.says({ id: 1, result: {} });
    await bench.says(note('of the first'));
    await bench.says({ method: 'notifications/progress', params: { progressToken: 1, progress: 1 } });
    await bench.says({ method: 'notifications/progress', params: { progressToken: 'unheard of', progress: 1 } });
    await bench.says({ id: 2, result: {} });
    expect((await readReply(await first)).messages).toHaveLength(1);
    expect((await readReply(await second)).messages).toHaveLength(1);
    expect(bench.client.stats).toMatchObject({ homeless: 1, late: 1, unknown: 1 });
  });

  it('remembers that the server still works for a client that has left', async () => {
    const bench = new Bench({ shared: true });
    const left = bench.client.exchange(post(call(1, { _meta: { progressToken: 1 } })));
    await bench.received();
    await bench.says({ method: 'notifications/progress', params: { progressToken: 1, progress: 1 } });
    await (await left)[Symbol.asyncDispose]();
    const other = bench.client.exchange(post(call(2)));
    await bench.received();
    await bench.says(note('of the one that left'));
    await bench.says({ id: 1, result: {} });
    await bench.says(note('of whom?'));
    await bench.says({ id: 2, result: {} });
    expect((await readReply(await other)).messages).toHaveLength(1);
    expect(bench.client.stats.homeless).toBe(2);
  });

  it('takes the first request after another session’s for one that may hear of it, and trusts the next', async () => {
    const bench = new Bench({ shared: true });
    const [a, b] = [sessionDouble('a'), sessionDouble('b')];
    const counts: number[] = [];
    for (const [wireId, session] of [a, b, b].entries()) {
      const calling = bench.client.exchange(post(call(7), { session }));
      await bench.received();
      await bench.says(note('of whom?'));
      await bench.says({ id: wireId + 1, result: {} });
      counts.push((await readReply(await calling)).messages.length);
    }
    expect(counts).toEqual([2, 1, 2]);
  });

  it('lets modern requests that follow each other, and one whose company was cancelled, hear what is theirs', async () => {
    const bench = new Bench({ shared: true });
    const gone = new AbortController();
    const modern = (id: number, signal?: AbortSignal) =>
      bench.client.exchange(post(call(id, { _meta: MODERN_META }), { ...(signal && { signal }) }));
    const first = modern(1, gone.signal);
    await bench.received();
    gone.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await bench.received();
    for (const wireId of [2, 3]) {
      const calling = modern(wireId);
      await bench.received();
      await bench.says(note('its own'));
      await bench.says({ id: wireId, result: {} });
      expect((await readReply(await calling)).messages).toHaveLength(2);
    }
  });

  it('carries subscriptions, whose messages never reach another request', async () => {
    const bench = new Bench({ shared: true });
    const listen = { jsonrpc: '2.0', id: 'l', method: 'subscriptions/listen', params: { _meta: MODERN_META } };
    const listening = bench.client.exchange(post(listen));
    const calling = bench.client.exchange(post(call(1, { _meta: MODERN_META })));
    await bench.received();
    const KEY = 'io.modelcontextprotocol/subscriptionId';
    await bench.says({ method: 'notifications/subscriptions/acknowledged', params: { _meta: { [KEY]: 1 } } });
    const reply = await listening;
    const frames = reply.body.frames();
    expect((await frames.next()).value?.message).toMatchObject({ params: { _meta: { [KEY]: 'l' } } });
    await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'of the call' } });
    await bench.says({ id: 2, result: {} });
    expect((await readReply(await calling)).messages).toHaveLength(2);
    await reply[Symbol.asyncDispose]();
    expect(await bench.received()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: 1 } }]);
  });
});

describe('a client that leaves', () => {
  it('has not cancelled a legacy request; its answer is late', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(call(1)));
    await bench.received();
    await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'x' } });
    await (await replying)[Symbol.asyncDispose]();
    expect(await bench.received()).toEqual([]);
    await bench.says({ id: 1, result: {} });
    expect(bench.client.stats).toMatchObject({ late: 1, inFlight: 0 });
  });

  it('has cancelled a modern request, before and after the reply has begun', async () => {
    const bench = new Bench({ shared: true });
    const gone = new AbortController();
    const early = bench.client.exchange(post(call(1, { _meta: MODERN_META }), { signal: gone.signal }));
    await bench.received();
    gone.abort();
    await expect(early).rejects.toMatchObject({ code: 'cancelled' });
    expect(await bench.received()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: 1 } }]);
    const late = bench.client.exchange(post(call(2, { _meta: { ...MODERN_META, progressToken: 1 } })));
    await bench.received();
    await bench.says({ method: 'notifications/progress', params: { progressToken: 2, progress: 1 } });
    await (await late)[Symbol.asyncDispose]();
    expect(await bench.received()).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: 2 } }]);
    await expect(
      bench.client.exchange(post(call(3, { _meta: MODERN_META }), { signal: gone.signal })),
    ).rejects.toThrow();
    expect(bench.clock.pending).toBe(0);
  });

  it('or does not read is dropped when too much waits for it, and nobody else notices', async () => {
    const bench = new Bench({ streamQueue: 1000 });
    const slow = bench.client.exchange(post(call(1, { _meta: { progressToken: 1 } })));
    const quick = bench.client.exchange(post(call(2)));
    await bench.received();
    for (let n = 0; n < 20; n += 1) {
      await bench.says({
        method: 'notifications/progress',
        params: { progressToken: 1, progress: n, message: 'x'.repeat(80) },
      });
    }
    await expect(readReply(await slow)).rejects.toMatchObject({ code: 'slow_client' });
    await bench.says({ id: 2, result: {} });
    expect((await quick).head.status).toBe(200);
    expect(bench.client.stats.slowClients).toBe(1);
  });

  it('gets its answer however much lies unread before it: there is one for each request', async () => {
    const bench = new Bench({ streamQueue: 1000 });
    const replying = bench.client.exchange(post([call(1), call(2), call(3)]));
    await bench.received();
    for (const id of [1, 2, 3]) {
      if (id === 3) await bench.says({ method: 'notifications/message', params: { level: 'info', data: 'x' } });
      await bench.says({ id, result: { text: 'x'.repeat(900) } });
    }
    const { messages } = await readReply(await replying);
    expect(messages.map((message) => message['id'])).toEqual(expect.arrayContaining([1, 2, 3]));
  });
});

describe('a client that cancels', () => {
  it('a legacy request gets no answer: its stream ends', async () => {
    const bench = new Bench();
    const session = sessionDouble('s');
    const replying = bench.client.exchange(post(call(1), { session }));
    await bench.received();
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } };
    await bench.client.exchange(post(cancel, { session }));
    expect(await bench.received()).toEqual([
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } },
    ]);
    const read = await readReply(await replying);
    expect(read).toMatchObject({ status: 200, headers: { 'content-type': 'text/event-stream' }, text: '' });
    await bench.says({ id: 1, result: {} });
    expect(bench.client.stats.late).toBe(1);
    expect(bench.clock.pending).toBe(0);
  });
});

describe('a line that is lost', () => {
  it('fails what has no reply yet, and tells the streams, each with its own id', async () => {
    const bench = new Bench();
    const undecided = bench.client.exchange(post(call(1)));
    const started = post(call('two', { _meta: { progressToken: 1 } }));
    const streaming = bench.client.exchange(started);
    await bench.received();
    await bench.says({ method: 'notifications/progress', params: { progressToken: 2, progress: 1 } });
    const stream = await streaming;
    let told: ProxyError | undefined;
    bench.client.onClosed((reason) => {
      told = reason;
    });
    const death = new ProxyError('child_exited', 'exited with code 3', { data: { exitCode: 3 } });
    bench.client.destroy(death);
    await expect(undecided).rejects.toBe(death);
    expect((await readReply(stream)).messages.at(-1)).toEqual({
      jsonrpc: '2.0',
      id: 'two',
      error: { code: -32009, message: 'exited with code 3', data: { exitCode: 3 } },
    });
    expect(started.context.get(failureSlot)).toBe(death);
    expect(told).toBe(death);
    await expect(bench.client.exchange(post(call(3)))).rejects.toBe(death);
    await expect(bench.client.notify(notificationText('x'))).rejects.toBe(death);
    expect(bench.clock.pending).toBe(0);
  });

  it('never says of what was sent that it was not, whatever ended the line', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(call(1)));
    await bench.received();
    bench.client.destroy(new ProxyError('upstream_unreachable', 'connection refused'));
    await expect(replying).rejects.toMatchObject({ code: 'upstream_closed', message: 'connection refused' });
    await expect(bench.client.exchange(post(call(2)))).rejects.toMatchObject({ code: 'upstream_unreachable' });
  });

  it('that the server closes in good order is lost too', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(call(1)));
    await bench.received();
    await bench.server[Symbol.asyncDispose]();
    await expect(replying).rejects.toMatchObject({ code: 'upstream_closed' });
  });

  it('leaves GET streams open, for the next line', async () => {
    const first = new Bench();
    const stream = new StandingStream({ session: sessionDouble('s') });
    first.client.attach(stream);
    first.client.destroy(new ProxyError('child_exited', 'it died'));
    expect(stream.open).toBe(true);
    const second = new Bench();
    second.client.attach(stream);
    await second.says({ method: 'notifications/tools/list_changed' });
    expect((await stream.reply.body.frames().next()).value?.text).toContain('list_changed');
  });
});

it('does not take a GET stream that is closed already for the home of anything', async () => {
  const bench = new Bench();
  const [closed, open] = [1, 2].map(() => new StandingStream({ session: sessionDouble('s') }));
  closed?.end();
  if (open !== undefined) bench.client.attach(open);
  if (closed !== undefined) bench.client.attach(closed);
  await bench.says({ method: 'notifications/tools/list_changed' });
  expect((await open?.reply.body.frames().next())?.value?.text).toContain('list_changed');
});

describe('rubbish on a line', () => {
  it('is counted and reported, and nothing else happens', async () => {
    const bench = new Bench();
    const replying = bench.client.exchange(post(call(1)));
    await bench.received();
    await bench.says('{"jsonrpc":"2.0","id":');
    await bench.says('{"some":"object"}');
    await bench.says('[]');
    expect(bench.client.stats.unknown).toBe(3);
    expect(bench.warnings).toHaveLength(3);
    await bench.says({ id: 1, result: {} });
    expect((await replying).head.status).toBe(200);
  });
});

describe('requests of the proxy itself', () => {
  it('are answered among all others, and can be given up', async () => {
    const bench = new Bench();
    const asking = bench.client.ask('{"jsonrpc":"2.0","id":"x","method":"ping"}');
    expect(await bench.received()).toEqual([{ jsonrpc: '2.0', id: 1, method: 'ping' }]);
    await bench.says({ id: 1, result: { pong: 1 } });
    expect((await asking).value['result']).toEqual({ pong: 1 });
    const enough = new AbortController();
    const waiting = bench.client.ask('{"jsonrpc":"2.0","id":"x","method":"ping"}', enough.signal);
    enough.abort(new ProxyError('upstream_timeout', 'too slow'));
    await expect(waiting).rejects.toMatchObject({ code: 'upstream_timeout' });
    await bench.says({ id: 2, result: {} });
    expect(bench.client.stats).toMatchObject({ late: 1, inFlight: 0 });
  });
});
