import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metric, toolCall, toolText } from '../src/calls.js';
import { connectListening } from '../src/listening-client.js';
import { freePort, type OwnedProcess } from '../src/processes.js';
import { openSession, postModern, postRaw, type RawSession, sseEvents } from '../src/raw-mcp.js';
import { FIXTURE_MAIN, startFixture } from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** Several servers behind one proxy: what one of them does is no matter for who uses the others. */

type Replica = OwnedProcess & { readonly url: string };

type Config = (urls: readonly string[]) => string;

/** Replicas, and a folder with this configuration for a proxy in front of them. */
async function prepare(scope: AsyncDisposableStack, replicas: number, config: Config) {
  const folder = scope.use(await workFolder());
  const servers: Replica[] = [];
  for (let i = 0; i < replicas; i += 1) servers.push(scope.use(await startFixture()));
  const file = join(folder.path, 'shadowcat.yaml');
  const write = (text: string): Promise<void> => writeFile(file, text);
  await write(config(servers.map(({ url }) => url)));
  return { folder, servers, write };
}

/** {@link prepare}, and the proxy. */
async function start(scope: AsyncDisposableStack, replicas: number, config: Config) {
  const prepared = await prepare(scope, replicas, config);
  const proxy = scope.use(await startShadowcat(['reverse'], prepared.folder.path));
  return { ...prepared, proxy };
}

const three = (urls: readonly string[]): string =>
  `upstreams:\n${['a', 'b', 'c'].map((name, i) => `  ${name}: ${urls[i]}\n`).join('')}`;

async function call(session: RawSession, tool: string, args: unknown = {}, signal?: AbortSignal): Promise<string> {
  return toolText(await session.post(toolCall(1, tool, args), signal === undefined ? {} : { signal }), 1);
}

const pidOf = (session: RawSession): Promise<string> => call(session, 'pid');

async function sessions(proxy: Shadowcat, count: number): Promise<RawSession[]> {
  const opened: RawSession[] = [];
  for (let i = 0; i < count; i += 1) opened.push(await openSession(proxy.url));
  return opened;
}

/** Calls in a row until it is told to stop: how many came back well, and what else came. */
function callers(all: readonly RawSession[]) {
  let running = true;
  let [good, inFlight] = [0, 0];
  const failed: string[] = [];
  const loop = async (session: RawSession): Promise<void> => {
    while (running) {
      inFlight += 1;
      const text = await pidOf(session).finally(() => {
        inFlight -= 1;
      });
      if (/^\d+$/.test(text)) good += 1;
      else failed.push(text);
    }
  };
  const done = Promise.all(all.map(loop));
  return {
    failed,
    good: () => good,
    inFlight: () => inFlight,
    /** Resolves when so many more calls have come back well. */
    more: async (count: number): Promise<void> => {
      const wanted = good + count;
      await expect.poll(() => good, { interval: 5 }).toBeGreaterThanOrEqual(wanted);
    },
    stop: async (): Promise<void> => {
      running = false;
      await done;
    },
  };
}

describe('three replicas', () => {
  it('lose no more calls than were in flight when one is killed, and its sessions go on', async () => {
    await using scope = new AsyncDisposableStack();
    const { servers, proxy } = await start(scope, 3, three);
    const opened = await sessions(proxy, 30);
    const load = callers(opened);
    await load.more(300);
    const before = load.inFlight();
    await servers[1]?.stop({ signal: 'SIGKILL' });
    await load.more(300);
    await load.stop();
    expect(load.failed.length).toBeLessThanOrEqual(before / 3);
    const pids = await Promise.all(opened.map(pidOf));
    expect(new Set(pids)).toEqual(new Set([servers[0], servers[2]].map((server) => String(server?.pid))));
  });

  it('do not wait for one that hangs', async () => {
    await using scope = new AsyncDisposableStack();
    const { servers, proxy } = await start(scope, 3, three);
    const [hanging] = servers;
    const opened = await sessions(proxy, 9);
    const homes = await Promise.all(opened.map(pidOf));
    process.kill(hanging?.pid ?? 0, 'SIGSTOP');
    const left = new AbortController();
    const stuck = opened.filter((_, i) => homes[i] === String(hanging?.pid));
    expect(stuck.length).toBe(3);
    let answered = 0;
    const waiting = stuck.map((session) =>
      call(session, 'pid', {}, left.signal).then(
        () => {
          answered += 1;
        },
        () => {},
      ),
    );
    const others = callers(opened.filter((session) => !stuck.includes(session)));
    await others.more(500);
    await others.stop();
    expect({ answered, failed: others.failed }).toEqual({ answered: 0, failed: [] });
    left.abort();
    await Promise.all(waiting);
    process.kill(hanging?.pid ?? 0, 'SIGCONT');
  });

  it('serve again when all of them were dead', async () => {
    await using scope = new AsyncDisposableStack();
    const folder = scope.use(await workFolder());
    const ports = [await freePort(), await freePort()];
    const begin = (): Promise<Replica[]> => Promise.all(ports.map((port) => startFixture([], port)));
    const first = await begin();
    for (const server of first) scope.use(server);
    const proxy = scope.use(
      await startShadowcat(['reverse', ...first.flatMap(({ url }) => ['--upstream', url])], folder.path),
    );
    const session = await openSession(proxy.url);
    for (const server of first) await server.stop({ signal: 'SIGKILL' });
    expect(await pidOf(session)).toMatch(/"code":-320\d\d/);
    const second = await begin();
    for (const server of second) scope.use(server);
    await expect.poll(() => pidOf(session)).toMatch(/^\d+$/);
    expect((await fetch(new URL('/health/ready', proxy.url))).status).toBe(200);
  });
});

describe('weights', () => {
  it('are read again on SIGHUP: more and more goes to the new one, and a broken file changes nothing', async () => {
    await using scope = new AsyncDisposableStack();
    const config = (urls: readonly string[], weights: readonly [number, number]): string =>
      `upstreams:\n  old: { url: ${urls[0]}, weight: ${weights[0]} }\n  new: { url: ${urls[1]}, weight: ${weights[1]} }\n`;
    const { servers, proxy, write } = await start(scope, 2, (urls) => config(urls, [99, 1]));
    const urls = servers.map(({ url }) => url);
    const share = async (): Promise<number> => {
      let count = 0;
      for (let i = 0; i < 100; i += 1) {
        const answer = await postModern(proxy.url, { method: 'tools/call', params: { name: 'pid', arguments: {} } });
        if ((await toolText(answer, 1)) === String(servers[1]?.pid)) count += 1;
      }
      return count;
    };
    const reload = async (text: string, seen: RegExp): Promise<void> => {
      await write(text);
      process.kill(proxy.pid, 'SIGHUP');
      await proxy.line(seen, { from: 'stderr' });
    };
    expect(await share()).toBe(1);
    await reload(config(urls, [90, 10]), /"weights":\{"old":90,"new":10\}/);
    expect(await metric(proxy.url, 'shadowcat_upstream_weight{target="new"}')).toBe(10);
    expect(await share()).toBeGreaterThanOrEqual(9);
    await reload(`${config(urls, [0, 1])}nonsense: 1\n`, /nothing was changed: .*nonsense/);
    expect(await metric(proxy.url, 'shadowcat_upstream_weight{target="old"}')).toBe(90);
    const others = config(urls, [5, 5]).replace('  old:', '  other:');
    await reload(others, /"targets":\["other"\],"msg":"new upstreams get nothing before the next start"/);
    await proxy.line(/"targets":\["old"\],"msg":"upstreams that are not configured any more go on/, { from: 'stderr' });
    expect(await metric(proxy.url, 'shadowcat_upstream_weight{target="old"}')).toBe(90);
    await reload(config(urls, [0, 1]), /"weights":\{"old":0,"new":1\}/);
    expect(await share()).toBe(100);
  });
});

describe('routes', () => {
  const routed = (urls: readonly string[]): string => `
upstreams:
  main: ${urls[0]}
  web: ${urls[1]}
  local: { command: [${process.execPath}, ${FIXTURE_MAIN}, stdio], max-children: 4 }
groups:
  first: { members: main }
routes:
  - match: { path: /web/mcp }
    to: web
  - match: { header: { x-team: l* } }
    to: local
  - match: { tool: [test_sampling, whoami] }
    to: web
  - match: { tool: sleep }
    to: local
`;

  it('lead by path and by header, also to a command', async () => {
    await using scope = new AsyncDisposableStack();
    const { servers, proxy } = await start(scope, 2, routed);
    const byPath = await openSession(proxy.url.replace('/mcp', '/web/mcp'));
    expect(await pidOf(byPath)).toBe(String(servers[1]?.pid));
    const byHeader = await openSession(proxy.url, { headers: { 'x-team': 'local' } });
    const pids = servers.map(({ pid }) => String(pid));
    expect(pids).not.toContain(await pidOf(byHeader));
    expect(await pidOf(await openSession(proxy.url))).toBe(pids[0]);
    expect((await fetch(proxy.url.replace('/mcp', '/other/mcp'), { method: 'POST' })).status).toBe(404);
  });

  it.each(['v1', 'v2-legacy'] as const)('by tool open a session where the tool is, for client %s', async (kind) => {
    await using scope = new AsyncDisposableStack();
    const { servers, proxy } = await start(scope, 2, routed);
    await using client = await connectListening(kind, proxy.url);
    const home = await client.call('pid');
    expect(home).toBe(String(servers[0]?.pid));
    // Names the server's own session: one for all that follows, and another one than at home.
    const there = await client.call('whoami');
    expect(await client.call('whoami')).toBe(there);
    expect(await client.call('sleep', { ms: 1 })).toBeTypeOf('string');
    expect(await metric(proxy.url, 'shadowcat_children')).toBe(1);
    expect(await client.call('pid')).toBe(home);
    expect(await metric(proxy.url, 'shadowcat_session_recoveries_total{outcome="ok",target="web"}')).toBe(0);
  });

  it('bring questions of the server that a rule leads to, and their answers back', async () => {
    await using scope = new AsyncDisposableStack();
    const { proxy } = await start(scope, 2, routed);
    const session = await openSession(proxy.url, { capabilities: { sampling: {} } });
    const response = await session.post(toolCall(1, 'test_sampling', { prompt: 'hello' }));
    const result = { role: 'assistant', model: 'e2e', content: { type: 'text', text: 'sampled here' } };
    const texts: string[] = [];
    for await (const { data } of sseEvents(response)) {
      texts.push(data);
      const { id, method } = data === '' ? {} : (JSON.parse(data) as { id?: unknown; method?: unknown });
      if (method !== 'sampling/createMessage') continue;
      expect((await session.post({ jsonrpc: '2.0', id, result })).status).toBe(202);
    }
    expect(texts.at(-1)).toContain('sampled here');
  });
});

describe('sessions', () => {
  it('stay on their members when the proxy is started again', async () => {
    await using scope = new AsyncDisposableStack();
    const listen = ['--listen', `127.0.0.1:${await freePort()}`];
    const { folder } = await prepare(scope, 3, three);
    const proxy = scope.use(await startShadowcat(['reverse', ...listen], folder.path));
    const opened = await sessions(proxy, 6);
    const before = await Promise.all(opened.map(pidOf));
    await proxy.stop();
    scope.use(await startShadowcat(['reverse', ...listen], folder.path));
    expect(await Promise.all(opened.map(pidOf))).toEqual(before);
    expect(new Set(before).size).toBe(3);
  });

  it('move from a member that hangs with their standing streams: those end, and others come from the new one', async () => {
    await using scope = new AsyncDisposableStack();
    const options = 'first-byte-timeout: 2s\nbreaker-failures: 1\nhealth-timeout: 200ms\n';
    const { servers, proxy } = await start(
      scope,
      2,
      (urls) => `upstreams: { a: "${urls[0]}", b: "${urls[1]}" }\n${options}`,
    );
    const session = await openSession(proxy.url);
    const home = await pidOf(session);
    // Each has served before: the first time is slow, and slow is what hangs here.
    expect(await pidOf(await openSession(proxy.url))).not.toBe(home);
    const standing = await session.get();
    expect(standing.status).toBe(200);
    process.kill(Number(home), 'SIGSTOP');
    scope.defer(() => void process.kill(Number(home), 'SIGCONT'));
    expect(await pidOf(session)).toMatch(/did not begin to answer/);
    const now = await pidOf(session);
    expect(servers.map(({ pid }) => String(pid)).filter((pid) => pid !== home)).toEqual([now]);
    // Read to its end, which comes while the member still hangs.
    await standing.text();
    const again = await session.get();
    expect(again.status).toBe(200);
    await again.body?.cancel();
    expect(await pidOf(session)).toBe(now);
  });

  it('hear of the loss of their member where that is wanted', async () => {
    await using scope = new AsyncDisposableStack();
    const { servers, proxy } = await start(scope, 3, (urls) => `${three(urls)}on-upstream-loss: fail\n`);
    const opened = await sessions(proxy, 3);
    await servers[0]?.stop({ signal: 'SIGKILL' });
    const answers = await Promise.all(opened.map(pidOf));
    expect(answers.filter((text) => /"code":-320\d\d/.test(text)).length).toBe(1);
  });
});

describe('an upstream', () => {
  it('gets its own headers over those for all', async () => {
    await using scope = new AsyncDisposableStack();
    const seen: (string | string[] | undefined)[][] = [];
    const server = createServer((request, response) => {
      if (request.method === 'POST') seen.push([request.headers['x-all'], request.headers['x-key']]);
      response.writeHead(404).end();
    });
    await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
    scope.defer(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/mcp`;
    const config = `header: { x-all: all, x-key: general }\nupstreams:\n  a: { url: "${url}", headers: { X-Key: special } }\n`;
    const { proxy } = await start(scope, 0, () => config);
    await (await postRaw(proxy.url, '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}')).text();
    expect(seen[0]).toEqual(['all', 'special']);
  });
});

describe('commands', () => {
  it('share sessions, each with children of its own', async () => {
    await using scope = new AsyncDisposableStack();
    const command = `[${process.execPath}, ${FIXTURE_MAIN}, stdio]`;
    const config = `upstreams:\n  one: { command: ${command}, max-children: 2 }\n  two: { command: ${command} }\n`;
    const { proxy } = await start(scope, 0, () => config);
    const opened = await sessions(proxy, 4);
    const pids = await Promise.all(opened.map(pidOf));
    expect(new Set(pids).size).toBe(4);
    expect(await metric(proxy.url, 'shadowcat_children')).toBe(4);
    // Of all states: what is still in use now is idle a moment later.
    const of = (pool: string): Promise<number> => metric(proxy.url, `shadowcat_pool_resources{pool="${pool}"}`);
    expect([await of('one'), await of('two')]).toEqual([2, 2]);
  });
});
