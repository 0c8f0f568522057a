import dns from 'node:dns';
import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:net';
import { Body, type Handler, opaqueFraming, ProxyError } from '@shadowcat/kernel';
import { classifiedExchange, exchangeOf, readReply } from '@shadowcat/testkit';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { bodyOf, eventually, nodeServer, REQUEST, upstreamAt } from './support.js';

const RESULT = '{"jsonrpc":"2.0","id":7,"result":{"n":9007199254740993,"x":1.0}}';

/** A port that nothing listens on. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

describe('httpUpstream', () => {
  it('asks and answers, verbatim', async () => {
    let asked: { headers: IncomingHttpHeaders; body: string; url: string | undefined } | undefined;
    const { url, port } = await nodeServer(async (request, response) => {
      asked = { headers: request.headers, body: await bodyOf(request), url: request.url };
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's1' }).end(RESULT);
    });
    const upstream = upstreamAt(`${url}?key=k`);
    const body = '{"jsonrpc":"2.0", "id":7,"method":"x"}';
    const answer = await readReply(await upstream(exchangeOf({ body, target: '/mcp?client=1' })));
    expect(answer).toMatchObject({ status: 200, text: RESULT, headers: { 'mcp-session-id': 's1' } });
    expect(asked).toMatchObject({
      body,
      url: '/mcp?key=k',
      headers: { host: `127.0.0.1:${port}`, 'accept-encoding': 'identity' },
    });
    expect(upstream.stats().inFlight).toBe(0);
  });

  it('passes on what the protocol needs and nothing that is meant for the proxy', async () => {
    const heard: IncomingHttpHeaders[] = [];
    const { url } = await nodeServer((request, response) => {
      heard.push(request.headers);
      response.end('{}');
    });
    const headers = {
      authorization: 'Bearer client',
      cookie: 'c=1',
      origin: 'http://localhost',
      'x-api-key': 'k',
      'mcp-method': 'tools/call',
      'mcp-param-region': 'eu',
      'mcp-session-id': 'abc',
      traceparent: '00-1-2-3',
      connection: 'keep-alive, mcp-method',
      'keep-alive': 'timeout=5',
      te: 'trailers',
    };
    const exchange = () => exchangeOf({ body: REQUEST, headers });
    await readReply(await upstreamAt(url)(exchange()));
    const generous = {
      forwardAuthorization: true,
      forwardHeaders: ['X-API-Key', 'cookie'],
      headers: { 'X-Fixed': 'f' },
    };
    await readReply(await upstreamAt(url, generous)(exchange()));
    await readReply(await upstreamAt(url, { ...generous, headers: { Authorization: 'Bearer own' } })(exchange()));
    const [plain, open, fixed] = heard as [IncomingHttpHeaders, IncomingHttpHeaders, IncomingHttpHeaders];
    expect(plain).toMatchObject({ 'mcp-param-region': 'eu', 'mcp-session-id': 'abc', traceparent: '00-1-2-3' });
    for (const name of ['authorization', 'cookie', 'origin', 'x-api-key', 'mcp-method', 'keep-alive', 'te']) {
      expect(plain[name], name).toBeUndefined();
    }
    expect(open).toMatchObject({ authorization: 'Bearer client', 'x-api-key': 'k', 'x-fixed': 'f' });
    expect(open.cookie).toBeUndefined();
    expect(fixed.authorization).toBe('Bearer own');
  });

  it('makes basic authorization of a user in the address, and never shows it', async () => {
    let authorization: string | undefined;
    const { url } = await nodeServer((request, response) => {
      authorization = request.headers.authorization;
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    const upstream = upstreamAt(url.replace('//', '//me:p%40ss@'));
    const failed = await upstream(exchangeOf({ body: REQUEST })).catch((error: ProxyError) => error);
    expect(authorization).toBe(`Basic ${Buffer.from('me:p@ss').toString('base64')}`);
    expect((failed as ProxyError).message).not.toContain('p@ss');
  });

  it('drops what ends at each hop, and cookies', async () => {
    const { url } = await nodeServer((_request, response) => {
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.setHeader('connection', 'keep-alive, x-hop');
      response.setHeader('x-hop', '1');
      response.setHeader('x-kept', '2');
      response.end('{}');
    });
    const { headers } = await readReply(await upstreamAt(url)(exchangeOf({ body: REQUEST })));
    expect(headers['x-kept']).toBe('2');
    for (const name of ['set-cookie', 'connection', 'x-hop', 'keep-alive', 'transfer-encoding']) {
      expect(headers[name], name).toBeUndefined();
    }
  });

  it.each([400, 404, 405, 500])('passes %i through with its body', async (status) => {
    const body = '{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"versions"}}';
    const { url } = await nodeServer((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json', allow: 'POST' }).end(body);
    });
    const answer = await readReply(await upstreamAt(url)(exchangeOf({ body: REQUEST })));
    expect(answer).toMatchObject({ status, text: body, headers: { allow: 'POST' } });
  });

  it('sends the body of a request that streams', async () => {
    let heard = '';
    const { url } = await nodeServer(async (request, response) => {
      heard = await bodyOf(request);
      response.end('{}');
    });
    const source = (async function* () {
      for (const piece of ['{"a":', '1}']) yield new TextEncoder().encode(piece);
    })();
    await readReply(await upstreamAt(url)(exchangeOf({ method: 'POST', body: Body.stream(source, opaqueFraming) })));
    expect(heard).toBe('{"a":1}');
  });

  describe('says in plain words', () => {
    const failing = async (upstream: Handler): Promise<ProxyError> => {
      const exchange = classifiedExchange({ body: REQUEST });
      const error = await upstream(exchange).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof ProxyError)) throw new Error('a ProxyError was expected');
      return error;
    };

    it('that nothing listens there', async () => {
      const port = await closedPort();
      const error = await failing(upstreamAt(`http://127.0.0.1:${port}/mcp`));
      expect(error).toMatchObject({
        code: 'upstream_unreachable',
        message: `http://127.0.0.1:${port}/mcp cannot be reached: connection refused; is the server running?`,
      });
    });

    it.each([
      ['ENOTFOUND', 'its name is not known'],
      ['EAI_AGAIN', 'its name could not be looked up'],
    ])('what became of the name: %s', async (code, words) => {
      // No name server is asked: how long one takes to say no is its own affair.
      const answer = (_name: string, _options: object, done: (error: Error) => void): void =>
        done(Object.assign(new Error(code), { code }));
      const lookup = vi.spyOn(dns, 'lookup').mockImplementation(answer as never);
      onTestFinished(() => lookup.mockRestore());
      const error = await failing(upstreamAt('http://nobody.invalid/mcp'));
      expect(error.code).toBe('upstream_unreachable');
      expect(error.message).toContain(`http://nobody.invalid/mcp cannot be reached: ${words}`);
      expect(lookup).toHaveBeenCalledWith('nobody.invalid', expect.anything(), expect.anything());
    });

    it('that the server closed the connection before it answered', async () => {
      const { url } = await nodeServer((request) => request.socket.destroy());
      expect(await failing(upstreamAt(url))).toMatchObject({
        code: 'upstream_closed',
        message: `${url} closed the connection before it answered`,
      });
    });

    it('that the server did not begin to answer in time', async () => {
      const { url } = await nodeServer(() => undefined);
      expect(await failing(upstreamAt(url, { firstByteTimeout: 30 }))).toMatchObject({
        code: 'upstream_timeout',
        message: expect.stringContaining('did not begin to answer within 0.03 s'),
      });
    });

    it('that the server redirects, and does not follow', async () => {
      const asked: string[] = [];
      const { url } = await nodeServer((request, response) => {
        asked.push(request.url ?? '');
        response.writeHead(307, { location: 'http://127.0.0.1:1/other' }).end('moved');
      });
      const error = await failing(upstreamAt(url));
      expect(error.code).toBe('upstream_protocol');
      expect(error.message).toContain('redirects to http://127.0.0.1:1/other (HTTP 307)');
      expect(asked).toEqual(['/mcp']);
    });

    it('that the server compresses although it was asked not to', async () => {
      const { url } = await nodeServer((_request, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' }).end('xx');
      });
      expect(await failing(upstreamAt(url))).toMatchObject({
        code: 'upstream_protocol',
        message: expect.stringContaining('content-encoding gzip'),
      });
    });

    it('that the server speaks no HTTP', async () => {
      const server = createServer((socket) => {
        socket.on('error', () => undefined).once('data', () => socket.end('SSH-2.0-OpenSSH\r\n'));
      });
      server.listen(0, '127.0.0.1');
      onTestFinished(() => void server.close());
      await once(server, 'listening');
      const { port } = server.address() as { port: number };
      expect((await failing(upstreamAt(`http://127.0.0.1:${port}/mcp`))).code).toBe('upstream_protocol');
    });

    it('that a request cannot be sent on', async () => {
      const { url } = await nodeServer((_request, response) => void response.end('{}'));
      const exchange = exchangeOf({ body: REQUEST, headers: { 'user-agent': 'a\nb' } });
      await expect(upstreamAt(url)(exchange)).rejects.toMatchObject({ code: 'invalid_request' });
    });
  });

  it.each([
    ['{"jsonrpc":"2.0","id":8,"result":{}}', false],
    ['{"jsonrpc":"2.0","id":"7","result":{}}', false],
    ['{"jsonrpc":"2.0", "id" : 7, "result":{}}', true],
    ['{"jsonrpc":"2.0","id":7.0,"result":{}}', true],
    ['{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}', true],
    ['no JSON', true],
  ])('keeps an answer to another request from its client: %s', async (text, passes) => {
    const { url } = await nodeServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(text);
    });
    const asked = upstreamAt(url)(classifiedExchange({ body: REQUEST }));
    if (passes) expect((await readReply(await asked)).text).toBe(text);
    else await expect(asked).rejects.toMatchObject({ code: 'upstream_protocol' });
  });

  it('ends a broken event stream with an error for the request', async () => {
    const { url } = await nodeServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n', () => response.destroy());
    });
    const answer = await readReply(await upstreamAt(url)(classifiedExchange({ body: REQUEST })));
    expect(answer.messages).toEqual([
      { jsonrpc: '2.0', method: 'notifications/message' },
      {
        jsonrpc: '2.0',
        id: 7,
        error: expect.objectContaining({ message: `${url} closed the connection in the middle of its answer` }),
      },
    ]);
  });

  it('ends an event stream without an answer with an error, also one that came in one piece', async () => {
    const { url } = await nodeServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {"jsonrpc":"2.0","method":"x"}\n\n');
    });
    const answer = await readReply(await upstreamAt(url)(classifiedExchange({ body: REQUEST })));
    expect(answer.messages.at(-1)).toMatchObject({ id: 7, error: {} });
  });

  it.each([
    ['in one piece', (parts: string[]) => [parts.join('')]],
    ['event by event', (parts: string[]) => parts],
  ])('keeps answers to other requests from the client, %s', async (_, cut) => {
    const foreign = 'id: e1\ndata: {"jsonrpc":"2.0","id":8,"result":{"secret":true}}\n\n';
    const own = 'data: {"jsonrpc":"2.0","id":7,"result":{}}\n\n';
    const batch = 'data: [{"jsonrpc":"2.0","id":9,"result":{}},{"jsonrpc":"2.0","method":"notifications/x"}]\n\n';
    const { url } = await nodeServer(async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const part of cut([foreign, batch, own])) {
        await new Promise((resolve) => response.write(part, resolve));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    });
    const upstream = upstreamAt(url);
    const answer = await readReply(await upstream(classifiedExchange({ body: REQUEST })));
    expect(answer.messages).toEqual([
      [{ jsonrpc: '2.0', method: 'notifications/x' }],
      { jsonrpc: '2.0', id: 7, result: {} },
    ]);
    expect(answer.frames[0]?.sse?.id).toBe('e1');
    expect(upstream.stats().foreign).toBe(2);
  });

  it('takes up a stream again that was closed before its answer', async () => {
    const asked: string[] = [];
    const { url } = await nodeServer((request, response) => {
      const { method, headers } = request;
      asked.push(
        `${method} ${headers['last-event-id']} ${headers.accept} ${headers['mcp-session-id']} ${headers['content-type']}`,
      );
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (method === 'POST') response.end('id: 1\nretry: 1\ndata:\n\n');
      else response.end('id: 2\ndata: {"jsonrpc":"2.0","id":7,"result":{}}\n\n');
    });
    const exchange = classifiedExchange({
      body: REQUEST,
      headers: { 'mcp-session-id': 's', 'last-event-id': 'not of this' },
    });
    const answer = await readReply(await upstreamAt(url)(exchange));
    expect(answer.messages).toEqual([{ jsonrpc: '2.0', id: 7, result: {} }]);
    expect(asked[1]).toBe('GET 1 text/event-stream s undefined');
  });

  it('does not take up a modern stream', async () => {
    let asked = 0;
    const { url } = await nodeServer((_request, response) => {
      asked += 1;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('id: 1\nretry: 1\ndata:\n\n');
    });
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const body = { ...REQUEST, params: { name: 'x', _meta: meta } };
    const answer = await readReply(await upstreamAt(url)(classifiedExchange({ body })));
    expect(answer.messages.at(-1)).toMatchObject({ id: 7, error: {} });
    expect(asked).toBe(1);
  });

  it('keeps a standing stream open across its ends', async () => {
    let asked = 0;
    const { url } = await nodeServer((_request, response) => {
      asked += 1;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`retry: 1\nid: ${asked}\ndata: {"jsonrpc":"2.0","method":"n${asked}"}\n\n`);
    });
    const upstream = upstreamAt(url);
    const reply = await upstream(classifiedExchange({ method: 'GET' }));
    const methods: unknown[] = [];
    for await (const frame of reply.body.frames()) {
      const message = frame.message as { method: string } | undefined;
      if (message !== undefined) methods.push(message.method);
      if (methods.length === 4) break;
    }
    await reply[Symbol.asyncDispose]();
    expect(methods).toEqual(['n1', 'n2', 'n3', 'n4']);
    await eventually(() => upstream.stats().inFlight === 0);
  });

  it('pauses the upstream of a reader that does not read, and closes it when the reader leaves', async () => {
    let written = 0;
    const gone = Promise.withResolvers<void>();
    const { url } = await nodeServer((_request, response) => {
      response.on('close', () => gone.resolve());
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) written += 65_536;
        response.once('drain', more);
      };
      more();
    });
    const upstream = upstreamAt(url);
    const reply = await upstream(exchangeOf({ body: REQUEST }));
    const reader = reply.body.bytes()[Symbol.asyncIterator]();
    let read = 0;
    for (let i = 0; i < 100; i += 1) read += (await reader.next()).value?.length ?? 0;
    expect(read).toBeGreaterThan(0);
    let before = -1;
    await eventually(() => {
      const still = written === before;
      before = written;
      return still;
    });
    await reply[Symbol.asyncDispose]();
    await gone.promise;
    await eventually(() => upstream.stats().inFlight === 0);
  });

  it('closes the upstream when the signal fires, before the head and after it', async () => {
    const closed: string[] = [];
    const { url } = await nodeServer((request, response) => {
      const which = String(request.headers['x-request-id']);
      response.on('close', () => closed.push(which));
      if (which === 'body') response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n');
    });
    const upstream = upstreamAt(url);
    const controller = new AbortController();
    const asked = (which: string) =>
      upstream(exchangeOf({ body: REQUEST, headers: { 'x-request-id': which }, signal: controller.signal }));
    const early = asked('head');
    const reply = await asked('body');
    const reader = reply.body.bytes()[Symbol.asyncIterator]();
    await reader.next();
    controller.abort(new ProxyError('cancelled', 'the client closed its connection'));
    await expect(early).rejects.toMatchObject({ code: 'cancelled' });
    await expect(reader.next()).rejects.toMatchObject({ code: 'cancelled' });
    await eventually(() => closed.length === 2);
    expect(upstream.stats().inFlight).toBe(0);
    await expect(asked('late')).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('ends what is in flight when it is closed, and is closed then', async () => {
    const { url } = await nodeServer(() => undefined);
    const upstream = upstreamAt(url);
    const asked = upstream(exchangeOf({ body: REQUEST }));
    const failed = expect(asked).rejects.toMatchObject({ code: 'draining' });
    await eventually(() => upstream.stats().connections === 1);
    await upstream.close();
    await failed;
    await upstream.close();
    expect(upstream.stats()).toMatchObject({ inFlight: 0, connections: 0 });
    await expect(upstream(exchangeOf({ body: REQUEST }))).rejects.toMatchObject({ code: 'upstream_unreachable' });
  });
});
