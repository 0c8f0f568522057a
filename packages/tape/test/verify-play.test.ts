import type { Handler } from '@shadowcat/kernel';
import { jsonReply, ManualClock, settled } from '@shadowcat/testkit';
import { callSlot, type JsonObject, type Message, readMessage } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { type Connect, type ServerEar, type Tape, type Verification, verifyTapes } from '../src/index.js';
import { NO_OVERLAY } from '../src/overlay.js';
import { call, record, redactor, result } from './support/rig.js';
import { legacyServer } from './support/servers.js';

/** How a recorded client is played: what is sent together, and how long it is waited. */

const options = { overlay: NO_OVERLAY, level: 'json', allowEffects: true, answerMs: 1000 } as const;
const notice = (name: string, params: JsonObject = {}): JsonObject => ({
  jsonrpc: '2.0',
  method: `notifications/${name}`,
  params,
});

function messageOf(value: JsonObject): Message {
  const message = readMessage(JSON.stringify(value));
  if (message === undefined) throw new Error('this is no message');
  return message;
}

/** A live server; `say` hears each message. What was sent is kept, body by body. */
function live(say: (message: Message, ear: ServerEar) => void): { connect: Connect; bodies: Message[][] } {
  const bodies: Message[][] = [];
  const connect: Connect = async (ear) => {
    const take = async (messages: readonly Message[], over: boolean): Promise<{ readonly over: boolean }> => {
      bodies.push([...messages]);
      for (const message of messages) say(message, ear);
      return { over };
    };
    return {
      secrets: [],
      listen: async () => undefined,
      send: (message) => take([message], false),
      sendBatch: (messages) => take(messages, true),
      [Symbol.asyncDispose]: async () => undefined,
    };
  };
  return { connect, bodies };
}

const answers = (message: Message, ear: ServerEar): void => {
  if (message.kind !== 'request') return;
  if (message.method !== 'initialize') ear.message(messageOf(result(message.id, `answer of ${message.method}`)));
  else
    ear.message(
      messageOf({
        jsonrpc: '2.0',
        id: message.id ?? null,
        result: {
          protocolVersion: '2025-11-25',
          capabilities: { tools: {} },
          serverInfo: { name: 'server', version: '2' },
        },
      }),
    );
};

function start(tapes: readonly Tape[], connect: Connect, clock = new ManualClock()): Promise<Verification> {
  return verifyTapes(tapes, options, { connect, redactor, clock, stop: new AbortController().signal });
}
const statuses = ({ results }: Verification): string[] => results.map(({ status }) => status);

/** Turns the clock until the run is over; resolves with how long that took. */
async function timed(run: Promise<Verification>, clock: ManualClock): Promise<number> {
  let over = false;
  const done = run.finally(() => {
    over = true;
  });
  const began = clock.now();
  for (let turn = 0; turn < 500; turn += 1) {
    await settled();
    if (over) break;
    await clock.advance(500);
  }
  await done;
  return clock.now() - began;
}

describe('a batch', () => {
  const batching: Handler = async (exchange) => {
    const call = exchange.context.get(callSlot);
    if (call?.batch !== true) return legacyServer()(exchange);
    const asked = call.messages.filter(({ kind }) => kind === 'request');
    return jsonReply(JSON.stringify(asked.map(({ id, method }) => result(id, `answer of ${method}`))));
  };
  const recorded = (): Promise<Tape[]> =>
    record(batching, async (client) => {
      await client.open();
      await client.post(call(1, 'before'));
      await client.post([call(2, 'a'), notice('roots/list_changed'), call(3, 'b')]);
      await client.post([call(4, 'alone')]);
      await client.post(call(5, 'after'));
    });

  it('is sent as the one body that it was, with new ids, and each answer is compared', async () => {
    const { connect, bodies } = live(answers);
    expect(statuses(await start(await recorded(), connect))).toEqual(Array(6).fill('match'));
    const sent = bodies.map((body) =>
      body.map(({ method, value }) => (value['params'] as JsonObject | undefined)?.['name'] ?? method),
    );
    expect(sent.slice(2)).toEqual([['before'], ['a', 'notifications/roots/list_changed', 'b'], ['alone'], ['after']]);
    const ids = bodies.flat().flatMap(({ id }) => (id === undefined ? [] : [id]));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is refused as a whole: every request of it is missing its answer', async () => {
    const { connect } = live((message, ear) => answers(message, ear));
    const refusing: Connect = async (ear) => ({
      ...(await connect(ear)),
      sendBatch: async () => ({ over: true, problem: 'HTTP 400' }),
    });
    const { results } = await start(await recorded(), refusing);
    expect(results.map(({ status, why }) => [status, why])).toEqual([
      ['match', undefined],
      ['match', undefined],
      ['missing', 'HTTP 400'],
      ['missing', 'HTTP 400'],
      ['missing', 'HTTP 400'],
      ['match', undefined],
    ]);
  });

  it('leaves out what may have effects', async () => {
    const { connect, bodies } = live((message, ear) => {
      if (message.method !== 'tools/list') return answers(message, ear);
      const tools = ['before', 'b', 'after'].map((name) => ({ name, annotations: { readOnlyHint: true } }));
      ear.message(messageOf({ jsonrpc: '2.0', id: message.id ?? null, result: { tools } }));
    });
    const stop = new AbortController().signal;
    const components = { connect, redactor, clock: new ManualClock(), stop };
    const run = await verifyTapes(await recorded(), { ...options, allowEffects: false }, components);
    expect(statuses(run)).toEqual(['match', 'match', 'blocked', 'match', 'blocked', 'match']);
    expect(bodies.filter((body) => body.length > 1).map((body) => body.map(({ method }) => method))).toEqual([
      ['notifications/roots/list_changed', 'tools/call'],
    ]);
  });
});

describe('waiting for what does not come', () => {
  const CALLS = 40;
  const clients = (count: number, told: readonly JsonObject[]): Promise<Tape[]> =>
    record(
      legacyServer({
        'tools/call:work': async function* (message: Message) {
          yield* told;
          yield result(message.id, 'answer of tools/call');
        },
      }),
      async (client) => {
        for (let session = 0; session < count; session += 1) {
          await client.open();
          for (let id = 1; id <= CALLS; id += 1) await client.post(call(id, 'work'));
        }
      },
      { layout: 'file' },
    );

  it('takes seconds, however many notifications are missing', async () => {
    const tapes = await clients(1, [notice('resources/updated', { uri: 'a:1' })]);
    const clock = new ManualClock();
    const run = start(tapes, live(answers).connect, clock);
    expect(await timed(run, clock)).toBeLessThan(20_000);
    expect((await run).results.filter(({ status }) => status === 'missing')).toHaveLength(CALLS);
  });

  it('takes as long as it took on the tape: a server that says something every 8 s', async () => {
    const tick = notice('resources/updated', { uri: 'a:1' });
    const told = await record(
      legacyServer({
        'tools/call:work': async function* (message: Message) {
          yield tick;
          yield tick;
          yield result(message.id, 'answer of tools/call');
        },
      }),
      async (client) => {
        await client.open();
        await client.post(call(1, 'work'));
      },
    );
    const tapes = told.map((tape) => ({
      ...tape,
      records: tape.records.map((one) =>
        one.k === 'msg' && one.text.includes('a:1') ? { ...one, t: 8_000_000 } : one,
      ),
    }));
    const clock = new ManualClock();
    const { connect } = live((message, ear) => {
      answers(message, ear);
      if (message.method !== 'tools/call') return;
      for (const ms of [8000, 16_000]) clock.timer(ms, () => ear.message(messageOf(tick)));
    });
    const run = start(tapes, connect, clock);
    expect(await timed(run, clock)).toBe(16_000);
    expect(statuses(await run)).toEqual(['match', 'match']);
  });

  it('goes on at a server that is slow, and has left one request without an answer', async () => {
    const tapes = await clients(1, []);
    const clock = new ManualClock();
    let count = 0;
    const { connect } = live((message, ear) => {
      count += 1;
      if (count === 3) return;
      if (message.method === 'tools/call') clock.timer(5000, () => answers(message, ear));
      else answers(message, ear);
    });
    const stop = new AbortController().signal;
    const run = verifyTapes(tapes, { ...options, answerMs: 30_000 }, { connect, redactor, clock, stop });
    await timed(run, clock);
    expect((await run).results.filter(({ status }) => status === 'missing')).toHaveLength(1);
  });

  it('takes a bounded time at a server that answers nothing but its opening', async () => {
    const tapes = await clients(1, []);
    const clock = new ManualClock();
    const { connect } = live((message, ear) => {
      if (message.method === 'initialize') answers(message, ear);
    });
    const stop = new AbortController().signal;
    const run = verifyTapes(tapes, { ...options, answerMs: 30_000 }, { connect, redactor, clock, stop });
    expect(await timed(run, clock)).toBeLessThan(3 * 30_000 + CALLS * 1000);
    const { results } = await run;
    expect(results.filter(({ status }) => status === 'missing')).toHaveLength(CALLS);
    expect(results.at(1)?.why).toBe('no answer within 30 s');
    expect(results.at(-1)?.why).toContain('no answer within 1 s');
  });
});
