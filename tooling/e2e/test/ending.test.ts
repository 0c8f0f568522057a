import { readdir, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openSession } from '../src/raw-mcp.js';
import { everythingServer, FIXTURE_MAIN, startFixture } from '../src/servers.js';
import { startShadowcat, tapesIn, workFolder } from '../src/shadowcat.js';

/** After a stop nothing is left: no child, no grandchild, no socket, no half-written tape. */

const everything = everythingServer().target;
const behindEverything = ['--', everything.command, ...everything.args];
const call = (id: number, name: string, args: unknown = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  it('ends with 0, finished tapes and no process left, with clients still connected', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--record', 'tapes', ...behindEverything], folder.path);
    const sessions = await Promise.all([1, 2, 3].map(() => openSession(proxy.url)));
    const streams = await Promise.all(sessions.map((session) => session.get()));
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(proxy.descendants().length).toBeGreaterThanOrEqual(3);

    const exit = await proxy.stop({ signal });

    expect({ code: exit.code, left: proxy.survivors() }).toEqual({ code: 0, left: [] });
    const names = await readdir(`${folder.path}/tapes`);
    expect(names.filter((name) => name.endsWith('.part'))).toEqual([]);
    expect((await tapesIn(`${folder.path}/tapes`)).length).toBeGreaterThanOrEqual(3);
    await Promise.all(streams.map((stream) => stream.text().catch(() => '')));
    await expect(fetch(proxy.url)).rejects.toThrow();
  });

  it('lets a call in flight finish', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--', process.execPath, FIXTURE_MAIN, 'stdio'], folder.path);
    const session = await openSession(proxy.url);
    const answered = session.post(call(7, 'sleep', { ms: 1000 })).then((response) => response.text());
    await proxy.line(/sleep started/, { from: 'stderr' });
    const exited = proxy.stop({ signal });
    expect(await answered).toMatch(/slept 1000 ms.*"id":7|"id":7.*slept 1000 ms/);
    expect((await exited).code).toBe(0);
  });
});

it('ends a grandchild that ignores SIGTERM and the end of its input', async () => {
  await using folder = await workFolder();
  const stubborn = `${folder.path}/stubborn.mjs`;
  const wrapper = `${folder.path}/wrapper.mjs`;
  await writeFile(stubborn, `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`);
  await writeFile(
    wrapper,
    `import { spawn } from 'node:child_process';
spawn(process.execPath, [${JSON.stringify(stubborn)}], { stdio: 'inherit' });
await import(${JSON.stringify(FIXTURE_MAIN)});`,
  );
  await using proxy = await startShadowcat(['reverse', '--', process.execPath, wrapper, 'stdio'], folder.path);
  const session = await openSession(proxy.url);
  await (await session.post(call(1, 'pid'))).text();
  expect(proxy.descendants().length).toBeGreaterThanOrEqual(2);
  const exit = await proxy.stop({ graceMs: 20_000 });
  expect({ code: exit.code, left: proxy.survivors() }).toEqual({ code: 0, left: [] });
});

it('leaves no descendant when the proxy itself is killed', async () => {
  await using folder = await workFolder();
  await using proxy = await startShadowcat(['reverse', ...behindEverything], folder.path);
  const session = await openSession(proxy.url);
  await (await session.post(call(1, 'echo', { message: 'hi' }))).text();
  await proxy.stop({ signal: 'SIGKILL' });
  await expect.poll(() => proxy.survivors()).toEqual([]);
});

it('ends in front of an HTTP upstream with an open stream', async () => {
  await using folder = await workFolder();
  await using fixture = await startFixture();
  await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url], folder.path);
  const session = await openSession(proxy.url);
  const stream = await session.get();
  const exit = await proxy.stop();
  expect({ code: exit.code, left: proxy.survivors() }).toEqual({ code: 0, left: [] });
  await stream.text().catch(() => '');
});
