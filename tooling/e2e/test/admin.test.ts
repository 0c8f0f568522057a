import { mkdir, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { metric, readiness, toolCall, toolText } from '../src/calls.js';
import { OwnedProcess } from '../src/processes.js';
import { openSession, postModern, postRaw } from '../src/raw-mcp.js';
import { FIXTURE_MAIN, startFixture } from '../src/servers.js';
import { shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** Health and metrics tell the truth, several upstreams stand in for each other, and tokens are asked for. */

const fixtureCommand = ['--', process.execPath, FIXTURE_MAIN, 'stdio', '--allow-crash'];
const DEAD = 'http://127.0.0.1:1/mcp';

describe('/health/ready', () => {
  it('turns 503 when the upstream is gone, and names it', async () => {
    await using folder = await workFolder();
    const fixture = await startFixture();
    await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url], folder.path);
    expect(await readiness(proxy.url)).toMatchObject({ status: 200, body: { status: 'ok' } });
    await fixture[Symbol.asyncDispose]();
    await expect.poll(async () => (await readiness(proxy.url)).status, { timeout: 10_000 }).toBe(503);
    const { body } = await readiness(proxy.url);
    expect(body).toMatchObject({ status: 'failing', upstreams: { ok: false }, store: { ok: true } });
    expect(body.upstreams.targets[0]).toMatchObject({ name: fixture.url, detail: expect.stringContaining('refused') });
    expect((await fetch(new URL('/health/live', proxy.url))).status).toBe(200);
  });

  it('says that tapes cannot be written while traffic goes on, and is well again when they can', async () => {
    await using folder = await workFolder();
    const tapes = `${folder.path}/tapes`;
    await using proxy = await startShadowcat(['reverse', '--record', `${tapes}/here`, ...fixtureCommand], folder.path);
    await rm(tapes, { recursive: true });
    await writeFile(tapes, '');
    const session = await openSession(proxy.url);
    expect(await toolText(await session.post(toolCall(1, 'pid')), 1)).toMatch(/^\d+$/);
    await expect.poll(async () => (await readiness(proxy.url)).status).toBe(503);
    const { recorder } = (await readiness(proxy.url)).body;
    expect(recorder).toMatchObject({ ok: false, status: 'failing', detail: expect.stringContaining('ENOTDIR') });
    await rm(tapes);
    // The recorder tries again meanwhile, and may have made it itself.
    await mkdir(tapes, { recursive: true });
    await expect.poll(async () => (await readiness(proxy.url)).status, { timeout: 10_000 }).toBe(200);
    expect((await readiness(proxy.url)).body.recorder).toMatchObject({ ok: true, status: 'recording', lost: 0 });
    expect(await metric(proxy.url, 'shadowcat_recorder_dropped_total')).toBe(0);
  });
});

describe('/metrics', () => {
  it('counts requests, sessions, children and their ends', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', ...fixtureCommand], folder.path);
    const session = await openSession(proxy.url);
    for (const id of [1, 2, 3]) await (await session.post(toolCall(id, 'echo'))).text();
    await (await session.post(toolCall(4, 'crash', { code: 3 }))).text();
    await (await session.post(toolCall(5, 'echo'))).text();
    const figures = [
      ['shadowcat_requests_total{method="tools/call",era="legacy",outcome="ok"}', 4],
      ['shadowcat_child_exits_total{reason="code 3"}', 1],
      ['shadowcat_spawns_total{outcome="ok"}', 2],
      ['shadowcat_children', 1],
      ['shadowcat_sessions_opened_total{how="opened"}', 1],
      ['shadowcat_exchanges_in_flight', 0],
    ] as const;
    const seen = await Promise.all(figures.map(async ([name]) => [name, await metric(proxy.url, name)]));
    expect(seen).toEqual(figures.map(([name, value]) => [name, value]));
    await session.delete();
    await expect.poll(() => metric(proxy.url, 'shadowcat_children'), { timeout: 10_000 }).toBe(0);
    expect(await metric(proxy.url, 'shadowcat_sessions_ended_total{reason="deleted"}')).toBe(1);
  });

  it('can be turned off', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--admin', 'off', '--upstream', DEAD], folder.path);
    expect((await fetch(new URL('/metrics', proxy.url))).status).toBe(404);
    expect((await fetch(new URL('/health/ready', proxy.url))).status).toBe(404);
  });
});

describe('several upstreams', () => {
  it('a dead one is passed over, and health names it', async () => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    await using proxy = await startShadowcat(['reverse', '--upstream', DEAD, '--upstream', fixture.url], folder.path);
    const opened = await Promise.all(Array.from({ length: 6 }, () => openSession(proxy.url)));
    const texts = opened.map(async (session, id) => toolText(await session.post(toolCall(id, 'pid')), id));
    expect(await Promise.all(texts)).toEqual(Array.from({ length: 6 }, () => String(fixture.pid)));
    for (let id = 0; id < 4; id += 1) {
      const answer = await postModern(proxy.url, { id, method: 'tools/call', params: { name: 'pid', arguments: {} } });
      expect(await toolText(answer, id)).toBe(String(fixture.pid));
    }
    const { status, body } = await readiness(proxy.url);
    expect({ status, targets: body.upstreams.targets.map(({ name, ok }) => [name, ok]) }).toEqual({
      status: 200,
      targets: [
        [DEAD, false],
        [fixture.url, true],
      ],
    });
  });
});

describe('a token', () => {
  it('is wanted of every client, and binds sessions to it', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--token', 'sesame', ...fixtureCommand], folder.path);
    const body = JSON.stringify(toolCall(1, 'pid'));
    for (const authorization of [undefined, 'Bearer other', 'Basic sesame', 'Bearer sesame2']) {
      const refused = await postRaw(proxy.url, body, { headers: authorization === undefined ? {} : { authorization } });
      expect({ status: refused.status, wants: refused.headers.get('www-authenticate') }).toEqual({
        status: 401,
        wants: expect.stringContaining('Bearer'),
      });
      await refused.text();
    }
    const session = await openSession(proxy.url, { headers: { authorization: 'Bearer sesame' } });
    expect(await toolText(await session.post(toolCall(2, 'pid')), 2)).toMatch(/^\d+$/);
    expect((await readiness(proxy.url)).status).toBe(200);
  });

  it('or --no-auth is wanted to listen on other addresses than loopback', async () => {
    await using folder = await workFolder();
    const everywhere = ['reverse', '--listen', '0.0.0.0:0', '--upstream', DEAD];
    await using refused = await OwnedProcess.start(shadowcat(everywhere, folder.path));
    const exit = await refused.exited;
    expect({ code: exit.code, stdout: exit.stdout }).toEqual({ code: 2, stdout: '' });
    expect(exit.stderr).toMatch(/--listen.*--no-auth/);
    await using open = await OwnedProcess.start(shadowcat([...everywhere, '--no-auth'], folder.path));
    expect(await open.line(/./)).toMatch(/^http:/);
  });

  it('does not stop one client from being kept out of the session of another', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', ...fixtureCommand], folder.path);
    const session = await openSession(proxy.url, { headers: { authorization: 'Bearer one' } });
    for (const authorization of ['Bearer two', '']) {
      const headers = { ...session.headers, authorization };
      const answer = await postRaw(proxy.url, JSON.stringify(toolCall(3, 'pid')), { headers });
      expect({ status: answer.status, body: await answer.json() }).toMatchObject({
        status: 404,
        body: { id: 3, error: { code: -32001 } },
      });
      expect((await fetch(proxy.url, { method: 'DELETE', headers })).status).toBe(404);
    }
    expect(await toolText(await session.post(toolCall(4, 'pid')), 4)).toMatch(/^\d+$/);
  });
});
