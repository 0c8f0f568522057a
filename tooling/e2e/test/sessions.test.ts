import { describe, expect, it } from 'vitest';
import { drive } from '../src/clients.js';
import { freePort, OwnedProcess } from '../src/processes.js';
import { answerText, openSession, postModern } from '../src/raw-mcp.js';
import { FIXTURE_MAIN, fixtureServer, startFixture } from '../src/servers.js';
import { startShadowcat, workFolder } from '../src/shadowcat.js';

/** Sessions over HTTP and stdio: several at once, across restarts, after a loss, and when they are over. */

const tool = (id: number | string, name: string, args: unknown = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

async function textOf(response: Response, id: number | string): Promise<string> {
  const answer = JSON.parse(await answerText(response, id)) as {
    result?: { content?: { text?: string }[] };
    error?: unknown;
  };
  return answer.result?.content?.[0]?.text ?? JSON.stringify(answer.error);
}

const stdio = (...flags: string[]): string[] => [
  'reverse',
  ...flags,
  '--',
  process.execPath,
  FIXTURE_MAIN,
  'stdio',
  '--allow-crash',
];

describe('in front of a command', () => {
  it('starts one process for many requests of a session, and one for each session', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(stdio(), folder.path);
    const sessions = await Promise.all([openSession(proxy.url), openSession(proxy.url)]);
    const pids = await Promise.all(
      sessions.map(async (session) => {
        const seen = new Set<string>();
        for (let id = 1; id <= 50; id++) seen.add(await textOf(await session.post(tool(id, 'pid')), id));
        return [...seen];
      }),
    );
    expect(pids.map((seen) => seen.length)).toEqual([1, 1]);
    expect(pids[0]).not.toEqual(pids[1]);
  });

  it('gives each of two requests with the same id its own answer', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(stdio(), folder.path);
    const session = await openSession(proxy.url);
    const answers = await Promise.all(
      ['a', 'b', 'c'].map(async (text) => textOf(await session.post(tool(1, 'echo', { text })), 1)),
    );
    expect(answers).toEqual(['{"text":"a"}', '{"text":"b"}', '{"text":"c"}']);
  });

  it('answers with the exit code when the server dies, and goes on with a fresh one', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(stdio(), folder.path);
    const session = await openSession(proxy.url);
    const before = await textOf(await session.post(tool(1, 'pid')), 1);
    const died = await (await session.post(tool('x', 'crash', { code: 3 }))).text();
    expect(died).toContain('"id":"x"');
    expect(died).toMatch(/code 3/);
    const after = await textOf(await session.post(tool(2, 'pid')), 2);
    expect(Number(after)).toBeGreaterThan(0);
    expect(after).not.toBe(before);
  });

  it('ends the process with the session', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(stdio(), folder.path);
    const session = await openSession(proxy.url);
    const pid = await textOf(await session.post(tool(1, 'pid')), 1);
    const alive = () => proxy.descendants().some((row) => String(row.pid) === pid);
    expect(alive()).toBe(true);
    expect((await session.delete()).ok).toBe(true);
    await expect.poll(alive, { timeout: 8000 }).toBe(false);
    const gone = await session.post(tool(2, 'pid'));
    expect({ status: gone.status, body: await gone.json() }).toMatchObject({
      status: 404,
      body: { id: 2, error: { code: -32001 } },
    });
  });

  it('ends what is idle', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(stdio('--session-idle', '500ms'), folder.path);
    const session = await openSession(proxy.url);
    const pid = await textOf(await session.post(tool(1, 'pid')), 1);
    await expect
      .poll(() => proxy.descendants().some((row) => String(row.pid) === pid), { timeout: 10_000 })
      .toBe(false);
    await expect
      .poll(async () => (await session.post(tool(2, 'pid'))).status, { timeout: 10_000, interval: 1500 })
      .toBe(404);
  });

  it('serves the modern era on the same endpoint', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(stdio(), folder.path);
    const response = await postModern(proxy.url, {
      id: 5,
      method: 'tools/call',
      params: { name: 'echo', arguments: { a: 1 } },
    });
    expect(await textOf(response, 5)).toBe('{"a":1}');
    const unknown = await postModern(proxy.url, { id: 6, method: 'no/such' });
    expect({ status: unknown.status, body: await unknown.json() }).toMatchObject({
      status: 404,
      body: { id: 6, error: { code: -32601 } },
    });
  });
});

describe('in front of an HTTP server', () => {
  it('keeps the client-facing session across a restart of the proxy', async () => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    const port = await freePort();
    const args = ['reverse', '--listen', `127.0.0.1:${port}`, '--upstream', fixture.url];
    const { startWithUrl } = await import('../src/processes.js');
    const { shadowcat } = await import('../src/shadowcat.js');
    const first = await startWithUrl(shadowcat(args, folder.path));
    const session = await openSession(first.url);
    const before = await textOf(await session.post(tool(1, 'whoami')), 1);
    expect((await first.stop()).code).toBe(0);
    await using second = await startWithUrl(shadowcat(args, folder.path));
    expect(second.url).toBe(first.url);
    expect(await textOf(await session.post(tool(2, 'whoami')), 2)).toBe(before);
  });

  it('opens a lost session again by itself after a restart of the server', async () => {
    await using folder = await workFolder();
    const port = await freePort();
    const start = () => OwnedProcess.start({ command: process.execPath, args: [FIXTURE_MAIN, 'http', String(port)] });
    const first = await start();
    await first.line(/http/);
    await using proxy = await startShadowcat(['reverse', '--upstream', `http://127.0.0.1:${port}/mcp`], folder.path);
    const session = await openSession(proxy.url);
    const before = await textOf(await session.post(tool(1, 'pid')), 1);
    await first[Symbol.asyncDispose]();

    const down = await session.post(tool(9, 'pid'));
    expect(await down.text()).toContain('"id":9');
    expect(down.status).toBe(502);

    await using again = await start();
    await again.line(/http/);
    const after = await textOf(await session.post(tool(2, 'pid')), 2);
    expect(Number(after)).toBeGreaterThan(0);
    expect(after).not.toBe(before);
  });

  it("never shows the server's own session id", async () => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url], folder.path);
    const session = await openSession(proxy.url);
    const who = await textOf(await session.post(tool(1, 'whoami')), 1);
    expect(who).not.toContain(session.id);
    expect(session.id).toMatch(/^[\x21-\x7e]{20,}$/);
  });
});

it('serves thirty clients at once, each its own answers', async () => {
  await using folder = await workFolder();
  await using fixture = await startFixture();
  await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url], folder.path);
  const all = await Promise.all(
    Array.from({ length: 30 }, async (_, n) => {
      const session = await openSession(proxy.url);
      const texts: string[] = [];
      for (let id = 1; id <= 20; id++) texts.push(await textOf(await session.post(tool(id, 'echo', { n, id })), id));
      return texts.every((text, i) => text === JSON.stringify({ n, id: i + 1 }));
    }),
  );
  expect(all).toEqual(Array.from({ length: 30 }, () => true));
});

it('relays cancellation and progress to the server', async () => {
  await using folder = await workFolder();
  await using proxy = await startShadowcat(stdio(), folder.path);
  const session = await openSession(proxy.url);
  const sleeping = session.post(tool(1, 'sleep', { ms: 30_000 }));
  await proxy.line(/sleep started/, { from: 'stderr' });
  const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } };
  expect((await session.post(cancelled)).status).toBe(202);
  await proxy.line(/sleep cancelled/, { from: 'stderr' });
  sleeping.then((response) => response.body?.cancel()).catch(() => {});
  expect(await textOf(await session.post(tool(2, 'cancel_count')), 2)).toContain('"cancelled":1');
});

it('gives SDK clients of every kind the same tour at the same time', async () => {
  await using folder = await workFolder();
  await using fixture = await startFixture();
  await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url], folder.path);
  const { tour } = fixtureServer();
  const kinds = ['v1', 'v2-legacy', 'v2-pinned', 'v1'] as const;
  const direct = await Promise.all(kinds.map((kind) => drive(kind, { url: fixture.url }, { tour })));
  const proxied = await Promise.all(kinds.map((kind) => drive(kind, { url: proxy.url }, { tour })));
  expect(proxied).toEqual(direct);
});
