import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { metric, toolCall } from '../src/calls.js';
import { openSession, postRaw } from '../src/raw-mcp.js';
import { startFixture } from '../src/servers.js';
import { startShadowcat, workFolder } from '../src/shadowcat.js';

/** What docs/metrics.md and docs/alerts.yaml speak of is there for Prometheus to see. */

const doc = (name: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url)), 'utf8');

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

  it('shows bounds, and children by their upstream', async () => {
    await using folder = await workFolder();
    const command = ['--max-sessions', '7', '--', process.execPath, '-e', 'process.exit(3)'];
    await using proxy = await startShadowcat(['reverse', ...command], folder.path);
    expect(await metric(proxy.url, 'shadowcat_limit{option="max-sessions"}')).toBe(7);
    await openSession(proxy.url).catch(() => {});
    const exits = await metric(proxy.url, 'shadowcat_child_exits_total{reason="code 3",target="node"}');
    expect(exits).toBeGreaterThan(0);
  });
});
