import { type Exchange, type Handler, type Reply, silentLog } from '@shadowcat/kernel';
import { handlerOf, jsonReply, ManualClock, readReply, settled } from '@shadowcat/testkit';
import { callSlot, MODERN } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { bridge, HeldQuestions, QuestionRoom } from '../src/index.js';
import { bridged, type Call, legacyServer, modern } from './support.js';

/** Servers and clients that do not do what they should. */

interface Rpc {
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string };
}
const lastOf = async (answer: Promise<Reply>) => (await readReply(await answer)).messages.at(-1) as unknown as Rpc;
const turns = async (count = 10): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await settled();
};

const sampling = (id: number) => ({ jsonrpc: '2.0', id, method: 'sampling/createMessage', params: { messages: [] } });

const ask: Call = async function* ({ message, reply }) {
  yield sampling(7);
  const answer = await reply(7);
  yield { jsonrpc: '2.0', id: message['id'], result: { answer: answer['result'] ?? answer['error'] } };
};
const echo: Call = async function* ({ message }) {
  yield { jsonrpc: '2.0', id: message['id'], result: { params: message['params'] } };
};
const never: Call = async function* () {
  await new Promise(() => {});
  yield {};
};

const retryOf = ({ result }: Rpc, more: object = {}): object => ({
  requestState: result?.['requestState'],
  inputResponses: { 'q-7': { role: 'assistant' } },
  ...more,
});

/** What a server does instead of answering one method; the rest is served. */
function failingAt(server: Handler, what: string, how: (exchange: Exchange) => Promise<Reply>): Handler {
  return (exchange) => {
    const { method } = exchange.context.get(callSlot)?.message ?? {};
    return (method ?? exchange.head.method) === what ? how(exchange) : server(exchange);
  };
}
const silence = ({ signal }: Exchange): Promise<Reply> =>
  new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });

describe('several targets', () => {
  const modernServer = handlerOf((exchange) => {
    const { method, id } = exchange.context.get(callSlot)?.message ?? {};
    const result = method === 'server/discover' ? { supportedVersions: [MODERN] } : { own: true };
    return { jsonrpc: '2.0', id, result };
  });
  const two = () => {
    const clock = new ManualClock();
    let made = 0;
    const newId = (): string => `id-${++made}`;
    const held = new HeldQuestions({ room: new QuestionRoom({}, { clock }), newId });
    const all = new Map<string, ReturnType<typeof bridge>>();
    const sibling = () => [...all.values()].find((own) => own.stats().modern === 'yes');
    for (const [target, upstream] of Object.entries({ old: legacyServer(ask), new: modernServer })) {
      all.set(target, bridge({ target }, { upstream, clock, log: silentLog, newId, held, modernSibling: sibling }));
    }
    return { old: all.get('old') as Handler, fresh: all.get('new') as Handler };
  };

  it('a retry reaches the one that asked, whichever it is sent to', async () => {
    const { old, fresh } = two();
    await lastOf(fresh(modern('tools/list')));
    const asked = await lastOf(old(modern('tools/call', {})));
    const answer = await lastOf(fresh(modern('tools/call', retryOf(asked))));
    expect(answer.result).toMatchObject({ resultType: 'complete', answer: { role: 'assistant' } });
  });

  it('a retry with the state of a modern one is not refused by a legacy one', async () => {
    const { old, fresh } = two();
    await lastOf(fresh(modern('tools/list')));
    const answer = await lastOf(old(modern('tools/call', { requestState: 'of the modern one' })));
    expect(answer.result).toEqual({ own: true });
  });
});

describe('a retry', () => {
  it('without the answer is asked again', async () => {
    const { bridge: own } = bridged(legacyServer(ask));
    const asked = await lastOf(own(modern('tools/call', {})));
    const again = await lastOf(own(modern('tools/call', { requestState: asked.result?.['requestState'] })));
    expect(again.result).toMatchObject({ resultType: 'input_required', inputRequests: { 'q-7': {} } });
    expect(again.result?.['requestState']).not.toBe(asked.result?.['requestState']);
    expect((await lastOf(own(modern('tools/call', retryOf(again))))).result).toMatchObject({ resultType: 'complete' });
  });

  it.each([
    ['another tool', { name: 'y', arguments: { a: 1 } }],
    ['other arguments', { name: 'x', arguments: { a: 2 } }],
  ])('of %s is refused, and the call that waited is cancelled', async (_what, params) => {
    const server = legacyServer(ask);
    const { bridge: own, room } = bridged(server);
    const asked = await lastOf(own(modern('tools/call', { name: 'x', arguments: { a: 1 } })));
    const answer = await lastOf(own(modern('tools/call', retryOf(asked, params))));
    expect(answer.error).toMatchObject({ code: -32602 });
    expect(server.last('notifications/cancelled')).toBeDefined();
    expect(room.held).toBe(0);
  });

  it('after its time is refused', async () => {
    const { bridge: own, clock, room } = bridged(legacyServer(ask), { holdMs: 1000 });
    const asked = await lastOf(own(modern('tools/call', {})));
    await clock.pass(1000);
    expect((await lastOf(own(modern('tools/call', retryOf(asked))))).error).toMatchObject({ code: -32602 });
    expect(room.lost.expired).toBe(1);
  });
});

describe('a server', () => {
  it('that asks what its client cannot be asked is told so, and its call goes on', async () => {
    const roots: Call = async function* ({ message, reply }) {
      yield { jsonrpc: '2.0', id: 7, method: 'roots/list' };
      const { error } = await reply(7);
      yield { jsonrpc: '2.0', id: message['id'], result: { error } };
    };
    const { bridge: own, room } = bridged(legacyServer(roots));
    const answer = await lastOf(own(modern('tools/call', {})));
    expect(answer.result).toMatchObject({ resultType: 'complete', error: { code: -32601 } });
    expect(room.lost.incapable).toBe(1);
  });

  it('that asks ten thousand questions during a call gets most of them back at once', async () => {
    const server = legacyServer(ask);
    const { bridge: own, room } = bridged(server);
    const asked = await lastOf(own(modern('tools/call', {})));
    for (let id = 1000; id < 11_000; id += 1) server.say(sampling(id));
    await expect.poll(() => room.lost.full).toBe(9900);
    expect((await lastOf(own(modern('tools/call', retryOf(asked))))).result).toMatchObject({
      resultType: 'input_required',
    });
  });

  it('that never sets its log level does not hold up the call', async () => {
    const { bridge: own, clock } = bridged(failingAt(legacyServer(echo), 'logging/setLevel', silence));
    const meta = { 'io.modelcontextprotocol/logLevel': 'info' };
    const answer = lastOf(own(modern('tools/call', {}, { meta })));
    await turns();
    await clock.pass(5000);
    expect((await answer).result).toMatchObject({ resultType: 'complete' });
  });

  it('that never opens a session is given up after its time', async () => {
    const { bridge: own, clock } = bridged(failingAt(legacyServer(echo), 'initialize', silence), { answerMs: 1000 });
    const answer = expect(own(modern('tools/call', {}))).rejects.toMatchObject({ code: 'upstream_timeout' });
    await turns();
    await clock.pass(1000);
    await answer;
    await turns();
    expect(own.stats().sessions).toBe(0);
  });

  it.each(['server/discover', 'initialize'])(
    'that never answers %s does not hold a client that leaves',
    async (method) => {
      const { bridge: own, clock } = bridged(failingAt(legacyServer(echo), method, silence));
      const leaving = new AbortController();
      const answer = expect(own(modern('tools/call', {}, { signal: leaving.signal }))).rejects.toMatchObject({
        code: 'cancelled',
      });
      await turns();
      leaving.abort();
      await answer;
      // What was begun for it ends in its own time.
      await clock.pass(60_000);
      await own.close();
      expect({ sessions: own.stats().sessions, timers: clock.pending }).toEqual({ sessions: 0, timers: 0 });
    },
  );

  it('that never lets a session go does not keep the bridge from ending', async () => {
    const { bridge: own, clock } = bridged(failingAt(legacyServer(echo), 'DELETE', silence));
    await lastOf(own(modern('tools/call', {})));
    const closed = own.close();
    await turns();
    await clock.pass(5000);
    await closed;
    expect(clock.pending).toBe(0);
  });

  it('that opens a session of a revision that nobody knows is refused', async () => {
    const odd = failingAt(legacyServer(echo), 'initialize', async () =>
      jsonReply({ jsonrpc: '2.0', id: 'initialize', result: { protocolVersion: 'x\r\ny', capabilities: {} } }),
    );
    const { bridge: own } = bridged(odd);
    await expect(own(modern('tools/call', {}))).rejects.toMatchObject({ code: 'upstream_protocol' });
  });

  it('that answers another request than it was asked has not answered', async () => {
    const wrong: Call = async function* () {
      yield { jsonrpc: '2.0', id: 'somebody else', result: { secret: true } };
    };
    const { bridge: own } = bridged(legacyServer(wrong));
    await expect(own(modern('tools/call', {}))).rejects.toMatchObject({ code: 'upstream_closed' });
  });
});

describe('a session that nobody uses', () => {
  it('makes room for a new one where all places are taken', async () => {
    const server = legacyServer(echo);
    const { bridge: own } = bridged(server, { maxSessions: 2 });
    for (const client of ['a', 'b', 'c']) await lastOf(own(modern('tools/call', {}, { client })));
    expect(own.stats()).toMatchObject({ sessions: 2, refused: 0 });
    await turns();
    expect(server.sessions.size).toBe(2);
  });

  it('has no standing stream where that takes a place, and hears what was said when it is used again', async () => {
    const server = legacyServer(echo);
    let open = 0;
    const counting = failingAt(server, 'GET', async (exchange) => {
      open += 1;
      exchange.signal.addEventListener('abort', () => (open -= 1), { once: true });
      return server(exchange);
    });
    const { bridge: own } = bridged(counting, { standing: 'in-use' });
    await lastOf(own(modern('tools/call', {})));
    await turns();
    expect(open).toBe(0);
    const listening = await own(modern('subscriptions/listen', { notifications: { toolsListChanged: true } }));
    expect(open).toBe(1);
    // While somebody follows the lists, what a call has changed may still be said in its session.
    await lastOf(own(modern('tools/call', {})));
    await turns();
    expect(open).toBe(2);
    await listening[Symbol.asyncDispose]();
    await turns();
    expect(open).toBe(1);
  });
});

describe('a client', () => {
  it('with a log level that there is none of is refused', async () => {
    const { bridge: own } = bridged(legacyServer(echo));
    await lastOf(own(modern('tools/list')));
    const meta = { 'io.modelcontextprotocol/logLevel': 'shout' };
    expect((await lastOf(own(modern('tools/call', {}, { meta })))).error).toMatchObject({ code: -32602 });
  });

  it('that wants fewer log messages does not take them from another that is being served', async () => {
    const server = legacyServer(never);
    const { bridge: own } = bridged(server);
    const level = (logLevel: string) =>
      modern('tools/call', {}, { credential: 'a', meta: { 'io.modelcontextprotocol/logLevel': logLevel } });
    own(level('debug')).catch(() => undefined);
    await turns(20);
    own(level('error')).catch(() => undefined);
    await turns(20);
    const levels = server.seen.filter(({ method }) => method === 'logging/setLevel');
    expect(levels.map(({ value }) => value['params'])).toEqual([{ level: 'debug' }]);
  });

  it('whose session is one too many is refused, and counted', async () => {
    const { bridge: own } = bridged(legacyServer(never), { maxSessions: 1 });
    own(modern('tools/call', {}, { credential: 'a' })).catch(() => undefined);
    await turns();
    await expect(own(modern('tools/call', {}, { credential: 'b' }))).rejects.toMatchObject({ code: 'session_limit' });
    expect(own.stats()).toMatchObject({ sessions: 1, refused: 1 });
  });

  // It would take longer than this if it took time with the square of their number.
  it('with forty thousand members in its envelope is served in no time to speak of', { timeout: 30_000 }, async () => {
    const { bridge: own } = bridged(legacyServer(echo));
    const meta = Object.fromEntries(Array.from({ length: 40_000 }, (_, at) => [`k${at}`, at]));
    const answer = await lastOf(own(modern('tools/call', {}, { meta })));
    expect(answer.result).toMatchObject({ resultType: 'complete', params: { _meta: { k0: 0, k39999: 39_999 } } });
  });
});

describe('a standing stream', () => {
  it('that breaks ends the subscription, and the next one opens it again', async () => {
    const server = legacyServer(echo);
    let gets = 0;
    const counting = failingAt(server, 'GET', (exchange) => {
      gets += 1;
      return server(exchange);
    });
    const { bridge: own } = bridged(counting);
    const notifications = { toolsListChanged: true };
    const first = readReply(await own(modern('subscriptions/listen', { notifications })));
    server.hangUp();
    expect((await first).messages.at(-1)).toMatchObject({ result: { resultType: 'complete' } });
    await turns();
    const second = await own(modern('subscriptions/listen', { notifications }));
    expect(gets).toBe(2);
    await second[Symbol.asyncDispose]();
  });

  it('that a server does not have is asked for once', async () => {
    let gets = 0;
    const without = failingAt(legacyServer(echo), 'GET', async () => {
      gets += 1;
      return jsonReply({}, { status: 405 });
    });
    const { bridge: own } = bridged(without);
    for (let call = 0; call < 3; call += 1) {
      await lastOf(own(modern('tools/call', {})));
      await turns();
    }
    expect(gets).toBe(1);
  });

  it('is open before a subscription is acknowledged', async () => {
    const server = legacyServer(echo);
    const gate = Promise.withResolvers<void>();
    const slow = failingAt(server, 'GET', async (exchange) => {
      await gate.promise;
      return server(exchange);
    });
    const { bridge: own } = bridged(slow);
    let acknowledged = false;
    const answer = own(modern('subscriptions/listen', { notifications: { toolsListChanged: true } }));
    void answer.then(() => {
      acknowledged = true;
    });
    await turns(20);
    expect(acknowledged).toBe(false);
    gate.resolve();
    await (await answer)[Symbol.asyncDispose]();
  });
});
