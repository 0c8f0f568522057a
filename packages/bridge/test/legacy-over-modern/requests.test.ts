import { Context, ProxyError } from '@shadowcat/kernel';
import { jsonReply, readReply, settled } from '@shadowcat/testkit';
import { failureSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { bridgeTo, reader, request, sessionHandle } from './harness.js';

const complete = (result: object) => ({ result: { resultType: 'complete', ...result } });

describe('a request of a legacy client', () => {
  it('goes on with the envelope and the headers of a modern one, and is otherwise as the client wrote it', async () => {
    const { rpc, received } = bridgeTo(() => complete({ content: [] }));
    await rpc(
      '{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"ä","arguments":{"n":9007199254740993,"f":1.0},"_meta":{"progressToken":7}}}',
    );
    const [one] = received;
    expect(one?.text).toContain('"arguments":{"n":9007199254740993,"f":1.0}');
    expect(one?.meta).toMatchObject({
      progressToken: 7,
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'old', version: '1.0' },
      'io.modelcontextprotocol/clientCapabilities': { sampling: {}, elicitation: {}, roots: {} },
      'io.modelcontextprotocol/logLevel': 'info',
    });
    expect(one?.exchange.head.headers).toMatchObject({ 'mcp-method': 'tools/call', 'mcp-name': '=?base64?w6Q=?=' });
    expect(one?.exchange.head.headers['mcp-session-id']).toBeUndefined();
  });

  it('is answered under its own id and without what only modern clients know', async () => {
    const { send } = bridgeTo(({ id }) =>
      jsonReply(
        `{"jsonrpc":"2.0","id":${id},"result":{"tools":[{"name":"t","inputSchema":{},"x":1.0}],"resultType":"complete","ttlMs":5,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}}`,
      ),
    );
    const { text } = await readReply(await send(request('tools/list', {}, 'x')));
    expect(text).toBe('{"jsonrpc":"2.0","id":"x","result":{"tools":[{"name":"t","inputSchema":{},"x":1.0}]}}');
  });

  it.each([
    ['-32601 of HTTP 404 with 200', 'tools/list', { code: -32601, message: 'no' }, -32601],
    ['an unknown resource as -32002', 'resources/read', { code: -32602, message: 'no', data: { uri: 'a:b' } }, -32002],
    ['bad parameters as they are', 'resources/read', { code: -32602, message: 'no' }, -32602],
    ['a header mismatch as an internal error', 'tools/list', { code: -32020, message: 'no' }, -32603],
    ['a missing capability as bad parameters', 'tools/call', { code: -32021, message: 'no' }, -32602],
    ['an error of its own as it is', 'tools/call', { code: -31000, message: 'no' }, -31000],
  ])('gets %s', async (_what, method, error, code) => {
    const { rpc } = bridgeTo(({ id }) => jsonReply({ jsonrpc: '2.0', id, error }, { status: 404 }));
    const answer = await rpc(request(method, { uri: 'a:b', name: 't' }));
    expect(answer.status).toBe(200);
    expect(answer.last).toEqual({ jsonrpc: '2.0', id: 1, error: { ...error, code } });
  });

  it('is not told that its session is lost by a 404 that says nothing', async () => {
    const { send } = bridgeTo(() => jsonReply('gone', { status: 404, headers: { 'content-type': 'text/plain' } }));
    await expect(send(request('tools/list'))).rejects.toMatchObject({ code: 'upstream_protocol' });
  });

  it('gets progress and logs on the stream before its answer', async () => {
    const { send, streams } = bridgeTo((_received, open) => open().reply);
    const client = reader(await send(request('tools/call', { name: 't', _meta: { progressToken: 'p' } })));
    streams[0]?.send({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'p', progress: 1 } });
    expect(await client.next()).toMatchObject({ method: 'notifications/progress', params: { progressToken: 'p' } });
    streams[0]?.send({ jsonrpc: '2.0', id: 1, result: { resultType: 'complete', content: [] } });
    expect(await client.next()).toEqual({ jsonrpc: '2.0', id: 1, result: { content: [] } });
    expect(await client.next()).toBeUndefined();
  });

  it('gets an error on its stream when that breaks off before the answer', async () => {
    const { send, streams } = bridgeTo((_received, open) => open().reply);
    const context = new Context();
    const client = reader(await send(request('tools/call', { name: 't' }), { context }));
    streams[0]?.end();
    expect(await client.next()).toMatchObject({ id: 1, error: { code: -32013 } });
    // The error is the proxy's own: those outside, the tape for one, are told.
    expect(context.get(failureSlot)).toMatchObject({ code: 'upstream_closed' });
  });

  it('goes on upstream when its client leaves, until the client cancels it', async () => {
    const { send, streams, received, rpc } = bridgeTo((_received, open) => open().reply);
    const client = reader(await send(request('tools/call', { name: 't' }, 5)));
    await client.leave();
    expect(received[0]?.exchange.signal.aborted).toBe(false);
    await rpc({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } });
    expect(received[0]?.exchange.signal.aborted).toBe(true);
    expect(streams[0]?.closed).toBe(true);
  });

  it('of two with the same id the newer one is cancelled, and is not answered', async () => {
    const { send, received, rpc } = bridgeTo((_received, open) => open().reply);
    const first = await send(request('tools/call', { name: 'a' }, 1));
    const second = reader(await send(request('tools/call', { name: 'b' }, 1)));
    await rpc({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    expect(await second.next()).toBeUndefined();
    expect(received.map(({ exchange }) => exchange.signal.aborted)).toEqual([false, true]);
    await first[Symbol.asyncDispose]();
  });

  it('that is cancelled before the server says anything gets an empty stream', async () => {
    const { send, rpc } = bridgeTo(() => new Promise(() => {}));
    const pending = send(request('tools/call', { name: 'a' }, 1));
    await settled();
    await rpc({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    expect(await reader(await pending).next()).toBeUndefined();
  });

  it('ends with its session', async () => {
    const { send, received, session } = bridgeTo((_received, open) => open().reply);
    const client = reader(await send(request('tools/call', { name: 'a' }, 1)));
    session.end();
    expect(received[0]?.exchange.signal.aborted).toBe(true);
    expect(await client.next()).toMatchObject({ id: 1, error: { message: 'the session has ended' } });
  });

  it('has the level that the client has set, also after a restart', async () => {
    const { rpc, received } = bridgeTo(() => complete({}));
    expect((await rpc(request('logging/setLevel', { level: 'error' }))).last).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {},
    });
    expect((await rpc(request('logging/setLevel', { level: 'loud' }))).last).toMatchObject({ error: { code: -32602 } });
    await rpc(request('tools/list'));
    const restored = sessionHandle({ id: 's2', restore: { logLevel: 'alert', subscriptions: [] } });
    await rpc(request('tools/list'), { session: restored });
    expect(received.map(({ meta }) => meta['io.modelcontextprotocol/logLevel'])).toEqual(['error', 'alert']);
  });

  it('that only legacy servers know is answered by the bridge', async () => {
    const { rpc, received } = bridgeTo(() => complete({}));
    expect((await rpc(request('ping'))).last).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    expect((await rpc({ jsonrpc: '2.0', method: 'notifications/initialized' })).status).toBe(202);
    expect((await rpc(request('subscriptions/listen', {}))).last).toMatchObject({ error: { code: -32601 } });
    expect(received).toEqual([]);
  });

  it('in a batch is answered on the stream of the batch, or in an array', async () => {
    const { rpc, received } = bridgeTo(({ method }) => complete({ method }));
    const batch = [request('tools/list', {}, 1), request('ping', {}, 2), request('prompts/list', {}, 3)];
    const answers = [
      { jsonrpc: '2.0', id: 1, result: { method: 'tools/list' } },
      { jsonrpc: '2.0', id: 2, result: {} },
      { jsonrpc: '2.0', id: 3, result: { method: 'prompts/list' } },
    ];
    expect((await rpc(batch)).messages).toEqual(answers);
    const plain = await rpc(batch, { headers: { accept: 'application/json' } });
    expect(JSON.parse(plain.text)).toEqual(answers);
    expect(received).toHaveLength(4);
  });

  it('is sent again with arguments in headers when the server asks for them', async () => {
    const tool = { name: 't', inputSchema: { properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } } };
    const { rpc, received } = bridgeTo(({ method, exchange }) => {
      if (method === 'tools/list') return complete({ tools: [tool] });
      return exchange.head.headers['mcp-param-region'] === 'eu'
        ? complete({ content: [] })
        : { error: { code: -32020, message: 'region' } };
    });
    const call = request('tools/call', { name: 't', arguments: { region: 'eu' } });
    expect((await rpc(call)).last).toMatchObject({ result: { content: [] } });
    await rpc(call);
    expect(received.map(({ method }) => method)).toEqual(['tools/call', 'tools/list', 'tools/call', 'tools/call']);
    expect(new Set(received.map(({ id }) => id)).size).toBe(4);
  });

  it('gets schemas and structured content that are no objects inside of one', async () => {
    const schema = { type: 'array', items: { $ref: '#/$defs/x' }, $defs: { x: { type: 'number' } } };
    const recursive = { anyOf: [{ type: 'null' }, { $ref: '#' }] };
    const { rpc } = bridgeTo(({ method }) =>
      method === 'tools/list'
        ? complete({
            tools: [{ name: 'a', outputSchema: schema }, { name: 'b', outputSchema: recursive }, { name: 'c' }],
          })
        : complete({ content: [], structuredContent: [1] }),
    );
    expect((await rpc(request('tools/list'))).last).toMatchObject({
      result: {
        tools: [
          {
            name: 'a',
            outputSchema: {
              type: 'object',
              properties: { result: { type: 'array', items: { $ref: '#/$defs/x' } } },
              required: ['result'],
              $defs: { x: { type: 'number' } },
            },
          },
          { name: 'b' },
          { name: 'c' },
        ],
      },
    });
    expect((await rpc(request('tools/call', { name: 'a' }))).last).toMatchObject({
      result: { structuredContent: { result: [1] } },
    });
  });

  it('fails when the proxy ends', async () => {
    const { bridge, send } = bridgeTo((_received, open) => open().reply);
    const client = reader(await send(request('tools/call', { name: 'a' }, 1)));
    const closed = bridge.close();
    expect(await client.next()).toMatchObject({ error: { message: 'the proxy is ending' } });
    await closed;
    await expect(send(request('ping'))).rejects.toBeInstanceOf(ProxyError);
  });
});
