import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { metric } from '../src/calls.js';
import { OwnedProcess, startWithUrl } from '../src/processes.js';
import { openSession } from '../src/raw-mcp.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** `node tooling/bench/src/traffic.mjs` does the same with more, and measures it. */

const bench = (name: string): string => fileURLToPath(new URL(`../../bench/src/${name}`, import.meta.url));
const descriptors = ({ pid }: Shadowcat): number => readdirSync(`/proc/${pid}/fd`).length;

interface Load {
  readonly answered: number;
  readonly refused: number;
  readonly failed: number;
  readonly kinds: Readonly<Record<string, number>>;
}

async function load(url: string, words: readonly string[]): Promise<Load> {
  await using clients = await OwnedProcess.start({
    command: process.execPath,
    args: [bench('traffic-load.mjs'), url, '--seconds', '3', ...words],
  });
  return JSON.parse(await clients.line(/./, { timeoutMs: 60_000 })) as Load;
}

/**
 * Idle connections to it are closed after six seconds: late enough for a busy machine to notice before it uses one again, and soon
 * enough to wait for.
 */
const startUpstream = () =>
  startWithUrl({ command: process.execPath, args: [bench('upstream.mjs'), 'http', '0', '6000'] });

it.each([
  ['a thousand clients', ['--clients', '1000']],
  ['a burst from ten to a thousand', ['--clients', '1000', '--from', '10']],
])('%s are all answered, and nothing of them stays', async (_name, words) => {
  await using folder = await workFolder();
  await using upstream = await startUpstream();
  await using proxy = await startShadowcat(['reverse', '--upstream', upstream.url], folder.path);
  // What is opened once for good, such as the store, is opened now.
  await (await openSession(proxy.url)).delete();
  const before = descriptors(proxy);
  const { answered, refused, failed, kinds } = await load(proxy.url, words);
  expect({ refused, failed, kinds }).toEqual({ refused: 0, failed: 0, kinds: {} });
  expect(answered).toBeGreaterThanOrEqual(1000);
  expect(await metric(proxy.url, 'shadowcat_requests_total{method="tools/call",outcome="ok"}')).toBe(answered);
  expect(await metric(proxy.url, 'shadowcat_sessions_opened_total')).toBe(1001);
  expect(await metric(proxy.url, 'shadowcat_sessions')).toBe(0);
  expect(await metric(proxy.url, 'shadowcat_errors_total')).toBe(0);
  await expect.poll(() => descriptors(proxy)).toBeLessThanOrEqual(before);
});

it('a thousand clients of one shared command are all answered by one process', async () => {
  await using folder = await workFolder();
  const command = ['--isolation', 'shared', '--', process.execPath, bench('upstream.mjs'), 'stdio'];
  await using proxy = await startShadowcat(['reverse', ...command], folder.path);
  const { answered, refused, failed, kinds } = await load(proxy.url, ['--clients', '1000']);
  expect({ refused, failed, kinds }).toEqual({ refused: 0, failed: 0, kinds: {} });
  expect(answered).toBeGreaterThanOrEqual(1000);
  expect(await metric(proxy.url, 'shadowcat_spawns_total')).toBe(1);
  expect(await metric(proxy.url, 'shadowcat_late_answers_total')).toBe(0);
});
