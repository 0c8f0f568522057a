import { type Exchange, type Handler, ProxyError, type Reply, silentLog } from '@shadowcat/kernel';
import {
  classifiedExchange,
  type ExchangeParts,
  handlerOf,
  jsonReply,
  ManualClock,
  readReply,
  streamReply,
} from '@shadowcat/testkit';
import { credentialSlot, SESSION_HEADER, type SessionHandle, sessionSlot, targetSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { memoryStore } from '../src/memory-store.js';
import { type SessionOptions, sessionLayer } from '../src/session-layer.js';
import type { SessionRecord, SessionStore } from '../src/store.js';

const INITIALIZE = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}';
const INITIALIZED = { protocolVersion: '2025-11-25', serverInfo: { name: 'up' } };

/** An upstream with sessions: `up-1`, `up-2`, … as long as nothing else is told. */
function upstream(answer?: (exchange: Exchange) => Reply | undefined): ReturnType<typeof handlerOf> {
  let made = 0;
  return handlerOf((exchange) => {
    exchange.context.set(targetSlot, 'up');
    const other = answer?.(exchange);
    if (other !== undefined) return other;
    const text = new TextDecoder().decode(exchange.body.ready);
    if (!text.includes('"initialize"')) {
      return jsonReply('{"jsonrpc":"2.0","id":2,"result":{}}', { headers: { [SESSION_HEADER]: 'up-secret' } });
    }
    made += 1;
    return jsonReply({ jsonrpc: '2.0', id: 1, result: INITIALIZED }, { headers: { [SESSION_HEADER]: `up-${made}` } });
  });
}

interface Parts {
  handler?: Handler;
  store?: SessionStore;
  options?: SessionOptions;
  clock?: ManualClock;
  expired?: (session: SessionHandle) => void;
}

function proxy(parts: Parts = {}) {
  const clock = parts.clock ?? new ManualClock();
  const store = parts.store ?? memoryStore();
  let ids = 0;
  const layer = sessionLayer(
    { idleMs: 60_000, ...parts.options },
    { store, clock, log: silentLog, newId: () => `sc-${++ids}`, expired: parts.expired },
  );
  const handler = layer(parts.handler ?? upstream());
  const send = async (request: ExchangeParts & { body?: string | object; credential?: string }) => {
    const exchange = classifiedExchange(request);
    if (request.credential !== undefined) exchange.context.set(credentialSlot, request.credential);
    const answer = await handler(exchange);
    return { exchange, answer, session: exchange.context.get(sessionSlot) };
  };
  return {
    clock,
    store,
    layer,
    send,
    /** Opens a session and reads the answer to its end. */
    async open(credential?: string): Promise<{ id: string; session: SessionHandle }> {
      const { answer, session } = await send({ body: INITIALIZE, ...(credential === undefined ? {} : { credential }) });
      const { headers } = await readReply(answer);
      return { id: String(headers[SESSION_HEADER]), session: session as SessionHandle };
    },
    async call(id: string, more: Partial<Parameters<typeof send>[0]> = {}) {
      const body = more.body ?? { jsonrpc: '2.0', id: 2, method: 'tools/list' };
      const { answer, session } = await send({ body, headers: { [SESSION_HEADER]: id }, ...more });
      return { ...(await readReply(answer)), session };
    },
  };
}

const notFound = { code: 'session_not_found' };

describe('initialize', () => {
  it("gives the client an id of the proxy's own and keeps the upstream's to itself", async () => {
    const { send, layer } = proxy();
    const { answer, session } = await send({ body: INITIALIZE });
    expect((await readReply(answer)).headers[SESSION_HEADER]).toBe('sc-1');
    expect(session).toMatchObject({
      id: 'sc-1',
      initializeText: INITIALIZE,
      initializeResult: INITIALIZED,
      protocolVersion: '2025-11-25',
      upstream: { target: 'up', sessionId: 'up-1' },
      ended: false,
    });
    expect(layer.stats()).toMatchObject({ open: 1, opening: 0, active: 0, opened: 1 });
  });

  it('shows the session to the inner handlers before it is answered', async () => {
    let seen: SessionHandle | undefined;
    const { open } = proxy({
      handler: upstream((exchange) => {
        seen = exchange.context.get(sessionSlot);
        return undefined;
      }),
    });
    const { session } = await open();
    expect(seen).toBe(session);
  });

  it('learns the result from a stream too, past what comes before it', async () => {
    const handler = upstream(() =>
      streamReply(
        [
          'id: 1\ndata: \n\n',
          'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n',
          'data: {"jsonrpc":"2.0","id":1,"method":"ping"}\n\n',
          'data: {"jsonrpc":"2.0","id":99,"result":{"protocolVersion":"of another"}}\n\n',
          'data: {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}}\n\n',
        ],
        { headers: { [SESSION_HEADER]: 'up-9' } },
      ),
    );
    const { session } = await proxy({ handler }).open();
    expect(session.protocolVersion).toBe('2025-06-18');
  });

  it('makes no session when the upstream has none', async () => {
    const handler = handlerOf(() => jsonReply({ jsonrpc: '2.0', id: 1, result: INITIALIZED }));
    const { send, layer, clock } = proxy({ handler });
    const { answer, session } = await send({ body: INITIALIZE });
    expect((await readReply(answer)).headers[SESSION_HEADER]).toBeUndefined();
    expect(session?.ended).toBe(true);
    expect(layer.stats()).toMatchObject({ open: 0, opened: 0, ended: { refused: 1 } });
    expect(clock.pending).toBe(0);
  });

  it.each([
    [
      'an HTTP error',
      upstream(() => jsonReply('{}', { status: 500, headers: { [SESSION_HEADER]: 'up-1' } })),
      undefined,
    ],
    [
      'a JSON-RPC error',
      upstream(() =>
        jsonReply('{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}', {
          headers: { [SESSION_HEADER]: 'x' },
        }),
      ),
      'sc-1',
    ],
  ])('makes none of %s', async (_, handler, shown) => {
    const { send, call, layer } = proxy({ handler });
    const { answer, session } = await send({ body: INITIALIZE });
    expect((await readReply(answer)).headers[SESSION_HEADER]).toBe(shown);
    expect(session?.ended).toBe(true);
    expect(layer.stats()).toMatchObject({ open: 0, ended: { refused: 1 } });
    await expect(call('sc-1')).rejects.toMatchObject(notFound);
  });

  it('ends the draft when the upstream fails', async () => {
    const { send, layer } = proxy({
      handler: () => Promise.reject(new ProxyError('upstream_unreachable', 'nobody there')),
    });
    await expect(send({ body: INITIALIZE })).rejects.toMatchObject({ code: 'upstream_unreachable' });
    expect(layer.stats()).toMatchObject({ open: 0, opening: 0, ended: { refused: 1 } });
  });

  it('refuses a request that is too large to be remembered', async () => {
    const { send } = proxy({ options: { maxInitialize: 50 } });
    await expect(send({ body: INITIALIZE })).rejects.toMatchObject({ code: 'body_too_large' });
  });
});

describe('a request of a session', () => {
  it("is served with the session set, and never shows the upstream's id", async () => {
    const { open, call } = proxy();
    const { id, session } = await open();
    const answer = await call(id);
    expect(answer.session).toBe(session);
    expect(answer.headers[SESSION_HEADER]).toBe(id);
  });

  it('gets 404 for an id that is unknown', async () => {
    await expect(proxy().call('sc-1')).rejects.toMatchObject(notFound);
  });

  it("gets 404 for another credential's session, and so does anonymous", async () => {
    const { open, call } = proxy();
    const { id } = await open('alice');
    await expect(call(id, { credential: 'bob' })).rejects.toMatchObject(notFound);
    await expect(call(id)).rejects.toMatchObject(notFound);
    expect((await call(id, { credential: 'alice' })).status).toBe(200);
  });

  it('goes on without a session when it names none, and shows no id of the upstream', async () => {
    const { send } = proxy();
    const { answer, session } = await send({ body: { jsonrpc: '2.0', id: 2, method: 'tools/list' } });
    expect(session).toBeUndefined();
    expect((await readReply(answer)).headers[SESSION_HEADER]).toBeUndefined();
  });

  it('of the modern revision passes untouched', async () => {
    const body = {
      jsonrpc: '2.0',
      id: 2,
      method: 'tools/list',
      params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } },
    };
    const { send } = proxy();
    const { answer, session } = await send({ body, headers: { [SESSION_HEADER]: 'whatever' } });
    expect(session).toBeUndefined();
    expect(answer.head.headers[SESSION_HEADER]).toBe('up-secret');
  });

  it('ends the session when the upstream says 404', async () => {
    let lost = false;
    const { open, call, layer } = proxy({
      handler: upstream(() => (lost ? jsonReply('{}', { status: 404 }) : undefined)),
    });
    const { id } = await open();
    lost = true;
    expect((await call(id)).status).toBe(404);
    await expect(call(id)).rejects.toMatchObject(notFound);
    expect(layer.stats().ended.lost).toBe(1);
  });

  it('remembers what a recovery has to restore, of what was accepted', async () => {
    let status = 200;
    const { open, call } = proxy({
      handler: upstream((exchange) =>
        exchange.head.method === 'POST' && status !== 200 ? jsonReply('{}', { status }) : undefined,
      ),
    });
    const { id, session } = await open();
    const ask = (method: string, params: object) => call(id, { body: { jsonrpc: '2.0', id: 3, method, params } });
    await ask('logging/setLevel', { level: 'warning' });
    await ask('resources/subscribe', { uri: 'a:1' });
    await ask('resources/subscribe', { uri: 'a:2' });
    await ask('resources/unsubscribe', { uri: 'a:1' });
    status = 400;
    await ask('logging/setLevel', { level: 'debug' });
    expect(session.restore).toEqual({ logLevel: 'warning', subscriptions: ['a:2'] });
  });
});

describe('who no longer uses a session', () => {
  it('is told when the last stream to its client is disposed, each time', async () => {
    const handler = upstream((exchange) => (exchange.head.method === 'GET' ? streamReply('') : undefined));
    const { open, send } = proxy({ handler });
    const { id, session } = await open();
    const stream = async () => (await send({ method: 'GET', headers: { [SESSION_HEADER]: id } })).answer;
    const told: boolean[] = [];
    const takeBack = session.onUnused?.(() => told.push(session.inUse ?? true));
    const [first, second] = [await stream(), await stream()];
    await first[Symbol.asyncDispose]();
    expect([session.inUse, told]).toEqual([true, []]);
    await second[Symbol.asyncDispose]();
    await (await stream())[Symbol.asyncDispose]();
    expect([session.inUse, told]).toEqual([false, [false, false]]);
    takeBack?.();
    await (await stream())[Symbol.asyncDispose]();
    expect(told).toHaveLength(2);
  });
});

describe('DELETE', () => {
  it('is forwarded, then ends the session and runs what waits for its end', async () => {
    const handler = upstream();
    const { open, call, layer, store } = proxy({ handler });
    const { id, session } = await open();
    const ends: string[] = [];
    session.onEnd(() => ends.push('first'));
    const takeBack = session.onEnd(() => ends.push('taken back'));
    session.onEnd(() => {
      throw new Error('a mistake');
    });
    session.onEnd(() => ends.push('last'));
    takeBack();
    await call(id, { method: 'DELETE', body: '' });
    expect(handler.exchanges.at(-1)?.head.method).toBe('DELETE');
    expect(ends).toEqual(['first', 'last']);
    session.onEnd(() => ends.push('too late'));
    expect(ends).toEqual(['first', 'last', 'too late']);
    await expect(call(id)).rejects.toMatchObject(notFound);
    expect(await store.load(id)).toBeUndefined();
    expect(layer.stats()).toMatchObject({ open: 0, ended: { deleted: 1 } });
  });

  it('leaves a session alone whose upstream does not let clients end it', async () => {
    const handler = upstream((exchange) =>
      exchange.head.method === 'DELETE' ? jsonReply('{}', { status: 405 }) : undefined,
    );
    const { open, call } = proxy({ handler });
    const { id } = await open();
    expect((await call(id, { method: 'DELETE', body: '' })).status).toBe(405);
    expect((await call(id)).status).toBe(200);
  });

  it('ends the session also when the upstream cannot be reached', async () => {
    const handler = upstream((exchange) => {
      if (exchange.head.method === 'DELETE') throw new ProxyError('upstream_unreachable', 'gone');
      return undefined;
    });
    const { open, call, layer } = proxy({ handler });
    const { id } = await open();
    await expect(call(id, { method: 'DELETE', body: '' })).rejects.toMatchObject({ code: 'upstream_unreachable' });
    expect(layer.stats().open).toBe(0);
  });
});

describe('idle sessions', () => {
  it('end when the time is over, at the request that comes too late', async () => {
    const { open, call, clock, layer } = proxy();
    const { id } = await open();
    clock.advance(59_000);
    expect((await call(id)).status).toBe(200);
    // The layer sweeps by itself; what it did not get to yet is found by the request.
    clock.advance(60_001);
    await expect(call(id)).rejects.toMatchObject(notFound);
    expect(layer.stats().ended.idle).toBe(1);
  });

  it('end by the timer, which runs only while there are sessions', async () => {
    const { open, clock, layer, store } = proxy();
    expect(clock.pending).toBe(0);
    const { id } = await open();
    expect(clock.pending).toBe(1);
    await clock.pass(90_000);
    expect(layer.stats()).toMatchObject({ open: 0, ended: { idle: 1 } });
    expect(await store.load(id)).toBeUndefined();
    expect(clock.pending).toBe(0);
  });

  it('are not those with a stream open, in memory or in the store', async () => {
    let finish = (): void => {};
    const handler = upstream((exchange) => {
      if (exchange.head.method !== 'GET') return undefined;
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      return streamReply(
        (async function* () {
          await gate;
          yield ': over\n\n';
        })(),
      );
    });
    const store = memoryStore();
    const pruned: string[] = [];
    const watching: SessionStore = {
      ...store,
      async prune(limits) {
        const removed = await store.prune(limits);
        pruned.push(...removed.map((record) => record.id));
        return removed;
      },
    };
    const { open, send, call, clock, layer } = proxy({ handler, store: watching });
    const { id } = await open();
    const { answer } = await send({ method: 'GET', headers: { [SESSION_HEADER]: id } });
    await clock.pass(600_000);
    expect(layer.stats()).toMatchObject({ open: 1, active: 1 });
    expect(pruned).toEqual([]);
    expect((await store.load(id))?.touchedAt).toBeGreaterThan(clock.wall() - 60_000);
    finish();
    await readReply(answer);
    clock.advance(50_000);
    expect((await call(id)).status).toBe(200);
    expect(layer.stats()).toMatchObject({ active: 0 });
    await layer.close();
    expect(clock.pending).toBe(0);
  });

  it('of an earlier run that nobody came back to are told to whoever ends them upstream, once', async () => {
    const store = memoryStore();
    const clock = new ManualClock();
    const before = proxy({ store, clock });
    const ids = [(await before.open()).id, (await before.open()).id];
    await before.layer.close();
    clock.advance(600_000);
    const told: SessionHandle[] = [];
    const after = proxy({ store, clock, expired: (session) => told.push(session) });
    // One is asked for before the sweep finds it.
    await expect(after.call(ids[1] ?? '')).rejects.toMatchObject(notFound);
    await after.layer.sweep();
    await after.layer.sweep();
    expect(told.map(({ id }) => id).sort()).toEqual(ids);
    expect(told[0]).toMatchObject({ ended: true, protocolVersion: '2025-11-25', upstream: { target: 'up' } });
  });

  it('of an earlier run are removed from the store by a sweep', async () => {
    const store = memoryStore();
    const clock = new ManualClock();
    const record: SessionRecord = {
      id: 'old',
      credential: '',
      createdAt: 0,
      touchedAt: 0,
      initializeText: '{}',
      subscriptions: [],
    };
    store.put(record);
    store.put({ ...record, id: 'young', touchedAt: clock.wall() });
    await proxy({ store, clock }).layer.sweep();
    expect(await store.load('old')).toBeUndefined();
    expect(await store.load('young')).toBeDefined();
  });
});

describe('bounds', () => {
  it('the longest unused session makes room for one more', async () => {
    const { open, call, clock, layer } = proxy({ options: { max: 2 } });
    const first = await open();
    const second = await open();
    clock.advance(5_000);
    await call(first.id);
    const third = await open();
    await expect(call(second.id)).rejects.toMatchObject(notFound);
    expect((await call(first.id)).status).toBe(200);
    expect((await call(third.id)).status).toBe(200);
    expect(layer.stats()).toMatchObject({ open: 2, ended: { evicted: 1 } });
  });

  it('a session in use does not', async () => {
    const handler = upstream((exchange) => (exchange.head.method === 'GET' ? streamReply([': hi\n\n']) : undefined));
    const { open, send } = proxy({ handler, options: { max: 1 } });
    const { id } = await open();
    const { answer } = await send({ method: 'GET', headers: { [SESSION_HEADER]: id } });
    await expect(send({ body: INITIALIZE })).rejects.toMatchObject({ code: 'session_limit', retryAfter: 5 });
    await readReply(answer);
    await expect(send({ body: INITIALIZE })).resolves.toBeDefined();
  });

  it('sessions whose initialize is under way count', async () => {
    let answer = (): void => {};
    const gate = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const inner = upstream();
    const { send } = proxy({
      options: { max: 1 },
      handler: async (exchange) => {
        await gate;
        return inner(exchange);
      },
    });
    const first = send({ body: INITIALIZE });
    await expect(send({ body: INITIALIZE })).rejects.toMatchObject({ code: 'session_limit' });
    answer();
    await first;
  });

  it("a credential that has its share gives up its own, and nobody else's", async () => {
    const { open, call } = proxy({ options: { perCredential: 1 } });
    const anonymous = [await open(), await open()];
    const alice = await open('alice');
    const bob = await open('bob');
    const again = await open('bob');
    await expect(call(bob.id, { credential: 'bob' })).rejects.toMatchObject(notFound);
    expect((await call(again.id, { credential: 'bob' })).status).toBe(200);
    expect((await call(alice.id, { credential: 'alice' })).status).toBe(200);
    for (const { id } of anonymous) expect((await call(id)).status).toBe(200);
  });
});

describe('after a restart of the proxy', () => {
  it('a session is read from the store once, with all that it was', async () => {
    const store = memoryStore();
    const clock = new ManualClock();
    const before = proxy({ store, clock });
    const { id, session } = await before.open('alice');
    await before.call(id, {
      credential: 'alice',
      body: { jsonrpc: '2.0', id: 3, method: 'logging/setLevel', params: { level: 'info' } },
    });
    await before.layer.close();

    let loads = 0;
    const counting: SessionStore = {
      ...store,
      load: (wanted) => {
        loads += 1;
        return store.load(wanted);
      },
    };
    const after = proxy({ store: counting, clock });
    const answers = await Promise.all([1, 2, 3].map(() => after.call(id, { credential: 'alice' })));
    expect(new Set(answers.map((answer) => answer.session)).size).toBe(1);
    expect(answers[0]?.session).toMatchObject({
      id,
      initializeText: INITIALIZE,
      initializeResult: INITIALIZED,
      protocolVersion: '2025-11-25',
      upstream: session.upstream,
      restore: { logLevel: 'info', subscriptions: [] },
    });
    expect(loads).toBe(1);
    expect(after.layer.stats()).toMatchObject({ open: 1, restored: 1, opened: 0 });
    await expect(after.call(id, { credential: 'bob' })).rejects.toMatchObject(notFound);
  });

  it('a session that was unused for too long is gone', async () => {
    const store = memoryStore();
    const before = proxy({ store });
    const { id } = await before.open();
    await before.layer.close();
    before.clock.advance(62_000);
    await expect(proxy({ store, clock: before.clock }).call(id)).rejects.toMatchObject(notFound);
    expect(await store.load(id)).toBeUndefined();
  });

  it('a store that cannot be read costs the session, not the proxy', async () => {
    const broken: SessionStore = { ...memoryStore(), load: () => Promise.reject(new Error('disk')) };
    await expect(proxy({ store: broken }).call('sc-1')).rejects.toMatchObject(notFound);
  });
});

describe('the store', () => {
  it('hears of use now and then, not of each request', async () => {
    const store = memoryStore();
    const touches: number[] = [];
    const { open, call, clock } = proxy({ store: { ...store, touch: (_, at) => void touches.push(at) } });
    const { id } = await open();
    for (let i = 0; i < 100; i += 1) {
      await call(id);
      clock.advance(50);
    }
    // 5 s at one touch a second (a sixtieth of the idle time).
    expect(touches.length).toBe(4);
  });

  it('gets a changed binding', async () => {
    const { open, store } = proxy();
    const { id, session } = await open();
    session.bind({ target: 'up', sessionId: 'up-new' });
    expect((await store.load(id))?.upstream).toEqual({ target: 'up', sessionId: 'up-new' });
  });
});
