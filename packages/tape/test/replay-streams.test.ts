import type { Frame, Handler } from '@shadowcat/kernel';
import { settled } from '@shadowcat/testkit';
import { callSlot, type JsonObject, type Message } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { cutLayer, type Tape } from '../src/index.js';
import { call, record, replayRig, result, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

const sampling = (id: unknown): JsonObject =>
  ({ jsonrpc: '2.0', id, method: 'sampling/createMessage', params: { messages: [], maxTokens: 10 } }) as JsonObject;
const notice = (data: string): JsonObject =>
  ({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } }) as JsonObject;
const answerTo = (id: unknown, text: string): JsonObject =>
  ({ jsonrpc: '2.0', id, result: { content: { text } } }) as JsonObject;

/** Something that happens once, and can be waited for. */
class Event<T = void> {
  readonly happened: Promise<T>;
  #happen: (value: T) => void = () => undefined;
  constructor() {
    this.happened = new Promise((resolve) => {
      this.#happen = resolve;
    });
  }
  /** Makes it happen; gives the empty answer that notifications and responses get. */
  mark(value: T): string {
    this.#happen(value);
    return '';
  }
}

/** Reads a reply one message at a time. */
class Reading {
  readonly #frames: AsyncGenerator<Frame, void, undefined>;
  readonly #answer: Awaited<ReturnType<TestClient['raw']>>;
  constructor(answer: Awaited<ReturnType<TestClient['raw']>>) {
    this.#answer = answer;
    this.#frames = answer.body.frames();
  }
  async next(): Promise<JsonObject | 'end'> {
    const next = await this.#frames.next();
    return next.done === true ? 'end' : (next.value.message as JsonObject);
  }
  /** Whether nothing comes now. What comes later is lost to this reading. */
  async silent(): Promise<boolean> {
    let came = false;
    this.#pending ??= this.next();
    void this.#pending.then(() => {
      came = true;
    });
    await settled();
    return !came;
  }
  /** What {@link silent} had waited for. */
  async later(): Promise<JsonObject | 'end'> {
    const pending = this.#pending ?? this.next();
    this.#pending = undefined;
    return pending;
  }
  #pending: Promise<JsonObject | 'end'> | undefined;
  async leave(): Promise<void> {
    await this.#answer[Symbol.asyncDispose]();
  }
}

const reading = async (answer: Promise<Awaited<ReturnType<TestClient['raw']>>>): Promise<Reading> =>
  new Reading(await answer);

describe('a request of the server during a call', () => {
  /** A tool that asks the client for a completion on its own stream, and answers with what it got. */
  async function sampledTape(): Promise<Tape[]> {
    const answered = new Event<Message>();
    async function* sample(message: Message): AsyncGenerator<JsonObject> {
      yield notice('before');
      yield sampling(41);
      const answer = await answered.happened;
      yield notice('after');
      yield result(message.id, JSON.stringify(answer.value['result']));
    }
    const server = legacyServer({
      'tools/call:sample': sample,
      '(response)': (message) => answered.mark(message),
    });
    return record(server, async (client) => {
      await client.open();
      const stream = await reading(client.raw(call(1, 'sample')));
      expect(await stream.next()).toEqual(notice('before'));
      expect(await stream.next()).toEqual(sampling(41));
      await client.post(answerTo(41, 'completed'));
      expect(await stream.next()).toEqual(notice('after'));
      await stream.next();
      expect(await stream.next()).toBe('end');
    });
  }

  /** A replay that has asked its client. */
  async function asked() {
    const { replay } = replayRig(await sampledTape());
    const client = new TestClient(replay);
    await client.open();
    const stream = await reading(client.raw(call('live', 'sample')));
    expect(await stream.next()).toEqual(notice('before'));
    expect(await stream.next()).toEqual(sampling(0));
    return { replay, client, stream };
  }

  it('is sent at its place with an id of its own; what followed waits for the live answer', async () => {
    const { replay, client, stream } = await asked();
    expect(await stream.silent()).toBe(true);
    expect(replay.summary()).toMatchObject({ waitingFor: [{ method: 'sampling/createMessage' }], exitCode: 4 });
    expect((await client.post(answerTo(0, 'completed'))).status).toBe(202);
    expect(await stream.later()).toEqual(notice('after'));
    expect(await stream.next()).toMatchObject({ id: 'live' });
    expect(await stream.next()).toBe('end');
    expect(replay.summary()).toMatchObject({ warnings: [], waitingFor: [], exitCode: 0 });
  });

  it('ends with the client that can answer nothing any more', async () => {
    const { replay, stream } = await asked();
    replay.hangUp();
    expect(await stream.next()).toBe('end');
    expect(replay.summary()).toMatchObject({ waitingFor: [{ method: 'sampling/createMessage' }], exitCode: 4 });
  });

  it('may be answered otherwise: that is a warning that names the recorded answer', async () => {
    const { replay, warnings } = replayRig(await sampledTape());
    const client = new TestClient(replay);
    await client.open();
    const stream = await reading(client.raw(call(1, 'sample')));
    await stream.next();
    await stream.next();
    await client.post(answerTo(0, 'something else'));
    expect(await stream.next()).toEqual(notice('after'));
    expect(warnings).toEqual([
      expect.stringMatching(/answered sampling\/createMessage otherwise than recorded \(t1\.tape\.jsonl:\d+\)/),
    ]);
    expect(replay.summary()).toMatchObject({ warnings: [{ place: { file: 't1.tape.jsonl' } }], exitCode: 0 });
  });

  it('that stays unanswered for five seconds is named in the log, and no timer is left behind', async () => {
    const { replay, warnings, clock } = replayRig(await sampledTape());
    const client = new TestClient(replay);
    await client.open();
    const stream = await reading(client.raw(call(1, 'sample')));
    await stream.next();
    await stream.next();
    expect(await stream.silent()).toBe(true);
    clock.advance(4999);
    expect(warnings).toEqual([]);
    clock.advance(1);
    expect(warnings).toEqual([
      expect.stringMatching(/waits for the client's answer to sampling\/createMessage \(t1\.tape\.jsonl:\d+\)/),
    ]);
    await stream.leave();
    expect(await stream.later()).toBe('end');
    expect(clock.pending).toBe(0);
  });

  it('is asked of each session by itself', async () => {
    const { replay } = replayRig(await sampledTape());
    const [a, b] = [new TestClient(replay), new TestClient(replay)];
    await a.open();
    await b.open();
    const [forA, forB] = [await reading(a.raw(call(1, 'sample'))), await reading(b.raw(call(1, 'sample')))];
    for (const stream of [forA, forB, forA, forB]) await stream.next();
    await b.post(answerTo(0, 'completed'));
    expect(await forB.next()).toEqual(notice('after'));
    expect(await forA.silent()).toBe(true);
    await forA.leave();
  });

  it('that the server took back is taken back by its live id', async () => {
    const cancelled = (id: unknown): JsonObject =>
      ({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }) as JsonObject;
    async function* changing(message: Message): AsyncGenerator<JsonObject> {
      yield sampling(41);
      yield cancelled(41);
      yield result(message.id, 'without you');
    }
    const tapes = await record(legacyServer({ 'tools/call': changing }), async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
    });
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    await client.open();
    expect((await client.post(call(7, 'x'))).messages).toEqual([sampling(0), cancelled(0), result(7, 'without you')]);
    expect(replay.summary().waitingFor).toEqual([]);
  });
});

describe('the standing stream', () => {
  /** A server whose standing stream sends what the test puts there. */
  function streamServer(answers: Parameters<typeof legacyServer>[0] = {}): {
    server: Handler;
    send: (message: JsonObject) => void;
  } {
    const queue: JsonObject[] = [];
    let wake: () => void = () => undefined;
    async function* standing(): AsyncGenerator<JsonObject> {
      for (;;) {
        const message = queue.shift();
        if (message !== undefined) yield message;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    }
    const send = (message: JsonObject): void => {
      queue.push(message);
      wake();
    };
    return { server: legacyServer({ ...answers, '(stream)': standing }), send };
  }

  it('delivers what came on it after the client message that came before', async () => {
    const { server, send } = streamServer();
    const tapes = await record(server, async (client) => {
      await client.open();
      const stream = await reading(client.stream());
      send(notice('after opening'));
      await stream.next();
      await client.post(call(1, 'a'));
      send(notice('after a'));
      await stream.next();
      await client.post({ jsonrpc: '2.0', id: 2, method: 'ping' });
      send(notice('after the ping'));
      await stream.next();
      await stream.leave();
    });
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    await client.open();
    const stream = await reading(client.stream());
    expect(await stream.next()).toEqual(notice('after opening'));
    expect(await stream.silent()).toBe(true);
    await client.post(call(9, 'a'));
    expect(await stream.later()).toEqual(notice('after a'));
    // A ping causes nothing: what came after one does not wait for it.
    expect(await stream.next()).toEqual(notice('after the ping'));
    expect(await stream.silent()).toBe(true);
    await client.end();
    expect(await stream.later()).toBe('end');
  });

  it('goes on where it was when it is opened again; a second one takes over', async () => {
    const { server, send } = streamServer();
    const tapes = await record(server, async (client) => {
      await client.open();
      const stream = await reading(client.stream());
      for (const text of ['1', '2']) {
        send(notice(text));
        await stream.next();
      }
      await client.post(call(1, 'a'));
      send(notice('3'));
      await stream.next();
      await stream.leave();
    });
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    await client.open();
    const first = await reading(client.stream());
    expect(await first.next()).toEqual(notice('1'));
    expect(await first.next()).toEqual(notice('2'));
    expect(await first.silent()).toBe(true);
    const second = await reading(client.stream());
    expect(await first.later()).toBe('end');
    await client.post(call(1, 'a'));
    expect(await second.next()).toEqual(notice('3'));
  });

  it('is refused when the recorded server refused it', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      const answer = await client.stream();
      await answer[Symbol.asyncDispose]();
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    await expect(client.stream()).rejects.toMatchObject({ code: 'method_not_allowed' });
  });

  it('ends with the client’s connection and with the replay', async () => {
    const { server } = streamServer();
    const tapes = await record(server, (client) => client.open().then(() => undefined));
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    await client.open();
    const controller = new AbortController();
    const gone = await reading(client.stream(controller.signal));
    expect(await gone.silent()).toBe(true);
    controller.abort();
    expect(await gone.later()).toBe('end');
    const open = await reading(client.stream());
    expect(await open.silent()).toBe(true);
    replay.close();
    expect(await open.later()).toBe('end');
  });

  /** A tool whose server asks the client on the standing stream while the call is in flight. */
  async function askedElsewhere(): Promise<Tape[]> {
    const answered = new Event();
    const { server, send } = streamServer({
      'tools/call:roots': (message) => slow(message),
      '(response)': () => answered.mark(),
    });
    async function* slow(message: Message): AsyncGenerator<JsonObject> {
      send(sampling(77));
      await answered.happened;
      yield result(message.id, 'thanks');
    }
    return record(server, async (client) => {
      await client.open();
      const stream = await reading(client.stream());
      const answer = client.post(call(1, 'roots'));
      expect(await stream.next()).toEqual(sampling(77));
      await client.post(answerTo(77, 'x'));
      await answer;
      await stream.leave();
    });
  }

  it('carries a request that a call waits for', async () => {
    const client = new TestClient(replayRig(await askedElsewhere()).replay);
    await client.open();
    const stream = await reading(client.stream());
    expect(await stream.silent()).toBe(true);
    const answer = await reading(client.raw(call(5, 'roots')));
    expect(await stream.later()).toEqual(sampling(0));
    expect(await answer.silent()).toBe(true);
    await client.post(answerTo(0, 'x'));
    expect(await answer.later()).toEqual(result(5, 'thanks'));
  });

  it('that nobody opened is no hindrance: the request goes to the stream of the call', async () => {
    const client = new TestClient(replayRig(await askedElsewhere()).replay);
    await client.open();
    const answer = await reading(client.raw(call(5, 'roots')));
    expect(await answer.next()).toEqual(sampling(0));
    await client.post(answerTo(0, 'x'));
    expect(await answer.next()).toEqual(result(5, 'thanks'));
    const stream = await reading(client.stream());
    expect(await stream.silent()).toBe(true);
  });

  /** A call whose own stream ends without the answer, which comes on the standing stream. */
  async function polledTape(): Promise<Tape[]> {
    const { server, send } = streamServer({ 'tools/call:poll': () => nothing() });
    async function* nothing(): AsyncGenerator<JsonObject> {
      yield notice('started');
    }
    return record(server, async (client) => {
      await client.open();
      const stream = await reading(client.stream());
      await client.post(call(1, 'poll'));
      send(result(1, 'later'));
      await stream.next();
      await stream.leave();
    });
  }

  it('may have brought the answer to a call whose own stream had ended', async () => {
    const tapes = await polledTape();
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    expect((await client.post(call(8, 'poll'))).messages).toEqual([notice('started'), result(8, 'later')]);
  });

  it('brings such an answer again where streams are kept: the stream of the call is closed, and says when to come back', async () => {
    const tapes = await polledTape();
    const { replay, clock } = replayRig(tapes, { resumable: true });
    const client = new TestClient(cutLayer({ clock })(replay));
    await client.open();
    // A client of a revision that does not know polling gets everything at once.
    expect((await client.post(call(7, 'poll'))).messages).toHaveLength(2);
    await client.open();
    if (client.session !== undefined) client.session.protocolVersion = '2025-11-25';
    const got = await client.post(call(8, 'poll'));
    expect(got.messages).toEqual([notice('started')]);
    expect(got.text).toMatch(/retry: \d+\n/);
  });
});

describe('the era without sessions', () => {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'a', version: '1' },
  };
  const ask = (id: number | string, method: string, params: object = {}): JsonObject =>
    ({ jsonrpc: '2.0', id, method, params: { ...params, _meta: meta } }) as JsonObject;

  it('repeats server/discover, serves the rest in order, and begins again when it is opened again', async () => {
    let calls = 0;
    const server: Handler = legacyServer({ 'tools/call': (message) => result(message.id, `call ${++calls}`) });
    const tapes = await record(server, async (client) => {
      await client.post(ask(1, 'server/discover'));
      await client.post(ask(2, 'tools/call', { name: 'x' }));
      await client.post(ask(3, 'tools/call', { name: 'x' }));
    });
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    for (let run = 0; run < 2; run += 1) {
      for (const id of [1, 2])
        expect((await client.post(ask(id, 'server/discover'))).messages).toEqual([
          result(id, 'answer of server/discover'),
        ]);
      expect((await client.post(ask('a', 'tools/call', { name: 'x' }))).messages).toEqual([result('a', 'call 1')]);
      expect((await client.post(ask('b', 'tools/call', { name: 'x' }))).messages).toEqual([result('b', 'call 2')]);
      await expect(client.post(ask('c', 'tools/call', { name: 'x' }))).rejects.toMatchObject({
        data: { reason: 'exhausted' },
      });
    }
    expect(replay.summary()).toMatchObject({ reused: 1 });
  });

  /** A tool that needs input: the first leg asks, the second brings the answer. */
  async function legsTape(): Promise<Tape[]> {
    const server = legacyServer({
      'tools/call:confirm': (message) => {
        const params = message.value['params'] as JsonObject;
        if (params['inputResponses'] !== undefined)
          return result(message.id, `got ${JSON.stringify(params['inputResponses'])}`);
        const required = {
          resultType: 'input_required',
          inputRequests: { sure: { method: 'elicitation/create' } },
          requestState: 'state-1',
        };
        return { jsonrpc: '2.0', id: message.id ?? null, result: required };
      },
    });
    return record(server, async (client) => {
      await client.post(ask(1, 'tools/call', { name: 'confirm', arguments: {} }));
      await client.post(
        ask(2, 'tools/call', {
          name: 'confirm',
          arguments: {},
          inputResponses: { sure: { action: 'accept' } },
          requestState: 'state-1',
        }),
      );
    });
  }
  const retry = (answers: object, state = 'state-1'): JsonObject =>
    ask(12, 'tools/call', { name: 'confirm', arguments: {}, inputResponses: answers, requestState: state });

  it('serves input_required, and the retry that brings the recorded answers', async () => {
    const { replay } = replayRig(await legsTape());
    const client = new TestClient(replay);
    expect((await client.post(ask(11, 'tools/call', { name: 'confirm', arguments: {} }))).messages[0]).toMatchObject({
      id: 11,
      result: { resultType: 'input_required' },
    });
    expect((await client.post(retry({ sure: { action: 'accept' } }))).messages).toEqual([
      result(12, 'got {"sure":{"action":"accept"}}'),
    ]);
    expect(replay.summary()).toMatchObject({ warnings: [], exitCode: 0 });
  });

  it('misses a retry whose question was not asked before', async () => {
    const { replay } = replayRig(await legsTape());
    await expect(new TestClient(replay).post(retry({ sure: { action: 'accept' } }))).rejects.toMatchObject({
      data: { reason: 'wrong-order', line: expect.stringMatching(/^t1\.tape\.jsonl:\d+$/) },
    });
  });

  it('waits for a retry that does not come: says so after five seconds, and at the end', async () => {
    const { replay, warnings, clock } = replayRig(await legsTape());
    const client = new TestClient(replay);
    await client.post(ask(11, 'tools/call', { name: 'confirm', arguments: {} }));
    expect(replay.summary()).toMatchObject({
      waitingFor: [{ method: 'elicitation/create', target: 'in the retry of tools/call confirm' }],
      exitCode: 4,
    });
    clock.advance(5000);
    expect(warnings).toEqual([
      expect.stringMatching(/waits for the client's retry of tools\/call \(t1\.tape\.jsonl:\d+\)/),
    ]);
    await client.post(retry({ sure: { action: 'accept' } }));
    expect(replay.summary()).toMatchObject({ waitingFor: [], exitCode: 0 });
    expect(clock.pending).toBe(0);
  });

  it('serves a retry with other answers to the same questions, with a warning', async () => {
    const { replay } = replayRig(await legsTape());
    const client = new TestClient(replay);
    await client.post(ask(11, 'tools/call', { name: 'confirm', arguments: {} }));
    expect((await client.post(retry({ sure: { action: 'decline' } }))).status).toBe(200);
    expect(replay.summary()).toMatchObject({
      warnings: [
        { message: 'the client answered tools/call otherwise than recorded', place: { file: 't1.tape.jsonl' } },
      ],
      rungs: { exact: 1, bound: 1 },
    });
  });

  it.each([
    ['another state', retry({ sure: {} }, 'state-2')],
    ['other questions', retry({ certain: {} })],
  ])('misses a retry with %s', async (_, request) => {
    await expect(new TestClient(replayRig(await legsTape()).replay).post(request)).rejects.toMatchObject({
      data: { reason: 'arguments-differ' },
    });
  });

  it('misses a retry with other answers when only exact matches count', async () => {
    const { replay } = replayRig(await legsTape(), { maxRung: 'exact' });
    await expect(new TestClient(replay).post(retry({ sure: { action: 'decline' } }))).rejects.toMatchObject({
      code: 'replay_miss',
    });
  });

  it.each([
    ['a number', 1, 5, 5],
    ['a text made of the number', '1', 5, '5'],
  ])(
    'keeps subscriptions open, tags what they bring with the live id, when the tag is %s',
    async (_, tag, live, expected) => {
      const tagged = (method: string, id: unknown): JsonObject =>
        ({ jsonrpc: '2.0', method, params: { _meta: { 'io.modelcontextprotocol/subscriptionId': id } } }) as JsonObject;
      const changed = new Event();
      const server = legacyServer({
        'subscriptions/listen': () => listen(),
        'tools/call': (message) => {
          changed.mark();
          return result(message.id, 'changed');
        },
      });
      async function* listen(): AsyncGenerator<JsonObject> {
        yield tagged('notifications/subscriptions/acknowledged', tag);
        await changed.happened;
        yield tagged('notifications/tools/list_changed', tag);
        await new Promise(() => undefined);
      }
      const tapes = await record(server, async (client) => {
        const stream = await reading(
          client.raw(ask(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } })),
        );
        await stream.next();
        await client.post(ask(2, 'tools/call', { name: 'change' }));
        await stream.next();
        await stream.leave();
      });
      const { replay } = replayRig(tapes);
      const client = new TestClient(replay);
      const stream = await reading(
        client.raw(ask(live, 'subscriptions/listen', { notifications: { toolsListChanged: true } })),
      );
      expect(await stream.next()).toEqual(tagged('notifications/subscriptions/acknowledged', expected));
      expect(await stream.silent()).toBe(true);
      await client.post(ask(6, 'tools/call', { name: 'change' }));
      expect(await stream.later()).toEqual(tagged('notifications/tools/list_changed', expected));
      expect(await stream.silent()).toBe(true);
      await stream.leave();
      expect(await stream.later()).toBe('end');
      expect(replay.summary()).toMatchObject({ unused: [], exitCode: 0 });
    },
  );

  it('is answered as by a legacy server when the tape knows nothing of it, so that clients fall back', async () => {
    const tapes = await record(legacyServer(), (client) => client.open().then(() => undefined));
    const { replay } = replayRig(tapes);
    const got = await new TestClient(replay).post(ask('d', 'server/discover'));
    expect(got).toMatchObject({ status: 404, messages: [{ id: 'd', error: { code: -32601 } }] });
    expect(replay.summary().misses).toEqual([]);
  });
});

describe('a replay', () => {
  it('needs an exchange that was classified', async () => {
    const { exchangeOf } = await import('@shadowcat/testkit');
    const exchange = exchangeOf({ body: call(1, 'x') });
    expect(exchange.context.get(callSlot)).toBeUndefined();
    await expect(replayRig([]).replay(exchange)).rejects.toMatchObject({ code: 'internal' });
  });
});
