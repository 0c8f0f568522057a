import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { metric } from '../src/calls.js';
import { chaosCommand } from '../src/chaos-command.js';
import { type ChaosServer, startChaosServer } from '../src/chaos-server.js';
import { seededRandom } from '../src/cutting-relay.js';
import { openSession, postModern, type RawSession } from '../src/raw-mcp.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/**
 * A call that may have effects reaches a server at most once, whatever layers are between: failover within a group, repetition,
 * racing, groups shown as one, routes with sessions of their own, recovery of lost sessions, every transport.
 */

const CLIENTS = 24;
const CALLS = 30;
/** Groups by the header that leads to them; the first is where sessions without it are opened. */
const GROUPS = ['legacy', 'modern', 'mixed', 'pairs', 'commands', 'all'] as const;

const configOf = (urls: Readonly<Record<string, string>>, command: readonly string[]): string => `
upstreams:
${Object.entries(urls)
  .map(([name, url]) => `  ${name}: "${url}"\n`)
  .join('')}  c1: { command: [${command.join(', ')}] }
  c2: { command: [${command.join(', ')}] }
groups:
  legacy: { members: [l1, l2, l3] }
  modern: { members: [m1, m2] }
  mixed: { members: [l1, m1] }
  pairs: { members: [p1, p2] }
  commands: { members: [c1, c2] }
  all: { members: [legacy, modern, commands], combine: always }
routes:
${GROUPS.map((name) => `  - { match: { header: { x-to: ${name} } }, to: ${name} }\n`).join('')}
retry-attempts: 5
retry-budget: 100%
hedge-after: 20ms
first-byte-timeout: 5s
health-interval: 200ms
`;

interface Outcome {
  readonly id: string;
  readonly ok: boolean;
}

describe.each([
  ['while breakers stay closed', ['--breaker-failures', '0'], 1],
  ['with breakers that open soon', ['--breaker-failures', '2', '--breaker-open', '300ms'], 0],
])('%s', (_name, options, least) => {
  it('no call runs twice, and what was reported as done has run', async () => {
    await using scope = new AsyncDisposableStack();
    const seed = Math.floor(Math.random() * 2 ** 32);
    const random = seededRandom(seed);
    const ran: string[] = [];
    const chaos = async (era: 'legacy' | 'modern'): Promise<ChaosServer> =>
      scope.use(await startChaosServer({ era, random, ran: (id) => ran.push(id) }));
    const [l1, l2, l3, p1, p2] = [
      await chaos('legacy'),
      await chaos('legacy'),
      await chaos('legacy'),
      await chaos('legacy'),
      await chaos('legacy'),
    ];
    const [m1, m2] = [await chaos('modern'), await chaos('modern')];
    const folder = scope.use(await workFolder());
    const { command, ran: ranByCommands } = await chaosCommand(folder.path);
    const urls = {
      ...Object.fromEntries(Object.entries({ l1, l2, l3, m1, m2 }).map(([name, { url }]) => [name, url])),
      ...Object.fromEntries(Object.entries({ p1, p2 }).map(([name, { pairUrl }]) => [name, `sse+${pairUrl}`])),
    };
    await writeFile(join(folder.path, 'shadowcat.yaml'), configOf(urls, command));
    const proxy = scope.use(await startShadowcat(['reverse', ...options], folder.path));

    let calling = true;
    const servers = [l1, l2, l3, m1, m2, p1, p2];
    const gardener = (async () => {
      while (calling) {
        const server = servers[Math.floor(random() * servers.length)];
        await server?.down();
        await delay(20 + random() * 100);
        await server?.up();
        await delay(random() * 200);
      }
    })();
    const outcomes = (
      await Promise.all(Array.from({ length: CLIENTS }, (_, client) => callsOf({ client, proxy, random })))
    ).flat();
    calling = false;
    await gardener;
    if (least > 0) outcomes.push(...(await sentAgain(proxy, { m1, m2 })));

    const all = [...ran, ...(await ranByCommands())];
    const twice = all.filter((id, at) => all.indexOf(id) !== at);
    expect({ seed, twice }).toEqual({ seed, twice: [] });
    const known = new Set(all);
    const phantoms = outcomes.filter(({ id, ok }) => ok && !known.has(id));
    expect({ seed, phantoms }).toEqual({ seed, phantoms: [] });
    // The faults were real ones, and something was sent again and sessions moved all the same, unless breakers kept them from that.
    const fates = servers.flatMap((server) => [...server.fates].map(([, count]) => count)).length;
    expect(fates).toBeGreaterThan(20);
    expect(outcomes.filter(({ ok }) => ok).length).toBeGreaterThan((CLIENTS * CALLS) / 4);
    expect(outcomes.filter(({ ok }) => !ok).length).toBeGreaterThan((CLIENTS * CALLS) / 20);
    expect(await metric(proxy.url, 'shadowcat_upstream_retries_total')).toBeGreaterThanOrEqual(least);
    expect(await metric(proxy.url, 'shadowcat_session_recoveries_total')).toBeGreaterThanOrEqual(least);
    expect((await proxy.stop()).code).toBe(0);
    expect(proxy.stderr).not.toMatch(/unhandled/i);
  }, 180_000);
});

/** Calls of a group of which all members refuse connections, until one was sent again. */
async function sentAgain(proxy: Shadowcat, members: Readonly<Record<string, ChaosServer>>): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const round = async (): Promise<number> => {
    // Nothing is sent, so nothing sent again, where all are known to be away.
    for (const name of Object.keys(members)) {
      await expect.poll(() => metric(proxy.url, `shadowcat_upstream_up{target="${name}"}`)).toBe(1);
    }
    for (const member of Object.values(members)) await member.down();
    const id = `again-${outcomes.length}`;
    const request = { method: 'tools/call', params: { name: 'pay', arguments: { id } } };
    outcomes.push(...(await settled(await postModern(proxy.url, request, { headers: { 'x-to': 'modern' } }), [id])));
    for (const member of Object.values(members)) await member.up();
    return metric(proxy.url, 'shadowcat_upstream_retries_total');
  };
  await expect.poll(round).toBeGreaterThan(0);
  return outcomes;
}

interface Calling {
  readonly client: number;
  readonly proxy: Shadowcat;
  readonly random: () => number;
}

async function callsOf({ client, proxy, random }: Calling): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let session: RawSession | undefined;
  for (let at = 0; at < CALLS; at += 1) {
    const to = GROUPS[Math.floor(random() * GROUPS.length)] ?? 'legacy';
    const headers = { 'x-to': to };
    const ids = [`${client}-${at}`];
    const name = to === 'all' ? ['legacy_pay', 'modern_pay', 'commands_pay'][Math.floor(random() * 3)] : 'pay';
    if (random() < 0.4) {
      const params = { name, arguments: { id: ids[0] } };
      const response = await postModern(proxy.url, { id: at, method: 'tools/call', params }, { headers });
      outcomes.push(...(await settled(response, ids)));
      continue;
    }
    const kept = session;
    session = undefined;
    const opened = kept ?? (await openSession(proxy.url, { protocolVersion: '2025-03-26' }).catch(() => undefined));
    if (opened === undefined) continue;
    const batch = random() < 0.2 && to !== 'all' && to !== 'modern' && to !== 'mixed';
    if (batch) ids.push(`${client}-${at}b`, `${client}-${at}c`);
    const calls = ids.map((id, i) => ({
      jsonrpc: '2.0',
      id: `${at}-${i}`,
      method: 'tools/call',
      params: { name, arguments: { id } },
    }));
    const response = await opened.post(batch ? calls : calls[0], { headers });
    outcomes.push(...(await settled(response, ids)));
    // Some sessions go on, through whatever became of their servers.
    if (response.status !== 404 && random() < 0.9) session = opened;
  }
  return outcomes;
}

/** Which calls were reported as done. */
async function settled(response: Response, ids: readonly string[]): Promise<Outcome[]> {
  const text = await response.text();
  const done = text.split('"text":"done"').length - 1;
  return ids.map((id) => ({ id, ok: done === ids.length }));
}
