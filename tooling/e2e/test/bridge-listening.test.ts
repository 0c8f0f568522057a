import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectModern } from '../src/modern-client.js';
import { postModern, sseEvents } from '../src/raw-mcp.js';
import { everythingServer, fixtureServer, startEverything, startFixture } from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** Modern clients that listen, and that leave, in front of servers that only speak legacy revisions. */

const LEGACY = ['--era', 'legacy'];
const TOKEN = 'a-token-of-the-tests';
const ALONE = ['--token', TOKEN];

let folder: Awaited<ReturnType<typeof workFolder>>;
let fixture: Awaited<ReturnType<typeof startFixture>>;
let everything: Awaited<ReturnType<typeof startEverything>>;
let proxies: Readonly<Record<'fixture-http' | 'fixture-stdio' | 'everything-http' | 'everything-stdio', Shadowcat>>;

const commandOf = ({ target }: ReturnType<typeof fixtureServer>): string[] => ['--', target.command, ...target.args];

beforeAll(async () => {
  [folder, fixture, everything] = await Promise.all([workFolder(), startFixture(LEGACY), startEverything()]);
  const start = (behind: readonly string[]) => startShadowcat(['reverse', ...ALONE, ...behind], folder.path);
  const [fixtureHttp, fixtureStdio, everythingHttp, everythingStdio] = await Promise.all([
    start(['--upstream', fixture.url]),
    start(commandOf(fixtureServer(LEGACY))),
    start(['--upstream', everything.url]),
    start(commandOf(everythingServer())),
  ]);
  proxies = {
    'fixture-http': fixtureHttp,
    'fixture-stdio': fixtureStdio,
    'everything-http': everythingHttp,
    'everything-stdio': everythingStdio,
  };
});

afterAll(async () => {
  await Promise.all(Object.values(proxies).map((proxy) => proxy[Symbol.asyncDispose]()));
  await Promise.all([fixture, everything].map((server) => server[Symbol.asyncDispose]()));
  await folder[Symbol.asyncDispose]();
});

const WATCHED = 'test://watched-resource';

describe.each(['fixture-http', 'fixture-stdio'] as const)('%s', (name) => {
  it('announces updates and changed lists to a client that listens, until it closes its stream', async () => {
    await using modern = await connectModern(proxies[name].url, { token: TOKEN });
    const filter = { toolsListChanged: true, resourceSubscriptions: [WATCHED] };
    const subscription = await modern.client.listen(filter);
    expect(subscription.honoredFilter).toEqual(filter);
    await modern.call('touch_resource', { uri: 'test://static-text' });
    await modern.call('touch_resource', { uri: WATCHED });
    await expect.poll(() => modern.updates).toEqual([WATCHED]);
    await modern.call('trigger_list_changed', { kind: 'tools' });
    await expect.poll(() => modern.listChanges()).toBe(1);
    await subscription.close();
    expect(await subscription.closed).toBe('local');
    await modern.call('touch_resource', { uri: WATCHED });
    expect(modern.updates).toEqual([WATCHED]);
  });

  it('acknowledges first, and tags everything with the id of the subscription', async () => {
    const leaving = new AbortController();
    const headers = { authorization: `Bearer ${TOKEN}` };
    const notifications = { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: [WATCHED] };
    const stream = await postModern(
      proxies[name].url,
      { id: 'listening', method: 'subscriptions/listen', params: { notifications } },
      { headers, signal: leaving.signal },
    );
    const events = sseEvents(stream);
    const next = async () => JSON.parse((await events.next()).value?.data ?? '{}') as object;
    const _meta = { 'io.modelcontextprotocol/subscriptionId': 'listening' };
    expect(await next()).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { _meta, notifications },
    });
    for (const params of [
      { name: 'touch_resource', arguments: { uri: WATCHED } },
      { name: 'trigger_list_changed', arguments: { kind: 'prompts' } },
    ]) {
      const answer = await postModern(proxies[name].url, { method: 'tools/call', params }, { headers });
      expect(answer.status).toBe(200);
      await answer.text();
    }
    expect(await next()).toMatchObject({ method: 'notifications/resources/updated', params: { _meta, uri: WATCHED } });
    expect(await next()).toMatchObject({ method: 'notifications/prompts/list_changed', params: { _meta } });
    leaving.abort();
  });

  it('is told that a call is cancelled when its client leaves it, and no other', async () => {
    await using modern = await connectModern(proxies[name].url, { token: TOKEN });
    const count = async () =>
      JSON.parse(await modern.call('cancel_count')) as { readonly started: number; readonly cancelled: number };
    const before = await count();
    const leaving = new AbortController();
    const [left, staying] = [
      modern.call('sleep', { ms: 60_000 }, leaving.signal),
      modern.call('sleep', { ms: 60_000 }),
    ];
    left.catch(() => undefined);
    staying.catch(() => undefined);
    await expect.poll(async () => (await count()).started).toBe(before.started + 2);
    leaving.abort();
    await expect(left).rejects.toThrow();
    await expect.poll(async () => (await count()).cancelled).toBe(before.cancelled + 1);
  });
});

describe.each(['everything-http', 'everything-stdio'] as const)('%s', (name) => {
  it('announces the updates that it simulates to a client that listens', async () => {
    await using modern = await connectModern(proxies[name].url, { token: TOKEN });
    const uri = 'demo://resource/dynamic/text/1';
    const subscription = await modern.client.listen({ resourceSubscriptions: [uri] });
    await modern.call('toggle-subscriber-updates');
    await expect.poll(() => modern.updates.at(0), { timeout: 10_000 }).toBe(uri);
    await modern.call('toggle-subscriber-updates');
    await subscription.close();
  });

  it('goes on serving others when a client leaves a call', async () => {
    await using modern = await connectModern(proxies[name].url, { token: TOKEN });
    const leaving = new AbortController();
    const call = modern.call('trigger-long-running-operation', { duration: 60, steps: 60 }, leaving.signal);
    call.catch(() => undefined);
    leaving.abort();
    await expect(call).rejects.toThrow();
    expect(await modern.call('echo', { message: 'still here' })).toContain('still here');
  });
});

it('a subscription ends with a result when the proxy is stopped', async () => {
  await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url], folder.path);
  await using modern = await connectModern(proxy.url);
  const subscription = await modern.client.listen({ toolsListChanged: true });
  expect((await proxy.stop()).code).toBe(0);
  expect(['graceful', 'remote']).toContain(await subscription.closed);
});
