import { type Exchange, type Handler, ProxyError, type Reply, silentLog } from '@shadowcat/kernel';
import type { EventBatch, EventStore, StoredEvent, StreamRecord } from '@shadowcat/session';
import { classifiedExchange, jsonReply, ManualClock, settled, streamReply } from '@shadowcat/testkit';
import { resumableSlot, type SessionHandle, sessionSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import type { EventLogOptions } from '../src/event-log.js';
import { resumption } from '../src/resumption.js';

const message = (n: number): string => `data: {"jsonrpc":"2.0","method":"notifications/message","params":${n}}\n\n`;
const answerTo = (id: number): string => `data: {"jsonrpc":"2.0","id":${id},"result":{}}\n\n`;

/** An upstream's stream that a test feeds; `read` counts what was taken from it. */
function feed() {
  type Step = { text: string } | { end: true } | { error: unknown };
  const steps: Step[] = [];
  let wake = (): void => {};
  const state = { read: 0, disposed: 0 };
  const give = (step: Step): void => {
    steps.push(step);
    wake();
  };
  async function* chunks(): AsyncGenerator<string> {
    for (;;) {
      const step = steps.shift();
      if (step === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if ('error' in step) throw step.error;
      if ('end' in step) return;
      state.read += 1;
      yield step.text;
    }
  }
  const reply = streamReply(chunks(), {
    dispose: () => {
      state.disposed += 1;
      give({ end: true });
    },
  });
  return {
    reply,
    state,
    send: (...texts: string[]) => {
      for (const text of texts) give({ text });
    },
    end: () => give({ end: true }),
    fail: (error: unknown = new ProxyError('upstream_closed', 'the socket broke')) => give({ error }),
  };
}

function sessionOf(parts: { id?: string; protocolVersion?: string } = {}) {
  const ends = new Set<() => void>();
  const session = {
    id: parts.id ?? 's1',
    initializeText: '{}',
    initializeResult: undefined,
    protocolVersion: parts.protocolVersion ?? '2025-06-18',
    upstream: { target: 't', sessionId: 'u1' } as SessionHandle['upstream'],
    restore: { logLevel: undefined, subscriptions: [] },
    ended: false,
    bind(upstream: NonNullable<SessionHandle['upstream']>) {
      session.upstream = upstream;
    },
    onEnd(done: () => void) {
      ends.add(done);
      return () => void ends.delete(done);
    },
    end() {
      session.ended = true;
      for (const done of ends) done();
      ends.clear();
    },
    get listeners() {
      return ends.size;
    },
  };
  return session;
}

/** A store in memory, to be looked into. */
function storeOf() {
  const streams = new Map<string, StreamRecord>();
  const events = new Map<string, StoredEvent[]>();
  const state = { writes: 0, failing: false };
  const store: EventStore = {
    load: async (session) =>
      [...streams.values()]
        .filter((stream) => stream.session === session)
        .map((stream) => ({ stream, events: [...(events.get(stream.id) ?? [])] })),
    write: async (batch: EventBatch) => {
      if (state.failing) throw new Error('the disk is full');
      state.writes += 1;
      for (const event of batch.events) {
        const list = events.get(event.stream) ?? [];
        events.set(event.stream, [...list, event]);
      }
      for (const stream of batch.streams) {
        streams.set(stream.id, stream);
        events.set(
          stream.id,
          (events.get(stream.id) ?? []).filter(({ seq }) => seq >= stream.first),
        );
      }
      for (const id of batch.removed) {
        streams.delete(id);
        events.delete(id);
      }
    },
  };
  return { store, streams, events, state };
}

interface World {
  readonly options?: EventLogOptions;
  readonly store?: EventStore;
  readonly session?: ReturnType<typeof sessionOf>;
  readonly clock?: ManualClock;
  readonly prefix?: string;
}

let names = 0;

/** The layer around a handler that tests tell what to answer. */
function worldOf(world: World = {}) {
  const clock = world.clock ?? new ManualClock();
  const session = world.session ?? sessionOf();
  const answers: (Reply | ProxyError | (() => Promise<Reply>))[] = [];
  const asked: Exchange[] = [];
  const contexts: Exchange['context'][] = [];
  const handler: Handler = async (exchange) => {
    asked.push(exchange);
    const answer = answers.shift();
    if (answer === undefined) throw new ProxyError('internal', 'nothing to answer');
    if (answer instanceof ProxyError) throw answer;
    return typeof answer === 'function' ? answer() : answer;
  };
  const layer = resumption(world.options ?? {}, {
    clock,
    log: silentLog,
    newId: () => `n${names++}`,
    store: world.store,
  });
  const ask = async (parts: Parameters<typeof classifiedExchange>[0]): Promise<Client> => {
    const exchange = classifiedExchange(parts);
    contexts.push(exchange.context);
    exchange.context.set(sessionSlot, session as unknown as SessionHandle);
    return clientOf(await layer(handler)(exchange));
  };
  return {
    clock,
    session,
    layer,
    answers,
    asked,
    contexts,
    post: (id = 1, signal?: AbortSignal) =>
      ask({ body: { jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'x' } }, ...(signal && { signal }) }),
    get: (lastEventId?: string) => ask(lastEventId === undefined ? {} : { headers: { 'last-event-id': lastEventId } }),
  };
}

interface Seen {
  readonly id: string | undefined;
  readonly data: string;
}

interface Client {
  readonly reply: Reply;
  /** Reads until nothing comes any more; `over` says whether the stream ended. */
  read(): Promise<void>;
  /** Reads one chunk at most. */
  one(): Promise<void>;
  leave(): Promise<void>;
  readonly text: string;
  readonly events: readonly Seen[];
  readonly over: boolean;
  readonly error: unknown;
  readonly lastId: string | undefined;
}

function clientOf(reply: Reply): Client {
  const chunks = reply.body.bytes()[Symbol.asyncIterator]();
  let pending: Promise<void> | undefined;
  let text = '';
  let over = false;
  let error: unknown;
  const pull = (): Promise<void> => {
    pending ??= chunks.next().then(
      ({ done, value }) => {
        pending = undefined;
        if (done === true) over = true;
        else text += new TextDecoder().decode(value);
      },
      (thrown: unknown) => {
        pending = undefined;
        over = true;
        error = thrown;
      },
    );
    return pending;
  };
  const client: Client = {
    reply,
    async read() {
      for (let idle = 0; idle < 3 && !over; ) {
        const before = text;
        void pull();
        await settled();
        idle = text === before ? idle + 1 : 0;
      }
    },
    async one() {
      void pull();
      await settled();
    },
    async leave() {
      await reply[Symbol.asyncDispose]();
      await settled();
    },
    get text() {
      return text;
    },
    get events() {
      return text
        .split('\n\n')
        .filter((block) => /^(data|id):/m.test(block))
        .map((block) => ({ id: /^id: (.*)$/m.exec(block)?.[1], data: /^data: (.*)$/m.exec(block)?.[1] ?? '' }));
    },
    get over() {
      return over;
    },
    get error() {
      return error;
    },
    get lastId() {
      return client.events.at(-1)?.id;
    },
  };
  return client;
}

/** A world with one stream, of which its client has read `texts`. */
async function begun(
  texts: readonly string[],
  how: { readonly world?: World; readonly standing?: boolean; readonly id?: number } = {},
) {
  const world = worldOf(how.world);
  const up = feed();
  world.answers.push(up.reply);
  const client = await (how.standing === true ? world.get() : world.post(how.id));
  up.send(...texts);
  await client.read();
  return { world, up, client };
}

const dataOf = (...clients: Client[]): string[] => clients.flatMap(({ events }) => events.map(({ data }) => data));
const expected = (...texts: string[]): string[] => texts.map((text) => text.trim().slice('data: '.length));
const expired = { code: 'events_expired' };

describe('what is kept', () => {
  it('is a stream to a request; JSON and streams that are whole pass as they are', async () => {
    const world = worldOf();
    const json = jsonReply({ jsonrpc: '2.0', id: 1, result: {} });
    world.answers.push(json);
    expect((await world.post()).reply).toBe(json);
    expect(world.layer.stats()).toMatchObject({ sessions: 0, streams: 0 });
    expect(world.session.listeners).toBe(0);
  });

  it('bears ids of ours in place of the upstream ones, all else as it came', async () => {
    const world = worldOf();
    const up = feed();
    world.answers.push(up.reply);
    const client = await world.post();
    up.send(
      `event: message\nid: 7\nretry: 20\n${message(1)}`,
      ': a comment\n\n',
      `id: 8\r\ndata: a\r\ndata: b\r\n\r\n`,
    );
    up.end();
    await client.read();
    expect(client.over).toBe(true);
    const [name] = /n\d+/.exec(client.text) ?? [];
    expect(client.text).toBe(
      `id: sc-${name}_0:7\nevent: message\nretry: 20\n${message(1)}: a comment\n\nid: sc-${name}_1:8\ndata: a\r\ndata: b\r\n\r\n`,
    );
  });

  it('begins with a priming event for clients that know it, and only for them', async () => {
    for (const [protocolVersion, primed] of [
      ['2025-11-25', true],
      ['2025-06-18', false],
    ] as const) {
      const world = worldOf({ session: sessionOf({ protocolVersion }) });
      const up = feed();
      world.answers.push(up.reply);
      const client = await world.post();
      await client.read();
      expect(client.events.length).toBe(primed ? 1 : 0);
      if (primed) expect(client.text).toMatch(/^id: sc-n\d+_0\ndata: \n\n$/);
    }
  });
});

describe('a client that was cut', () => {
  const texts = [message(1), message(2), message(3), message(4), answerTo(1)];

  for (let cut = 1; cut <= texts.length; cut += 1) {
    for (const ahead of [0, 1, texts.length]) {
      it(`after event ${cut}, with ${ahead} more sent meanwhile, gets the rest once`, async () => {
        const world = worldOf();
        const up = feed();
        world.answers.push(up.reply);
        const first = await world.post();
        up.send(...texts.slice(0, cut));
        await first.read();
        await first.leave();
        up.send(...texts.slice(cut, cut + ahead));
        await settled();
        const second = await world.get(first.lastId);
        up.send(...texts.slice(cut + ahead));
        up.end();
        await second.read();
        expect(second.over).toBe(true);
        expect(dataOf(first, second)).toEqual(expected(...texts));
        expect(up.state.disposed).toBe(1);
      });
    }
  }

  it('gets what its connection lost: all after the event that it names', async () => {
    const world = worldOf();
    const up = feed();
    world.answers.push(up.reply);
    const first = await world.post();
    up.send(...texts);
    up.end();
    await first.read();
    const second = await world.get(first.events[1]?.id);
    await second.read();
    expect(dataOf(second)).toEqual(expected(...texts.slice(2)));
    expect(second.over).toBe(true);
  });

  it('replaces a connection that still hangs on the stream', async () => {
    const { world, up, client: first } = await begun([message(1)]);
    const second = await world.get(first.lastId);
    await first.read();
    expect(first).toMatchObject({ over: true, error: undefined });
    // The old connection is noticed to be gone only now.
    await first.leave();
    up.send(message(2));
    await second.read();
    expect(dataOf(second)).toEqual(expected(message(2)));
    expect(second.over).toBe(false);
  });

  it('is no reason to cancel: the upstream is not told, and read to its end', async () => {
    const world = worldOf();
    const up = feed();
    world.answers.push(up.reply);
    const leaving = new AbortController();
    const client = await world.post(1, leaving.signal);
    leaving.abort();
    await client.leave();
    up.send(...texts);
    up.end();
    await settled();
    expect(world.asked[0]?.signal.aborted).toBe(false);
    expect(up.state).toEqual({ read: texts.length, disposed: 1 });
  });

  it('is one as before while there is no stream yet', async () => {
    const world = worldOf();
    const waits = Promise.withResolvers<Reply>();
    world.answers.push(() => waits.promise);
    const leaving = new AbortController();
    const asking = world.post(1, leaving.signal);
    await settled();
    expect(world.asked[0]?.signal.aborted).toBe(false);
    leaving.abort();
    expect(world.asked[0]?.signal.aborted).toBe(true);
    waits.reject(new ProxyError('cancelled', 'left'));
    await expect(asking).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('hears of a source that broke by an error for each request, also when it comes later', async () => {
    const { world, up, client: first } = await begun([message(1)], { id: 7 });
    await first.leave();
    up.fail();
    await settled();
    const second = await world.get(first.lastId);
    await second.read();
    expect(JSON.parse(dataOf(second)[0] ?? '')).toMatchObject({ id: 7, error: { code: -32013 } });
    expect(second.over).toBe(true);
  });
});

describe('a client that reads slowly', () => {
  it('holds its upstream back; when it leaves, the upstream is read to its end and its lease goes back', async () => {
    const world = worldOf();
    const up = feed();
    world.answers.push(up.reply);
    const client = await world.post();
    for (let n = 0; n < 50; n += 1) up.send(message(n));
    up.send(answerTo(1));
    up.end();
    await client.one();
    await settled();
    expect(up.state.read).toBeLessThan(4);
    expect(up.state.disposed).toBe(0);
    await client.leave();
    await settled();
    expect(up.state).toEqual({ read: 51, disposed: 1 });
    const again = await world.get(client.lastId);
    await again.read();
    expect(again.events.length).toBe(50);
  });
});

describe('the GET stream of a session', () => {
  it('is one at a time', async () => {
    const world = worldOf();
    const up = feed();
    world.answers.push(up.reply);
    await world.get();
    await expect(world.get()).rejects.toMatchObject({ code: 'stream_conflict' });
  });

  it('goes on without its client, who gets what nobody was sent, with or without an event id', async () => {
    for (const named of [true, false]) {
      const world = worldOf();
      const up = feed();
      world.answers.push(up.reply);
      const first = await world.get();
      up.send(message(1));
      await first.read();
      await first.leave();
      expect(up.state.disposed).toBe(0);
      up.send(message(2), message(3));
      await settled();
      const second = await world.get(named ? first.lastId : undefined);
      up.send(message(4));
      await second.read();
      expect(dataOf(first, second)).toEqual(expected(message(1), message(2), message(3), message(4)));
      expect(world.asked.length).toBe(1);
    }
  });

  it('is asked for again, with the upstream id, when the upstream had ended it', async () => {
    const world = worldOf();
    const up = feed();
    world.answers.push(up.reply);
    const first = await world.get();
    up.send(`id: theirs\n${message(1)}`);
    up.end();
    await first.read();
    expect(first.over).toBe(true);
    await first.leave();
    const more = feed();
    world.answers.push(more.reply);
    const second = await world.get(first.lastId);
    more.send(message(2));
    await second.read();
    expect(world.asked[1]?.head.headers['last-event-id']).toBe('theirs');
    expect(dataOf(second)).toEqual(expected(message(2)));
  });

  it('is asked for from no event on when the upstream has opened its session anew meanwhile', async () => {
    const { world, up, client } = await begun([`id: u1\n${message(1)}`], { standing: true });
    up.end();
    await client.read();
    world.session.bind({ target: 't', sessionId: 'u2' });
    const more = feed();
    world.answers.push(more.reply);
    const second = await world.get(client.lastId);
    more.send(message(2));
    await second.read();
    expect(world.asked.at(-1)?.head.headers['last-event-id']).toBeUndefined();
    expect(dataOf(client, second)).toEqual(expected(message(1), message(2)));
  });

  it('has a gap after its line dropped what its client did not read, and says so to who wants to go on', async () => {
    const world = worldOf();
    const [up, more] = [feed(), feed()];
    world.answers.push(up.reply, more.reply);
    const first = await world.get();
    up.send(message(1));
    await first.read();
    up.fail(new ProxyError('slow_client', 'it does not read'));
    await first.read();
    expect(first.error).toMatchObject({ code: 'slow_client' });
    await first.leave();
    await expect(world.get(first.lastId)).rejects.toMatchObject(expired);
    const second = await world.get();
    more.send(message(9));
    await second.read();
    expect(dataOf(second)).toEqual(expected(message(9)));
  });

  it('ends with its session, and nothing of it is left', async () => {
    const { world, up, client } = await begun([message(1)], { standing: true });
    await client.leave();
    world.session.end();
    await settled();
    expect(up.state.disposed).toBe(1);
    expect(world.layer.stats()).toMatchObject({ sessions: 0, streams: 0, events: 0, bytes: 0 });
    expect(world.clock.pending).toBe(0);
  });

  it('passes a refusal on as it is', async () => {
    const world = worldOf();
    const refusal = jsonReply({}, { status: 405 });
    world.answers.push(refusal);
    expect((await world.get()).reply).toBe(refusal);
  });
});

describe('what the listener is told of a stream', () => {
  const shown = (world: ReturnType<typeof worldOf>) => world.contexts.at(-1)?.get(resumableSlot);

  it('is whether its client can have the rest after a restart', async () => {
    for (const [protocolVersion, store, can] of [
      ['2025-11-25', storeOf().store, true],
      ['2025-11-25', undefined, false],
      // It does not know that the server may close a stream early.
      ['2025-06-18', storeOf().store, false],
    ] as const) {
      const world = worldOf({ session: sessionOf({ protocolVersion }), ...(store && { store }) });
      const up = feed();
      world.answers.push(up.reply);
      const client = await world.post(4);
      expect(shown(world)).toMatchObject({ standing: false, requests: ['4'], outlivesProxy: false });
      up.send(`id: u1\n${message(1)}`);
      await client.read();
      expect(shown(world)?.outlivesProxy).toBe(can);
    }
  });

  it('is that the answer is kept, also where the upstream keeps nothing', async () => {
    const { world, up, client: first } = await begun([message(1)], { world: { store: storeOf().store }, id: 4 });
    await first.leave();
    await world.get(first.lastId);
    const resumed = shown(world);
    expect(resumed).toMatchObject({ standing: false, requests: ['4'], outlivesProxy: false });
    // A reader that waits takes the answer along.
    const last = await world.get(first.lastId);
    up.send(answerTo(4));
    await last.read();
    expect(resumed?.outlivesProxy).toBe(true);
  });
});

describe('an event id', () => {
  it('that is not ours goes to the upstream', async () => {
    const world = worldOf();
    const up = feed();
    world.answers.push(up.reply);
    expect((await world.get('theirs-7')).reply).toBe(up.reply);
    expect(world.asked[0]?.head.headers['last-event-id']).toBe('theirs-7');
  });

  it.each(['sc-unknown_3', 'sc-n0_999'])('of ours that is not kept (%s) is answered as expired', async (id) => {
    const world = worldOf();
    await expect(world.get(id)).rejects.toMatchObject(expired);
    expect(world.layer.stats()).toMatchObject({ expired: 1, resumed: 0, sessions: 0 });
  });

  it('of another session is not kept for this one', async () => {
    const clock = new ManualClock();
    const one = worldOf({ clock });
    const up = feed();
    one.answers.push(up.reply);
    const client = await one.post();
    up.send(message(1));
    await client.read();
    const other = worldOf({ clock, session: sessionOf({ id: 's2' }) });
    await expect(other.get(client.lastId)).rejects.toMatchObject(expired);
  });

  it('of a stream that is over is kept for five minutes', async () => {
    const world = worldOf();
    const up = feed();
    world.answers.push(up.reply);
    const client = await world.post();
    up.send(message(1), answerTo(1));
    up.end();
    await client.read();
    await client.leave();
    await world.clock.pass(299_000);
    expect((await world.get(client.events[0]?.id)).reply.head.status).toBe(200);
    await world.clock.pass(60_000);
    // That client still reads; when it has left, nothing holds the stream any more.
    expect(world.layer.stats().streams).toBe(1);
  });

  it('of a stream that is over and left expires, with everything that it held', async () => {
    const world = worldOf();
    const up = feed();
    world.answers.push(up.reply);
    const client = await world.post();
    up.send(answerTo(1));
    up.end();
    await client.read();
    await client.leave();
    await world.clock.pass(360_000);
    await expect(world.get(client.lastId)).rejects.toMatchObject(expired);
    expect(world.layer.stats()).toMatchObject({ sessions: 0, streams: 0, events: 0, bytes: 0 });
    expect(world.session.listeners).toBe(0);
    expect(world.clock.pending).toBe(0);
  });
});

describe('bounds', () => {
  it('let the oldest events of a session go; who needs them is told', async () => {
    const { world, up, client } = await begun([message(0), message(1)], { world: { options: { events: 3 } } });
    await client.leave();
    up.send(message(2), message(3), message(4));
    await settled();
    expect(world.layer.stats()).toMatchObject({ events: 3, evicted: 2 });
    await expect(world.get(client.events[0]?.id)).rejects.toMatchObject(expired);
    const again = await world.get(client.events[1]?.id);
    await again.read();
    expect(dataOf(again)).toEqual(expected(message(2), message(3), message(4)));
  });

  it('break off a client that is too far behind rather than leave a gap', async () => {
    const { world, up, client } = await begun([message(0)], { world: { options: { events: 3 } } });
    await client.leave();
    up.send(message(1), message(2));
    await settled();
    const slow = await world.get(client.lastId);
    await slow.one();
    // Another stream of the session needs the room.
    const other = feed();
    world.answers.push(other.reply);
    const busy = await world.post(2);
    other.send(message(7), message(8), message(9));
    await busy.read();
    await slow.read();
    expect(slow.error).toMatchObject(expired);
  });

  it.each([
    { options: { detached: 2 }, why: 'of one session' },
    { options: { totalDetached: 2 }, why: 'of all' },
  ])('let the request go whose client left first, when too many $why are worked on for nobody', async ({ options }) => {
    const world = worldOf({ options });
    const ups = [feed(), feed(), feed(), feed()];
    world.answers.push(...ups.map(({ reply }) => reply));
    const clients: Client[] = [];
    for (const [id, up] of ups.entries()) {
      const client = await world.post(id);
      up.send(message(id));
      await client.read();
      await client.leave();
      clients.push(client);
      // One comes back, and does not count.
      if (id === 0) clients.push(await world.get(client.lastId));
    }
    expect(ups.map(({ state }) => state.disposed)).toEqual([0, 1, 0, 0]);
    const late = await world.get(clients[2]?.lastId);
    await late.read();
    expect(JSON.parse(dataOf(late)[0] ?? '')).toMatchObject({ id: 1, error: { code: -32006 } });
    expect(late.over).toBe(true);
  });

  it('hold for all sessions together', async () => {
    const clock = new ManualClock();
    const one = worldOf({ clock, options: { totalBytes: 2000 } });
    const up = feed();
    one.answers.push(up.reply);
    const client = await one.post();
    for (let n = 0; n < 100; n += 1) up.send(message(n));
    await client.read();
    expect(client.events.length).toBe(100);
    expect(one.layer.stats().bytes).toBeLessThanOrEqual(2000);
  });
});

describe('a restart', () => {
  /** A proxy that ends and one that begins, with the same store. */
  async function restart(stored: ReturnType<typeof storeOf>, old: ReturnType<typeof worldOf>) {
    await old.layer.close();
    return worldOf({ store: stored.store, clock: old.clock, session: sessionOf() });
  }

  it('continues a POST stream with the id of the upstream, without gap or duplicate', async () => {
    const stored = storeOf();
    const {
      world: before,
      up,
      client: first,
    } = await begun([`id: u1\n${message(1)}`], { world: { store: stored.store } });
    await first.leave();
    up.send(`id: u2\n${message(2)}`);
    await settled();
    const after = await restart(stored, before);
    expect(up.state.disposed).toBe(1);
    const more = feed();
    after.answers.push(more.reply);
    const second = await after.get(first.lastId);
    more.send(`id: u3\n${message(3)}`, answerTo(1));
    await second.read();
    expect(after.asked[0]?.head.headers['last-event-id']).toBe('u2');
    expect(dataOf(first, second)).toEqual(expected(message(1), message(2), message(3), answerTo(1)));
    expect(second.over).toBe(true);
    expect(more.state.disposed).toBe(1);
  });

  it('answers what a command left unanswered with an error', async () => {
    const stored = storeOf();
    const { world: before, client: first } = await begun([message(1), message(2)], {
      world: { store: stored.store },
      id: 9,
    });
    const after = await restart(stored, before);
    const second = await after.get(first.events[0]?.id);
    await second.read();
    expect(dataOf(second)[0]).toBe(expected(message(2))[0]);
    expect(JSON.parse(dataOf(second)[1] ?? '')).toMatchObject({ id: 9, error: { code: -32013 } });
    expect(second.over).toBe(true);
    expect(after.asked).toEqual([]);
  });

  it('keeps what ended without its client, and not what its client got whole', async () => {
    const stored = storeOf();
    const before = worldOf({ store: stored.store });
    const [seen, missed] = [feed(), feed()];
    before.answers.push(seen.reply, missed.reply);
    const [one, two] = [await before.post(1), await before.post(2)];
    seen.send(answerTo(1));
    seen.end();
    await one.read();
    missed.send(message(1));
    await two.read();
    await two.leave();
    missed.send(answerTo(2));
    missed.end();
    await settled();
    const after = await restart(stored, before);
    expect(stored.streams.size).toBe(1);
    const again = await after.get(two.lastId);
    await again.read();
    expect(dataOf(again)).toEqual(expected(answerTo(2)));
    await expect(after.get(one.lastId)).rejects.toMatchObject(expired);
  });

  it('opens the GET stream anew behind what nobody was sent', async () => {
    const stored = storeOf();
    const {
      world: before,
      up,
      client: first,
    } = await begun([message(1)], { world: { store: stored.store }, standing: true });
    await first.leave();
    up.send(message(2));
    await settled();
    const after = await restart(stored, before);
    const more = feed();
    after.answers.push(more.reply);
    const second = await after.get();
    more.send(message(3));
    await second.read();
    expect(dataOf(second)).toEqual(expected(message(2), message(3)));
  });

  it('does not take the stream of a session that had to be opened anew for the rest of an answer', async () => {
    const stored = storeOf();
    const { world: before, client: first } = await begun([`id: u1\n${message(1)}`], {
      world: { store: stored.store },
      id: 4,
    });
    await first.leave();
    const after = await restart(stored, before);
    const fresh = feed();
    after.answers.push(async () => {
      after.session.bind({ target: 't', sessionId: 'u2' });
      return fresh.reply;
    });
    const second = await after.get(first.lastId);
    await second.read();
    expect(JSON.parse(dataOf(second)[0] ?? '')).toMatchObject({ id: 4, error: { code: -32013 } });
    expect(fresh.state.disposed).toBe(1);
  });

  it('lets a client try again when the upstream cannot be reached yet', async () => {
    const stored = storeOf();
    const { world: before, client: first } = await begun([`id: u1\n${message(1)}`], { world: { store: stored.store } });
    await first.leave();
    const after = await restart(stored, before);
    after.answers.push(new ProxyError('upstream_unreachable', 'down'));
    await expect(after.get(first.lastId)).rejects.toMatchObject({ code: 'upstream_unreachable' });
    const more = feed();
    after.answers.push(more.reply);
    const second = await after.get(first.lastId);
    more.send(answerTo(1));
    await second.read();
    expect(dataOf(second)).toEqual(expected(answerTo(1)));
  });
});

describe('a kill', () => {
  /** A proxy whose client has read `stored` and then `forgotten`, which is not in the store; and the one started after it. */
  async function killed(stored: readonly string[], forgotten: readonly string[], id = 1) {
    const disk = storeOf();
    const { world: old, up, client: first } = await begun(stored, { world: { store: disk.store }, id });
    if (forgotten.length > 0) await old.clock.pass(500);
    up.send(...forgotten);
    await first.read();
    disk.state.failing = true;
    return { first, after: worldOf({ store: disk.store, clock: old.clock }) };
  }

  it('is a cut like any other where the upstream keeps its events: ids newer than the store say where to go on', async () => {
    const { first, after } = await killed([`id: u1\n${message(1)}`], [`id: u2\n${message(2)}`, message(3)]);
    const more = feed();
    after.answers.push(more.reply);
    const many = await Promise.all([after.get(first.lastId), after.get(first.lastId), after.get(first.lastId)]);
    const last = many.at(-1);
    more.send(`id: u4\n${message(4)}`, answerTo(1));
    for (const client of many) await client.read();
    expect(after.asked.map(({ head }) => head.headers['last-event-id'])).toEqual(['u2']);
    expect(dataOf(...many)).toEqual(expected(message(4), answerTo(1)));
    expect(last?.over).toBe(true);
    expect(new Set(last?.events.map(({ id }) => id)).size).toBe(2);
    expect(first.events.map(({ id }) => id)).not.toContain(last?.events[0]?.id);
  });

  it('leaves the request of a command without an answer: it gets an error', async () => {
    const { first, after } = await killed([message(1)], [message(2)], 5);
    const second = await after.get(first.lastId);
    await second.read();
    expect(second.events.map(({ data }) => JSON.parse(data))).toMatchObject([{ id: 5, error: { code: -32013 } }]);
    expect(second.over).toBe(true);
  });

  it('leaves streams that the store never had to the upstream, by its own id', async () => {
    const { first, after } = await killed([`id: u1\n${message(1)}`], []);
    const rest = feed();
    after.answers.push(rest.reply);
    expect((await after.get(first.lastId)).reply).toBe(rest.reply);
    expect(after.asked[0]?.head.headers['last-event-id']).toBe('u1');
  });

  it.each([
    ['it does not keep events', async () => jsonReply({ error: {} }, { status: 400 })],
    [
      'it had lost the session',
      async (session: ReturnType<typeof sessionOf>) => {
        session.bind({ target: 't', sessionId: 'u2' });
        return feed().reply;
      },
    ],
  ])('is said to those whom the upstream cannot help: %s', async (_why, answer) => {
    const world = worldOf();
    world.answers.push(() => answer(world.session));
    await expect(world.get('sc-gone_3:u1')).rejects.toMatchObject(expired);
  });

  it('makes no duplicates where the id of the upstream is too long to be carried', async () => {
    const long = 'u'.repeat(200);
    const { first, after } = await killed([`id: ${long}1\n${message(1)}`], [`id: ${long}2\n${message(2)}`]);
    expect(first.lastId).not.toContain(long);
    await expect(after.get(first.lastId)).rejects.toMatchObject(expired);
  });
});

describe('writing behind', () => {
  it('happens in batches, never at once, and not at all for what was over and read by then', async () => {
    const stored = storeOf();
    const world = worldOf({ store: stored.store });
    const [quick, slow] = [feed(), feed()];
    world.answers.push(quick.reply, slow.reply);
    const one = await world.post(1);
    quick.send(answerTo(1));
    quick.end();
    await one.read();
    const two = await world.post(2);
    slow.send(message(1), message(2));
    await two.read();
    expect(stored.state.writes).toBe(0);
    await world.clock.pass(500);
    expect(stored.state.writes).toBe(1);
    expect([...stored.events.values()].map((events) => events.length)).toEqual([2]);
    slow.send(message(3));
    await two.read();
    await world.clock.pass(500);
    expect([...stored.events.values()].map((events) => events.length)).toEqual([3]);
  });

  it('removes a stream once its client has all of it, and those of a session that ended', async () => {
    const stored = storeOf();
    const world = worldOf({ store: stored.store });
    const [one, two] = [feed(), feed()];
    world.answers.push(one.reply, two.reply);
    const client = await world.post(1);
    const other = await world.post(2);
    one.send(message(1));
    two.send(message(1));
    await client.read();
    await other.read();
    await world.clock.pass(500);
    expect(stored.streams.size).toBe(2);
    one.send(answerTo(1));
    one.end();
    await client.read();
    await client.leave();
    await world.clock.pass(500);
    expect(stored.streams.size).toBe(1);
    world.session.end();
    await world.clock.pass(500);
    expect(stored.streams.size).toBe(0);
  });

  it('tries again after a failure, and loses nothing', async () => {
    const stored = storeOf();
    const { world, up, client } = await begun([message(1)], { world: { store: stored.store } });
    stored.state.failing = true;
    await world.clock.pass(500);
    up.send(message(2));
    await client.read();
    stored.state.failing = false;
    await world.clock.pass(1000);
    expect([...stored.events.values()].map((events) => events.length)).toEqual([2]);
  });
});
