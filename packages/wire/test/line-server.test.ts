import {
  Body,
  type Connection,
  type ConnectionSink,
  type Exchange,
  Frame,
  type Handler,
  ProxyError,
  type Reply,
  reply,
  silentLog,
} from '@shadowcat/kernel';
import { jsonReply, ManualClock, type MemoryConnection, memoryLine, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { FrameQueue } from '../src/frame-queue.js';
import {
  errorReply,
  type JsonObject,
  type LineServer,
  type LineServerOptions,
  serveLine,
  sseFraming,
} from '../src/index.js';
import { MODERN_META } from './lines.js';

interface Seen {
  readonly exchange: Exchange;
  readonly method: string;
  readonly body: JsonObject | undefined;
}
type Answer = (seen: Seen) => Promise<Reply> | Reply;

/** A client on a line, played by the test, in front of a handler that the test answers for. */
class Bench {
  readonly clock = new ManualClock();
  readonly client: MemoryConnection;
  readonly server: LineServer;
  readonly seen: Seen[] = [];
  readonly heard: string[] = [];
  closed = false;
  #answer: Answer;
  #ids = 0;

  constructor(answer: Answer, options: LineServerOptions = {}) {
    this.#answer = answer;
    const { near, far } = memoryLine({ names: ['client', 'stdio'] });
    this.client = near;
    near.listen({
      message: (text) => void this.heard.push(text),
      closed: () => {
        this.closed = true;
      },
    });
    this.server = serveLine(far, this.#handler, {
      clock: this.clock,
      log: silentLog,
      newId: () => `x${++this.#ids}`,
      options,
    });
  }

  readonly #handler: Handler = async (exchange) => {
    const bytes = await exchange.body.collect(1000);
    const body = bytes.length === 0 ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as JsonObject);
    const seen: Seen = { exchange, method: `${exchange.head.method} ${String(body?.['method'] ?? '')}`.trim(), body };
    this.seen.push(seen);
    return this.#answer(seen);
  };

  /** Sends a line and lets everything that it starts happen. */
  async says(message: object | string): Promise<void> {
    await this.client.send(typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message }));
    await settled();
  }

  /** What the client heard since the last call. */
  async hears(): Promise<JsonObject[]> {
    await settled();
    return this.heard.splice(0).map((text) => JSON.parse(text) as JsonObject);
  }

  methods(): string[] {
    return this.seen.map(({ method }) => method);
  }
}

const accepted = (): Reply => reply({ status: 202, headers: {} });
const refusedStream = (): Reply => errorReply(new ProxyError('method_not_allowed', 'no GET here'));
const opened = (id: unknown): Reply =>
  jsonReply(
    { jsonrpc: '2.0', id, result: { protocolVersion: '2025-06-18', capabilities: {} } },
    { headers: { 'mcp-session-id': 'S1' } },
  );

/** A server of the legacy era that answers everything. */
const legacy: Answer = ({ exchange, body, method }) => {
  if (exchange.head.method === 'GET') return refusedStream();
  if (exchange.head.method === 'DELETE') return reply({ status: 200, headers: {} });
  if (method === 'POST initialize') return opened(body?.['id']);
  if (body?.['id'] === undefined || body['method'] === undefined) return accepted();
  return jsonReply({ jsonrpc: '2.0', id: body['id'], result: { echoed: body['params'] ?? null } });
};

const INITIALIZE = { id: 0, method: 'initialize', params: { protocolVersion: '2025-06-18' } };
const INITIALIZED = { method: 'notifications/initialized' };

async function handshake(bench: Bench): Promise<void> {
  await bench.says(INITIALIZE);
  await bench.says(INITIALIZED);
  await bench.hears();
}

describe('a client on a line', () => {
  it('has a session, kept like a client of Streamable HTTP keeps it', async () => {
    const bench = new Bench(legacy);
    await bench.says(INITIALIZE);
    await bench.says(INITIALIZED);
    await bench.says({ id: 1, method: 'tools/list' });
    expect(await bench.hears()).toEqual([
      { jsonrpc: '2.0', id: 0, result: { protocolVersion: '2025-06-18', capabilities: {} } },
      { jsonrpc: '2.0', id: 1, result: { echoed: null } },
    ]);
    expect(bench.methods()).toEqual(['POST initialize', 'POST notifications/initialized', 'GET', 'POST tools/list']);
    expect(bench.seen[0]?.exchange.head).toEqual({
      method: 'POST',
      target: '/mcp',
      headers: { host: 'localhost', 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    });
    expect(bench.seen[2]?.exchange.head.headers).toMatchObject({ accept: 'text/event-stream', 'mcp-session-id': 'S1' });
    expect(bench.seen[3]?.exchange.head.headers).toMatchObject({
      'mcp-session-id': 'S1',
      'mcp-protocol-version': '2025-06-18',
    });
    await bench.client[Symbol.asyncDispose]();
    await bench.server.done;
    expect(bench.methods().at(-1)).toBe('DELETE');
    expect(bench.seen.at(-1)?.exchange.head.headers['mcp-session-id']).toBe('S1');
    expect(bench.clock.pending).toBe(0);
  });

  it('may send everything at once: what depends on the session waits for it', async () => {
    const bench = new Bench(legacy);
    for (const message of [INITIALIZE, INITIALIZED, { id: 1, method: 'a' }, { id: 2, method: 'b' }]) {
      void bench.client.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
    }
    expect((await bench.hears()).map((message) => message['id'])).toEqual([0, 1, 2]);
    for (const { exchange, method } of bench.seen.slice(1)) {
      expect([method, exchange.head.headers['mcp-session-id']]).toEqual([method, 'S1']);
    }
  });

  it('gets errors as messages: those of the stack, of HTTP, and of nobody', async () => {
    const bench = new Bench(({ body }) => {
      switch (body?.['method']) {
        case 'thrown':
          throw new ProxyError('child_exited', 'it died');
        case 'status':
          return errorReply(new ProxyError('pool_exhausted', 'full'), { idTexts: ['"b"'] });
        case 'nameless':
          return jsonReply('{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"what?","data":1.0}}', {
            status: 400,
          });
        case 'bodiless':
          return reply({ status: 405, headers: {} });
        default:
          return reply(
            { status: 200, headers: { 'content-type': 'text/event-stream' } },
            Body.fromFrames(none(), sseFraming),
          );
      }
    });
    for (const [id, method] of [
      ['a', 'thrown'],
      ['b', 'status'],
      ['c', 'nameless'],
      ['d', 'bodiless'],
      ['e', 'cut short'],
    ]) {
      await bench.says({ id, method });
    }
    expect(bench.heard[2]).toBe('{"jsonrpc":"2.0","id":"c","error":{"code":-32600,"message":"what?","data":1.0}}');
    expect(await bench.hears()).toMatchObject([
      { id: 'a', error: { message: 'it died' } },
      { id: 'b', error: { message: 'full' } },
      { id: 'c', error: { message: 'what?' } },
      { id: 'd', error: { message: 'the request was answered with HTTP 405 and no message' } },
      { id: 'e', error: { message: 'the answer ended before the request was answered' } },
    ]);
  });

  it('that sends what is no message gets what the stack says about it', async () => {
    const bench = new Bench(() => errorReply(new ProxyError('parse_error', 'no JSON')));
    const bare = new Bench(() => Promise.reject(new ProxyError('parse_error', 'no JSON')));
    for (const one of [bench, bare]) {
      await one.client.send('"hello"');
      expect(await one.hears()).toEqual([{ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'no JSON' } }]);
    }
  });

  it('hears what comes before an answer at once', async () => {
    const frames = new FrameQueue(1000, () => {});
    const bench = new Bench(() =>
      reply({ status: 200, headers: { 'content-type': 'text/event-stream' } }, Body.fromFrames(frames, sseFraming)),
    );
    await bench.says({ id: 1, method: 'slow' });
    frames.push('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}');
    expect(await bench.hears()).toMatchObject([{ method: 'notifications/progress' }]);
    frames.push('{"jsonrpc":"2.0","id":1,"result":{}}');
    frames.end();
    // SDK v1 loses progress that it reads together with the answer.
    expect(await bench.hears()).toEqual([]);
    await bench.clock.pass(5);
    expect(await bench.hears()).toMatchObject([{ id: 1, result: {} }]);
  });

  it('answers requests of the server on its own', async () => {
    const frames = new FrameQueue(1000, () => {});
    const bench = new Bench((seen) => {
      if (seen.method === 'POST ask') {
        return reply(
          { status: 200, headers: { 'content-type': 'text/event-stream' } },
          Body.fromFrames(frames, sseFraming),
        );
      }
      return accepted();
    });
    await bench.says({ id: 1, method: 'ask' });
    frames.push('{"jsonrpc":"2.0","id":"s-1","method":"sampling/createMessage"}');
    expect(await bench.hears()).toMatchObject([{ id: 's-1', method: 'sampling/createMessage' }]);
    await bench.says({ id: 's-1', result: { role: 'assistant' } });
    expect(bench.seen.at(-1)?.body).toEqual({ jsonrpc: '2.0', id: 's-1', result: { role: 'assistant' } });
  });
});

describe('a modern client on a line', () => {
  const list = (id: number): object => ({ id, method: 'tools/list', params: { _meta: MODERN_META } });

  it('has no session, and the headers that its messages ask for', async () => {
    const bench = new Bench(legacy);
    await bench.says({ id: 1, method: 'tools/call', params: { _meta: MODERN_META, name: 'grüße' } });
    expect(bench.seen[0]?.exchange.head.headers).toMatchObject({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': expect.stringMatching(/^=\?base64\?.*\?=$/) as string,
    });
    expect(bench.seen[0]?.exchange.head.headers['mcp-session-id']).toBeUndefined();
    await bench.says({ method: 'notifications/x' });
    expect(bench.seen[1]?.exchange.head.headers['mcp-protocol-version']).toBe('2026-07-28');
    await bench.client[Symbol.asyncDispose]();
    await bench.server.done;
    expect(bench.methods()).toEqual(['POST tools/call', 'POST notifications/x']);
  });

  it('cancels by leaving, as far as those behind it can see, and gets no answer', async () => {
    const signals: AbortSignal[] = [];
    const bench = new Bench(({ exchange }) => {
      signals.push(exchange.signal);
      return new Promise<Reply>(() => {});
    });
    await bench.says(list(1));
    await bench.says(list(2));
    await bench.says({ method: 'notifications/cancelled', params: { requestId: 2 } });
    expect(signals.map((signal) => signal.aborted)).toEqual([false, true]);
    expect(bench.seen).toHaveLength(2);
    expect(await bench.hears()).toEqual([]);
  });

  it('leaves a stream that had begun', async () => {
    let disposed = 0;
    const frames = new FrameQueue(1000, () => {});
    const bench = new Bench(() =>
      reply(
        { status: 200, headers: { 'content-type': 'text/event-stream' } },
        Body.fromFrames(frames, sseFraming),
        () => {
          disposed += 1;
          frames.end();
        },
      ),
    );
    await bench.says(list(1));
    frames.push('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}');
    expect(await bench.hears()).toHaveLength(1);
    await bench.says({ method: 'notifications/cancelled', params: { requestId: 1 } });
    await settled();
    expect(disposed).toBe(1);
    expect(await bench.hears()).toEqual([]);
  });
});

describe('a legacy client that cancels', () => {
  it('is followed by a POST, and an answer that does not come is no error', async () => {
    const frames = new FrameQueue(1000, () => {});
    const bench = new Bench((seen) => {
      if (seen.method !== 'POST work') return accepted();
      return reply(
        { status: 200, headers: { 'content-type': 'text/event-stream' } },
        Body.fromFrames(frames, sseFraming),
      );
    });
    await bench.says({ id: 1, method: 'work' });
    await bench.says({ method: 'notifications/cancelled', params: { requestId: 1 } });
    expect(bench.methods()).toEqual(['POST work', 'POST notifications/cancelled']);
    frames.end();
    expect(await bench.hears()).toEqual([]);
  });
});

describe('the standing stream of a line', () => {
  const streaming =
    (streams: FrameQueue[], disposed: () => void): Answer =>
    (seen) => {
      if (seen.exchange.head.method !== 'GET') return legacy(seen);
      const queue = new FrameQueue(1000, () => {});
      streams.push(queue);
      const end = (): void => {
        disposed();
        queue.end();
      };
      return reply(
        { status: 200, headers: { 'content-type': 'text/event-stream' } },
        Body.fromFrames(queue, sseFraming),
        end,
      );
    };

  it('is opened after the handshake, and ends with the line', async () => {
    const streams: FrameQueue[] = [];
    let disposed = 0;
    const bench = new Bench(streaming(streams, () => (disposed += 1)));
    await handshake(bench);
    streams[0]?.push('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
    expect(await bench.hears()).toEqual([{ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }]);
    await bench.client[Symbol.asyncDispose]();
    await bench.server.done;
    expect(disposed).toBe(1);
    expect(bench.methods().at(-1)).toBe('DELETE');
    expect(bench.clock.pending).toBe(0);
  });

  it('is opened again when it ends, where it left off, ever more slowly', async () => {
    const bench = new Bench((seen) => {
      if (seen.exchange.head.method !== 'GET') return legacy(seen);
      const first = bench.methods().filter((method) => method === 'GET').length === 1;
      const frames = first ? one(new Frame({ text: null, sse: { id: 'e7' } })) : none();
      return reply(
        { status: 200, headers: { 'content-type': 'text/event-stream' } },
        Body.fromFrames(frames, sseFraming),
      );
    });
    const gets = (): number => bench.methods().filter((method) => method === 'GET').length;
    await handshake(bench);
    expect(gets()).toBe(1);
    await bench.clock.pass(1000);
    expect(gets()).toBe(2);
    expect(bench.seen.at(-1)?.exchange.head.headers['last-event-id']).toBe('e7');
    await bench.clock.pass(1000);
    expect(gets()).toBe(2);
    await bench.clock.pass(1000);
    expect(gets()).toBe(3);
    await bench.client[Symbol.asyncDispose]();
    await bench.server.done;
    expect(bench.clock.pending).toBe(0);
  });
});

describe('a session that is lost behind a line', () => {
  it('is opened again once, with the client’s own words, for all that noticed', async () => {
    let sessions = 0;
    const bench = new Bench((seen) => {
      const { exchange, body, method } = seen;
      if (method === 'POST initialize') {
        sessions += 1;
        return jsonReply(
          { jsonrpc: '2.0', id: body?.['id'], result: { protocolVersion: '2025-06-18' } },
          { headers: { 'mcp-session-id': `S${sessions}` } },
        );
      }
      if (exchange.head.method === 'POST' && sessions === 1 && body?.['method'] === 'work') {
        return errorReply(new ProxyError('session_not_found', 'gone'), { idTexts: [JSON.stringify(body['id'])] });
      }
      return legacy(seen);
    });
    await handshake(bench);
    void bench.client.send('{"jsonrpc":"2.0","id":1,"method":"work"}');
    void bench.client.send('{"jsonrpc":"2.0","id":2,"method":"work"}');
    const ids = (await bench.hears()).map((message) => message['id']);
    expect(ids.sort()).toEqual([1, 2]);
    expect(sessions).toBe(2);
    const work = bench.seen.filter(({ method }) => method === 'POST work');
    expect(work.map(({ exchange }) => exchange.head.headers['mcp-session-id'])).toEqual(['S1', 'S1', 'S2', 'S2']);
  });

  it('and cannot be opened again is an error to the client', async () => {
    const bench = new Bench((seen) =>
      seen.method === 'POST work'
        ? errorReply(new ProxyError('session_not_found', 'gone'), { idTexts: ['1'] })
        : legacy(seen),
    );
    await handshake(bench);
    await bench.says({ id: 1, method: 'work' });
    expect(await bench.hears()).toEqual([{ jsonrpc: '2.0', id: 1, error: { code: -32001, message: 'gone' } }]);
  });
});

describe('the end of a line', () => {
  it('waits for what is in flight, and its answers still leave', async () => {
    const work = Promise.withResolvers<Reply>();
    const sent: string[] = [];
    let sink: ConnectionSink | undefined;
    // Like stdin and stdout: the one ends before the other.
    const halfOpen: Connection = {
      name: 'stdio',
      send: async (text) => void sent.push(text),
      listen: (listener) => {
        sink = listener;
      },
      destroy() {},
      [Symbol.asyncDispose]: async () => void sent.push('(closed)'),
    };
    const handler: Handler = async (exchange) => {
      const seen = { exchange, method: '', body: undefined };
      if (exchange.head.method === 'DELETE') sent.push('(deleted)');
      if (exchange.head.method !== 'POST') return legacy(seen);
      const text = new TextDecoder().decode(await exchange.body.collect(1000));
      if (text.includes('initialize"')) return opened(0);
      return text.includes('work') ? work.promise : accepted();
    };
    const server = serveLine(halfOpen, handler, { clock: new ManualClock(), log: silentLog, newId: () => 'x' });
    for (const message of [INITIALIZE, INITIALIZED, { id: 1, method: 'work' }]) {
      sink?.message(JSON.stringify({ jsonrpc: '2.0', ...message }));
    }
    sink?.closed(undefined);
    await settled();
    expect(sent).toHaveLength(1);
    work.resolve(jsonReply('{"jsonrpc":"2.0","id":1,"result":{}}'));
    await server.done;
    expect(sent.slice(1)).toEqual(['{"jsonrpc":"2.0","id":1,"result":{}}', '(deleted)', '(closed)']);
  });

  it('abandons what is in flight when it is disposed', async () => {
    const signals: AbortSignal[] = [];
    const bench = new Bench((seen) => {
      signals.push(seen.exchange.signal);
      return seen.method === 'POST work' ? new Promise<Reply>(() => {}) : legacy(seen);
    });
    await handshake(bench);
    await bench.says({ id: 1, method: 'work' });
    await bench.server[Symbol.asyncDispose]();
    expect(signals[3]?.aborted).toBe(true);
    expect(bench.methods().at(-1)).toBe('DELETE');
    await settled();
    expect(bench.closed).toBe(true);
    expect(bench.clock.pending).toBe(0);
  });

  it('does not wait for ever for the end of its session', async () => {
    const bench = new Bench((seen) => (seen.method === 'DELETE' ? new Promise<Reply>(() => {}) : legacy(seen)));
    await handshake(bench);
    const ended = bench.server[Symbol.asyncDispose]();
    await bench.clock.pass(2000);
    await ended;
    expect(bench.clock.pending).toBe(0);
  });

  it('does not read on while too much is in flight', async () => {
    const waiting: (() => void)[] = [];
    const bench = new Bench(
      ({ body }) =>
        new Promise((resolve) =>
          waiting.push(() => resolve(jsonReply({ jsonrpc: '2.0', id: body?.['id'], result: {} }))),
        ),
      { maxInFlight: 2 },
    );
    for (let id = 1; id <= 4; id += 1) void bench.client.send(`{"jsonrpc":"2.0","id":${id},"method":"work"}`);
    await settled();
    expect(bench.seen).toHaveLength(2);
    waiting[0]?.();
    waiting[1]?.();
    await settled();
    expect(bench.seen).toHaveLength(4);
    waiting[2]?.();
    waiting[3]?.();
    expect((await bench.hears()).map((message) => message['id'])).toEqual([1, 2, 3, 4]);
  });

  it('takes up nothing more when it is disposed, also not what waited for its turn', async () => {
    const bench = new Bench(() => new Promise<Reply>(() => {}), { maxInFlight: 1 });
    for (let id = 1; id <= 3; id += 1) await bench.says({ id, method: 'work' });
    expect(bench.seen).toHaveLength(1);
    await bench.server[Symbol.asyncDispose]();
    expect(bench.seen).toHaveLength(1);
    expect(bench.clock.pending).toBe(0);
  });

  it('is broken off when more waits for its turn than is kept', async () => {
    for (const limit of [
      { messages: 5, size: 1_000_000 },
      { messages: 1000, size: 200 },
    ]) {
      const bench = new Bench(() => new Promise<Reply>(() => {}), { maxInFlight: 1, maxWaiting: limit });
      for (let id = 1; id <= 12 && !bench.closed; id += 1) await bench.says({ id, method: 'work' }).catch(() => {});
      await bench.server.done;
      expect(bench.closed).toBe(true);
      expect(bench.seen).toHaveLength(1);
    }
  });

  it('drains: what is in flight is answered, further requests are refused, and answers of the client still pass', async () => {
    const waiting: (() => void)[] = [];
    const bench = new Bench((seen) =>
      seen.method === 'POST work'
        ? new Promise((resolve) => {
            waiting.push(() => resolve(jsonReply({ jsonrpc: '2.0', id: seen.body?.['id'], result: {} })));
          })
        : legacy(seen),
    );
    await handshake(bench);
    await bench.says({ id: 1, method: 'work' });
    let drained = false;
    const draining = bench.server.drain().then(() => {
      drained = true;
    });
    await bench.says({ id: 2, method: 'work' });
    await bench.says({ id: 'asked', result: {} });
    expect(await bench.hears()).toMatchObject([
      { id: 2, error: { message: expect.stringContaining('shutting down') } },
    ]);
    expect(bench.seen.at(-1)?.body).toEqual({ jsonrpc: '2.0', id: 'asked', result: {} });
    expect(drained).toBe(false);
    waiting[0]?.();
    await draining;
    expect(await bench.hears()).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
    await bench.server[Symbol.asyncDispose]();
    expect(bench.methods().at(-1)).toBe('DELETE');
  });

  it('does not wait for a subscription when it drains', async () => {
    const bench = new Bench(() => new Promise<Reply>(() => {}));
    await bench.says({ id: 1, method: 'subscriptions/listen', params: { _meta: MODERN_META } });
    expect(bench.seen).toHaveLength(1);
    await bench.server.drain();
    expect(bench.seen[0]?.exchange.signal.aborted).toBe(true);
    await bench.server[Symbol.asyncDispose]();
  });
});

async function* none(): AsyncGenerator<Frame> {}
async function* one(frame: Frame): AsyncGenerator<Frame> {
  yield frame;
}

describe('a client that does not read', () => {
  /** A line whose sender waits until it is disposed. */
  class Blocked implements Connection {
    readonly name = 'blocked';
    readonly #over = Promise.withResolvers<void>();
    #sink: ConnectionSink | undefined;
    listen(sink: ConnectionSink): void {
      this.#sink = sink;
    }
    says(message: object): void {
      this.#sink?.message(JSON.stringify({ jsonrpc: '2.0', ...message }));
    }
    send(): Promise<void> {
      return this.#over.promise;
    }
    destroy(reason: ProxyError): void {
      this.#over.reject(reason);
    }
    async [Symbol.asyncDispose](): Promise<void> {
      this.#over.promise.catch(() => {});
      this.#over.reject(new ProxyError('upstream_closed', 'the line was closed'));
    }
  }

  it('does not keep its line from being disposed', async () => {
    const line = new Blocked();
    const ended: string[] = [];
    const server = serveLine(
      line,
      async (exchange) => {
        if (exchange.head.method !== 'POST') ended.push(exchange.head.method);
        return exchange.head.method === 'POST' ? opened(0) : accepted();
      },
      { clock: new ManualClock(), log: silentLog, newId: () => 'x' },
    );
    line.says(INITIALIZE);
    await settled();
    await server[Symbol.asyncDispose]();
    expect(ended).toEqual(['DELETE']);
  });
});
