import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metric, readiness, toolCall, toolText } from '../src/calls.js';
import { openSession, postModern, postRaw, type RawSession } from '../src/raw-mcp.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import { tinyServer } from '../src/tiny-server.js';

/** A command's breaker is about starting children: what one client does to its own child is nobody else's business. */

const state = (proxy: Shadowcat, wanted: string): Promise<number> =>
  metric(proxy.url, `shadowcat_upstream_breaker{state="${wanted}"}`);

async function call(session: RawSession, tool: string): Promise<string> {
  return toolText(await session.post(toolCall(1, tool)), 1);
}

/** A new session by hand: the status, when to come back, and the text. */
async function initialize(proxy: Shadowcat): Promise<{ status: number; retryAfter: string | null; text: string }> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } };
  const response = await postRaw(proxy.url, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }));
  const retryAfter = response.headers.get('retry-after');
  return { status: response.status, retryAfter, text: await response.text() };
}

describe('a client whose calls end its own child again and again', () => {
  it('is the only one who notices, in a session and without one', async () => {
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    const options = ['--breaker-failures', '2', ...tiny.flags];
    await using proxy = await startShadowcat(['reverse', ...options, '--', ...tiny.command], folder.path);
    const other = await openSession(proxy.url);
    const pid = await call(other, 'pid');
    const bad = await openSession(proxy.url);
    for (let times = 0; times < 3; times += 1) expect(await call(bad, 'die')).toMatch(/exited with code 9/);
    expect(await call(other, 'pid')).toBe(pid);
    expect((await initialize(proxy)).status).toBe(200);
    for (let id = 0; id < 3; id += 1) {
      const answer = await postModern(proxy.url, { id, method: 'tools/call', params: { name: 'die' } });
      expect(await answer.text()).toMatch(/exited with code 9/);
    }
    expect(await call(other, 'pid')).toBe(pid);
    expect((await initialize(proxy)).status).toBe(200);
    expect(await state(proxy, 'closed')).toBe(1);
    expect((await readiness(proxy.url)).status).toBe(200);
  });
});

describe('a command whose children die before they say anything', () => {
  it('starts none for a while, and says so; sessions whose children live are served meanwhile', async () => {
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    const broken = join(folder.path, 'broken');
    const script = `if [ -e ${broken} ]; then exit 7; fi; exec ${tiny.command.join(' ')}`;
    const options = ['--breaker-failures', '3', '--breaker-open', '4s'];
    await using proxy = await startShadowcat(
      ['reverse', ...options, ...tiny.flags, '--', 'sh', '-c', script],
      folder.path,
    );
    const session = await openSession(proxy.url);
    const pid = await call(session, 'pid');
    await writeFile(broken, '');
    for (let times = 0; times < 3; times += 1) expect((await initialize(proxy)).text).toMatch(/exited with code 7/);
    // All at once, while it is open.
    const [open, refused, served, { status, body }] = await Promise.all([
      state(proxy, 'open'),
      initialize(proxy),
      call(session, 'pid'),
      readiness(proxy.url),
    ]);
    expect(open).toBe(1);
    expect([refused.status, Number(refused.retryAfter) > 0]).toEqual([503, true]);
    expect(refused.text).toMatch(/takes nothing at the moment.*exited with code 7/);
    expect(served).toBe(pid);
    expect([status, body.upstreams.targets[0]]).toMatchObject([503, { ok: false, breaker: 'open' }]);
    await rm(broken);
    await expect.poll(async () => (await initialize(proxy)).status).toBe(200);
    expect(await state(proxy, 'closed')).toBe(1);
    expect(await call(session, 'pid')).toBe(pid);
  });
});
