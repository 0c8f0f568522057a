import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { classifiedExchange, readReply } from '@shadowcat/testkit';
import type { Json, RecoveryEvent, SessionHandle, UpstreamBinding } from '@shadowcat/wire';
import { sessionSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { bodyOf, eventually, nodeServer, REQUEST, realClock, upstreamAt } from './support.js';

const INITIALIZE = '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","z":1.0}}';

class Session implements SessionHandle {
  readonly id = 'client-facing';
  readonly initializeText = INITIALIZE;
  readonly initializeResult: Json | undefined = undefined;
  readonly protocolVersion = '2025-11-25';
  readonly ended = false;
  readonly restore = { logLevel: 'debug', subscriptions: ['file:///a', 'file:///b'] };
  upstream: UpstreamBinding | undefined;

  constructor(sessionId: string) {
    this.upstream = { target: 'up', sessionId };
  }

  bind(upstream: UpstreamBinding): void {
    this.upstream = upstream;
  }

  onEnd(): () => void {
    return () => undefined;
  }
}

interface Asked {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** How a server says that it does not know a session. */
type Ignorance = 'spec' | 'example';

/** A server with sessions that it can be made to forget. */
async function forgetful(options: { ignorance?: Ignorance; refuse?: boolean; sse?: boolean } = {}) {
  const asked: Asked[] = [];
  const known = new Set<string>();
  const standing: ServerResponse[] = [];
  let opened = 0;
  const answer = (response: ServerResponse, value: object): void => {
    const text = JSON.stringify({ jsonrpc: '2.0', ...value });
    if (options.sse) response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`data: ${text}\n\n`);
    else response.writeHead(200, { 'content-type': 'application/json' }).end(text);
  };
  const { url } = await nodeServer(async (request, response) => {
    const body = await bodyOf(request);
    asked.push({ method: request.method ?? '', headers: request.headers, body });
    const message = body === '' ? {} : (JSON.parse(body) as { id?: unknown; method?: string });
    const id = request.headers['mcp-session-id'];
    if (message.method === 'initialize') {
      if (options.refuse) {
        answer(response, { id: message.id, error: { code: -32000, message: 'no more sessions' } });
        return;
      }
      opened += 1;
      known.add(`s${opened}`);
      response.setHeader('mcp-session-id', `s${opened}`);
      answer(response, { id: message.id, result: { protocolVersion: '2025-06-18' } });
    } else if (!known.has(String(id))) {
      const [status, code, text] =
        options.ignorance === 'example'
          ? [400, -32000, 'Bad Request: No valid session ID']
          : [404, -32001, 'Session not found'];
      response.writeHead(status as number, { 'content-type': 'application/json' });
      response.write(JSON.stringify({ jsonrpc: '2.0', error: { code, message: text }, id: null }));
      setImmediate(() => response.end());
    } else if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': here\n\n');
      standing.push(response);
    } else if (message.id === undefined) {
      response.writeHead(202).end();
    } else {
      answer(response, { id: message.id, result: { session: id } });
    }
  });
  const cut = (): void => {
    for (const response of standing) response.destroy();
  };
  return { url, asked, known, cut };
}

const asking = (session: Session, parts: Parameters<typeof classifiedExchange>[0] = { body: REQUEST }) => {
  const exchange = classifiedExchange(parts);
  exchange.context.set(sessionSlot, session);
  return exchange;
};

describe.each([
  { ignorance: 'spec', sse: false },
  { ignorance: 'example', sse: false },
  { ignorance: 'spec', sse: true },
] as const)('a session that the upstream lost ($ignorance, sse: $sse)', (options) => {
  it('is opened again with all that it had, and the request is sent once more', async () => {
    const { url, asked } = await forgetful(options);
    const upstream = upstreamAt(url);
    const session = new Session('lost');
    const headers = { 'mcp-name': 'echo', 'mcp-protocol-version': '2025-11-25', 'user-agent': 'c' };
    const answer = await readReply(await upstream(asking(session, { body: REQUEST, headers })));
    expect(answer.messages).toEqual([{ jsonrpc: '2.0', id: 7, result: { session: 's1' } }]);
    expect(session.upstream).toEqual({ target: 'up', sessionId: 's1' });
    const said = asked.map(({ headers, body }) => [
      headers['mcp-session-id'],
      headers['mcp-protocol-version'],
      (JSON.parse(body) as { method: string }).method,
    ]);
    expect(said).toEqual([
      ['lost', '2025-11-25', 'tools/call'],
      [undefined, undefined, 'initialize'],
      ['s1', '2025-06-18', 'notifications/initialized'],
      ['s1', '2025-06-18', 'logging/setLevel'],
      ['s1', '2025-06-18', 'resources/subscribe'],
      ['s1', '2025-06-18', 'resources/subscribe'],
      ['s1', '2025-11-25', 'tools/call'],
    ]);
    expect(asked[1]?.body).toBe(INITIALIZE);
    expect(asked.map(({ headers: { 'mcp-name': name } }) => name).slice(1, 6)).toEqual(Array(5).fill(undefined));
    expect(asked.every(({ headers: { 'user-agent': agent } }) => agent === 'c')).toBe(true);
    expect(asked[4]?.body).toContain('"uri":"file:///a"');
    expect(upstream.stats()).toMatchObject({ inFlight: 0 });
  });

  it('is opened again once for all who wait for it', async () => {
    const { url, asked } = await forgetful(options);
    const events: RecoveryEvent[] = [];
    const upstream = upstreamAt(url, {}, realClock, (event) => events.push(event));
    const session = new Session('lost');
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, id) =>
        readReply(await upstream(asking(session, { body: { ...REQUEST, id } }))),
      ),
    );
    expect(answers.map(({ messages }) => messages[0]?.['id'])).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(asked.filter(({ body }) => body === INITIALIZE).length).toBe(1);
    expect(events).toMatchObject([{ target: 'up', outcome: 'ok', sessions: ['client-facing'] }]);
  });

  it('is left alone when that is wished', async () => {
    const { url, asked } = await forgetful(options);
    const answer = await readReply(await upstreamAt(url, { onUpstreamLoss: 'fail' })(asking(new Session('lost'))));
    expect(answer.status).toBe(options.ignorance === 'spec' ? 404 : 400);
    expect(answer.text).toMatch(/session/i);
    expect(asked.length).toBe(1);
  });
});

describe('a session that the upstream lost', () => {
  it('gets its standing stream back, without an event id of the old one', async () => {
    const { url, asked } = await forgetful();
    const upstream = upstreamAt(url);
    const reply = await upstream(asking(new Session('lost'), { method: 'GET', headers: { 'last-event-id': 'old' } }));
    expect(reply.head.status).toBe(200);
    await reply[Symbol.asyncDispose]();
    expect(asked.at(-1)).toMatchObject({ method: 'GET' });
    expect(asked.at(-1)?.headers['last-event-id']).toBeUndefined();
  });

  it('takes its standing stream along, whose old connection is still open', async () => {
    const { url, asked, known } = await forgetful();
    known.add('old');
    const upstream = upstreamAt(url);
    const session = new Session('old');
    const stream = await upstream(asking(session, { method: 'GET' }));
    const read = (async () => {
      for await (const chunk of stream.body.bytes()) if (chunk.length === 0) return;
    })();
    known.delete('old');
    await readReply(await upstream(asking(session)));
    await eventually(() => asked.filter(({ method }) => method === 'GET').length === 2);
    expect(asked.at(-1)?.headers).toMatchObject({ 'mcp-session-id': 's1' });
    await stream[Symbol.asyncDispose]();
    await read;
  });

  it('is left alone by a stream that broke after the session had moved to another upstream', async () => {
    const { url, asked, known, cut } = await forgetful();
    known.add('old');
    const session = new Session('old');
    const stream = await upstreamAt(url)(asking(session, { method: 'GET' }));
    session.bind({ target: 'other', sessionId: 'secret of the other' });
    cut();
    await readReply(stream);
    expect(asked.map(({ method }) => method)).toEqual(['GET']);
    expect(session.upstream?.target).toBe('other');
  });

  it('is not opened again to be ended', async () => {
    const { url, asked } = await forgetful();
    const answer = await readReply(await upstreamAt(url)(asking(new Session('lost'), { method: 'DELETE' })));
    expect(answer.status).toBe(404);
    expect(asked.length).toBe(1);
  });

  it('is an error when the upstream will not open it again', async () => {
    const { url } = await forgetful({ refuse: true });
    const session = new Session('lost');
    const events: RecoveryEvent[] = [];
    const upstream = upstreamAt(url, {}, realClock, (event) => events.push(event));
    await expect(upstream(asking(session))).rejects.toMatchObject({
      code: 'upstream_protocol',
      message: `${url} lost the session and refused to open it again (no more sessions)`,
    });
    expect(session.upstream?.sessionId).toBe('lost');
    expect(events).toMatchObject([{ outcome: 'refused' }]);
  });

  it('is not recovered twice for one request', async () => {
    const { url, known, asked } = await forgetful();
    known.add = () => known;
    const answer = await readReply(await upstreamAt(url)(asking(new Session('lost'))));
    expect(answer.status).toBe(404);
    expect(asked.filter(({ body }) => body === INITIALIZE).length).toBe(1);
  });
});

describe('an upstream without sessions', () => {
  it('answers 404 and 400 for itself', async () => {
    const { url } = await forgetful();
    const session = new Session('x');
    session.upstream = { target: 'up' };
    expect((await readReply(await upstreamAt(url)(asking(session)))).status).toBe(404);
    expect((await readReply(await upstreamAt(url)(classifiedExchange({ body: REQUEST })))).status).toBe(404);
  });

  it.each([
    ['short', '{"error":{"message":"something else"}}'],
    ['long', JSON.stringify({ error: { message: 'session', data: 'x'.repeat(200_000) } })],
    ['no JSON', 'Bad Request'],
  ])('has its 400 passed on in full (%s)', async (_what, text) => {
    const { url } = await nodeServer((_request, response) => void response.writeHead(400).end(text));
    const answer = await readReply(await upstreamAt(url)(asking(new Session('x'))));
    expect(answer).toMatchObject({ status: 400, text });
  });
});

describe('a session that does not live here', () => {
  const methods = (asked: readonly Asked[]): string[] =>
    asked.map(({ body }) => (JSON.parse(body) as { method: string }).method);

  it('is opened before its first request is sent, and moves here', async () => {
    const { url, asked } = await forgetful();
    const events: RecoveryEvent[] = [];
    const upstream = upstreamAt(url, {}, realClock, (event) => events.push(event));
    const session = new Session('theirs');
    session.upstream = { target: 'other', sessionId: 'theirs' };
    const answer = await readReply(await upstream(asking(session)));
    expect(answer.messages).toEqual([{ jsonrpc: '2.0', id: 7, result: { session: 's1' } }]);
    expect(session.upstream).toEqual({ target: 'up', sessionId: 's1' });
    expect(methods(asked).filter((method) => method !== 'resources/subscribe')).toEqual([
      'initialize',
      'notifications/initialized',
      'logging/setLevel',
      'tools/call',
    ]);
    expect(asked.map(({ headers }) => headers['mcp-session-id'])).not.toContain('theirs');
    expect(events).toMatchObject([{ outcome: 'ok', target: 'up' }]);
    expect(events[0]?.text).toMatch(/^a session moves from other to .*; it was opened again$/);
  });

  it('is opened once for all its requests; that it was nowhere is no loss', async () => {
    const { url, asked } = await forgetful();
    const events: RecoveryEvent[] = [];
    const upstream = upstreamAt(url, {}, realClock, (event) => events.push(event));
    const session = new Session('none');
    session.upstream = undefined;
    await Promise.all(Array.from({ length: 5 }, async () => readReply(await upstream(asking(session)))));
    expect(methods(asked).filter((method) => method === 'initialize')).toHaveLength(1);
    expect(events).toEqual([]);
  });

  it('is opened here also where a loss is handed on: nothing was lost here', async () => {
    const { url } = await forgetful();
    const session = new Session('none');
    session.upstream = undefined;
    const answer = await readReply(await upstreamAt(url, { onUpstreamLoss: 'fail' })(asking(session)));
    expect(answer.status).toBe(200);
  });
});
