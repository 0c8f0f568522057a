import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metric, toolCall, toolText } from '../src/calls.js';
import { isAlive, processesNaming } from '../src/process-table.js';
import { startWithUrl } from '../src/processes.js';
import { openSession, postModern, type RawSession } from '../src/raw-mcp.js';
import { type Shadowcat, shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import { tinyServer } from '../src/tiny-server.js';

/** How many children there are, when they are started and ended, and what is left of them. */

/** Nothing of a proxy that was killed lives longer. */
const GONE = { timeout: 10_000 };

/** `/health/ready`, of which the upstream's part matters here. */
async function health(proxy: Shadowcat): Promise<{ status: number; target: Record<string, unknown> }> {
  const response = await fetch(new URL('/health/ready', proxy.url));
  const body = (await response.json()) as { upstreams: { targets: Record<string, unknown>[] } };
  return { status: response.status, target: body.upstreams.targets[0] ?? {} };
}

async function callsOf(session: RawSession, count: number): Promise<string[]> {
  const texts = Array.from({ length: count }, async (_, id) => toolText(await session.post(toolCall(id, 'any')), id));
  return Promise.all(texts);
}

describe('the number of children', () => {
  it('is one for 500 calls of one session', async () => {
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    await using proxy = await startShadowcat(['reverse', ...tiny.flags, '--', ...tiny.command], folder.path);
    const session = await openSession(proxy.url);
    const pids = new Set<string>();
    for (let round = 0; round < 10; round += 1) for (const pid of await callsOf(session, 50)) pids.add(pid);
    expect(pids.size).toBe(1);
    expect((await tiny.ledger()).started).toBe(1);
    expect(await metric(proxy.url, 'shadowcat_spawns_total{outcome="ok"}')).toBe(1);
    expect(await proxy.line(/ was started/, { from: 'stderr' })).toContain('"pid":');
  });

  it('stays below --max-children with 300 sessions that nobody closes, all are answered, and none is left', async () => {
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    const bounds = ['--max-children', '16', '--session-idle', '2s', '--store', 'memory:'];
    await using proxy = await startShadowcat(['reverse', ...bounds, ...tiny.flags, '--', ...tiny.command], folder.path);
    let opened = 0;
    const answers: string[] = [];
    const clients = Array.from({ length: 24 }, async () => {
      while (opened < 300) {
        opened += 1;
        const session = await openSession(proxy.url);
        answers.push(...(await callsOf(session, 1)));
      }
    });
    await Promise.all(clients);
    expect([opened, answers.length]).toEqual([300, 300]);
    // A session that was idle for 2 s on this machine is over.
    expect(answers.filter((text) => !/^\d+$|"code":-32001/.test(text))).toEqual([]);
    await expect.poll(() => metric(proxy.url, 'shadowcat_children')).toBe(0);
    const { started, most, alive } = await tiny.ledger();
    expect(started).toBeGreaterThanOrEqual(300);
    expect(most).toBeLessThanOrEqual(16);
    expect(alive).toEqual([]);
  }, 120_000);

  it('refuses in plain words when all are in use, and serves the longest unused session anew when it comes back', async () => {
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    const bounds = ['--max-children', '2', '--queue-timeout', '3s'];
    await using proxy = await startShadowcat(['reverse', ...bounds, ...tiny.flags, '--', ...tiny.command], folder.path);
    const [first, second] = [await openSession(proxy.url), await openSession(proxy.url)];
    const pid = await callsOf(first, 1);
    // Whoever listens uses its child.
    const listening = await second.get();
    const third = await openSession(proxy.url);
    const stream = await third.get();
    const refused = await first.post(toolCall(1, 'any'));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({ id: 1, error: { code: -32006, message: /all 2 .* are in use/ } });
    await stream.body?.cancel();
    const [anew] = await callsOf(first, 1);
    expect(anew).toMatch(/^\d+$/);
    expect([anew]).not.toEqual(pid);
    await listening.body?.cancel();
  });

  it('is bounded for each credential, too', async () => {
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    const bounds = ['--max-children-per-credential', '1', '--queue-timeout', '5s'];
    await using proxy = await startShadowcat(['reverse', ...bounds, ...tiny.flags, '--', ...tiny.command], folder.path);
    const as = (who: string) => openSession(proxy.url, { headers: { authorization: `Bearer ${who}` } });
    const greedy = await as('greedy');
    const stream = await greedy.get();
    await expect(as('greedy')).rejects.toThrow('that one client may have are in use');
    expect(await callsOf(await as('modest'), 1)).toEqual([expect.stringMatching(/^\d+$/)]);
    await stream.body?.cancel();
    expect(await callsOf(await as('greedy'), 1)).toEqual([expect.stringMatching(/^\d+$/)]);
    expect((await tiny.ledger()).most).toBe(2);
  });
});

describe('warm children', () => {
  it('run before anybody asks, unasked and within the bound, and are taken by sessions of their own', async () => {
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    const bounds = ['--warm', '2', '--max-children', '3'];
    await using proxy = await startShadowcat(['reverse', ...bounds, ...tiny.flags, '--', ...tiny.command], folder.path);
    await expect.poll(async () => (await tiny.ledger()).started).toBe(2);
    expect([...(await tiny.ledger()).heard.values()]).toEqual([[], []]);
    expect((await health(proxy)).target).toMatchObject({ ok: true, spares: 2 });
    const warm = [...(await tiny.ledger()).heard.keys()];
    const sessions = [await openSession(proxy.url), await openSession(proxy.url)];
    const pids = await Promise.all(sessions.map(async (session) => Number((await callsOf(session, 1))[0])));
    expect(pids.sort()).toEqual(warm.sort());
    await expect.poll(async () => (await tiny.ledger()).started).toBe(3);
    expect(await metric(proxy.url, 'shadowcat_children_spare')).toBe(1);
    await sessions[0]?.delete();
    await expect.poll(() => metric(proxy.url, 'shadowcat_children_spare')).toBe(2);
    const { most, heard } = await tiny.ledger();
    expect(most).toBe(3);
    expect(heard.get(pids[0] ?? 0)?.filter((method) => method === 'initialize')).toHaveLength(1);
    const exit = await proxy.stop();
    expect([exit.code, (await tiny.ledger()).alive]).toEqual([0, []]);
  });

  it('serve modern requests as well', async () => {
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    const args = ['reverse', '--warm', '1', '--bridge', 'off', ...tiny.flags, '--', ...tiny.command];
    await using proxy = await startShadowcat(args, folder.path);
    await expect.poll(async () => (await tiny.ledger()).started).toBe(1);
    const [warm] = (await tiny.ledger()).heard.keys();
    const answer = await postModern(proxy.url, { method: 'tools/call', params: { name: 'any' } });
    expect(await toolText(answer, 1)).toBe(String(warm));
  });
});

describe('a server that dies again and again', () => {
  it('is started at longer and longer intervals, and health says so until it works', async () => {
    await using folder = await workFolder();
    const broken = join(folder.path, 'broken');
    await writeFile(broken, '');
    const tiny = await tinyServer(folder.path);
    const script = `if [ -e ${broken} ]; then echo 'no licence' >&2; read -r line; exit 7; fi; exec ${tiny.command.join(' ')}`;
    await using proxy = await startShadowcat(['reverse', '--', 'sh', '-c', script], folder.path);
    const errors: string[] = [];
    for (let times = 0; times < 3; times += 1) await openSession(proxy.url).catch((e: Error) => errors.push(e.message));
    expect(errors).toHaveLength(3);
    expect(errors[0]).toMatch(/exited with code 7.*no licence/);
    const { status, target } = await health(proxy);
    expect([status, target.ok]).toEqual([503, false]);
    expect(target.crashLoops).toEqual([
      {
        of: 'every start',
        failures: expect.any(Number),
        nextStartMs: expect.any(Number),
        error: expect.stringContaining('code 7'),
      },
    ]);
    await rm(broken);
    await expect
      .poll(
        () =>
          openSession(proxy.url).then(
            (session) => callsOf(session, 1),
            () => [],
          ),
        { timeout: 30_000 },
      )
      .toHaveLength(1);
    expect((await health(proxy)).status).toBe(200);
  });
});

describe('a server that dies of each call', () => {
  it.each([
    ['session', 200, 'the server of one session'],
    ['shared', 503, 'the shared server'],
  ])('is told by health with --isolation %s: %d', async (isolation, wanted, of) => {
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    const flags = ['--isolation', isolation, '--env', 'FRAGILE=1'];
    await using proxy = await startShadowcat(['reverse', ...flags, '--', ...tiny.command], folder.path);
    const session = await openSession(proxy.url);
    for (let times = 0; times < 2; times += 1) expect((await callsOf(session, 1))[0]).toContain('exited with code 9');
    const { status, target } = await health(proxy);
    expect(status).toBe(wanted);
    expect(target).toMatchObject({ ok: wanted === 200, restarts: 1, crashLoops: [{ of, failures: 2 }] });
  });
});

/** An MCP server that ignores SIGTERM and the end of its input, behind a shell that does what shells do. */
async function stubborn(folder: string): Promise<{ readonly script: string; readonly command: readonly string[] }> {
  const script = join(folder, 'stubborn.mjs');
  await writeFile(
    script,
    `import { createInterface } from 'node:readline';
process.on('SIGTERM', () => {});
setInterval(() => {}, 1000);
const serverInfo = { name: 'stubborn', version: '1' };
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method } = JSON.parse(line);
  const text = String(process.pid);
  const result = method === 'initialize'
    ? { protocolVersion: '2025-11-25', capabilities: {}, serverInfo }
    : { content: [{ type: 'text', text }] };
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
}
await new Promise(() => {});
`,
  );
  return { script, command: ['sh', '-c', `${process.execPath} ${script}; exit $?`] };
}

describe('a grandchild behind a shell that ignores SIGTERM and the end of its input', () => {
  const started = async (folder: string) => {
    const { script, command } = await stubborn(folder);
    const args = shadowcat(['reverse', '--listen', '127.0.0.1:0', '--', ...command], folder);
    // No other proxy finds the list of this one.
    const proxy = await startWithUrl({ ...args, env: { XDG_RUNTIME_DIR: folder } });
    const session = await openSession(proxy.url);
    const pid = Number((await callsOf(session, 1))[0]);
    // The proxy's own command line names it as well.
    const left = () => processesNaming(script).filter((row) => row.pid !== proxy.pid);
    expect(left().map((row) => row.pid)).toContain(pid);
    return { proxy, session, left, pid };
  };

  it('ends with its session', async () => {
    await using folder = await workFolder();
    const { proxy, session, left } = await started(folder.path);
    await using _ = proxy;
    await session.delete();
    await expect.poll(left, GONE).toEqual([]);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('ends with the proxy that got %s', async (signal) => {
    await using folder = await workFolder();
    const { proxy, left } = await started(folder.path);
    await using _ = proxy;
    await proxy.stop({ signal });
    await expect.poll(left, GONE).toEqual([]);
  });

  it('ends at the next start when the watcher was killed with the proxy', async () => {
    await using folder = await workFolder();
    const { proxy, left, pid } = await started(folder.path);
    await using _ = proxy;
    const watchers = () => proxy.descendants().filter((row) => row.command.includes('mcp-child-watcher'));
    await expect.poll(watchers).toHaveLength(1);
    const [watcher] = watchers();
    // Stopped, it cannot start another watcher before it is killed itself.
    process.kill(proxy.pid, 'SIGSTOP');
    process.kill(watcher?.pid ?? 0, 'SIGKILL');
    await proxy.stop({ signal: 'SIGKILL' });
    await expect.poll(() => isAlive(watcher?.pid ?? 0)).toBe(false);
    expect(isAlive(pid)).toBe(true);
    const args = shadowcat(['reverse', '--listen', '127.0.0.1:0', '--', 'cat'], folder.path);
    await using next = await startWithUrl({ ...args, env: { XDG_RUNTIME_DIR: folder.path } });
    await expect.poll(left, GONE).toEqual([]);
    expect(await next.line(/a killed proxy left behind/, { from: 'stderr' })).toContain(String(proxy.pid));
  });
});

describe('--env-file', () => {
  it('gives the command its variables, --env overrides them, and neither is shown', async () => {
    await using folder = await workFolder();
    await writeFile(join(folder.path, 'vars.env'), '# for the server\nFROM_FILE="a secret"\nBOTH=file\n');
    const script = `read -r line; id=\${line#*'"id":'}; id=\${id%%[,\\}]*}
printf '{"jsonrpc":"2.0","id":%s,"result":{"said":"%s|%s"}}\\n' "$id" "$FROM_FILE" "$BOTH"; read -r line`;
    const flags = ['--bridge', 'off', '--env-file', 'vars.env', '--env', 'BOTH=flag'];
    const args = shadowcat(['reverse', '--listen', '127.0.0.1:0', ...flags, '--', 'sh', '-c', script], folder.path);
    await using proxy = await startWithUrl(args);
    const answer = await postModern(proxy.url, { id: 1, method: 'tools/call', params: { name: 'any' } });
    expect(await answer.text()).toContain('a secret|flag');
    expect(proxy.stderr).not.toContain('a secret');
  });
});
