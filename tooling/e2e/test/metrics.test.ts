import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { metric, toolCall } from '../src/calls.js';
import { RawConnection } from '../src/raw-connection.js';
import { openSession, postRaw } from '../src/raw-mcp.js';
import { startFixture } from '../src/servers.js';
import { startShadowcat, workFolder } from '../src/shadowcat.js';

/** What docs/metrics.md and docs/alerts.yaml speak of is there for Prometheus to see. */

const doc = (name: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url)), 'utf8');

/** A server that says more, to one call, than sockets hold. */
const FLOOD = `
import { createInterface } from 'node:readline';
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
const serverInfo = { name: 'flood', version: '1' };
const welcome = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo };
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === 'initialize') return say({ id, result: welcome });
  for (let progress = 1; progress <= 600; progress += 1) {
    const { progressToken } = params._meta;
    say({ method: 'notifications/progress', params: { progressToken, progress, message: 'x'.repeat(50_000) } });
  }
  say({ id, result: { content: [] } });
});
`;

describe('/metrics', () => {
  it('has, of a proxy that records and mirrors, all that docs/metrics.md lists and docs/alerts.yaml asks for', async () => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    await using second = await startFixture();
    const extras = ['--record', 'tapes', '--mirror-to', second.url];
    await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url, ...extras], folder.path);
    const text = await (await fetch(new URL('/metrics', proxy.url))).text();
    const shown = new Set(
      [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', kind = '']) => `${name} ${kind}`),
    );
    const listed = [...(await doc('metrics.md')).matchAll(/^\| <a id="(\w+)"><\/a>\S+ \| (\w+) \|/gm)];
    expect(listed.length).toBeGreaterThan(40);
    expect(listed.map(([, name, kind]) => `${name} ${kind}`).filter((one) => !shown.has(one))).toEqual([]);
    const names = new Set([...shown].map((one) => one.split(' ')[0]));
    const asked = [...(await doc('alerts.yaml')).matchAll(/shadowcat_\w+/g)].map(([name]) =>
      name.replace(/_bucket$/, ''),
    );
    expect(asked.filter((name) => !names.has(name))).toEqual([]);
  });

  it('counts errors by their codes, and what is no request at all', async () => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url, '--max-body', '1k'], folder.path);
    const session = await openSession(proxy.url);
    await (await session.post(toolCall(1, 'echo', { message: 'x'.repeat(2000) }))).text();
    await (await postRaw(proxy.url, '{')).text();
    await (await session.post(toolCall(2, 'echo', { message: 'x' }))).text();
    const errors = (code: string): Promise<number> => metric(proxy.url, `shadowcat_errors_total{code="${code}"}`);
    expect([await errors('body_too_large'), await errors('parse_error')]).toEqual([1, 1]);
    expect(await metric(proxy.url, 'shadowcat_errors_total')).toBe(2);
    expect(await metric(proxy.url, 'shadowcat_requests_malformed_total')).toBe(0);
    const tooMany = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`x-${at}`, '1']));
    expect((await postRaw(proxy.url, '{}', { headers: tooMany })).status).toBe(431);
    expect(await metric(proxy.url, 'shadowcat_requests_malformed_total')).toBe(1);
  });

  it('counts clients that do not read what they asked for', async () => {
    await using folder = await workFolder();
    await writeFile(join(folder.path, 'flood.mjs'), FLOOD);
    const command = ['--max-stream-queue', '64k', '--', process.execPath, join(folder.path, 'flood.mjs')];
    await using proxy = await startShadowcat(['reverse', ...command], folder.path);
    const session = await openSession(proxy.url);
    const params = { name: 'flood', arguments: {}, _meta: { progressToken: 'p' } };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    const fields = {
      ...session.headers,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
    };
    const { host, pathname } = new URL(proxy.url);
    const client = new RawConnection(host);
    client.socket.pause();
    const head = Object.entries({ ...fields, host, 'content-length': body.length }).map((field) => field.join(': '));
    client.socket.write(`POST ${pathname} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${body}`);
    await expect.poll(() => metric(proxy.url, 'shadowcat_slow_clients_total'), { timeout: 20_000 }).toBe(1);
    client.socket.destroy();
    await expect.poll(() => metric(proxy.url, 'shadowcat_streams_open'), { timeout: 20_000 }).toBe(0);
  });

  it('shows bounds, and children by their upstream', async () => {
    await using folder = await workFolder();
    const command = ['--max-sessions', '7', '--', process.execPath, '-e', 'process.exit(3)'];
    await using proxy = await startShadowcat(['reverse', ...command], folder.path);
    expect(await metric(proxy.url, 'shadowcat_limit{option="max-sessions"}')).toBe(7);
    await openSession(proxy.url).catch(() => {});
    const exits = 'shadowcat_child_exits_total{reason="code 3",target="node"}';
    await expect.poll(() => metric(proxy.url, exits)).toBeGreaterThan(0);
  });
});
