import { settled } from '@shadowcat/testkit';
import type { JsonObject, Message } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { type Fault, mergeOverlays, NO_OVERLAY, type Overlay, readPointer, type Tape } from '../src/index.js';
import { call, record, replayRig, result, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

/** What faults, replaced values and overlay answers do where requests are no plain calls: lists, openings, questions, batches. */

const where = 'o.yaml:1:1';
const at = (text: string) => readPointer(text) ?? [];
const overlay = (parts: Partial<Overlay>): Overlay => ({ ...NO_OVERLAY, ...parts });
const faulty = (method: string, fault: Fault, more: Partial<Overlay['faults'][number]> = {}): Overlay =>
  overlay({ faults: [{ where, method, fault, event: 1, ...more }] });

const list = (id: number): JsonObject => ({ jsonrpc: '2.0', id, method: 'tools/list' });
const tools = (id: unknown, ...names: string[]): JsonObject =>
  ({ jsonrpc: '2.0', id, result: { tools: names.map((name) => ({ name })) } }) as JsonObject;

/** Two lists that differ, and nothing that announced the change. */
function twoLists(): Promise<Tape[]> {
  let asked = 0;
  const server = legacyServer({
    'tools/list': ({ id }) => {
      asked += 1;
      return tools(id, `tool-${asked}`);
    },
  });
  return record(server, async (client) => {
    await client.open();
    await client.post(list(1));
    await client.post(list(2));
  });
}

/** Two sessions of clients that look the same; `whoami` tells which. */
function twoSessions(): Promise<Tape[]> {
  let session = 0;
  const server = legacyServer({ 'tools/call:whoami': ({ id }) => result(id, `session ${session}`) });
  return record(server, async (_, handler) => {
    for (session = 1; session <= 2; session += 1) {
      const client = new TestClient(handler);
      await client.open();
      await client.post(call(1, 'whoami'));
    }
  });
}

describe('a fault in place of an answer', () => {
  it.each<Fault>(['error', 'rate-limit', 'malformed', 'hang', 'disconnect'])(
    'leaves a list for the next request: %s',
    async (fault) => {
      const { replay } = replayRig(await twoLists(), { overlay: faulty('tools/list', fault, { nth: [1] }) });
      const client = new TestClient(replay);
      await client.open();
      const stop = new AbortController();
      await client.raw(list(5), { signal: stop.signal }).catch(() => undefined);
      stop.abort();
      expect((await client.post(list(6))).messages).toEqual([tools(6, 'tool-1')]);
      expect((await client.post(list(7))).messages).toEqual([tools(7, 'tool-2')]);
    },
  );

  it.each<Fault>(['error', 'rate-limit', 'malformed', 'lost-session'])(
    'leaves the recorded session to the client that opens one again: %s',
    async (fault) => {
      const { replay } = replayRig(await twoSessions(), { overlay: faulty('initialize', fault, { nth: [1] }) });
      const client = new TestClient(replay);
      await client.open().catch(() => undefined);
      for (const session of [1, 2]) {
        const again = new TestClient(replay);
        await again.open();
        expect((await again.post(call(1, 'whoami'))).messages).toEqual([result(1, `session ${session}`)]);
      }
      expect(replay.summary()).toMatchObject({ reused: 0, faults: 1, exitCode: 0 });
    },
  );

  it('comes in a batch, too', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
    });
    for (const fault of ['error', 'rate-limit', 'malformed'] as const) {
      const { replay } = replayRig(tapes, { overlay: faulty('tools/call', fault, { nth: [1] }) });
      const client = new TestClient(replay);
      await client.open();
      expect(JSON.parse((await client.post([call(1, 'x')])).text)).toMatchObject([{ id: 1, error: {} }]);
      expect(JSON.parse((await client.post([call(2, 'x')])).text)).toMatchObject([{ id: 2, result: {} }]);
    }
  });
});

describe('a question of the server', () => {
  const question: JsonObject = { jsonrpc: '2.0', id: 77, method: 'roots/list' } as JsonObject;
  const answer = { jsonrpc: '2.0', result: { roots: [] } };

  async function asking(): Promise<Tape[]> {
    let answered = Promise.withResolvers<void>();
    async function* ask({ id }: Message): AsyncGenerator<JsonObject> {
      yield question;
      await answered.promise;
      yield result(id, 'thanks');
    }
    const server = legacyServer({ 'tools/call': ask, '(response)': () => (answered.resolve(), {}) });
    return record(server, async (client) => {
      await client.open();
      answered = Promise.withResolvers<void>();
      const called = client.post(call(1, 'x'));
      await settled();
      await client.post({ ...answer, id: 77 });
      await called;
    });
  }

  it('may change places with the answer that waited for it', async () => {
    const { replay } = replayRig(await asking(), { overlay: faulty('tools/call', 'reorder') });
    const client = new TestClient(replay);
    await client.open();
    const { messages } = await client.post(call(1, 'x'));
    expect(messages).toMatchObject([result(1, 'thanks'), { method: 'roots/list' }]);
  });

  it('that is dropped leaves its request without an answer, and is not said to be waited for', async () => {
    const { replay, clock, warnings } = replayRig(await asking(), { overlay: faulty('tools/call', 'drop') });
    const client = new TestClient(replay);
    await client.open();
    const stop = new AbortController();
    const got = await client.raw(call(1, 'x'), { signal: stop.signal });
    const reading = got.body.frames().next();
    await settled();
    await clock.pass(6000);
    expect(warnings).toEqual([]);
    stop.abort();
    expect((await reading).done).toBe(true);
  });
});

describe('a replaced value', () => {
  it('may be in each item of a list, and in the JSON that a text holds', async () => {
    const text = JSON.stringify({ handle: 'recorded-1', n: 1 });
    const server = legacyServer({
      'tools/call:mint': ({ id }) =>
        ({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text }], ids: ['one-old', 'two-old'] } }) as JsonObject,
      'tools/call:use': ({ id }) => result(id, 'used'),
    });
    const tapes = await record(server, async (client) => {
      await client.open();
      await client.post(call(1, 'mint'));
      await client.post(call(2, 'use', { handle: 'recorded-1' }));
    });
    const replace = [
      { where, target: 'mint', at: at('/result/content/*/text/handle'), json: '"mine-1"' },
      { where, target: 'mint', at: at('/result/ids/*'), json: '"new"' },
    ];
    const { replay } = replayRig(tapes, { overlay: overlay({ replace }) });
    const client = new TestClient(replay);
    await client.open();
    expect((await client.post(call(1, 'mint'))).messages).toEqual([
      {
        jsonrpc: '2.0',
        id: 1,
        result: { content: [{ type: 'text', text: '{"handle":"mine-1","n":1}' }], ids: ['new', 'new'] },
      },
    ]);
    expect((await client.post(call(2, 'use', { handle: 'mine-1' }))).messages).toEqual([result(2, 'used')]);
  });
});

describe('several overlays', () => {
  it('have the seed of the last one that names one', () => {
    const { seed: _, ...silent } = NO_OVERLAY;
    expect(mergeOverlays([{ ...NO_OVERLAY, seed: 7 }, silent]).seed).toBe(7);
    expect(mergeOverlays([{ ...NO_OVERLAY, seed: 7 }, { ...NO_OVERLAY, seed: 8 }, silent]).seed).toBe(8);
  });
});

describe('ping', () => {
  const ping = (id: number, params?: object): JsonObject =>
    ({ jsonrpc: '2.0', id, method: 'ping', ...(params && { params }) }) as JsonObject;

  it('is answered also when it was recorded otherwise, and counts where it is expected', async () => {
    const tapes = await record(legacyServer({ ping: ({ id }) => ({ jsonrpc: '2.0', id, result: {} }) as JsonObject }), async (client) => {
      await client.open();
      await client.post(ping(1));
    });
    const expected = [{ where, method: 'ping', min: 2, max: 2 }];
    const { replay } = replayRig(tapes, { overlay: overlay({ expect: expected }) });
    const client = new TestClient(replay);
    await client.open();
    for (const params of [{ more: 1 }, undefined]) {
      expect((await client.post(ping(4, params))).messages).toEqual([{ jsonrpc: '2.0', id: 4, result: {} }]);
    }
    expect(replay.summary()).toMatchObject({ expectations: [], misses: [], exitCode: 0 });
    const { replay: unrecorded } = replayRig(await twoLists(), { overlay: overlay({ expect: expected }) });
    const other = new TestClient(unrecorded);
    await other.open();
    await other.post(ping(1));
    await other.post(ping(2));
    expect(unrecorded.summary().expectations).toEqual([]);
  });
});
