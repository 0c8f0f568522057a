import { Context, type Exchange, type Handler, ProxyError, type Reply, silentLog } from '@shadowcat/kernel';
import {
  classifiedExchange,
  ManualClock,
  type MemoryConnection,
  memoryLine,
  readReply,
  settled,
} from '@shadowcat/testkit';
import { LineClient, type RecoveryEvent, type SessionHandle, sessionSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { type Isolation, isSharedKey, lineUpstream } from '../src/line-upstream.js';

type Server = (message: { id?: unknown; method?: string; params?: Record<string, unknown> }, line: PlayedLine) => void;

/** One line as the server sees it. */
interface PlayedLine {
  readonly key: string;
  readonly heard: string[];
  readonly params: (Record<string, unknown> | undefined)[];
  says(message: object | string): void;
  dies(reason?: ProxyError): void;
}

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 'i',
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
};
const RESULT = '{"protocolVersion":"2025-11-25","n":1.0,"capabilities":{},"serverInfo":{"name":"s","version":"1"}}';

/** Answers `initialize` and `tools/call`, as most servers do. */
const polite: Server = ({ id, method, params }, line) => {
  if (method === 'initialize') line.says(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${RESULT}}`);
  else if (method === 'tools/call') line.says({ id, result: { said: params?.['name'] } });
  else if (id !== undefined && method !== undefined) line.says({ id, result: {} });
};

class Bench {
  readonly clock = new ManualClock();
  readonly lines: PlayedLine[] = [];
  readonly upstream: Handler;
  readonly recovered: RecoveryEvent[] = [];
  readonly evicted: string[] = [];
  leased = 0;
  dispensable: (() => boolean) | undefined;
  readonly #open = new Map<string, LineClient>();

  constructor(server: Server = polite, options: { isolation?: Isolation; onLoss?: 'fail' } = {}) {
    this.upstream = lineUpstream(
      {
        target: 't',
        isolation: options.isolation ?? 'session',
        ...(options.onLoss === undefined ? {} : { onLoss: 'fail' }),
      },
      {
        acquire: async (key) => {
          const line = this.#open.get(key) ?? this.#start(key, server);
          this.leased += 1;
          let released = false;
          const release = (): void => {
            if (!released) this.leased -= 1;
            released = true;
          };
          const loosen = (dispensable: () => boolean): void => {
            this.dispensable = dispensable;
          };
          return { value: line, release, loosen };
        },
        evict: async (key, reason) => {
          this.evicted.push(key);
          this.#open.get(key)?.destroy(reason);
        },
        clock: this.clock,
        log: silentLog,
        recovered: (event) => this.recovered.push(event),
      },
    );
  }

  #start(key: string, server: Server): LineClient {
    const { near, far }: { near: MemoryConnection; far: MemoryConnection } = memoryLine({ names: [key, 'server'] });
    const played: PlayedLine = {
      key,
      heard: [],
      params: [],
      says: (message) =>
        void far
          .send(typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message }))
          .catch(() => {}),
      dies: (reason = new ProxyError('child_exited', 'it exited with code 3')) => near.destroy(reason),
    };
    far.listen({
      message: (text) => {
        const message = JSON.parse(text) as Parameters<Server>[0];
        played.heard.push(message.method ?? '(response)');
        played.params.push(message.params);
        server(message, played);
      },
      closed: () => {},
    });
    const line = new LineClient(
      near,
      { shared: isSharedKey(key) },
      { clock: this.clock, log: silentLog, newId: () => 'l' },
    );
    line.onClosed(() => {
      if (this.#open.get(key) === line) this.#open.delete(key);
    });
    this.#open.set(key, line);
    this.lines.push(played);
    return line;
  }

  ask(
    body: object | undefined,
    session?: SessionHandle,
    head: { method?: string; headers?: Record<string, string> } = {},
  ): Promise<Reply> {
    return this.upstream(asked(body, session, head));
  }

  async answer(body: object, session?: SessionHandle): Promise<Awaited<ReturnType<typeof readReply>>> {
    return readReply(await this.ask(body, session));
  }
}

function asked(
  body: object | undefined,
  session: SessionHandle | undefined,
  head: { method?: string; headers?: Record<string, string> },
): Exchange {
  const context = new Context();
  if (session !== undefined) context.set(sessionSlot, session);
  return classifiedExchange({ context, ...head, ...(body === undefined ? {} : { body }) });
}

function sessionOf(
  id: string,
  subscriptions: readonly string[] = ['a://b'],
  logLevel = 'warning',
): SessionHandle & { end(): void } {
  const done: (() => void)[] = [];
  let ended = false;
  return {
    id,
    initializeText: JSON.stringify(INITIALIZE),
    initializeResult: undefined,
    protocolVersion: '2025-06-18',
    upstream: { target: 't' },
    bind() {},
    restore: { logLevel, subscriptions },
    get ended() {
      return ended;
    },
    onEnd(listener) {
      done.push(listener);
      return () => {};
    },
    end() {
      ended = true;
      for (const listener of done) listener();
    },
  };
}

const call = (name: string, id: unknown = 1) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } });

describe('a session that was never opened here', () => {
  it.each(['recover', 'fail'] as const)('is opened with its initialize; nothing was lost (%s)', async (onLoss) => {
    const bench = new Bench(polite, onLoss === 'fail' ? { onLoss } : {});
    const session = { ...sessionOf('a/files'), upstream: undefined };
    expect((await bench.answer(call('x'), session)).messages[0]).toMatchObject({ result: { said: 'x' } });
    expect(bench.recovered).toEqual([]);
    expect(bench.lines.map(({ key }) => key)).toEqual(['session:a/files']);
  });

  it('says from where it moves', async () => {
    const bench = new Bench();
    await bench.answer(call('x'), { ...sessionOf('a'), upstream: { target: 'other' } });
    expect(bench.recovered.map(({ text }) => text)).toEqual([
      'a session moves from other to t; it was opened again on a fresh one',
    ]);
  });
});

describe('a line for each session', () => {
  it('opens one line for many requests, and says that there is a session', async () => {
    const bench = new Bench();
    const session = sessionOf('a');
    const opened = await bench.answer(INITIALIZE, session);
    expect(opened.headers['mcp-session-id']).toBeDefined();
    expect(opened.text).toContain('"n":1.0');
    for (const name of ['x', 'y', 'z'])
      expect((await bench.answer(call(name), session)).messages[0]).toMatchObject({ id: 1, result: { said: name } });
    expect(bench.lines).toHaveLength(1);
    expect(bench.leased).toBe(0);
  });

  it('keeps two sessions with the same ids apart', async () => {
    const bench = new Bench();
    const [a, b] = [sessionOf('a'), sessionOf('b')];
    await Promise.all([bench.answer(INITIALIZE, a), bench.answer(INITIALIZE, b)]);
    const [one, other] = await Promise.all([bench.answer(call('x'), a), bench.answer(call('y'), b)]);
    expect([one.messages[0]?.['result'], other.messages[0]?.['result']]).toEqual([{ said: 'x' }, { said: 'y' }]);
    expect(bench.lines.map(({ key }) => key)).toEqual(['session:a', 'session:b']);
  });

  it('opens the session again on a fresh line when its own died, once for all who ask', async () => {
    const bench = new Bench();
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    bench.lines[0]?.dies();
    await settled();
    const answers = await Promise.all(['x', 'y'].map((name) => bench.answer(call(name), session)));
    expect(answers.map(({ messages }) => messages[0]?.['result'])).toEqual([{ said: 'x' }, { said: 'y' }]);
    expect(bench.lines).toHaveLength(2);
    const restored = ['initialize', 'notifications/initialized', 'logging/setLevel', 'resources/subscribe'];
    expect(bench.lines[1]?.heard).toEqual([...restored, 'tools/call', 'tools/call']);
    expect(bench.recovered).toMatchObject([{ target: 't', outcome: 'ok', sessions: ['a'] }]);
  });

  it('does not tell a server twice that the client is initialised', async () => {
    const bench = new Bench();
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    bench.lines[0]?.dies();
    await settled();
    const told = await bench.answer({ jsonrpc: '2.0', method: 'notifications/initialized' }, session);
    expect(told.status).toBe(202);
    expect(bench.lines[1]?.heard.filter((method) => method === 'notifications/initialized')).toHaveLength(1);
  });

  it('answers what was in flight with the reason when the server dies', async () => {
    const bench = new Bench((message, line) => (message.method === 'tools/call' ? line.dies() : polite(message, line)));
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    await expect(bench.ask(call('x'), session)).rejects.toThrow('code 3');
    expect(bench.leased).toBe(0);
  });

  it('closes the line of a server that refuses to open the session', async () => {
    const bench = new Bench(({ id }, line) => line.says({ id, error: { code: -32022, message: 'modern only' } }));
    const opened = await bench.answer(INITIALIZE, sessionOf('a'));
    expect(opened.text).toContain('-32022');
    expect(bench.evicted).toEqual(['session:a']);
  });

  it('survives a server that dies of initialize', async () => {
    const bench = new Bench((_message, line) => line.dies());
    await expect(bench.ask(INITIALIZE, sessionOf('a'))).rejects.toThrow('code 3');
    await settled();
    expect(bench.leased).toBe(0);
  });

  it('gives up on a server that does not answer what has to be restored', async () => {
    let first = true;
    const bench = new Bench((message, line) => {
      if (first || message.method === 'initialize') polite(message, line);
    });
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    first = false;
    bench.lines[0]?.dies();
    await settled();
    const late = bench.ask(call('x'), session);
    late.catch(() => {});
    await settled();
    bench.clock.advance(60_000);
    await expect(late).rejects.toThrow('60 s');
  });

  it('gives up on a server that never says anything, also after the reply has begun', async () => {
    const bench = new Bench(() => {});
    const opening = bench.ask(INITIALIZE, sessionOf('a'));
    await settled();
    bench.clock.advance(15_000);
    const answer = await opening;
    bench.clock.advance(45_000);
    const { messages } = await readReply(answer);
    expect(messages.at(-1)).toMatchObject({ id: 'i', error: { message: expect.stringContaining('60 s') } });
    expect(bench.leased).toBe(0);
  });

  it('closes the line with the session, and after DELETE', async () => {
    const bench = new Bench();
    const [a, b] = [sessionOf('a'), sessionOf('b')];
    await bench.answer(INITIALIZE, a);
    await bench.answer(INITIALIZE, b);
    a.end();
    expect((await bench.ask(undefined, b, { method: 'DELETE' })).head.status).toBe(200);
    await settled();
    expect(bench.evicted).toEqual(['session:a', 'session:b']);
  });

  it('hands the loss on where that is wanted', async () => {
    const bench = new Bench(polite, { onLoss: 'fail' });
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    bench.lines[0]?.dies();
    await settled();
    const lost = await bench.answer(call('x', 7), session);
    expect(lost.status).toBe(404);
    expect(lost.messages[0]).toMatchObject({ id: 7, error: { code: -32001 } });
  });

  it('hands the loss on to a listener too, whose stream ends with its line', async () => {
    const bench = new Bench(polite, { onLoss: 'fail' });
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    const stream = await bench.ask(undefined, session, { method: 'GET' });
    bench.lines[0]?.dies();
    expect((await readReply(stream)).status).toBe(200);
    await expect(bench.ask(undefined, session, { method: 'GET' })).rejects.toMatchObject({ code: 'session_not_found' });
    expect(bench.leased).toBe(0);
  });

  it('says so when the server refuses to be initialised again', async () => {
    let refuse = false;
    const bench = new Bench((message, line) => {
      if (refuse && message.method === 'initialize')
        line.says({ id: message.id, error: { code: -32000, message: 'no' } });
      else polite(message, line);
    });
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    refuse = true;
    bench.lines[0]?.dies();
    await settled();
    await expect(bench.ask(call('x'), session)).rejects.toThrow('refused initialize');
    expect(bench.recovered).toMatchObject([{ outcome: 'refused', sessions: ['a'] }]);
  });

  it('refuses a request without a session', async () => {
    await expect(new Bench().ask(call('x'))).rejects.toThrow('initialize first');
  });
});

describe('the standing stream', () => {
  it('gets what belongs to no request, also from the line after a dead one, and holds a lease', async () => {
    const bench = new Bench();
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    const stream = await bench.ask(undefined, session);
    expect(stream.head.headers['content-type']).toBe('text/event-stream');
    expect(bench.leased).toBe(1);
    const frames = stream.body.frames()[Symbol.asyncIterator]();
    bench.lines[0]?.says({ method: 'notifications/tools/list_changed' });
    expect((await frames.next()).value?.message).toMatchObject({ method: 'notifications/tools/list_changed' });
    bench.lines[0]?.dies();
    await settled();
    await bench.answer(call('x'), session);
    bench.lines[1]?.says({ method: 'notifications/prompts/list_changed' });
    expect((await frames.next()).value?.message).toMatchObject({ method: 'notifications/prompts/list_changed' });
    await stream[Symbol.asyncDispose]();
    await settled();
    expect(bench.leased).toBe(0);
  });

  it('holds its lease on sufferance only while its client is away', async () => {
    const bench = new Bench();
    const unused: (() => void)[] = [];
    const session = Object.assign(sessionOf('a'), {
      inUse: true,
      onUnused: (done: () => void) => {
        unused.push(done);
        return () => void unused.splice(unused.indexOf(done), 1);
      },
    });
    await bench.answer(INITIALIZE, session);
    const stream = await bench.ask(undefined, session, { method: 'GET' });
    await settled();
    expect(bench.dispensable?.()).toBe(false);
    session.inUse = false;
    for (const done of unused) done();
    expect(bench.dispensable?.()).toBe(true);
    await stream[Symbol.asyncDispose]();
    expect([bench.leased, unused]).toEqual([0, []]);
  });

  it('is none for whoever has seen events of another: a line keeps nothing', async () => {
    const bench = new Bench();
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    const asking = bench.ask(undefined, session, { method: 'GET', headers: { 'last-event-id': 'theirs-7' } });
    await expect(asking).rejects.toMatchObject({ code: 'events_expired' });
    const stream = await bench.ask(undefined, session, { method: 'GET' });
    expect(stream.head.status).toBe(200);
    await stream[Symbol.asyncDispose]();
  });

  it('is one a session', async () => {
    const bench = new Bench();
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    const stream = await bench.ask(undefined, session);
    await expect(bench.ask(undefined, session)).rejects.toThrow('GET stream');
    await stream[Symbol.asyncDispose]();
    const again = await bench.ask(undefined, session);
    expect(again.head.status).toBe(200);
    await again[Symbol.asyncDispose]();
  });
});

it('multiplexes modern requests with equal ids over one line that nobody initialises', async () => {
  const bench = new Bench();
  const modern = (name: string) => ({
    ...call(name),
    params: { name, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } },
  });
  const answers = await Promise.all(['x', 'y'].map((name) => bench.answer(modern(name))));
  expect(answers.map(({ messages }) => messages[0])).toEqual([
    { jsonrpc: '2.0', id: 1, result: { said: 'x' } },
    { jsonrpc: '2.0', id: 1, result: { said: 'y' } },
  ]);
  expect(bench.lines.map(({ heard }) => heard)).toEqual([['tools/call', 'tools/call']]);
});

it('keeps modern requests that name no revision from a line, where they would count as legacy', async () => {
  const bench = new Bench();
  const headers = { 'mcp-protocol-version': '2026-07-28' };
  await expect(bench.ask(call('x'), undefined, { headers })).rejects.toMatchObject({ code: 'invalid_params' });
  expect(bench.lines).toEqual([]);
});

describe('one line for everybody', () => {
  it('is initialised once by the proxy, and its result is given to each client verbatim, in the revision asked for', async () => {
    const bench = new Bench(polite, { isolation: 'shared' });
    const [a, b] = [sessionOf('a'), sessionOf('b')];
    const opened = await Promise.all([bench.answer(INITIALIZE, a), bench.answer({ ...INITIALIZE, id: 2 }, b)]);
    const result = RESULT.replace('2025-11-25', '2025-06-18');
    expect(opened.map(({ text }) => text)).toEqual([
      `{"jsonrpc":"2.0","id":"i","result":${result}}`,
      `{"jsonrpc":"2.0","id":2,"result":${result}}`,
    ]);
    const answers = await Promise.all([bench.answer(call('x'), a), bench.answer(call('y'), b)]);
    expect(answers.map(({ messages }) => messages[0]?.['result'])).toEqual([{ said: 'x' }, { said: 'y' }]);
    expect(bench.lines.map(({ heard }) => heard)).toEqual([
      ['initialize', 'notifications/initialized', 'tools/call', 'tools/call'],
    ]);
  });
});

describe('one line for everybody that is lost', () => {
  const shared = async (options: { onLoss?: 'fail' } = {}) => {
    const bench = new Bench(polite, { isolation: 'shared', ...options });
    const sessions = [sessionOf('a', ['u://1', 'u://2'], 'error'), sessionOf('b', ['u://2', 'u://3'], 'info')] as const;
    for (const session of sessions) await bench.answer(INITIALIZE, session);
    return { bench, sessions };
  };
  const heardOf = (line: PlayedLine | undefined, method: string): unknown[] =>
    line?.params.filter((_params, at) => line.heard[at] === method) ?? [];

  it('is opened once, with what all its sessions had asked for', async () => {
    const { bench, sessions } = await shared();
    bench.lines[0]?.dies();
    await settled();
    const asked = Array.from({ length: 20 }, (_, id) => bench.answer(call('x', id), sessions[id % 2]));
    for (const answer of await Promise.all(asked)) expect(answer.messages[0]).toMatchObject({ result: { said: 'x' } });
    expect(bench.lines.length).toBe(2);
    expect(heardOf(bench.lines[1], 'initialize').length).toBe(1);
    expect(heardOf(bench.lines[1], 'logging/setLevel')).toEqual([{ level: 'info' }]);
    expect(heardOf(bench.lines[1], 'resources/subscribe')).toEqual(['u://1', 'u://2', 'u://3'].map((uri) => ({ uri })));
    expect(bench.recovered).toMatchObject([{ outcome: 'ok', sessions: ['a', 'b'] }]);
  });

  it('brings updates to the streams of sessions that asked for nothing since', async () => {
    const { bench, sessions } = await shared();
    const stream = await bench.ask(undefined, sessions[1], { method: 'GET' });
    const read = readReply(stream);
    bench.lines[0]?.dies();
    await settled();
    await bench.answer(call('x'), sessions[0]);
    bench.lines[1]?.says({ method: 'notifications/resources/updated', params: { uri: 'u://3' } });
    await settled();
    sessions[1].end();
    expect((await read).messages).toMatchObject([{ params: { uri: 'u://3' } }]);
  });

  it('is a loss to each of its sessions where that is wanted', async () => {
    const { bench, sessions } = await shared({ onLoss: 'fail' });
    bench.lines[0]?.dies();
    await settled();
    for (const session of sessions) expect((await bench.answer(call('x'), session)).status).toBe(404);
    const again = sessionOf('c', []);
    await bench.answer(INITIALIZE, again);
    expect((await bench.answer(call('y'), again)).messages[0]).toMatchObject({ result: { said: 'y' } });
    expect((await bench.answer(call('x'), sessions[1])).status).toBe(404);
    expect(bench.recovered).toEqual([]);
  });

  it('keeps a subscription that another session still wants', async () => {
    const { bench, sessions } = await shared();
    const leave = (uri: string) => ({ jsonrpc: '2.0', id: 1, method: 'resources/unsubscribe', params: { uri } });
    for (const uri of ['u://1', 'u://2'])
      expect((await bench.answer(leave(uri), sessions[0])).messages[0]).toMatchObject({ id: 1, result: {} });
    expect(heardOf(bench.lines[0], 'resources/unsubscribe')).toEqual([{ uri: 'u://1' }]);
  });
});

describe('what sessions that share a line ask of its server', () => {
  const shared = async (server: Server = polite) => {
    const bench = new Bench(server, { isolation: 'shared' });
    const sessions = [sessionOf('a', ['u://1', 'u://2'], 'info'), sessionOf('b', ['u://2'], 'error')] as const;
    for (const session of sessions) await bench.answer(INITIALIZE, session);
    return { bench, sessions };
  };
  const paramsOf = (bench: Bench, method: string): unknown[] => {
    const [line] = bench.lines;
    return line?.params.filter((_params, at) => line.heard[at] === method) ?? [];
  };
  const setLevel = (level: string) => ({ jsonrpc: '2.0', id: 5, method: 'logging/setLevel', params: { level } });

  it('is the log level that says most, whoever asked last', async () => {
    const { bench, sessions } = await shared();
    for (const level of ['critical', 'debug'])
      expect((await bench.answer(setLevel(level), sessions[1])).messages[0]).toMatchObject({ id: 5, result: {} });
    expect(paramsOf(bench, 'logging/setLevel')).toEqual([{ level: 'info' }, { level: 'debug' }]);
  });

  it('is not made less by a session that comes back', async () => {
    const { bench } = await shared();
    await bench.answer(call('x'), sessionOf('read from the store', [], 'emergency'));
    expect(paramsOf(bench, 'logging/setLevel')).toEqual([{ level: 'info' }]);
  });

  it('is let go of with the last session that wanted it', async () => {
    const { bench, sessions } = await shared();
    sessions[0].end();
    await settled();
    expect(paramsOf(bench, 'resources/unsubscribe')).toEqual([{ uri: 'u://1' }]);
    sessions[1].end();
    await settled();
    expect(paramsOf(bench, 'resources/unsubscribe')).toEqual([{ uri: 'u://1' }, { uri: 'u://2' }]);
  });

  it('is not waited for longer than for a handshake', async () => {
    const { bench } = await shared((message, line) => {
      if (message.method !== 'logging/setLevel') polite(message, line);
    });
    const late = bench.ask(call('x'), sessionOf('read from the store'));
    late.catch(() => {});
    await settled();
    bench.clock.advance(60_000);
    await expect(late).rejects.toMatchObject({ code: 'upstream_timeout' });
    expect(bench.leased).toBe(0);
  });
});

describe('a line for each request', () => {
  it('is initialised, asked and closed', async () => {
    const bench = new Bench(polite, { isolation: 'request' });
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    expect((await bench.answer(call('x'), session)).messages[0]).toMatchObject({ result: { said: 'x' } });
    expect(bench.lines.map(({ heard }) => heard.filter((method) => !/subscribe|setLevel/.test(method)))).toEqual([
      ['initialize'],
      ['initialize', 'notifications/initialized', 'ping', 'tools/call'],
    ]);
    expect(bench.evicted).toEqual(['request:0', 'request:1']);
  });

  it('asks only once whether the command goes on after its first answer', async () => {
    const bench = new Bench(polite, { isolation: 'request' });
    const session = sessionOf('a');
    for (const name of ['x', 'y']) await bench.answer(call(name), session);
    await bench.answer(call('z'));
    expect(bench.lines.map(({ heard }) => heard.filter((method) => method === 'ping').length)).toEqual([1, 0, 0]);
  });

  it('finds that out also when the command ends later, and for clients without a session', async () => {
    const bench = new Bench(
      (message, line) => {
        if (line.heard.length === 1) polite(message, line);
        else if (message.method === 'ping')
          line.dies(new ProxyError('child_exited', 'it ended', { data: { exitCode: 0 } }));
      },
      { isolation: 'request' },
    );
    for (const [name, session] of [
      ['x', undefined],
      ['y', undefined],
      ['z', sessionOf('a')],
    ] as const)
      expect((await bench.answer(call(name), session)).messages[0]).toMatchObject({ result: { said: name } });
    expect(bench.lines.map(({ heard }) => heard.at(-1))).toEqual(['ping', 'tools/call', 'tools/call', 'tools/call']);
    expect(bench.lines.length).toBe(bench.evicted.length);
  });

  it('does not take a crash for such an end', async () => {
    const crash = new ProxyError('child_exited', 'it exited with code 3', { data: { exitCode: 3 } });
    let crashes = 1;
    const bench = new Bench(
      (message, line) => {
        if (message.method === 'ping' && crashes-- > 0) line.dies(crash);
        else polite(message, line);
      },
      { isolation: 'request' },
    );
    const session = sessionOf('a');
    await expect(bench.answer(call('x'), session)).rejects.toBe(crash);
    expect((await bench.answer(call('y'), session)).messages[0]).toMatchObject({ result: { said: 'y' } });
    expect(bench.lines.at(-1)?.heard[0]).toBe('initialize');
  });

  it('takes a command that ends after its first answer without a handshake', async () => {
    const bench = new Bench(
      (message, line) => {
        if (line.heard.length === 1) polite(message, line);
        else line.dies(new ProxyError('child_exited', 'it exited with code 0'));
      },
      { isolation: 'request' },
    );
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    for (const name of ['x', 'y'])
      expect((await bench.answer(call(name), session)).messages[0]).toMatchObject({ result: { said: name } });
    expect(bench.lines.at(-1)?.heard).toEqual(['tools/call']);
  });

  it("brings the client's answer to the line that asked", async () => {
    const bench = new Bench(
      (message, line) => {
        if (message.method === 'tools/call') line.says({ id: 's1', method: 'sampling/createMessage', params: {} });
        else if (message.method === undefined) line.says({ id: 'unknown', result: {} });
        else polite(message, line);
      },
      { isolation: 'request' },
    );
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    const answer = await bench.ask(call('x'), session);
    const frames = answer.body.frames()[Symbol.asyncIterator]();
    const question = (await frames.next()).value?.message as { id: unknown };
    const told = await bench.answer({ jsonrpc: '2.0', id: question.id, result: {} }, session);
    expect(told.status).toBe(202);
    await settled();
    expect(bench.lines.at(-1)?.heard.at(-1)).toBe('(response)');
    await answer[Symbol.asyncDispose]();
  });

  it('is found also when the one before it ended while it was opened', async () => {
    const bench = new Bench(
      (message, line) => {
        if (message.method === 'tools/call') line.says({ id: 's1', method: 'sampling/createMessage', params: {} });
        else polite(message, line);
      },
      { isolation: 'request' },
    );
    const session = sessionOf('a');
    await bench.answer(INITIALIZE, session);
    const before = await bench.ask(call('x'), session);
    const asking = bench.ask(call('y', 2), session);
    await before[Symbol.asyncDispose]();
    const answer = await asking;
    const question = (await answer.body.frames()[Symbol.asyncIterator]().next()).value?.message as { id: unknown };
    await bench.answer({ jsonrpc: '2.0', id: question.id, result: {} }, session);
    await settled();
    expect(bench.lines.at(-1)?.heard.at(-1)).toBe('(response)');
    await answer[Symbol.asyncDispose]();
  });
});
