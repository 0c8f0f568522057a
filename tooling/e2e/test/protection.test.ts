import { describe, expect, it } from 'vitest';
import { metric, readiness, toolCall } from '../src/calls.js';
import { type Deed, type LedgerServer, startLedgerServer } from '../src/ledger-server.js';
import { openSession, postModern, postRaw } from '../src/raw-mcp.js';
import { FIXTURE_MAIN } from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import { tinyServer } from '../src/tiny-server.js';

/** Upstreams fail, are silent and drown; their clients have an answer or a plain error, and nothing happens twice. */

const upstreams = (...servers: readonly LedgerServer[]): string[] => servers.flatMap(({ url }) => ['--upstream', url]);
const read = { method: 'resources/read', params: { uri: 'file:///x' } };
const pay = { method: 'tools/call', params: { name: 'pay', arguments: {} } };

interface Outcome {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly message: { readonly id?: unknown; readonly result?: unknown; readonly error?: { readonly code: number } };
}

async function ask(proxy: Shadowcat, id: number, request: typeof read | typeof pay): Promise<Outcome> {
  const response = await postModern(proxy.url, { id, ...request });
  const message = (await response.json()) as Outcome['message'];
  return { status: response.status, retryAfter: response.headers.get('retry-after'), message };
}

const breaker = (proxy: Shadowcat, server: LedgerServer, state: string): Promise<number> =>
  metric(proxy.url, `shadowcat_upstream_breaker{target="${server.url}",state="${state}"}`);

describe('an upstream that fails half of the time', () => {
  it('is asked at most 1.2 times as often as its clients ask, and once for what has effects', async () => {
    await using server = await startLedgerServer();
    await using folder = await workFolder();
    let faults = 0;
    // Every second one of each kind: enough of those that may be sent again fail for the budget not to last.
    const arrived = new Map<string | undefined, number>();
    server.deed = ({ target }, { answer, response }) => {
      const count = (arrived.get(target) ?? 0) + 1;
      arrived.set(target, count);
      if (count % 2 === 0) return answer();
      faults += 1;
      response.destroy();
    };
    await using proxy = await startShadowcat(['reverse', '--breaker-failures', '0', ...upstreams(server)], folder.path);
    const CALLS = 240;
    const outcomes: Outcome[] = [];
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < CALLS) {
        const id = next++;
        outcomes.push(await ask(proxy, id, id % 3 === 0 ? pay : read));
      }
    };
    await Promise.all(Array.from({ length: 10 }, client));
    expect(faults).toBeGreaterThan(CALLS / 4);
    expect(outcomes.map(({ message }) => message.id).sort()).toEqual(
      Array.from({ length: CALLS }, (_, id) => id).sort(),
    );
    expect(server.ledger.length).toBeLessThanOrEqual(CALLS * 1.2);
    const paid = server.ledger.filter(({ target }) => target === 'pay').map(({ id }) => String(id));
    expect([paid.length, new Set(paid).size]).toEqual([CALLS / 3, CALLS / 3]);
    const retries = await metric(proxy.url, `shadowcat_upstream_retries_total{target="${server.url}"}`);
    expect(retries).toBe(server.ledger.length - CALLS);
    expect(retries).toBeGreaterThan(0);
    expect(await metric(proxy.url, 'shadowcat_upstream_retries_refused_total')).toBeGreaterThan(0);
  });

  it('is asked again for a tool that says that it only reads', async () => {
    const tools = [{ name: 'look', annotations: { readOnlyHint: true } }, { name: 'pay' }];
    await using server = await startLedgerServer({ tools });
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', ...upstreams(server)], folder.path);
    await (await postModern(proxy.url, { method: 'tools/list' })).text();
    const failOnce: Deed = (_arrival, { response }) => {
      server.deed = (_next, { answer }) => answer();
      response.destroy();
    };
    server.deed = failOnce;
    const look = await postModern(proxy.url, { method: 'tools/call', params: { name: 'look' } });
    expect(look.status).toBe(200);
    server.deed = failOnce;
    expect((await ask(proxy, 2, pay)).status).toBe(502);
    expect(server.ledger.map(({ target }) => target)).toEqual([undefined, 'look', 'look', 'pay']);
  });
});

describe('several upstreams that are shown as one', () => {
  it('have their tools repeated by the names that clients know, each as it says of itself', async () => {
    const tool = (readOnlyHint: boolean): object => ({
      tools: [{ name: 'do', inputSchema: { type: 'object' }, annotations: { readOnlyHint } }],
    });
    await using reads = await startLedgerServer(tool(true));
    await using pays = await startLedgerServer(tool(false));
    await using folder = await workFolder();
    const named = ['--upstream', `reads=${reads.url}`, '--upstream', `pays=${pays.url}`];
    await using proxy = await startShadowcat(['reverse', '--combine', 'always', ...named], folder.path);
    await (await postModern(proxy.url, { method: 'tools/list' })).text();
    const calls = async (server: LedgerServer, name: string): Promise<number> => {
      server.deed = (_arrival, { response }) => void response.destroy();
      await (await postModern(proxy.url, { method: 'tools/call', params: { name } })).text();
      return server.ledger.filter(({ target }) => target === 'do').length;
    };
    expect([await calls(reads, 'reads_do'), await calls(pays, 'pays_do')]).toEqual([3, 1]);
  });
});

describe('an upstream that accepts and never answers', () => {
  it('gets nothing after its timeouts, leaves the others undisturbed, and is back when it answers', async () => {
    await using good = await startLedgerServer();
    await using other = await startLedgerServer();
    await using hung = await startLedgerServer();
    await using folder = await workFolder();
    const options = ['--first-byte-timeout', '1s', '--breaker-failures', '2', '--health-interval', '300ms'];
    const health = ['--health-timeout', '200ms', '--bridge', 'off'];
    await using proxy = await startShadowcat(
      ['reverse', ...options, ...health, ...upstreams(good, other, hung)],
      folder.path,
    );
    hung.deed = () => {};
    hung.silent = true;
    const first = await Promise.all([1, 2, 3, 4, 5, 6].map((id) => ask(proxy, id, pay)));
    expect(first.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 504, 504]);
    expect(await breaker(proxy, hung, 'open')).toBe(1);
    expect((await readiness(proxy.url)).body.upstreams.targets).toContainEqual(
      expect.objectContaining({ name: hung.url, ok: false, breaker: 'open' }),
    );
    const before = hung.ledger.length;
    const later = await Promise.all(Array.from({ length: 30 }, (_, id) => ask(proxy, id, pay)));
    expect(later.map(({ status }) => status)).toEqual(later.map(() => 200));
    expect(hung.ledger).toHaveLength(before);
    const checks = `shadowcat_upstream_probes_total{target="${hung.url}",outcome="failed"}`;
    await expect.poll(() => metric(proxy.url, checks), { timeout: 30_000 }).toBeGreaterThan(0);
    expect(await breaker(proxy, hung, 'open')).toBe(1);
    hung.silent = false;
    hung.deed = (_arrival, { answer }) => answer();
    await expect.poll(() => breaker(proxy, hung, 'closed'), { timeout: 30_000 }).toBe(1);
    for (let id = 0; id < 3; id += 1) await ask(proxy, id, pay);
    expect(hung.ledger).toHaveLength(before + 1);
    await proxy.line(/gets nothing for a while/, { from: 'stderr' });
    await proxy.line(/is back/, { from: 'stderr' });
  });
});

describe('replicas', () => {
  it('lose at most what is in flight when one of them dies, and are all back when they were all gone', async () => {
    await using one = await startLedgerServer();
    await using two = await startLedgerServer();
    await using three = await startLedgerServer();
    await using folder = await workFolder();
    const replicas = [one, two, three];
    await using proxy = await startShadowcat(
      ['reverse', '--health-interval', '300ms', ...upstreams(...replicas)],
      folder.path,
    );
    const CLIENTS = 12;
    const outcomes: Outcome[] = [];
    const killed = Promise.withResolvers<void>();
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < 300) {
        outcomes.push(await ask(proxy, next++, pay));
        if (outcomes.length === 100) two.down().then(killed.resolve, killed.reject);
      }
    };
    await Promise.all([killed.promise, ...Array.from({ length: CLIENTS }, client)]);
    expect(outcomes.filter(({ status }) => status !== 200).length).toBeLessThanOrEqual(CLIENTS);
    const ids = replicas.flatMap(({ ledger }) => ledger.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
    await Promise.all([one.down(), three.down()]);
    await expect.poll(async () => (await ask(proxy, 1000, pay)).status, { timeout: 30_000 }).toBe(503);
    await Promise.all(replicas.map((replica) => replica.up()));
    for (const replica of replicas) {
      await expect.poll(() => breaker(proxy, replica, 'closed'), { timeout: 30_000 }).toBe(1);
    }
    for (let id = 2000; id < 2006; id += 1) expect((await ask(proxy, id, pay)).status).toBe(200);
  });
});

describe('an upstream that is gone', () => {
  it('is not waited for: requests are refused with the time to come back, until a health check finds it again', async () => {
    await using server = await startLedgerServer();
    await using folder = await workFolder();
    // Only the requests themselves open the breaker, however long they take beside the health checks that fail meanwhile.
    const options = ['--retry-attempts', '1', '--health-interval', '300ms', '--health-fall', '1000'];
    await using proxy = await startShadowcat(['reverse', ...options, ...upstreams(server)], folder.path);
    expect((await ask(proxy, 0, read)).status).toBe(200);
    await server.down();
    for (let id = 1; id <= 5; id += 1) expect((await ask(proxy, id, read)).status).toBe(502);
    const { status, retryAfter, message } = await ask(proxy, 6, read);
    expect([status, Number(retryAfter) > 0, message.id, message.error?.code]).toEqual([503, true, 6, -32011]);
    await server.up();
    await expect.poll(() => breaker(proxy, server, 'closed'), { timeout: 30_000 }).toBe(1);
    expect((await ask(proxy, 7, read)).status).toBe(200);
  });
});

describe('more requests than there is room for', () => {
  it('are refused at once, each with its id and the time to come back; the rest is served', async () => {
    await using server = await startLedgerServer();
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--max-in-flight', '20', ...upstreams(server)], folder.path);
    const held: (() => void)[] = [];
    await ask(proxy, 0, read);
    server.deed = (_arrival, { answer }) => void held.push(answer);
    const outcomes: Outcome[] = [];
    const burst = Array.from({ length: 120 }, (_, id) =>
      ask(proxy, id, pay).then((outcome) => {
        outcomes.push(outcome);
      }),
    );
    // Those that are refused do not wait for those that are held.
    await expect.poll(() => outcomes.length, { timeout: 30_000 }).toBe(100);
    await expect.poll(() => held.length, { timeout: 30_000 }).toBe(20);
    for (const { status, retryAfter, message } of outcomes) {
      expect([status, retryAfter, message.error?.code, typeof message.id]).toEqual([503, '1', -32006, 'number']);
    }
    expect(await metric(proxy.url, 'shadowcat_requests_refused_total')).toBe(100);
    expect(await metric(proxy.url, 'shadowcat_requests_in_flight')).toBe(20);
    for (const answer of held) answer();
    await Promise.all(burst);
    expect(outcomes.filter(({ status }) => status === 200)).toHaveLength(20);
    server.deed = (_arrival, { answer }) => answer();
    const after = await Promise.all(Array.from({ length: 20 }, (_, id) => ask(proxy, id, pay)));
    expect(after.map(({ status }) => status)).toEqual(after.map(() => 200));
    expect(await metric(proxy.url, 'shadowcat_requests_in_flight')).toBe(0);
  });
});

describe('more sessions than there is room for children', () => {
  it('wait as far as the queue reaches; the others hear at once when to come back', async () => {
    await using folder = await workFolder();
    const limits = ['--max-children', '2', '--max-queue', '3', '--queue-timeout', '1s'];
    const command = ['--', process.execPath, FIXTURE_MAIN, 'stdio'];
    await using proxy = await startShadowcat(['reverse', ...limits, ...command], folder.path);
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } };
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, id) => {
        const response = await postRaw(proxy.url, JSON.stringify({ jsonrpc: '2.0', id, method: 'initialize', params }));
        return {
          status: response.status,
          retryAfter: response.headers.get('retry-after'),
          text: await response.text(),
          id,
        };
      }),
    );
    const served = answers.filter(({ status }) => status === 200).length;
    // Idle children make room for those in the queue.
    expect([served >= 2, served <= 5]).toEqual([true, true]);
    for (const { status, retryAfter, text, id } of answers) {
      if (status === 200) continue;
      expect([status, Number(retryAfter) > 0, text]).toEqual([
        503,
        true,
        expect.stringContaining(`"id":${id},"error"`),
      ]);
    }
    expect(await metric(proxy.url, 'shadowcat_children')).toBeLessThanOrEqual(2);
  });
});

describe('time limits', () => {
  it('end a call that takes too long, over stdio as over HTTP, and tell the server', async () => {
    await using server = await startLedgerServer();
    await using folder = await workFolder();
    let given = 0;
    server.deed = (_arrival, { response }) => void response.once('close', () => (given += 1));
    await using proxy = await startShadowcat(
      ['reverse', '--total-timeout', '1s', '--bridge', 'off', ...upstreams(server)],
      folder.path,
    );
    const { status, message } = await ask(proxy, 7, pay);
    expect([status, message.id, message.error?.code]).toEqual([504, 7, -32012]);
    await expect.poll(() => given).toBe(1);
    await using own = await workFolder();
    // Opens a session in no time: that is limited as well.
    const tiny = await tinyServer(own.path);
    const options = ['--total-timeout', '2s', ...tiny.flags];
    await using lines = await startShadowcat(['reverse', ...options, '--', ...tiny.command], own.path);
    const session = await openSession(lines.url);
    const response = await session.post(toolCall(8, 'wait'));
    expect(await response.text()).toMatch(/"id":8,"error":\{"code":-32012/);
    await expect.poll(async () => [...(await tiny.ledger()).heard.values()].flat()).toContain('given-up');
  });
});

describe('a slow upstream', () => {
  it('is raced by another one for what only reads, never for what has effects', async () => {
    await using slow = await startLedgerServer();
    await using fast = await startLedgerServer();
    await using folder = await workFolder();
    const options = ['--hedge-after', '300ms', '--bridge', 'off'];
    await using proxy = await startShadowcat(['reverse', ...options, ...upstreams(slow, fast)], folder.path);
    const left: number[] = [];
    const held: (() => void)[] = [];
    slow.deed = ({ method, id }, { answer, response }) => {
      if (method === 'tools/call') held.push(answer);
      else response.once('close', () => left.push(id as number));
    };
    // They take turns: one of the two reads begins at the slow one.
    const reads = await Promise.all([1, 2].map((id) => ask(proxy, id, read)));
    expect(reads.map(({ status }) => status)).toEqual([200, 200]);
    expect(fast.ledger).toHaveLength(2);
    const given = slow.ledger.map(({ id }) => id);
    expect(given.length).toBeGreaterThan(0);
    await expect.poll(() => [...left].sort()).toEqual(given.sort());
    expect(await metric(proxy.url, `shadowcat_upstream_hedges_total{target="${slow.url}"}`)).toBe(1);
    const pays = Promise.all([3, 4].map((id) => ask(proxy, id, pay)));
    await expect.poll(() => held.length).toBe(1);
    for (const answer of held) answer();
    expect((await pays).map(({ status }) => status)).toEqual([200, 200]);
    expect([...slow.ledger, ...fast.ledger].filter(({ target }) => target === 'pay')).toHaveLength(2);
  });
});
