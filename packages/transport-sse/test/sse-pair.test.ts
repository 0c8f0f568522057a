import {
  Body,
  type Connection,
  Context,
  type Exchange,
  type Handler,
  ProxyError,
  type Reply,
  silentLog,
} from '@shadowcat/kernel';
import { exchangeOf, handlerOf, jsonReply, ManualClock, readReply, settled, streamReply } from '@shadowcat/testkit';
import { credentialSlot, jsonFraming } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { PairClient } from '../src/pair-client.js';
import { type PairRequest, ssePairConnection } from '../src/sse-pair-connection.js';
import { type SsePairServerOptions, ssePairServer } from '../src/sse-pair-server.js';

const URL_SSE = 'http://up.test/sse';
let made = 0;

function exchangeFor(request: PairRequest): Exchange {
  made += 1;
  return {
    id: `p${made}`,
    head: { method: request.method, target: request.path, headers: { host: 'up.test', ...request.headers } },
    body: request.body === undefined ? Body.empty : Body.whole(request.body, jsonFraming),
    signal: request.signal,
    context: new Context(),
  };
}

/** A server half around `handler`, and a client half that asks it in memory. */
function pair(handler: Handler, options: SsePairServerOptions = {}) {
  const clock = new ManualClock();
  let id = 0;
  const next = (): number => {
    id += 1;
    return id;
  };
  const server = ssePairServer(options, {
    clock,
    log: silentLog,
    newId: () => `x${next()}`,
    newSecret: () => `secret-${next()}`,
  });
  const stack = server(handler);
  const requests: PairRequest[] = [];
  let ended = 0;
  const http = (request: PairRequest): Promise<Reply> => {
    requests.push(request);
    return stack(exchangeFor(request));
  };
  const open = (): Promise<Connection> =>
    ssePairConnection(
      { url: URL_SSE },
      {
        http,
        clock,
        log: silentLog,
        ended: () => {
          ended += 1;
        },
      },
    );
  return { clock, server, stack, requests, open, ended: () => ended };
}

/** Collects what a connection delivers. */
function listening(connection: Connection) {
  const texts: string[] = [];
  const closed = Promise.withResolvers<ProxyError | undefined>();
  const waiters: (() => void)[] = [];
  connection.listen({
    message: (text) => {
      texts.push(text);
      for (const wake of waiters.splice(0)) wake();
    },
    closed: closed.resolve,
  });
  return {
    texts,
    closed: closed.promise,
    async atLeast(count: number): Promise<string[]> {
      while (texts.length < count) await new Promise<void>((resolve) => waiters.push(resolve));
      return texts;
    },
  };
}

const echo = handlerOf(async (exchange) => {
  if (exchange.head.method !== 'POST') return jsonReply('{}', { status: 405 });
  const message = JSON.parse(new TextDecoder().decode(await exchange.body.collect(1e6))) as {
    id?: number;
    method: string;
  };
  return message.id === undefined
    ? jsonReply('', { status: 202 })
    : { jsonrpc: '2.0', id: message.id, result: { method: message.method } };
});

describe('the legacy HTTP+SSE pair, both halves', () => {
  it('carries a request there and its answer back', async () => {
    const { open, requests, server, ended } = pair(echo);
    const line = await open();
    const heard = listening(line);
    await line.send('{"jsonrpc":"2.0","id":1,"method":"ping"}');
    expect(await heard.atLeast(1)).toEqual(['{"jsonrpc":"2.0","id":1,"result":{"method":"ping"}}']);
    expect(requests.map(({ method }) => method)).toEqual(['GET', 'POST']);
    expect(requests[1]?.path).toMatch(/^\/message\?sessionId=secret-/);
    expect(server.clients()).toBe(1);
    await line[Symbol.asyncDispose]();
    expect(await heard.closed).toBeUndefined();
    await server.close();
    expect(server.clients()).toBe(0);
    expect(ended()).toBe(1);
  });

  it('gives the handler the headers of the line, and the path of the endpoint', async () => {
    const { open, server } = pair(echo, { target: '/here' });
    const line = await open();
    const heard = listening(line);
    await line.send('{"jsonrpc":"2.0","id":1,"method":"ping"}');
    await heard.atLeast(1);
    const { head } = echo.exchanges.at(-1) as Exchange;
    expect(head.target).toBe('/here');
    expect(head.headers['host']).toBe('up.test');
    await line[Symbol.asyncDispose]();
    await server.close();
  });

  it('keeps messages in order, and never lets two clients hear each other', async () => {
    const { open, server } = pair(echo);
    const [a, b] = [await open(), await open()];
    const [fromA, fromB] = [listening(a), listening(b)];
    await Promise.all([1, 2, 3, 4, 5].map((id) => a.send(`{"jsonrpc":"2.0","id":${id},"method":"a"}`)));
    await b.send('{"jsonrpc":"2.0","id":1,"method":"b"}');
    await fromA.atLeast(5);
    await fromB.atLeast(1);
    expect(fromA.texts.every((text) => text.includes('"method":"a"'))).toBe(true);
    expect(fromB.texts).toEqual(['{"jsonrpc":"2.0","id":1,"result":{"method":"b"}}']);
    await a[Symbol.asyncDispose]();
    await b[Symbol.asyncDispose]();
    await server.close();
  });

  it('tells the client when the server half ends', async () => {
    const { open, server } = pair(echo);
    const line = await open();
    const heard = listening(line);
    await server.close();
    expect((await heard.closed)?.code).toBe('upstream_closed');
    await expect(line.send('{}')).rejects.toMatchObject({ code: 'upstream_closed' });
  });
});

describe('ssePairServer', () => {
  const post = (stack: Handler, target: string, body: string): Promise<Reply> =>
    stack(exchangeOf({ method: 'POST', target, body }));

  it('lets other paths pass', async () => {
    const { stack } = pair(echo);
    const passed = await readReply(await post(stack, '/mcp', '{"jsonrpc":"2.0","id":5,"method":"x"}'));
    expect(passed.text).toContain('"id":5');
  });

  it.each([
    ['/message', 'session_not_found'],
    ['/message?sessionId=guessed', 'session_not_found'],
    ['/sse', 'method_not_allowed'],
  ])('refuses a POST to %s', async (target, code) => {
    const { stack } = pair(echo);
    await expect(post(stack, target, '{"jsonrpc":"2.0","method":"x"}')).rejects.toMatchObject({ code });
  });

  it('refuses what is no message where its sender sees it', async () => {
    const { stack, server } = pair(echo);
    const stream = await stack(exchangeOf({ target: '/sse' }));
    const iterator = stream.body.bytes()[Symbol.asyncIterator]();
    const first = new TextDecoder().decode((await iterator.next()).value as Uint8Array);
    const endpoint = /data: (\S+)/.exec(first)?.[1] ?? '';
    await expect(post(stack, endpoint, '{"jsonrpc":')).rejects.toMatchObject({ code: 'parse_error' });
    await expect(post(stack, endpoint, '[1]')).rejects.toMatchObject({ code: 'invalid_request' });
    expect((await readReply(await post(stack, endpoint, '{"jsonrpc":"2.0","method":"x"}'))).status).toBe(202);
    await stream[Symbol.asyncDispose]();
    await server.close();
  });

  it('forgets a client that left', async () => {
    const { stack, server } = pair(echo);
    const stream = await stack(exchangeOf({ target: '/sse' }));
    expect(server.clients()).toBe(1);
    await stream[Symbol.asyncDispose]();
    expect(server.clients()).toBe(0);
    await server.close();
  });

  it('makes senders wait for a client that reads slowly, and drops one that does not read', async () => {
    let ended = 0;
    const client = new PairClient('x1', {
      endpoint: '/m',
      queueLimit: 100_000,
      ended: () => {
        ended += 1;
      },
    });
    const heard = listening(client);
    const text = JSON.stringify('x'.repeat(40_000));
    await client.send(text);
    let held = true;
    const second = client.send(text).then(() => {
      held = false;
    });
    await settled();
    expect(held).toBe(true);
    const reader = client.bytes();
    for (let i = 0; i < 2; i += 1) await reader.next();
    await second;
    // What waits already decides: 40 kB, 80 kB, and then 120 kB are more than it may be.
    const waiting = [client.send(text), client.send(text)];
    await expect(client.send(text)).rejects.toMatchObject({ code: 'slow_client' });
    await Promise.all(waiting);
    expect((await heard.closed)?.code).toBe('slow_client');
    expect((await reader.next()).done).toBe(true);
    expect(ended).toBe(1);
  });

  it('takes one message that is larger than the limit', async () => {
    const client = new PairClient('x1', { endpoint: '/m', queueLimit: 100_000, ended: () => {} });
    listening(client);
    const reader = client.bytes();
    await reader.next();
    const sent = client.send(JSON.stringify('x'.repeat(1_500_000)));
    expect((await reader.next()).value?.length).toBeGreaterThan(1_500_000);
    await sent;
    await client[Symbol.asyncDispose]();
  });

  it('binds the messages to the credential that opened the stream', async () => {
    const { stack } = pair(echo);
    const opened = exchangeOf({ target: '/sse' });
    opened.context.set(credentialSlot, 'alice');
    const stream = await stack(opened);
    const { value } = await stream.body.bytes()[Symbol.asyncIterator]().next();
    const [, endpoint = ''] = /data: (\S+)/.exec(new TextDecoder().decode(value)) ?? [];
    const from = (credential: string) => {
      const exchange = exchangeOf({ target: endpoint, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
      exchange.context.set(credentialSlot, credential);
      return stack(exchange);
    };
    await expect(from('mallory')).rejects.toMatchObject({ code: 'session_not_found' });
    expect((await from('alice')).head.status).toBe(202);
    await stream[Symbol.asyncDispose]();
  });

  it('refuses more clients than it may have, and any while it ends', async () => {
    const { stack, server } = pair(echo, { maxClients: 1 });
    const stream = await stack(exchangeOf({ target: '/sse' }));
    await expect(stack(exchangeOf({ target: '/sse' }))).rejects.toMatchObject({ code: 'session_limit' });
    await server.close();
    await expect(stack(exchangeOf({ target: '/sse' }))).rejects.toMatchObject({ code: 'draining' });
    await stream[Symbol.asyncDispose]();
  });
});

describe('ssePairConnection', () => {
  const opening = (answer: (request: PairRequest) => Promise<Reply>, clock = new ManualClock()) => {
    let ended = 0;
    const components = {
      http: answer,
      clock,
      log: silentLog,
      ended: () => {
        ended += 1;
      },
    };
    return {
      clock,
      open: (signal?: AbortSignal) => ssePairConnection({ url: URL_SSE }, components, signal),
      ended: () => ended,
    };
  };

  it.each([
    ['no event stream', async () => jsonReply('{}', { status: 404 }), 'HTTP 404'],
    ['JSON', async () => jsonReply('{}'), 'without an event stream'],
    ['a stream without an endpoint', async () => streamReply(['data: {}\n\n']), 'without naming an endpoint'],
    [
      'an endpoint elsewhere',
      async () => streamReply(['event: endpoint\ndata: http://evil.test/m\n\n']),
      'another origin',
    ],
  ])('refuses %s in plain words', async (_what, answer, words) => {
    const { open, ended, clock } = opening(answer);
    await expect(open()).rejects.toMatchObject({ code: 'upstream_protocol', message: expect.stringContaining(words) });
    expect(ended()).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('gives up when no endpoint is named in time', async () => {
    const { open, clock } = opening(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    const opened = open();
    const failed = expect(opened).rejects.toMatchObject({ code: 'upstream_timeout' });
    await clock.pass(5_000);
    await failed;
    expect(clock.pending).toBe(0);
  });

  it('stops opening when its signal fires', async () => {
    const controller = new AbortController();
    const { open } = opening(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    const opened = open(controller.signal);
    controller.abort(new ProxyError('cancelled', 'enough'));
    await expect(opened).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('is over when the server forgot the line', async () => {
    const { open } = opening(async ({ method, signal }) => {
      if (method === 'POST') return jsonReply('{}', { status: 404 });
      async function* stream(): AsyncGenerator<string> {
        yield 'event: endpoint\ndata: /m\n\n';
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      }
      return streamReply(stream());
    });
    const line = await open();
    const heard = listening(line);
    await expect(line.send('{}')).rejects.toMatchObject({ code: 'upstream_protocol' });
    expect((await heard.closed)?.code).toBe('upstream_closed');
  });
});
