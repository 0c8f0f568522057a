import { describe, expect, it } from 'vitest';
import { callThroughCuts, readSome, seeded } from '../src/cutting.js';
import { freePort, startWithUrl } from '../src/processes.js';
import { openSession } from '../src/raw-mcp.js';
import { everythingServer, FIXTURE_MAIN, startEverything, startFixture } from '../src/servers.js';
import { shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** Clients that are cut and come back with GET and Last-Event-ID: nothing is missing, nothing comes twice. */

const call = (id: number, name: string, args: object) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, _meta: { progressToken: `t${id}` } },
});
const slowly = (id: number, steps: number, delayMs: number) => call(id, 'progress', { steps, delayMs });
const command = [process.execPath, FIXTURE_MAIN, 'stdio'];

/** The steps that were announced, and whether the answer came. */
function storyOf(messages: readonly unknown[]): { steps: number[]; answers: number } {
  const all = messages as { method?: string; params?: { progress: number }; id?: number; result?: unknown }[];
  const steps = all.flatMap(({ method, params }) =>
    method === 'notifications/progress' && params !== undefined ? [params.progress] : [],
  );
  return { steps, answers: all.filter(({ result }) => result !== undefined).length };
}

function countTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

describe('a cut of the client', () => {
  it('loses nothing in front of a command', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--', ...command], folder.path);
    const session = await openSession(proxy.url);
    const messages = await callThroughCuts(session, slowly(1, 10, 20), { cuts: [1, 2, 3] });
    expect(storyOf(messages)).toEqual({ steps: countTo(10), answers: 1 });
  });

  it('loses nothing in front of server-everything, over stdio and HTTP', async () => {
    await using folder = await workFolder();
    await using everything = await startEverything();
    await using local = everythingServer();
    const { command: main, args } = local.target;
    for (const target of [
      ['--', main, ...args],
      ['--upstream', everything.url],
    ]) {
      await using proxy = await startShadowcat(['reverse', ...target], folder.path);
      const session = await openSession(proxy.url);
      const long = call(1, 'trigger-long-running-operation', { duration: 1, steps: 8 });
      const messages = await callThroughCuts(session, long, { cuts: [1, 1, 2] });
      expect(storyOf(messages)).toEqual({ steps: countTo(8), answers: 1 });
    }
  });

  it('gets the answer that came while it was away', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--', ...command], folder.path);
    const session = await openSession(proxy.url);
    const messages = await callThroughCuts(session, slowly(1, 5, 10), {
      cuts: [2],
      // Another request's answer says that the first has been worked on; the steps take less than this one does.
      meanwhile: async () => void (await callThroughCuts(session, slowly(2, 10, 20), { cuts: [] })),
    });
    expect(storyOf(messages)).toEqual({ steps: countTo(5), answers: 1 });
  });

  it('leaves the GET stream open: a later one takes it over, a second one is refused', async () => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    await using proxy = await startShadowcat(['reverse', '--upstream', fixture.url], folder.path);
    const session = await openSession(proxy.url);
    const abort = new AbortController();
    const first = await session.get({ signal: abort.signal });
    expect((await session.get()).status).toBe(409);
    const [primer] = await readSome(first, 1);
    expect(primer).toMatchObject({ data: '' });
    abort.abort();
    const touched = await session.post(call(3, 'trigger_list_changed', { kind: 'tools' }));
    expect(touched.status).toBe(200);
    await touched.text();
    const second = await session.get({ lastEventId: primer?.id ?? '' });
    const [event] = await readSome(second, 1);
    expect(event?.data).toContain('list_changed');
  });

  it('is told when its events are not kept any more', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--resume-events', '3', '--', ...command], folder.path);
    const session = await openSession(proxy.url);
    const response = await session.post(slowly(1, 10, 5));
    const [first] = await readSome(response, 1);
    await callThroughCuts(session, slowly(2, 10, 20), { cuts: [] });
    const late = await session.get({ lastEventId: first?.id ?? '' });
    expect({ status: late.status, body: await late.json() }).toMatchObject({
      status: 400,
      body: { id: null, error: { code: -32000, message: expect.stringContaining('without Last-Event-ID') } },
    });
  });
});

describe('a restart of the proxy', () => {
  it('is a cut like any other in front of an HTTP server that keeps events', async () => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    const args = ['reverse', '--listen', `127.0.0.1:${await freePort()}`, '--upstream', fixture.url];
    let proxy = await startWithUrl(shadowcat(args, folder.path));
    try {
      const session = await openSession(proxy.url);
      const messages = await callThroughCuts(session, slowly(1, 20, 50), {
        cuts: [3],
        meanwhile: async () => {
          expect((await proxy.stop()).code).toBe(0);
          proxy = await startWithUrl(shadowcat(args, folder.path));
        },
      });
      expect(storyOf(messages)).toEqual({ steps: countTo(20), answers: 1 });
    } finally {
      await proxy[Symbol.asyncDispose]();
    }
  });

  it('ends what a command was asked with an error, after all that it had said', async () => {
    await using folder = await workFolder();
    const args = ['reverse', '--listen', `127.0.0.1:${await freePort()}`, '--', ...command];
    let proxy = await startWithUrl(shadowcat(args, folder.path));
    try {
      const session = await openSession(proxy.url);
      const messages = await callThroughCuts(session, slowly(1, 1000, 20), {
        cuts: [3],
        meanwhile: async () => {
          expect((await proxy.stop()).code).toBe(0);
          proxy = await startWithUrl(shadowcat(args, folder.path));
        },
      });
      const { steps, answers } = storyOf(messages);
      expect(steps).toEqual(countTo(steps.length));
      expect(answers).toBe(0);
      expect(messages.at(-1)).toMatchObject({ id: 1, error: { code: -32013 } });
    } finally {
      await proxy[Symbol.asyncDispose]();
    }
  });
});

describe('many cuts at random places', () => {
  const seed = Number(process.env['CUT_SEED'] ?? 20261121);

  it(`make no gap and no duplicate (seed ${seed})`, async () => {
    await using folder = await workFolder();
    await using fixture = await startFixture();
    const random = seeded(seed);
    for (const target of [
      ['--', ...command],
      ['--upstream', fixture.url],
    ]) {
      await using proxy = await startShadowcat(['reverse', ...target], folder.path);
      const session = await openSession(proxy.url);
      const calls = Array.from({ length: 25 }, (_, index) => index + 1);
      // Five cuts in each of fifty streams, five streams at a time.
      for (let at = 0; at < calls.length; at += 5) {
        await Promise.all(
          calls.slice(at, at + 5).map(async (id) => {
            const cuts = Array.from({ length: 5 }, () => 1 + Math.floor(random() * 3));
            const messages = await callThroughCuts(session, slowly(id, 20, Math.floor(random() * 4)), { cuts });
            expect(storyOf(messages)).toEqual({ steps: countTo(20), answers: 1 });
          }),
        );
      }
    }
  });
});
