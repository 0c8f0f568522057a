import { ProxyError, type Reply } from '@shadowcat/kernel';
import { classifiedExchange, handlerOf, jsonReply, readReply, streamReply } from '@shadowcat/testkit';
import { callSlot, type SessionHandle, sessionSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { uniqueIds } from '../src/unique-ids.js';

type Sent = {
  id: number | string;
  method: string;
  params?: { _meta?: { progressToken?: number | string }; requestId?: number | string };
};

const decoder = new TextDecoder();
const request = (id: number | string, params: object = {}): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
const cancel = (requestId: number | string): string =>
  JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });
const answerTo = (id: number | string, marker: string): object => ({ jsonrpc: '2.0', id, result: { marker } });
const event = (message: object): string => `data: ${JSON.stringify(message)}\n\n`;

/** A server behind the layer, which answers when the test says so. */
function upstream() {
  let count = 0;
  const replies: PromiseWithResolvers<Reply>[] = [];
  const handler = handlerOf((exchange) => {
    if (!exchange.context.get(callSlot)?.expectsAnswer && exchange.head.method === 'POST') return jsonReply({});
    const reply = Promise.withResolvers<Reply>();
    replies.push(reply);
    return reply.promise;
  });
  const newId = (): string => {
    count += 1;
    return `fresh-${count}`;
  };
  const layered = uniqueIds({ newId })(handler);
  const session = {} as SessionHandle;
  const exchangeOf = (
    body: string | undefined,
    options: { signal?: AbortSignal; headers?: Record<string, string> } = {},
  ) => {
    const exchange = classifiedExchange({ ...(body !== undefined && { body }), ...options });
    exchange.context.set(sessionSlot, session);
    return exchange;
  };
  return {
    handler,
    layered,
    exchangeOf,
    ask: (body: string | undefined, options?: Parameters<typeof exchangeOf>[1]) => layered(exchangeOf(body, options)),
    reply: (at: number, reply: Reply) => replies[at]?.resolve(reply),
    fail: (at: number, error: ProxyError) => replies[at]?.reject(error),
    /** What arrived. */
    texts: () => handler.exchanges.map(({ body }) => decoder.decode(body.ready)),
    sent: (at: number) => JSON.parse(decoder.decode(handler.exchanges[at]?.body.ready)) as Sent,
  };
}

describe('a request whose id is not in use', () => {
  it('passes as the very exchange, and so does its reply', async () => {
    const { layered, exchangeOf, handler, reply } = upstream();
    const exchange = exchangeOf(request(1));
    const asked = layered(exchange);
    const answer = jsonReply(answerTo(1, 'a'));
    reply(0, answer);
    expect(await asked).toBe(answer);
    expect(handler.exchanges[0]).toBe(exchange);
  });

  it('leaves the body of a stream as it is', async () => {
    const { ask, reply } = upstream();
    const asked = ask(request(1));
    const stream = streamReply([event(answerTo(1, 'a'))]);
    reply(0, stream);
    expect((await asked).body).toBe(stream.body);
  });

  it('is free again after its answer, as JSON and as a stream that was read to its end', async () => {
    const { ask, reply, sent } = upstream();
    for (const at of [0, 1, 2, 3]) {
      const asked = ask(request(1));
      reply(at, at % 2 === 0 ? jsonReply(answerTo(1, 'a')) : streamReply([event(answerTo(1, 'a'))]));
      await readReply(await asked);
      expect(sent(at).id).toBe(1);
    }
  });

  it('is free again when the server was never reached', async () => {
    const { ask, fail, sent } = upstream();
    const asked = ask(request(1));
    fail(0, new ProxyError('upstream_unreachable', 'nobody there'));
    await expect(asked).rejects.toThrow('nobody there');
    void ask(request(1));
    expect(sent(1).id).toBe(1);
  });

  it('is none of another session’s business', async () => {
    const { ask, layered, handler } = upstream();
    void ask(request(1));
    const other = classifiedExchange({ body: request(1) });
    other.context.set(sessionSlot, {} as SessionHandle);
    void layered(other);
    expect(handler.exchanges[1]).toBe(other);
  });
});

describe('two requests with one id', () => {
  it('are two for the server, and each client gets its own answer with its own id', async () => {
    const { ask, reply, texts, sent } = upstream();
    const first = ask(request(1, { n: 9007199254740993n.toString() }));
    const second = ask('{"jsonrpc":"2.0", "id":1.0 ,"method":"tools/call","params":{"n":9007199254740993}}');
    expect(texts()[1]).toBe('{"jsonrpc":"2.0", "id":"fresh-1" ,"method":"tools/call","params":{"n":9007199254740993}}');
    reply(1, jsonReply(`{"jsonrpc":"2.0","id":"${sent(1).id}","result":{"n":9007199254740993}}`));
    reply(0, jsonReply(answerTo(1, 'first')));
    expect((await readReply(await second)).text).toBe('{"jsonrpc":"2.0","id":1.0,"result":{"n":9007199254740993}}');
    expect((await readReply(await first)).messages).toEqual([answerTo(1, 'first')]);
  });

  it('are what their clients sent to whoever is outside, all the time', async () => {
    const { layered, exchangeOf, handler, reply, sent } = upstream();
    void layered(exchangeOf(request(1)));
    const exchange = exchangeOf(request(1));
    const asked = layered(exchange);
    const idOf = ({ context }: typeof exchange): unknown => context.get(callSlot)?.message?.id;
    expect([exchange, ...handler.exchanges].map(idOf)).toEqual([1, 1, 'fresh-1']);
    reply(1, streamReply([event(answerTo(sent(1).id, 'second'))]));
    await readReply(await asked);
    expect([exchange, ...handler.exchanges].map(idOf)).toEqual([1, 1, 'fresh-1']);
  });

  it('have progress of their own, in streams', async () => {
    const { ask, reply, sent } = upstream();
    const meta = { _meta: { progressToken: 1 } };
    const first = ask(request(1, meta));
    const second = ask(request(1, meta));
    expect(sent(1).params?._meta?.progressToken).toBe('fresh-1');
    const progress = (progressToken: number | string) => ({
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken, progress: 1 },
    });
    reply(1, streamReply(['id: 7\ndata: \n\n', event(progress('fresh-1')), event(answerTo('fresh-1', 'second'))]));
    const read = await readReply(await second);
    expect(read.text.startsWith('id: 7\ndata: \n\n')).toBe(true);
    expect(read.messages).toEqual([progress(1), answerTo(1, 'second')]);
    reply(0, streamReply([event(progress(1)), event(answerTo(1, 'first'))]));
    expect((await readReply(await first)).messages).toEqual([progress(1), answerTo(1, 'first')]);
  });

  it('in one batch, too', async () => {
    const { ask, reply, texts } = upstream();
    const asked = ask(`[${request(1)},${request(1)},${request(2)}]`);
    expect(texts()[0]).toBe(`[${request(1)},${request('fresh-1')},${request(2)}]`);
    reply(0, jsonReply([answerTo('fresh-1', 'b'), answerTo(2, 'c'), answerTo(1, 'a')]));
    expect((await readReply(await asked)).messages).toEqual([[answerTo(1, 'b'), answerTo(2, 'c'), answerTo(1, 'a')]]);
  });

  it('fail by the id of the client: those outside see the call as it was', async () => {
    const { ask, layered, exchangeOf, fail } = upstream();
    void ask(request(1));
    const exchange = exchangeOf(request(1));
    const call = exchange.context.get(callSlot);
    const asked = layered(exchange);
    fail(1, new ProxyError('upstream_timeout', 'too slow'));
    await expect(asked).rejects.toThrow('too slow');
    expect(exchange.context.get(callSlot)).toBe(call);
  });

  it('are cancelled the newest first', async () => {
    const { ask, reply, texts } = upstream();
    void ask(request(1));
    const second = ask(request(1));
    await ask(cancel(1));
    expect(texts()[2]).toBe(cancel('fresh-1'));
    reply(1, jsonReply(answerTo('fresh-1', 'second')));
    await readReply(await second);
    await ask(cancel(1));
    await ask(cancel(2));
    expect(texts().slice(3)).toEqual([cancel(1), cancel(2)]);
  });
});

describe('an id whose client has left', () => {
  const left = async (proxy: ReturnType<typeof upstream>, at: number): Promise<void> => {
    const gone = new AbortController();
    const asked = proxy.ask(request(1), { signal: gone.signal });
    proxy.reply(at, streamReply([]));
    const answer = await asked;
    gone.abort();
    await answer[Symbol.asyncDispose]();
  };

  it('stays in use until its answer comes by the GET stream', async () => {
    const proxy = upstream();
    await left(proxy, 0);
    await left(proxy, 1);
    expect(proxy.sent(1).id).toBe('fresh-1');
    const resumed = proxy.ask(undefined, { headers: { 'last-event-id': '5' } });
    const progress = { jsonrpc: '2.0', method: 'notifications/message', params: {} };
    proxy.reply(2, streamReply([event(progress), event(answerTo('fresh-1', 'b')), event(answerTo(1, 'a'))]));
    expect((await readReply(await resumed)).messages).toEqual([progress, answerTo(1, 'b'), answerTo(1, 'a')]);
    void proxy.ask(request(1));
    expect(proxy.sent(3).id).toBe(1);
  });

  it('can still be cancelled, after those that somebody waits for', async () => {
    const proxy = upstream();
    await left(proxy, 0);
    await left(proxy, 1);
    await proxy.ask(cancel(1));
    expect(proxy.texts()[2]).toBe(cancel('fresh-1'));
  });

  it('is forgotten after a thousand others', async () => {
    const proxy = upstream();
    await left(proxy, 0);
    for (let n = 1; n <= 1000; n += 1) {
      const asked = proxy.ask(request(`other-${n}`));
      proxy.fail(n, new ProxyError('upstream_timeout', 'too slow'));
      await expect(asked).rejects.toThrow('too slow');
    }
    void proxy.ask(request(1));
    expect(proxy.sent(1001).id).toBe(1);
  });
});

it('keeps the token of a task after its answer, for the GET stream', async () => {
  const { ask, reply } = upstream();
  void ask(request(1));
  const second = ask(request(1, { task: {}, _meta: { progressToken: 'mine' } }));
  reply(1, jsonReply(answerTo('fresh-1', 'task')));
  await readReply(await second);
  const stream = ask(undefined);
  const progress = (progressToken: string) => ({
    jsonrpc: '2.0',
    method: 'notifications/progress',
    params: { progressToken },
  });
  reply(2, streamReply([event(progress('fresh-1'))]));
  expect((await readReply(await stream)).messages).toEqual([progress('mine')]);
});

it('leaves modern requests alone', async () => {
  const { layered, handler, exchangeOf } = upstream();
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
  const [one, two] = [exchangeOf(request(1, { _meta: meta })), exchangeOf(request(1, { _meta: meta }))];
  void layered(one);
  void layered(two);
  expect(handler.exchanges).toEqual([one, two]);
});
