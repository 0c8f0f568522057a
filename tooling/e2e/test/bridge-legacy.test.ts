import { isDeepStrictEqual } from 'node:util';
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metric } from '../src/calls.js';
import { type ClientKind, drive } from '../src/clients.js';
import { fixtureServer, startFixture } from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** Legacy clients in front of a server that has heard of 2026-07-28 only: what they see is what a legacy server shows. */

const MODERN = ['--era', 'modern'];
const { target, tour } = fixtureServer(MODERN);

let folder: Awaited<ReturnType<typeof workFolder>>;
let fixture: Awaited<ReturnType<typeof startFixture>>;
let proxies: Readonly<Record<'http' | 'stdio', Shadowcat>>;

beforeAll(async () => {
  [folder, fixture] = await Promise.all([workFolder(), startFixture(MODERN)]);
  const [http, stdio] = await Promise.all([
    startShadowcat(['reverse', '--upstream', fixture.url], folder.path),
    startShadowcat(['reverse', '--', target.command, ...target.args], folder.path),
  ]);
  proxies = { http, stdio };
});

afterAll(async () => {
  await Promise.all([proxies.http[Symbol.asyncDispose](), proxies.stdio[Symbol.asyncDispose]()]);
  await fixture[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const kinds: readonly ClientKind[] = ['v1', 'v2-legacy'];
const transports = ['http', 'stdio'] as const;

interface Listener extends AsyncDisposable {
  readonly client: Client;
  /** Resolves with the URI of the next update. */
  readonly updated: Promise<string>;
  readonly listChanged: Promise<void>;
}

/** A client whose GET stream is open. */
async function listener(url: string): Promise<Listener> {
  const client = new Client({ name: 'e2e-listener', version: '1.0.0' });
  const updated = Promise.withResolvers<string>();
  const listChanged = Promise.withResolvers<void>();
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => updated.resolve(params.uri));
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => listChanged.resolve());
  const streaming = Promise.withResolvers<void>();
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (init?.method === 'GET' && response.ok) streaming.resolve();
      return response;
    },
  });
  await client.connect(transport as Transport);
  await streaming.promise;
  return {
    client,
    updated: updated.promise,
    listChanged: listChanged.promise,
    [Symbol.asyncDispose]: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}

describe.each(transports)('in front of a modern-only server over %s', (transport) => {
  it.each(kinds)('the client %s sees what it sees of a legacy server', async (kind) => {
    const legacy = fixtureServer(['--era', 'legacy']);
    const direct = await drive(kind, legacy.target, { tour });
    const bridged = await drive(kind, { url: proxies[transport].url }, { tour });
    const differing = bridged.filter((step, index) => !isDeepStrictEqual(step, direct[index]));
    expect(bridged).toHaveLength(direct.length);
    // A resource that is not there has the code of the legacy revisions, which the SDK's own servers do not use (and which client
    // v2 takes for its own).
    const unknown = { params: { uri: 'test://no-such-resource' }, error: expect.objectContaining({ code: -32002 }) };
    // A modern server cannot ask on the GET stream.
    const onGet = { params: { name: 'list_roots', arguments: { stream: 'get' } }, error: undefined };
    expect(differing.map(({ params, error }) => ({ params, error }))).toEqual(
      kind === 'v1' ? [unknown, onGet] : [onGet],
    );
  });

  it('a client hears of updates of what it subscribed to, and of changed lists', async () => {
    await using listening = await listener(proxies[transport].url);
    const { client, updated, listChanged } = listening;
    const uri = 'test://watched-resource';
    await client.subscribeResource({ uri });
    await client.callTool({ name: 'touch_resource', arguments: { uri: 'test://static-text' } });
    await client.callTool({ name: 'touch_resource', arguments: { uri } });
    expect(await updated).toBe(uri);
    await client.callTool({ name: 'trigger_list_changed', arguments: { kind: 'tools' } });
    await listChanged;
    expect(await client.unsubscribeResource({ uri })).toEqual({});
  });

  it('a cancelled call is cancelled at the server', async () => {
    await using listening = await listener(proxies[transport].url);
    const { client } = listening;
    const count = async () => {
      const { structuredContent } = await client.callTool({ name: 'cancel_count', arguments: {} });
      return structuredContent as { readonly started: number; readonly cancelled: number };
    };
    const before = await count();
    const abort = new AbortController();
    const sleeping = client.callTool({ name: 'sleep', arguments: { ms: 60_000 } }, undefined, { signal: abort.signal });
    sleeping.catch(() => {});
    await expect.poll(async () => (await count()).started).toBe(before.started + 1);
    abort.abort();
    await expect(sleeping).rejects.toThrow();
    await expect.poll(async () => (await count()).cancelled).toBe(before.cancelled + 1);
  });

  it('errors come with the codes of the legacy revisions', async () => {
    await using listening = await listener(proxies[transport].url);
    const { client } = listening;
    await expect(client.readResource({ uri: 'test://nowhere' })).rejects.toMatchObject({ code: -32002 });
    await expect(client.getPrompt({ name: 'nowhere' })).rejects.toMatchObject({ code: -32602 });
  });
});

it('a client that can answer no questions is told which one it was asked', async () => {
  const client = new ClientV2({ name: 'e2e-mute', version: '1.0.0' }, { versionNegotiation: { mode: 'legacy' } });
  await client.connect(new HttpV2(new URL(proxies.http.url)));
  await expect(client.callTool({ name: 'test_sampling', arguments: { prompt: 'hi' } })).rejects.toThrow(/sampling/i);
  await client.close();
});

it('a command that has refused to open a session is not kept for it', async () => {
  const { command, args } = target;
  await using proxy = await startShadowcat(['reverse', '--', command, ...args], folder.path);
  await using listening = await listener(proxy.url);
  expect((await listening.client.listTools()).tools.length).toBeGreaterThan(5);
  await expect.poll(() => metric(proxy.url, 'shadowcat_children')).toBe(1);
});
