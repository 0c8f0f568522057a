import { ProxyError, type Reply } from '@shadowcat/kernel';
import { handlerOf, jsonReply, readReply, settled } from '@shadowcat/testkit';
import { callSlot, MODERN } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { bridged, type Call, legacyServer, modern, unknownMethod } from './support.js';

const echo: Call = async function* ({ message }) {
  yield { jsonrpc: '2.0', id: message['id'], result: { content: [], params: message['params'] } };
};

const ask: Call = async function* ({ message, reply }) {
  const params = { messages: [], maxTokens: 5, _meta: { progressToken: 9 } };
  yield { jsonrpc: '2.0', id: 7, method: 'sampling/createMessage', params };
  const answer = await reply(7);
  const token = (message['params'] as { _meta: { progressToken: string } })._meta.progressToken;
  yield { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: token, progress: 1 } };
  yield { jsonrpc: '2.0', id: message['id'], result: { content: [], answer: answer['result'] ?? answer['error'] } };
};

const lastOf = async (answer: Promise<Reply>) => (await readReply(await answer)).messages.at(-1) as never;

interface Rpc {
  readonly id: unknown;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string };
}

describe('which era a target speaks', () => {
  it('is asked before a call, and a modern target gets the call as it is', async () => {
    const upstream = handlerOf((exchange) => {
      const { method, id } = exchange.context.get(callSlot)?.message ?? {};
      const result = method === 'server/discover' ? { supportedVersions: [MODERN] } : { own: true };
      return { jsonrpc: '2.0', id, result };
    });
    const { bridge } = bridged(upstream);
    const call = modern('tools/call', { name: 'x' });
    const answer = (await lastOf(bridge(call))) as Rpc;
    expect(answer.result).toEqual({ own: true });
    expect(upstream.exchanges.map(({ context }) => context.get(callSlot)?.method)).toEqual([
      'server/discover',
      'tools/call',
    ]);
    expect(upstream.exchanges[1]).toBe(call);
    await lastOf(bridge(modern('tools/call')));
    expect(upstream.exchanges).toHaveLength(3);
  });

  it('is not judged by the refusal of a malformed server/discover of a client', async () => {
    const upstream = handlerOf((exchange) => {
      const { id } = exchange.context.get(callSlot)?.message ?? {};
      if (String(id).startsWith('discover-')) return { jsonrpc: '2.0', id, result: { supportedVersions: [MODERN] } };
      return jsonReply({ jsonrpc: '2.0', id, error: { code: -32602, message: 'no _meta' } }, { status: 400 });
    });
    const { bridge } = bridged(upstream);
    const answer = await bridge(modern('server/discover'));
    expect(answer.head.status).toBe(400);
    expect((await readReply(answer)).messages[0]?.['error']).toEqual({ code: -32602, message: 'no _meta' });
    expect(bridge.stats().modern).toBe('yes');
  });

  it('stays unknown where the refusal is no evidence, and the client sees it', async () => {
    const { bridge } = bridged(
      handlerOf(() => jsonReply({}, { status: 401, headers: { 'www-authenticate': 'Bearer' } })),
    );
    const answer = await bridge(modern('tools/list'));
    expect(answer.head).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
    expect(bridge.stats().modern).toBe('unknown');
  });

  it('stays unknown when the target cannot be reached', async () => {
    const down = handlerOf(() => Promise.reject(new ProxyError('upstream_unreachable', 'down')));
    const { bridge } = bridged(down);
    await expect(bridge(modern('tools/list'))).rejects.toMatchObject({ code: 'upstream_unreachable' });
    expect(bridge.stats().modern).toBe('unknown');
  });

  it('is taken for legacy when a child exits at the question', async () => {
    const server = legacyServer(echo, () => {
      throw new ProxyError('child_exited', 'it ended');
    });
    const { bridge } = bridged(server);
    expect(((await lastOf(bridge(modern('tools/call')))) as Rpc).result).toMatchObject({ resultType: 'complete' });
    expect(bridge.stats().modern).toBe('no');
  });

  it('is asked again after a minute', async () => {
    let upgraded = false;
    const server = legacyServer(echo, () =>
      upgraded
        ? jsonReply({
            jsonrpc: '2.0',
            id: server.last('server/discover')?.id ?? null,
            result: { supportedVersions: [MODERN] },
          })
        : unknownMethod(),
    );
    const { bridge, clock } = bridged(server);
    await lastOf(bridge(modern('tools/call')));
    upgraded = true;
    await clock.pass(60_000);
    await lastOf(bridge(modern('tools/call')));
    await settled();
    expect(bridge.stats().modern).toBe('yes');
  });
});

describe('a modern request at a legacy server', () => {
  it('discovers from the result of initialize', async () => {
    const server = legacyServer(echo);
    const { bridge } = bridged(server);
    const answer = (await lastOf(bridge(modern('server/discover')))) as Rpc;
    expect(answer.result).toEqual({
      resultType: 'complete',
      ttlMs: 0,
      cacheScope: 'private',
      supportedVersions: [MODERN],
      capabilities: { tools: { listChanged: true }, logging: {}, resources: { subscribe: true } },
      instructions: 'be kind',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'old', version: '1' } },
    });
    expect(server.last('initialize')?.value['params']).toEqual({
      protocolVersion: '2025-11-25',
      capabilities: { sampling: {} },
      clientInfo: { name: 'test', version: '1' },
    });
  });

  it('loses its envelope and modern headers, and keeps its numbers', async () => {
    const server = legacyServer(echo);
    const { bridge } = bridged(server);
    const call = modern('tools/call', { name: 'x', arguments: { n: 1 } });
    await lastOf(bridge(call));
    const sent = server.last('tools/call');
    expect(sent?.value['params']).toEqual({ name: 'x', arguments: { n: 1 }, _meta: { progressToken: sent?.id } });
    expect(server.headers.at(-1)).toEqual({ method: 'tools/call', version: '2025-11-25', mcpMethod: undefined });
  });

  it('gets the client its own id back, and cache hints where there have to be some', async () => {
    const { bridge } = bridged(legacyServer(echo));
    const list = modern('tools/list');
    const answer = (await lastOf(bridge(list))) as Rpc;
    expect(answer.id).toBe(list.context.get(callSlot)?.message?.id);
    expect(answer.result).toMatchObject({ resultType: 'complete', ttlMs: 0, cacheScope: 'private' });
    expect(((await lastOf(bridge(modern('tools/call')))) as Rpc).result).not.toHaveProperty('ttlMs');
  });

  it('has -32002 translated, and -32601 as 404', async () => {
    let code = -32002;
    const server = legacyServer(async function* ({ message }) {
      yield { jsonrpc: '2.0', id: message['id'], error: { code, message: 'no' } };
    });
    const { bridge } = bridged(server);
    expect(((await lastOf(bridge(modern('tools/call')))) as Rpc).error?.code).toBe(-32602);
    code = -32601;
    expect((await bridge(modern('tools/call'))).head.status).toBe(404);
  });

  it('is refused where the eras cannot be bridged', async () => {
    const server = legacyServer(echo);
    const { bridge } = bridged(server);
    await lastOf(bridge(modern('tools/list')));
    const answer = await readReply(await bridge(modern('tasks/get', { taskId: 't' })));
    expect(answer.status).toBe(404);
    expect((answer.messages[0] as unknown as Rpc).error).toMatchObject({ code: -32601 });
    expect(server.last('tasks/get')).toBeUndefined();
  });

  it('sees log messages only from the level that it asked for', async () => {
    const log = (level: string) => ({
      jsonrpc: '2.0',
      method: 'notifications/message',
      params: { level, data: level },
    });
    const server = legacyServer(async function* ({ message }) {
      yield log('debug');
      yield log('error');
      yield { jsonrpc: '2.0', id: message['id'], result: {} };
    });
    const { bridge } = bridged(server);
    const meta = { 'io.modelcontextprotocol/logLevel': 'warning' };
    const loud = await readReply(await bridge(modern('tools/call', {}, { meta })));
    expect(loud.messages).toHaveLength(2);
    expect(server.last('logging/setLevel')?.value['params']).toEqual({ level: 'warning' });
    const quiet = await readReply(await bridge(modern('tools/call')));
    expect(quiet.messages).toHaveLength(1);
  });

  it('is cancelled upstream when its client leaves', async () => {
    const server = legacyServer(async function* () {
      await new Promise(() => {});
      yield {};
    });
    const { bridge } = bridged(server);
    const leaving = new AbortController();
    const answer = bridge(modern('tools/call', {}, { signal: leaving.signal }));
    const refused = expect(answer).rejects.toMatchObject({ code: 'cancelled' });
    await settled();
    await settled();
    leaving.abort();
    await refused;
    await settled();
    expect(server.last('notifications/cancelled')?.value['params']).toMatchObject({
      requestId: server.last('tools/call')?.id,
    });
  });
});

describe('a question of the server', () => {
  it('is the result of the call, and its answer goes on with the call under the new id and token', async () => {
    const server = legacyServer(ask);
    const { bridge, clock, room } = bridged(server);
    const first = (await lastOf(bridge(modern('tools/call', { name: 'x' })))) as Rpc;
    const state = first.result?.['requestState'];
    expect(first.result).toEqual({
      resultType: 'input_required',
      inputRequests: { 'q-7': { method: 'sampling/createMessage', params: { messages: [], maxTokens: 5 } } },
      requestState: state,
    });
    expect(room.held).toBe(1);
    const retry = { name: 'x', requestState: state, inputResponses: { 'q-7': { role: 'assistant', n: 1 } } };
    const exchange = modern('tools/call', retry, { meta: { progressToken: 'mine' } });
    const { messages } = await readReply(await bridge(exchange));
    expect(messages[0]).toMatchObject({ params: { progressToken: 'mine', progress: 1 } });
    expect(messages[1]).toMatchObject({
      id: exchange.context.get(callSlot)?.message?.id,
      result: { resultType: 'complete', answer: { role: 'assistant', n: 1 } },
    });
    expect(room.held).toBe(0);
    await bridge.close();
    expect(server.sessions.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('cannot be answered by another credential, nor twice', async () => {
    const { bridge } = bridged(legacyServer(ask));
    const first = (await lastOf(bridge(modern('tools/call', {}, { credential: 'a' })))) as Rpc;
    const retry = { requestState: first.result?.['requestState'], inputResponses: { 'q-7': {} } };
    const foreign = (await lastOf(bridge(modern('tools/call', retry, { credential: 'b' })))) as Rpc;
    expect(foreign.error).toMatchObject({ code: -32602 });
    await lastOf(bridge(modern('tools/call', retry, { credential: 'a' })));
    const again = (await lastOf(bridge(modern('tools/call', retry, { credential: 'a' })))) as Rpc;
    expect(again.error).toMatchObject({ code: -32602 });
  });

  it('that nobody answers in time is refused to the server, and the call cancelled', async () => {
    const server = legacyServer(ask);
    const { bridge, clock, room } = bridged(server, { holdMs: 1000 });
    await lastOf(bridge(modern('tools/call')));
    await clock.pass(1000);
    expect(server.seen.findLast(({ kind }) => kind === 'response')?.value['error']).toMatchObject({ code: -32603 });
    expect(server.last('notifications/cancelled')).toBeDefined();
    expect(room.held).toBe(0);
  });

  it('beyond the bound is refused to the server, and the call goes on', async () => {
    const { bridge } = bridged(legacyServer(ask), { max: 1 });
    await lastOf(bridge(modern('tools/call')));
    const second = (await lastOf(bridge(modern('tools/call')))) as Rpc;
    expect(second.result).toMatchObject({ resultType: 'complete', answer: { code: -32603 } });
  });

  it('that comes outside of any call is put with the next one', async () => {
    const server = legacyServer(echo);
    const { bridge } = bridged(server);
    await lastOf(bridge(modern('tools/list')));
    server.say({ jsonrpc: '2.0', id: 3, method: 'sampling/createMessage' });
    await settled();
    const first = (await lastOf(bridge(modern('tools/call')))) as Rpc;
    expect(first.result?.['inputRequests']).toEqual({ 'q-3': { method: 'sampling/createMessage' } });
    expect(server.last('tools/call')).toBeUndefined();
    const retry = { requestState: first.result?.['requestState'], inputResponses: { 'q-3': { role: 'assistant' } } };
    const second = (await lastOf(bridge(modern('tools/call', retry)))) as Rpc;
    expect(second.result).toMatchObject({ resultType: 'complete' });
    expect(server.seen.find(({ kind }) => kind === 'response')?.value['result']).toEqual({ role: 'assistant' });
  });

  it('of the kind ping is answered by the bridge', async () => {
    const server = legacyServer(echo);
    const { bridge } = bridged(server);
    await lastOf(bridge(modern('tools/list')));
    server.say({ jsonrpc: '2.0', id: 4, method: 'ping' });
    await settled();
    await settled();
    expect(server.seen.at(-1)?.value).toEqual({ jsonrpc: '2.0', id: 4, result: {} });
  });
});

describe('legacy sessions', () => {
  it('are shared by the requests of one credential and client, and by nobody else', async () => {
    const server = legacyServer(ask);
    const { bridge } = bridged(server);
    const mine = { credential: 'a' };
    await Promise.all([lastOf(bridge(modern('tools/call', {}, mine))), lastOf(bridge(modern('tools/call', {}, mine)))]);
    expect(server.sessions.size).toBe(1);
    await lastOf(bridge(modern('tools/call', {}, { credential: 'b' })));
    await lastOf(bridge(modern('tools/call', {}, { credential: 'a', client: 'other' })));
    expect(server.sessions.size).toBe(3);
  });

  it('belong to one anonymous request at a time, and are used again afterwards', async () => {
    const server = legacyServer(ask);
    const { bridge } = bridged(server);
    await lastOf(bridge(modern('server/discover')));
    await lastOf(bridge(modern('tools/call')));
    expect(server.sessions.size).toBe(1);
    await lastOf(bridge(modern('tools/call')));
    expect(server.sessions.size).toBe(2);
  });

  it('end upstream when nobody used them for a while', async () => {
    const server = legacyServer(echo);
    const { bridge, clock } = bridged(server, { idleMs: 1000 });
    await lastOf(bridge(modern('tools/call')));
    expect(server.sessions.size).toBe(1);
    await clock.pass(1000);
    expect(server.sessions.size).toBe(0);
    expect(bridge.stats().sessions).toBe(0);
  });
});

describe('subscriptions/listen', () => {
  it('acknowledges first, then passes what was asked for, tagged, and unsubscribes at the end', async () => {
    const server = legacyServer(echo);
    const { bridge } = bridged(server);
    const notifications = {
      toolsListChanged: true,
      promptsListChanged: true,
      resourceSubscriptions: ['mem://a'],
    };
    const exchange = modern('subscriptions/listen', { notifications });
    const answer = await bridge(exchange);
    const frames = answer.body.frames();
    const next = async () => (await frames.next()).value?.message as { method: string; params: object };
    const tag = { _meta: { 'io.modelcontextprotocol/subscriptionId': exchange.context.get(callSlot)?.message?.id } };
    expect(await next()).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { ...tag, notifications: { toolsListChanged: true, resourceSubscriptions: ['mem://a'] } },
    });
    server.say({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'mem://other' } });
    server.say({ jsonrpc: '2.0', method: 'notifications/prompts/list_changed' });
    server.say({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'mem://a' } });
    server.say({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    expect(await next()).toMatchObject({
      method: 'notifications/resources/updated',
      params: { ...tag, uri: 'mem://a' },
    });
    expect(await next()).toMatchObject({ method: 'notifications/tools/list_changed', params: tag });
    await answer[Symbol.asyncDispose]();
    expect(server.last('resources/unsubscribe')?.value['params']).toEqual({ uri: 'mem://a' });
  });

  it('hears once of a list that another session of the same client says has changed', async () => {
    const server = legacyServer(async function* ({ message }) {
      yield { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
      yield { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
      yield { jsonrpc: '2.0', id: message['id'], result: { content: [] } };
    });
    const { bridge, clock } = bridged(server);
    const notifications = { toolsListChanged: true };
    const answer = await bridge(modern('subscriptions/listen', { notifications }));
    const stranger = await bridge(modern('subscriptions/listen', { notifications }, { client: 'another' }));
    const [read, strange] = [readReply(answer), readReply(stranger)];
    await lastOf(bridge(modern('tools/call')));
    expect(server.sessions.size).toBe(3);
    await clock.pass(50);
    await bridge.close();
    const methods = async (from: typeof read) => (await from).messages.map(({ method }) => method);
    expect(await methods(read)).toEqual([
      'notifications/subscriptions/acknowledged',
      'notifications/tools/list_changed',
      undefined,
    ]);
    expect(await methods(strange)).toEqual(['notifications/subscriptions/acknowledged', undefined]);
  });

  it('subscribes again only when the server has answered to the end of the subscription before', async () => {
    const server = legacyServer(echo);
    const [leaving, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = handlerOf(async (exchange) => {
      if (exchange.context.get(callSlot)?.method === 'resources/unsubscribe') {
        leaving.resolve();
        await gate.promise;
      }
      return server(exchange);
    });
    const { bridge } = bridged(slow);
    const listen = () =>
      bridge(
        modern('subscriptions/listen', { notifications: { resourceSubscriptions: ['mem://a'] } }, { credential: 'c' }),
      );
    const left = (await listen())[Symbol.asyncDispose]();
    await leaving.promise;
    const again = listen();
    await settled();
    gate.resolve();
    await left;
    await (await again)[Symbol.asyncDispose]();
    const asked = server.seen.map(({ method }) => method).filter((method) => method?.startsWith('resources/'));
    const [subscribe, unsubscribe] = ['resources/subscribe', 'resources/unsubscribe'];
    expect(asked).toEqual([subscribe, unsubscribe, subscribe, unsubscribe]);
  });

  it('ends with a result when the bridge is closed', async () => {
    const { bridge } = bridged(legacyServer(echo));
    const answer = await bridge(modern('subscriptions/listen', { notifications: { toolsListChanged: true } }));
    const read = readReply(answer);
    await settled();
    await bridge.close();
    expect((await read).messages.at(-1)).toMatchObject({ result: { resultType: 'complete' } });
  });
});
