import { once } from 'node:events';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import { describe, expect, it } from 'vitest';
import { metric, toolCall, toolText } from '../src/calls.js';
import { drive } from '../src/clients.js';
import { openSession } from '../src/raw-mcp.js';
import { FIXTURE_MAIN, fixtureServer } from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** WebSocket, one message a text frame: clients that come by it, and servers that are reached by it. */

const fixture = ['--', process.execPath, FIXTURE_MAIN, 'stdio', '--allow-crash'];
const socketUrl = (proxy: Shadowcat): string => proxy.url.replace(/^http/, 'ws');

async function connect(proxy: Shadowcat): Promise<Client> {
  const client = new Client({ name: 'e2e-ws', version: '1.0.0' });
  await client.connect(new WebSocketClientTransport(new URL(socketUrl(proxy))));
  return client;
}

async function call(client: Client, name: string, args: Record<string, unknown> = {}): Promise<string> {
  const result = await client.callTool({ name, arguments: args });
  return (result['content'] as { text: string }[])[0]?.text ?? '';
}

describe('clients', () => {
  it('have a session and a child each, which end with the connection', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', ...fixture], folder.path);
    const clients = await Promise.all([connect(proxy), connect(proxy), connect(proxy)]);
    expect(new Set(await Promise.all(clients.map((client) => call(client, 'pid')))).size).toBe(3);
    const [first] = clients as [Client, ...Client[]];
    const echoes = await Promise.all(Array.from({ length: 30 }, (_, i) => call(first, 'echo', { i })));
    expect(echoes).toEqual(Array.from({ length: 30 }, (_, i) => JSON.stringify({ i })));
    expect((await call(first, 'big', { bytes: 5_000_000 })).length).toBe(5_000_000);
    await Promise.all(clients.map((client) => client.close()));
    await expect.poll(() => metric(proxy.url, 'shadowcat_children')).toBe(0);
    expect(await metric(proxy.url, 'shadowcat_exchanges_in_flight')).toBe(0);
  });

  it('hear of a server that dies; the next call finds a fresh one', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', ...fixture], folder.path);
    const client = await connect(proxy);
    await expect(call(client, 'crash', { code: 3 })).rejects.toThrow(/code 3/);
    expect(await call(client, 'pid')).toMatch(/^\d+$/);
    await client.close();
  });

  it('get the answer that is under way when the proxy is told to stop', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', ...fixture], folder.path);
    const client = await connect(proxy);
    expect(await call(client, 'pid')).toMatch(/^\d+$/);
    const begun = Promise.withResolvers<void>();
    const answered = client.callTool({ name: 'progress', arguments: { steps: 10, delayMs: 100 } }, undefined, {
      onprogress: () => begun.resolve(),
    });
    await begun.promise;
    const exited = proxy.stop({ signal: 'SIGTERM' });
    expect((await answered)['isError']).not.toBe(true);
    expect({ code: (await exited).code, left: proxy.survivors() }).toEqual({ code: 0, left: [] });
  });

  it('must speak text frames of bounded size to the right path', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', ...fixture], folder.path);
    const closing = async (url: string, send?: string | Uint8Array<ArrayBuffer>): Promise<number> => {
      const socket = new WebSocket(url, 'mcp');
      const closed = once(socket, 'close') as Promise<[CloseEvent]>;
      if (send !== undefined) socket.onopen = () => socket.send(send);
      return (await closed)[0].code;
    };
    expect(await closing(socketUrl(proxy), new Uint8Array([1, 2, 3]))).toBe(1003);
    expect(await closing(socketUrl(proxy), ' '.repeat(4 * 1024 * 1024 + 1))).toBe(1009);
    expect(await closing(`${new URL('/elsewhere', socketUrl(proxy))}`)).toBe(1006);
    const client = await connect(proxy);
    expect(await call(client, 'pid')).toMatch(/^\d+$/);
    await client.close();
  });

  it('need the token that HTTP clients need', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--token', 'sesame', ...fixture], folder.path);
    await expect(connect(proxy)).rejects.toThrow();
    expect(await metric(proxy.url, 'shadowcat_children')).toBe(0);
  });
});

describe('servers', () => {
  it('give an SDK client what it gets from them directly', async () => {
    await using folder = await workFolder();
    await using server = await startShadowcat(['reverse', ...fixture], folder.path);
    await using proxy = await startShadowcat(['reverse', '--upstream', socketUrl(server)], folder.path);
    const { tour, target } = fixtureServer();
    expect(await drive('v1', { url: proxy.url }, { tour })).toEqual(await drive('v1', target, { tour }));
  });

  it('are given one connection a session, which ends with it', async () => {
    await using folder = await workFolder();
    await using server = await startShadowcat(['reverse', ...fixture], folder.path);
    await using proxy = await startShadowcat(['reverse', '--upstream', socketUrl(server)], folder.path);
    const sessions = await Promise.all([openSession(proxy.url), openSession(proxy.url)]);
    const pids = await Promise.all(sessions.map(async (one) => toolText(await one.post(toolCall(1, 'pid')), 1)));
    expect(new Set(pids).size).toBe(2);
    await Promise.all(sessions.map((session) => session.delete()));
    await expect.poll(() => metric(server.url, 'shadowcat_children')).toBe(0);
  });
});
