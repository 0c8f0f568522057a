import { ManualClock, settled } from '@shadowcat/testkit';
import type { JsonObject, Message } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { LEAVE_MS } from '../src/cut-layer.js';
import { cutLayer, type Fault, mergeOverlays, NO_OVERLAY, type Overlay, readPointer, type Tape } from '../src/index.js';
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

describe('a broken connection', () => {
  /** Two equal calls, answered with `a` and `b`, as JSON or after a message on a stream. */
  async function twice(streamed: boolean): Promise<Tape[]> {
    const texts = ['a', 'b'];
    const note: JsonObject = { jsonrpc: '2.0', method: 'notifications/message', params: { data: 1 } };
    async function* noisy(id: unknown, text: string): AsyncGenerator<JsonObject> {
      yield note;
      yield result(id, text);
    }
    const server = legacyServer({
      'tools/call': ({ id }) => {
        const text = texts.shift() ?? '';
        return streamed ? noisy(id, text) : result(id, text);
      },
    });
    return record(server, async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
      await client.post(call(2, 'x'));
    });
  }

  it.each([
    ['JSON', false, 2],
    ['a stream', true, 3],
  ])('behind the end of %s breaks nothing, and the recording is used', async (_, streamed, event) => {
    const { replay } = replayRig(await twice(streamed), { overlay: faulty('tools/call', 'disconnect', { event }) });
    const client = new TestClient(cutLayer({ clock: new ManualClock() })(replay));
    await client.open();
    expect((await client.post(call(1, 'x'))).messages.at(-1)).toEqual(result(1, 'a'));
    expect((await client.post(call(2, 'x'))).messages.at(-1)).toEqual(result(2, 'b'));
    expect(replay.summary()).toMatchObject({ faults: 0 });
  });

  it('is that of a whole batch, whose recordings are there for the next request', async () => {
    const { replay, clock } = replayRig(await twice(false), {
      overlay: faulty('tools/call', 'disconnect', { nth: [1] }),
    });
    const client = new TestClient(cutLayer({ clock })(replay));
    await client.open();
    const got = await client.raw([call(1, 'x')]);
    const broken = expect(got.body.collect(1000)).rejects.toMatchObject({ code: 'upstream_closed' });
    await clock.pass(LEAVE_MS);
    await broken;
    expect((await client.post(call(2, 'x'))).messages).toEqual([result(2, 'a')]);
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
    const server = legacyServer({
      'tools/call': ask,
      '(response)': () => {
        answered.resolve();
        return {};
      },
    });
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
        ({
          jsonrpc: '2.0',
          id,
          result: { content: [{ type: 'text', text }], ids: ['one-old', 'two-old'] },
        }) as JsonObject,
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

describe('the pauses of a recording', () => {
  it('pass on the clock between the messages of a stream, and end when the client cancels', async () => {
    async function* slow(id: unknown): AsyncGenerator<JsonObject> {
      yield { jsonrpc: '2.0', method: 'notifications/message', params: { data: 1 } } as JsonObject;
      yield result(id, 'done');
    }
    const recorded = await record(legacyServer({ 'tools/call': ({ id }) => slow(id) }), async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
      await client.post(call(2, 'x'));
    });
    // A second before everything that the server says to a call.
    const tapes = recorded.map((tape) => ({
      ...tape,
      records: tape.records.map((one) =>
        one.k === 'msg' && one.from === 'server' && !one.text.includes('serverInfo') ? { ...one, t: 1_000_000 } : one,
      ),
    }));
    const { replay, clock } = replayRig(tapes, { time: 2 });
    const client = new TestClient(replay);
    await client.open();
    const read = async (id: number): Promise<string[]> => {
      const seen: string[] = [];
      for await (const { text } of (await client.raw(call(id, 'x'))).body.frames()) {
        seen.push(`${clock.now()} ${text?.includes('done') === true ? 'answer' : 'message'}`);
      }
      return seen;
    };
    const whole = read(1);
    await clock.pass(1000);
    expect(await whole).toEqual(['500 message', '1000 answer']);
    const cancelled = read(2);
    await clock.pass(500);
    await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 2 } });
    expect(await cancelled).toEqual(['1500 message']);
    expect(clock.pending).toBe(0);
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
    const tapes = await record(
      legacyServer({ ping: ({ id }) => ({ jsonrpc: '2.0', id, result: {} }) as JsonObject }),
      async (client) => {
        await client.open();
        await client.post(ping(1));
      },
    );
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

describe('an answer of the overlay', () => {
  const setLevel = (id: number, level = 'info'): JsonObject =>
    ({ jsonrpc: '2.0', id, method: 'logging/setLevel', params: { level } }) as JsonObject;
  const answer = [{ where: 'o.yaml:3:5', method: 'logging/setLevel', json: '{"x":1.0}' }];

  async function opened(options: Parameters<typeof replayRig>[1]) {
    const rig = replayRig(await twoLists(), options);
    const client = new TestClient(rig.replay);
    await client.open();
    return { ...rig, client };
  }

  it('is for what the tapes do not have, and counted apart', async () => {
    const { client, replay } = await opened({ overlay: overlay({ answer }) });
    expect((await client.post(setLevel(4))).text).toBe('{"jsonrpc":"2.0","id":4,"result":{"x":1.0}}');
    expect((await client.post(setLevel(5))).text).toBe('{"jsonrpc":"2.0","id":5,"result":{"x":1.0}}');
    expect((await client.post(list(6))).messages).toEqual([tools(6, 'tool-1')]);
    await expect(client.post(call(7, 'x'))).rejects.toMatchObject({ code: 'replay_miss' });
    // `initialize`, and the list.
    expect(replay.summary()).toMatchObject({ served: 2, given: 2, misses: [{ method: 'tools/call' }] });
  });

  it('is not before a recording, and none where only stricter matches are wanted', async () => {
    const lists = [{ where, method: 'tools/list', json: '{"tools":[]}' }];
    const { client, replay } = await opened({ overlay: overlay({ answer: lists }) });
    expect((await client.post(list(6))).messages).toEqual([tools(6, 'tool-1')]);
    expect(replay.summary().given).toBe(0);
    const strict = await opened({ overlay: overlay({ answer }), maxRung: 'normalised' });
    await expect(strict.client.post(setLevel(1))).rejects.toMatchObject({ data: { reason: 'unknown-method' } });
  });

  it('is for the tool that it names alone', async () => {
    const only = [{ where, method: 'tools/call', target: 'x', json: '{"content":[]}' }];
    const { client } = await opened({ overlay: overlay({ answer: only }) });
    expect((await client.post(call(1, 'x'))).messages).toEqual([{ jsonrpc: '2.0', id: 1, result: { content: [] } }]);
    await expect(client.post(call(1, 'y'))).rejects.toMatchObject({ code: 'replay_miss' });
  });

  it('can fail and be late as those of the tapes', async () => {
    const { client, clock, replay } = await opened({
      overlay: overlay({
        answer,
        latency: [{ where, method: 'logging/setLevel', ms: 300, jitterMs: 0 }],
        faults: [{ where, method: 'logging/setLevel', fault: 'error', event: 1, nth: [2] }],
      }),
    });
    let text = '';
    void client.post(setLevel(1)).then((reply) => {
      text = reply.text;
    });
    await clock.pass(299);
    expect(text).toBe('');
    await clock.pass(1);
    expect(text).toContain('"result"');
    const second = client.post(setLevel(2));
    await clock.pass(300);
    expect((await second).text).toContain('as o.yaml:1:1 wants it');
    expect(replay.summary()).toMatchObject({ given: 1, faults: 1, exitCode: 0 });
  });

  it.each([
    [setLevel(1), 'answer: [{ method: "logging/setLevel", with: {} }]'],
    [
      { jsonrpc: '2.0', id: 1, method: 'resources/subscribe', params: { uri: 'file:///a' } },
      'answer: [{ method: "resources/subscribe", target: "file:///a", with: {} }]',
    ],
    [{ jsonrpc: '2.0', id: 1, method: 'prompts/list' }, 'answer: [{ method: "prompts/list", with: { prompts: [] } }]'],
    [call(1, 'x'), undefined],
  ])('is what a miss proposes where the result says nothing', async (request, line) => {
    const { client } = await opened({});
    const miss = await client.post(request as JsonObject).catch((error: unknown) => error);
    expect((miss as { data: { overlay?: string } }).data.overlay).toBe(line);
  });
});
