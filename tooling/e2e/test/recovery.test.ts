import { describe, expect, it } from 'vitest';
import { connectListening, type ListeningClient } from '../src/listening-client.js';
import { freePort } from '../src/processes.js';
import { openSession } from '../src/raw-mcp.js';
import { FIXTURE_MAIN, startEverything, startFixture } from '../src/servers.js';
import { runShadowcat, type Shadowcat, startShadowcat, tapesIn, workFolder } from '../src/shadowcat.js';

/** What a server lost that was killed, its clients do not notice: sessions, subscriptions, log levels, streams. */

const WATCHED = 'test://watched-resource';
const KINDS = ['v1', 'v2-legacy'] as const;

const stdio = (...flags: string[]): string[] => ['reverse', ...flags, '--', process.execPath, FIXTURE_MAIN, 'stdio'];

async function metric(proxy: Shadowcat, pattern: RegExp): Promise<number> {
  const text = await (await fetch(new URL('/metrics', proxy.url))).text();
  const values = text.split('\n').filter((line) => !line.startsWith('#') && pattern.test(line));
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Resolves when the proxy knows that a child is gone: a call that is sent before may be lost with it. */
async function childEnded(proxy: Shadowcat): Promise<void> {
  await expect.poll(() => metric(proxy, /^shadowcat_child_exits_total/)).toBeGreaterThan(0);
}

/** Twenty calls at once: the different answers among them. */
async function twenty(client: ListeningClient, tool: string): Promise<string[]> {
  return [...new Set(await Promise.all(Array.from({ length: 20 }, () => client.call(tool))))];
}

/** Sets what a server has to remember, and sees it work. */
async function settle(client: ListeningClient): Promise<void> {
  await client.setLevel('error');
  await client.subscribe(WATCHED);
  await hears(client);
}

/** That updates of the watched resource come, and log messages of the level asked for only. */
async function hears(client: ListeningClient): Promise<void> {
  const { length } = client.updates;
  await expect
    .poll(async () => {
      await client.call('touch_resource', { uri: WATCHED });
      return client.updates.length;
    })
    .toBeGreaterThan(length);
  const logged = client.logs.length;
  await client.call('log', { message: 'm', level: 'info' });
  await client.call('log', { message: 'm', level: 'error' });
  await expect.poll(() => client.logs.length).toBeGreaterThan(logged);
  expect(client.logs.slice(logged)).toEqual(['error']);
}

describe.each(KINDS)('client %s', (kind) => {
  it('goes on when its HTTP server is killed and started again', async () => {
    await using folder = await workFolder();
    const port = await freePort();
    await using servers = new AsyncDisposableStack();
    const first = servers.use(await startFixture([], port));
    await using proxy = await startShadowcat(['reverse', '--upstream', first.url], folder.path);
    await using client = await connectListening(kind, proxy.url);
    await settle(client);
    await first.stop({ signal: 'SIGKILL' });
    servers.use(await startFixture([], port));
    // Each call names the server's own session: all of them are in the one that was opened again.
    expect((await twenty(client, 'whoami')).length).toBe(1);
    await hears(client);
    expect(await metric(proxy, /^shadowcat_session_recoveries_total\{outcome="ok"/)).toBe(1);
  });

  it('goes on when the child that serves it is killed', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(stdio(), folder.path);
    await using client = await connectListening(kind, proxy.url);
    await settle(client);
    const before = await client.call('pid');
    process.kill(Number(before), 'SIGKILL');
    await childEnded(proxy);
    const after = await twenty(client, 'pid');
    expect(after.length).toBe(1);
    expect(after).not.toContain(before);
    await hears(client);
    expect(await metric(proxy, /^shadowcat_session_recoveries_total\{outcome="ok"/)).toBe(1);
    expect(await metric(proxy, /^shadowcat_spawns_total\{outcome="ok"/)).toBe(2);
  });
});

it('brings server-everything back to its client, once for twenty calls', async () => {
  await using folder = await workFolder();
  const port = await freePort();
  await using servers = new AsyncDisposableStack();
  const first = servers.use(await startEverything(port));
  await using proxy = await startShadowcat(['reverse', '--upstream', first.url], folder.path);
  await using client = await connectListening('v1', proxy.url);
  await client.setLevel('error');
  await first.stop({ signal: 'SIGKILL' });
  servers.use(await startEverything(port));
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => client.call('get-sum', { a: n, b: 1 })));
  expect(answers).toEqual(Array.from({ length: 20 }, (_, n) => `The sum of ${n} and 1 is ${n + 1}.`));
  expect(await metric(proxy, /^shadowcat_session_recoveries_total\{outcome="ok"/)).toBe(1);
});

it('brings the sessions of a shared child back together, also those that ask for nothing', async () => {
  await using folder = await workFolder();
  await using proxy = await startShadowcat(stdio('--isolation', 'shared'), folder.path);
  await using asking = await connectListening('v1', proxy.url);
  await using listening = await connectListening('v2-legacy', proxy.url);
  await listening.subscribe(WATCHED);
  const touch = { uri: WATCHED };
  await expect
    .poll(async () => asking.call('touch_resource', touch).then(() => listening.updates.length))
    .toBeGreaterThan(0);
  process.kill(Number(await asking.call('pid')), 'SIGKILL');
  await childEnded(proxy);
  const heard = listening.updates.length;
  await expect
    .poll(async () => asking.call('touch_resource', touch).then(() => listening.updates.length))
    .toBeGreaterThan(heard);
  expect(await metric(proxy, /^shadowcat_session_recoveries_total\{outcome="ok"/)).toBe(1);
});

it('hands the loss on where that is wanted, and the client can open a session anew', async () => {
  await using folder = await workFolder();
  await using proxy = await startShadowcat(stdio('--on-upstream-loss', 'fail'), folder.path);
  const session = await openSession(proxy.url);
  const pid = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'pid', arguments: {} } };
  const answer = (await (await session.post(pid)).json()) as { result: { content: { text: string }[] } };
  const stream = await session.get();
  process.kill(Number(answer.result.content[0]?.text), 'SIGKILL');
  expect(await stream.text()).not.toContain('jsonrpc');
  expect((await session.post(pid)).status).toBe(404);
  const again = await openSession(proxy.url);
  expect((await again.post(pid)).status).toBe(200);
});

it('writes a recovery on the tape of its session', async () => {
  await using folder = await workFolder();
  await using proxy = await startShadowcat(stdio('--record', 'tapes/'), folder.path);
  {
    await using client = await connectListening('v1', proxy.url);
    process.kill(Number(await client.call('pid')), 'SIGKILL');
    await expect.poll(() => client.call('pid').catch(() => '')).toMatch(/^\d+$/);
  }
  expect((await proxy.stop()).code).toBe(0);
  const [tape = ''] = await tapesIn(`${folder.path}/tapes`);
  const shown = await runShadowcat(['tape', 'show', tape], folder.path);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/^note, .* had lost a session with its line; it was opened again/m);
});
