import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metric, toolCall } from '../src/calls.js';
import { answerText, openSession, postModern } from '../src/raw-mcp.js';
import { RawPair } from '../src/raw-pair.js';
import { RawWebSocket } from '../src/raw-web-socket.js';
import { FIXTURE_MAIN } from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** A request that its client gives up ends at the server, over every pair of transports that no other test cancels over. */

const MODERN = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'e2e-cancel', version: '1.0.0' },
};

let folder: Awaited<ReturnType<typeof workFolder>>;
/** In front of the fixture; speaks every transport. */
let server: Shadowcat;

beforeAll(async () => {
  folder = await workFolder();
  server = await startShadowcat(['reverse', '--', process.execPath, FIXTURE_MAIN, 'stdio'], folder.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** A conversation in which a request can be begun, given up, and another one asked. */
interface Talk extends Disposable {
  begin(id: number, tool: string, args: object): Promise<void>;
  giveUp(id: number): Promise<void>;
  /** @throws when something else comes on a line, such as an answer to what was given up */
  ask(id: number, tool: string): Promise<Record<string, unknown>>;
}

interface Line extends Disposable {
  send(message: unknown): unknown;
  text(): Promise<string>;
}

const resultOf = (text: string, id: number): Record<string, unknown> => {
  const answer = JSON.parse(text) as { id: unknown; result?: { structuredContent?: Record<string, unknown> } };
  if (answer.id !== id) throw new Error(`not the answer to ${id}: ${text}`);
  return answer.result?.structuredContent ?? {};
};

async function overLine(line: Line, era: 'legacy' | 'modern'): Promise<Talk> {
  const _meta = era === 'modern' ? { _meta: MODERN } : {};
  const call = (id: number, name: string, args: object = {}): object => ({
    ...toolCall(id, name),
    params: { name, arguments: args, ..._meta },
  });
  if (era === 'legacy') {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } };
    await line.send({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
    await line.text();
    await line.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  }
  return {
    begin: async (id, tool, args) => void (await line.send(call(id, tool, args))),
    giveUp: async (requestId) =>
      void (await line.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId, ..._meta } })),
    ask: async (id, tool) => {
      await line.send(call(id, tool));
      return resultOf(await line.text(), id);
    },
    [Symbol.dispose]: () => line[Symbol.dispose](),
  };
}

async function overHttp(url: string, era: 'legacy' | 'modern'): Promise<Talk> {
  const begun: Promise<unknown>[] = [];
  const left = new AbortController();
  if (era === 'modern') {
    const post = (id: number, name: string, args: object, signal?: AbortSignal): Promise<Response> =>
      postModern(url, { id, method: 'tools/call', params: { name, arguments: args } }, { ...(signal && { signal }) });
    return {
      begin: async (id, tool, args) => void begun.push(post(id, tool, args, left.signal).catch(() => {})),
      giveUp: async () => left.abort(),
      ask: async (id, tool) => resultOf(await answerText(await post(id, tool, {}), id), id),
      [Symbol.dispose]: () => left.abort(),
    };
  }
  const session = await openSession(url);
  return {
    begin: async (id, tool, args) =>
      void begun.push(session.post(toolCall(id, tool, args), { signal: left.signal }).catch(() => {})),
    giveUp: async (requestId) => {
      const told = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } };
      expect((await session.post(told)).status).toBe(202);
    },
    ask: async (id, tool) => resultOf(await answerText(await session.post(toolCall(id, tool)), id), id),
    [Symbol.dispose]: () => left.abort(),
  };
}

const talks: Readonly<Record<string, (proxy: Shadowcat, era: 'legacy' | 'modern') => Promise<Talk>>> = {
  http: (proxy, era) => overHttp(proxy.url, era),
  websocket: async (proxy, era) => overLine(await RawWebSocket.open(proxy.url), era),
  pair: async (proxy, era) => overLine(await RawPair.open(new URL('/sse', proxy.url).href), era),
};

const addresses: Readonly<Record<string, () => string>> = {
  http: () => server.url,
  websocket: () => server.url.replace(/^http/, 'ws'),
  pair: () => `sse+${new URL('/sse', server.url).href}`,
};

describe.each(Object.keys(addresses))('a server over %s', (upstream) => {
  let proxy: Shadowcat;
  beforeAll(async () => {
    proxy = await startShadowcat(['reverse', '--upstream', addresses[upstream]?.() ?? ''], folder.path);
  });
  afterAll(() => proxy[Symbol.asyncDispose]());

  const cases = Object.keys(talks).flatMap((client) => (['legacy', 'modern'] as const).map((era) => ({ client, era })));
  it.each(cases)('hears that a $era client over $client gave its request up', async ({ client, era }) => {
    const open = talks[client];
    if (open === undefined) throw new Error(client);
    using talk = await open(proxy, era);
    let id = 100;
    const counts = async (): Promise<{ started: number; cancelled: number; finished: number }> =>
      (await talk.ask(id++, 'cancel_count')) as never;
    const before = await counts();
    await talk.begin(1, 'sleep', { ms: 60_000 });
    await expect.poll(async () => (await counts()).started).toBe(before.started + 1);
    await talk.giveUp(1);
    await expect.poll(async () => (await counts()).cancelled).toBe(before.cancelled + 1);
    expect((await counts()).finished).toBe(before.finished);
  });
});

it('leaves nothing in flight at the server when the proxies are gone', async () => {
  await expect.poll(() => metric(server.url, 'shadowcat_exchanges_in_flight')).toBe(0);
});
