import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metric, readiness, toolCall } from '../src/calls.js';
import { startLedgerServer } from '../src/ledger-server.js';
import { startLegacyLedgerServer } from '../src/legacy-ledger-server.js';
import { openSession, postModern, type RawSession } from '../src/raw-mcp.js';
import { FIXTURE_MAIN, startEverything, startFixture } from '../src/servers.js';
import { runShadowcat, type Shadowcat, startShadowcat, tapesIn, workFolder } from '../src/shadowcat.js';
import { tinyServer } from '../src/tiny-server.js';

/** A second server is asked the same, its answers are compared, and no client notices. */

const outcome = (proxy: Shadowcat, name: string): Promise<number> =>
  metric(proxy.url, `shadowcat_mirror_requests_total{outcome="${name}"}`);

const soon = (proxy: Shadowcat, name: string, count: number): Promise<void> =>
  expect.poll(() => outcome(proxy, name), { timeout: 20_000 }).toBe(count);

interface Report {
  readonly compared: readonly { method: string; tool: string; compared: number; different: number; failed: number }[];
  readonly differences: readonly { method: string; tool: string; pointer: string; kind: string; count: number }[];
}

async function report(folder: string): Promise<{ readonly code: number | null; readonly report: Report }> {
  const { code, stdout } = await runShadowcat(['shadow', 'report', '--format', 'json'], folder);
  return { code, report: JSON.parse(stdout) as Report };
}

/** A port that is given to no program. */
const NOBODY = 'http://127.0.0.1:1/mcp';

const TOOLS = [
  { name: 'look', annotations: { readOnlyHint: true } },
  { name: 'pay' },
  // To do it twice is no more than to do it once; that is something all the same.
  { name: 'put', annotations: { idempotentHint: true } },
];
const call = (name: string): { method: string; params: { name: string } } => ({
  method: 'tools/call',
  params: { name },
});

async function text(response: Promise<Response>): Promise<string> {
  return (await response).text();
}

describe('a mirror between two servers of 2026-07-28', () => {
  it('calls what reads, never what has effects, and keeps where answers differ without what they say', async () => {
    await using primary = await startLedgerServer({ tools: TOOLS, ok: 'secret of the first' });
    await using second = await startLedgerServer({ tools: TOOLS, ok: 'secret of the second', more: 1 });
    await using folder = await workFolder();
    const flags = ['--upstream', primary.url, '--mirror-to', second.url];
    await using proxy = await startShadowcat(['reverse', ...flags], folder.path);
    // Nothing is known of the tools yet.
    await text(postModern(proxy.url, call('look')));
    await text(postModern(proxy.url, { method: 'tools/list' }));
    await soon(proxy, 'different', 1);
    for (let turn = 0; turn < 4; turn += 1) {
      expect(await text(postModern(proxy.url, call('look')))).toContain('secret of the first');
      expect(await text(postModern(proxy.url, call('pay')))).toContain('secret of the first');
      expect(await text(postModern(proxy.url, call('put')))).toContain('secret of the first');
    }
    await soon(proxy, 'different', 5);
    expect(primary.ledger).toHaveLength(14);
    expect(second.ledger.map(({ method, target }) => target ?? method)).toEqual([
      'tools/list',
      ...Array(4).fill('look'),
    ]);
    const place = 'method="tools/call",tool="look",pointer="/ok"';
    expect(await metric(proxy.url, `shadowcat_mirror_differences_total{${place}}`)).toBe(4);
    await proxy.stop();
    const found = await report(folder.path);
    expect(found.code).toBe(1);
    expect(found.report.differences).toContainEqual(
      expect.objectContaining({ ...{ method: 'tools/call', tool: 'look' }, pointer: '/ok', kind: 'value', count: 4 }),
    );
    const kept = await readFile(join(folder.path, '.shadowcat', 'shadow.jsonl'), 'utf8');
    expect(kept).toContain('/more');
    expect(kept).not.toContain('secret');
  });

  it('calls what has effects once the configuration says so, and compares what is not to be ignored', async () => {
    await using primary = await startLedgerServer({ tools: TOOLS, at: 1 });
    await using second = await startLedgerServer({ tools: TOOLS, at: 2 });
    await using folder = await workFolder();
    const mirror = `mirror: { to: ${second.url}, methods: [tools/call], effects: true, ignore: [/at] }`;
    await writeFile(join(folder.path, 'shadowcat.yaml'), `upstream: ${primary.url}\n${mirror}\n`);
    await using proxy = await startShadowcat(['reverse'], folder.path);
    await text(postModern(proxy.url, { method: 'tools/list' }));
    await text(postModern(proxy.url, call('pay')));
    await soon(proxy, 'same', 1);
    expect(second.ledger.map(({ target }) => target)).toEqual(['pay']);
    await proxy.stop();
    expect((await report(folder.path)).code).toBe(0);
  });
});

describe('a second server that', () => {
  it('hangs costs its clients nothing, and the proxy ends all the same', async () => {
    await using primary = await startLedgerServer({ ok: true });
    await using second = await startLedgerServer();
    await using folder = await workFolder();
    second.deed = () => {};
    const mirror = `mirror: { to: ${second.url}, timeout: 300ms, max-in-flight: 5 }`;
    await writeFile(join(folder.path, 'shadowcat.yaml'), `upstream: ${primary.url}\n${mirror}\nhealth-check: off\n`);
    await using proxy = await startShadowcat(['reverse'], folder.path);
    const read = { method: 'resources/read', params: { uri: 'file:///x' } };
    await expect
      .poll(
        () =>
          metric(proxy.url, 'shadowcat_mirror_skipped_total{reason="busy"}').then(async (busy) => {
            const answers = await Promise.all(
              Array.from({ length: 10 }, (_, id) => postModern(proxy.url, { id, ...read })),
            );
            expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
            return busy;
          }),
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0);
    await expect.poll(() => outcome(proxy, 'timeout'), { timeout: 20_000 }).toBeGreaterThanOrEqual(5);
    await expect.poll(() => metric(proxy.url, 'shadowcat_mirror_in_flight'), { timeout: 20_000 }).toBe(0);
    // Some are under way when it is asked to end.
    await text(postModern(proxy.url, read));
    expect(await proxy.stop()).toMatchObject({ code: 0 });
    expect((await report(folder.path)).code).toBe(4);
  });

  it.each([401, 429, 503])('refuses with HTTP %i has not answered, and is not said to differ', async (status) => {
    await using primary = await startLedgerServer({ ok: true });
    await using second = await startLedgerServer();
    await using folder = await workFolder();
    second.deed = ({ id }, { response }) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32_000, message: 'not now' } }));
    };
    const flags = ['--upstream', primary.url, '--mirror-to', second.url];
    await using proxy = await startShadowcat(['reverse', ...flags], folder.path);
    await text(postModern(proxy.url, { method: 'resources/read', params: { uri: 'file:///x' } }));
    await soon(proxy, 'failed', 1);
    await proxy.stop();
    expect((await report(folder.path)).code).toBe(4);
  });

  it('differs where nobody can keep it holds no shutdown up', async () => {
    await using primary = await startLedgerServer({ v: 1 });
    await using second = await startLedgerServer({ v: 2 });
    await using folder = await workFolder();
    const pipe = join(folder.path, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const flags = ['--upstream', primary.url, '--mirror-to', second.url, '--mirror-findings', pipe];
    await using proxy = await startShadowcat(['reverse', ...flags], folder.path);
    await text(postModern(proxy.url, { method: 'resources/read', params: { uri: 'file:///x' } }));
    await soon(proxy, 'different', 1);
    expect(await proxy.stop()).toMatchObject({ code: 0 });
    expect(proxy.stderr).toContain('are lost');
  });

  it('is dead is no reason to send clients elsewhere; one that lives does not stand in for the first', async () => {
    await using primary = await startLedgerServer({ ok: true });
    await using second = await startLedgerServer({ ok: true });
    await using folder = await workFolder();
    const flags = ['--upstream', primary.url, '--mirror-to', second.url, '--breaker-failures', '1'];
    await using proxy = await startShadowcat(['reverse', ...flags], folder.path);
    await second.down();
    const read = { method: 'resources/read', params: { uri: 'file:///x' } };
    expect((await postModern(proxy.url, read)).status).toBe(200);
    await soon(proxy, 'failed', 1);
    expect((await readiness(proxy.url)).status).toBe(200);
    await second.up();
    await primary.down();
    expect((await postModern(proxy.url, call('pay'))).status).toBeGreaterThanOrEqual(502);
    expect((await readiness(proxy.url)).status).toBe(503);
    expect(second.ledger).toEqual([]);
  });

  it('asks the client something is told that nobody is there', async () => {
    await using primary = await startLegacyLedgerServer('same');
    await using second = await startLegacyLedgerServer('same', { asks: true });
    await using folder = await workFolder();
    const flags = ['--upstream', primary.url, '--mirror-to', second.url];
    await using proxy = await startShadowcat(['reverse', ...flags], folder.path);
    const session = await openSession(proxy.url);
    await text(session.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }));
    expect(await text(session.post(toolCall(2, 'look')))).not.toContain('sampling');
    await expect
      .poll(() => metric(proxy.url, 'shadowcat_mirror_skipped_total{reason="asked"}'), { timeout: 20_000 })
      .toBe(1);
    expect(second.ledger).toContain('s1 answer');
  });
});

describe('a mirror', () => {
  it('copies what several servers that are shown as one are asked', async () => {
    await using one = await startLegacyLedgerServer('same');
    await using other = await startLegacyLedgerServer('same');
    await using second = await startLegacyLedgerServer('same');
    await using folder = await workFolder();
    const mirror = `mirror: ${second.url}\ncombine: always\n`;
    await writeFile(join(folder.path, 'shadowcat.yaml'), `upstreams: { a: ${one.url}, b: ${other.url} }\n${mirror}`);
    await using proxy = await startShadowcat(['reverse'], folder.path);
    const session = await openSession(proxy.url);
    await text(session.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }));
    for (const [index, name] of ['a_look', 'b_look', 'a_pay', 'b_pay'].entries()) {
      await text(session.post(toolCall(index + 2, name)));
    }
    await soon(proxy, 'same', 2);
    await soon(proxy, 'different', 1);
    expect(second.ledger.filter((line) => line.endsWith('tools/call'))).toHaveLength(2);
  });

  it('reaches a second server by WebSocket', async () => {
    await using primary = await startLegacyLedgerServer('one');
    await using behind = await startLegacyLedgerServer('two');
    await using folder = await workFolder();
    await using inner = await startShadowcat(['reverse', '--upstream', behind.url], folder.path);
    const socket = inner.url.replace(/^http/, 'ws');
    await using proxy = await startShadowcat(
      ['reverse', '--upstream', primary.url, '--mirror-to', socket],
      folder.path,
    );
    const session = await openSession(proxy.url);
    await text(session.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }));
    expect(await text(session.post(toolCall(2, 'look')))).toContain('one');
    await soon(proxy, 'different', 1);
    await soon(proxy, 'same', 1);
    await session.delete();
    await expect.poll(() => behind.ledger.at(-1), { timeout: 20_000 }).toMatch(/ end$/);
  });
});

describe('sessions of 2025-11-25', () => {
  it('have one at the second server, which ends with them or with the proxy', async () => {
    await using primary = await startLegacyLedgerServer('one');
    await using second = await startLegacyLedgerServer('two');
    await using folder = await workFolder();
    const flags = ['--upstream', primary.url, '--mirror-to', second.url];
    await using proxy = await startShadowcat(['reverse', ...flags], folder.path);
    const [ended, left] = [await openSession(proxy.url), await openSession(proxy.url)];
    expect(second.ledger).toEqual([]);
    for (const session of [ended, left]) {
      await text(session.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }));
      expect(await text(session.post(toolCall(2, 'look')))).toContain('one');
    }
    await soon(proxy, 'different', 2);
    await soon(proxy, 'same', 2);
    expect(second.ledger.filter((line) => line.startsWith('s1'))).toEqual([
      's1 initialize',
      's1 notifications/initialized',
      's1 tools/list',
      's1 tools/call',
    ]);
    await ended.delete();
    await expect.poll(() => second.ledger.at(-1), { timeout: 20_000 }).toBe('s1 end');
    expect(await metric(proxy.url, 'shadowcat_mirror_sessions')).toBe(1);
    await proxy.stop();
    expect(second.ledger.at(-1)).toBe('s2 end');
    // The client's own session is to go on after a restart.
    expect(primary.ledger.filter((line) => line.endsWith('end'))).toHaveLength(1);
  });

  it('have a child of their own where the second server is a command, and none is left', async () => {
    await using primary = await startLegacyLedgerServer('one');
    await using folder = await workFolder();
    const tiny = await tinyServer(folder.path);
    const [, ledger = ''] = tiny.flags;
    const script = `echo noise of the second >&2; exec ${tiny.command.join(' ')}`;
    const b = JSON.stringify({ command: ['sh', '-c', script], env: [ledger] });
    await writeFile(join(folder.path, 'shadowcat.yaml'), `upstreams: { a: ${primary.url}, b: ${b} }\nmirror: b\n`);
    await using proxy = await startShadowcat(['reverse', '--record', 'tapes'], folder.path);
    const session = await openSession(proxy.url);
    await text(session.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' }));
    await text(session.post(toolCall(2, 'look')));
    await soon(proxy, 'different', 2);
    const { heard, started } = await tiny.ledger();
    expect(started).toBe(1);
    expect([...heard.values()][0]).toEqual(['initialize', 'notifications/initialized', 'tools/list', 'tools/call']);
    await session.delete();
    await expect.poll(async () => (await tiny.ledger()).alive.length, { timeout: 20_000 }).toBe(0);
    expect(proxy.stderr).toContain('noise of the second');
    await proxy.stop();
    const tapes = await tapesIn(join(folder.path, 'tapes'));
    expect(tapes).toHaveLength(1);
    expect(await readFile(tapes[0] ?? '', 'utf8')).not.toMatch(/noise|"upstream":"b"/);
  });
});

/** What a client of an era says, and hears. */
async function transcript(url: string, era: 'legacy' | 'modern'): Promise<string[]> {
  const ask: { method: string; params: Record<string, unknown> }[] = [
    { method: 'tools/list', params: {} },
    { method: 'tools/call', params: { name: 'echo', arguments: { message: 'hi' } } },
    { method: 'prompts/list', params: {} },
    { method: 'tools/call', params: { name: 'nothing', arguments: {} } },
  ];
  const session: RawSession | undefined = era === 'legacy' ? await openSession(url) : undefined;
  const heard: string[] = [];
  for (const [index, request] of ask.entries()) {
    const id = index + 1;
    const response = session?.post({ jsonrpc: '2.0', id, ...request }) ?? postModern(url, { id, ...request });
    // Event ids are never the same twice.
    heard.push((await text(response)).replaceAll(/^id: .*\n/gm, ''));
  }
  await session?.delete();
  return heard;
}

describe('a second server of another kind', () => {
  const kinds = ['http', 'stdio'] as const;
  const eras = ['legacy', 'modern'] as const;
  const cases = kinds.flatMap((kind) => eras.flatMap((era) => eras.map((speaks) => [era, kind, speaks] as const)));

  it.each(cases)(
    'answers a %s client over %s, itself %s, and the client hears the same as without',
    async (...parts) => {
      const [era, kind, speaks] = parts;
      await using primary = await startFixture();
      await using folder = await workFolder();
      await using http = await startFixture(['--era', speaks]);
      const b =
        kind === 'http' ? http.url : `{ command: [${process.execPath}, ${FIXTURE_MAIN}, stdio, --era, ${speaks}] }`;
      const base = `upstreams: { a: ${primary.url}, b: ${b} }\ngroups: { main: { members: a } }\n`;
      const alone = await workFolder();
      await writeFile(join(alone.path, 'shadowcat.yaml'), `upstreams: { a: ${primary.url} }\n`);
      await writeFile(join(folder.path, 'shadowcat.yaml'), `${base}mirror: { to: b, effects: true }\n`);
      await using bare = await startShadowcat(['reverse'], alone.path);
      await using proxy = await startShadowcat(['reverse'], folder.path);
      const heard = await transcript(proxy.url, era);
      await expect
        .poll(async () => (await outcome(proxy, 'same')) + (await outcome(proxy, 'different')), { timeout: 20_000 })
        .toBe(4);
      expect(heard).toEqual(await transcript(bare.url, era));
      const { compared } = await proxy
        .stop()
        .then(() => report(folder.path))
        .then((found) => found.report);
      expect(compared.map(({ failed }) => failed)).toEqual(compared.map(() => 0));
      // The same server in the same revision says the same.
      const echo = compared.find(({ tool }) => tool === 'echo');
      expect(echo).toMatchObject({ compared: 1, ...(era === speaks ? { different: 0 } : {}) });
      await alone[Symbol.asyncDispose]();
    },
  );

  it('that is another server altogether differs, by tool and pointer', async () => {
    await using primary = await startEverything();
    await using second = await startFixture();
    await using folder = await workFolder();
    const flags = ['--upstream', primary.url, '--mirror-to', second.url, '--mirror-ignore', '/tools'];
    await using proxy = await startShadowcat(['reverse', ...flags], folder.path);
    await transcript(proxy.url, 'legacy');
    // The list is ignored; of the calls only echo says that it reads.
    await soon(proxy, 'same', 1);
    await soon(proxy, 'different', 2);
    await proxy.stop();
    const { code, report: found } = await report(folder.path);
    expect(code).toBe(1);
    expect(found.differences).toContainEqual(
      expect.objectContaining({ method: 'tools/call', tool: 'echo', pointer: '/content/0/text', kind: 'value' }),
    );
    expect(found.differences.filter(({ method }) => method === 'tools/list')).toEqual([]);
    const { stdout } = await runShadowcat(['shadow', 'report'], folder.path);
    expect(stdout).toMatch(/tools\/call +echo +1 +100\.0% +value +string +string .*\/content\/0\/text/);
  });
});

it('a mirror to nobody at all leaves clients alone', async () => {
  await using primary = await startLedgerServer({ ok: true });
  await using folder = await workFolder();
  await using proxy = await startShadowcat(['reverse', '--upstream', primary.url, '--mirror-to', NOBODY], folder.path);
  for (let id = 0; id < 20; id += 1) {
    expect((await postModern(proxy.url, { id, method: 'resources/read', params: { uri: 'u:1' } })).status).toBe(200);
  }
  await soon(proxy, 'failed', 20);
  await proxy.stop();
  expect((await report(folder.path)).code).toBe(4);
});
