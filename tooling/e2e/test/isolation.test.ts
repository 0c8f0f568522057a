import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { metric, toolCall, toolText } from '../src/calls.js';
import { openSession, postRaw } from '../src/raw-mcp.js';
import { FIXTURE_MAIN } from '../src/servers.js';
import { startShadowcat, workFolder } from '../src/shadowcat.js';

/** How stdio children are shared: one for everybody, or one for each request. */

const start = (isolation: string, cwd: string, command = [FIXTURE_MAIN, 'stdio', '--allow-crash']) =>
  startShadowcat(['reverse', '--isolation', isolation, '--', process.execPath, ...command], cwd);

describe('shared', () => {
  it('has one child for all sessions, and each client gets its own answers', async () => {
    await using folder = await workFolder();
    await using proxy = await start('shared', folder.path);
    const sessions = await Promise.all(Array.from({ length: 5 }, () => openSession(proxy.url)));
    const pids = sessions.map(async (session) => toolText(await session.post(toolCall(1, 'pid')), 1));
    expect(new Set(await Promise.all(pids)).size).toBe(1);
    const echoes = sessions.flatMap((session, n) =>
      Array.from({ length: 10 }, async (_, k) => toolText(await session.post(toolCall(1, 'echo', { n, k })), 1)),
    );
    const wanted = sessions.flatMap((_, n) => Array.from({ length: 10 }, (__, k) => JSON.stringify({ n, k })));
    expect(await Promise.all(echoes)).toEqual(wanted);
    expect(await metric(proxy.url, 'shadowcat_children')).toBe(1);
  });

  it('lets nobody cancel the request of another session', async () => {
    await using folder = await workFolder();
    await using proxy = await start('shared', folder.path);
    const [one, other] = await Promise.all([openSession(proxy.url), openSession(proxy.url)]);
    const sleeping = one.post(toolCall(7, 'sleep', { ms: 500 }));
    await proxy.line(/sleep started/, { from: 'stderr' });
    await other.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } });
    expect(await toolText(await sleeping, 7)).toBe('slept 500 ms');
  });

  it('serves all sessions again after the child has died, and goes on when one of them ends', async () => {
    await using folder = await workFolder();
    await using proxy = await start('shared', folder.path);
    const [one, other] = await Promise.all([openSession(proxy.url), openSession(proxy.url)]);
    expect(await (await one.post(toolCall(2, 'crash', { code: 4 }))).text()).toMatch(/"id":2,"error".*code 4/);
    expect(await toolText(await one.post(toolCall(3, 'pid')), 3)).toMatch(/^\d+$/);
    await one.delete();
    expect(await toolText(await other.post(toolCall(3, 'pid')), 3)).toMatch(/^\d+$/);
  });
});

describe('request', () => {
  it('has a child for each request, and none is left afterwards', async () => {
    await using folder = await workFolder();
    await using proxy = await start('request', folder.path);
    const session = await openSession(proxy.url);
    const pids = Array.from({ length: 4 }, async (_, id) => toolText(await session.post(toolCall(id, 'pid')), id));
    expect(new Set(await Promise.all(pids)).size).toBe(4);
    expect(await toolText(await postRaw(proxy.url, JSON.stringify(toolCall(9, 'pid'))), 9)).toMatch(/^\d+$/);
    await expect.poll(() => metric(proxy.url, 'shadowcat_children')).toBe(0);
    expect((await session.get()).status).toBe(405);
  });

  it('recognises a command that ends after one answer, with and without a session', async () => {
    await using folder = await workFolder();
    const script = `${folder.path}/once.mjs`;
    await writeFile(
      script,
      `process.stdin.once('data', (data) => {
  const { id, method } = JSON.parse(String(data).split('\\n')[0]);
  const serverInfo = { name: 'once', version: '1' };
  console.log(JSON.stringify({ jsonrpc: '2.0', id, result: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo, method } }));
  process.exit(0);
});`,
    );
    await using proxy = await start('request', folder.path, [script]);
    const list = (id: number): string => JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list' });
    expect(await (await postRaw(proxy.url, list(1))).text()).toMatch(/"id":1,.*"method":"tools\/list"/);
    const session = await openSession(proxy.url);
    for (const id of [2, 3]) {
      const answer = await session.post(list(id));
      expect({ status: answer.status, text: await answer.text() }).toEqual({
        status: 200,
        text: expect.stringContaining(`"id":${id},`),
      });
    }
  });
});
