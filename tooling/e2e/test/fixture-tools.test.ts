import { once } from 'node:events';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LineClient } from '../src/line-client.js';
import { OwnedProcess } from '../src/processes.js';
import { answerText, openSession, postModern, postRaw, type SseEvent, sseEvents } from '../src/raw-mcp.js';
import { FIXTURE_MAIN, startFixture } from '../src/servers.js';

const call = (id: number, name: string, args: unknown = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

const structured = (text: string) => JSON.parse(text).result.structuredContent;

const startStdio = (flags: string[] = []): Promise<OwnedProcess> =>
  OwnedProcess.start({ command: process.execPath, args: [FIXTURE_MAIN, 'stdio', ...flags], stdin: 'pipe' });

/** JSON that `JSON.parse` and `JSON.stringify` would not leave alone. */
const FRAGILE = String.raw`{"big":9007199254740993,"point":1.0,"escape":"\u0041","z":{"b":1,"a":2}}`;

let fixture: Awaited<ReturnType<typeof startFixture>>;

beforeAll(async () => {
  fixture = await startFixture();
});

afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

describe('echo', () => {
  const rest = `"content":[{"type":"text","text":${JSON.stringify(FRAGILE)}}],"structuredContent":${FRAGILE}`;

  it('returns its arguments verbatim in a legacy session', async () => {
    const session = await openSession(fixture.url);
    const body = JSON.stringify(call(5, 'echo', 'HERE')).replace('"HERE"', FRAGILE);
    expect(await answerText(await session.post(body), 5)).toContain(rest);
    await session.delete();
  });

  it('returns its arguments verbatim on a modern request', async () => {
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' };
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const body = `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo","arguments":${FRAGILE},"_meta":${JSON.stringify(meta)}}}`;
    const answer = await answerText(await postRaw(fixture.url, body, { headers }), 5);
    expect(answer).toContain(rest);
  });

  it('returns its arguments verbatim over stdio', async () => {
    await using owned = await startStdio();
    const client = new LineClient(owned);
    await client.initialize();
    client.send(JSON.stringify(call(5, 'echo', 'HERE')).replace('"HERE"', FRAGILE));
    expect(await client.answerTo(5)).toContain(rest);
  });
});

describe('sleep', () => {
  it('is cancelled by a notification in a legacy session, and not by a client that goes away', async () => {
    await using own = await startFixture();
    const session = await openSession(own.url);
    const leaving = new AbortController();
    const left = session.post(call(1, 'sleep', { ms: 50 }), { signal: leaving.signal });
    await (await left).body?.getReader().read();
    leaving.abort();
    const cancelled = await session.post(call(2, 'sleep', { ms: 60_000 }));
    await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 2 } });
    await own.line(/^sleep cancelled: 2$/, { from: 'stderr' });
    await cancelled.body?.cancel();
    const third = await session.post(call(3, 'sleep', { ms: 100 }));
    await answerText(third, 3);
    const counts = structured(await answerText(await session.post(call(4, 'cancel_count')), 4));
    expect(counts).toEqual({ started: 3, finished: 2, cancelled: 1 });
  });

  it('is cancelled by a modern client that goes away', async () => {
    await using own = await startFixture();
    const leaving = new AbortController();
    const answer = postModern(
      own.url,
      { id: 'x', method: 'tools/call', params: { name: 'sleep', arguments: { ms: 60_000 } } },
      { signal: leaving.signal },
    );
    await own.line(/^sleep started: "x"$/, { from: 'stderr' });
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await own.line(/^sleep cancelled: "x"$/, { from: 'stderr' });
  });

  it('is cancelled by a notification over stdio', async () => {
    await using owned = await startStdio();
    const client = new LineClient(owned);
    await client.initialize();
    client.call(1, 'sleep', { ms: 60_000 });
    client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    await owned.line(/^sleep cancelled: 1$/, { from: 'stderr' });
    client.call(2, 'cancel_count');
    expect(structured(await client.answerTo(2))).toEqual({ started: 1, finished: 0, cancelled: 1 });
  });
});

describe('crash', () => {
  it('ends the process with the code, in the middle of the call', async () => {
    await using owned = await startStdio(['--allow-crash']);
    const client = new LineClient(owned);
    await client.initialize();
    client.call(1, 'crash', { code: 7 });
    expect((await owned.exited).code).toBe(7);
    expect(owned.stdout).not.toContain('"id":1');
  });

  it('refuses without the flag', async () => {
    const session = await openSession(fixture.url);
    const answer = JSON.parse(await answerText(await session.post(call(1, 'crash')), 1));
    expect(answer.result.isError).toBe(true);
    await session.delete();
  });
});

describe('probes', () => {
  it('whoami tells sessions and clients apart', async () => {
    const [one, two] = await Promise.all([openSession(fixture.url), openSession(fixture.url)]);
    const who = async (session: typeof one) =>
      structured(await answerText(await session.post(call(1, 'whoami', { headers: true })), 1));
    const [first, second] = await Promise.all([who(one), who(two)]);
    expect(first).toMatchObject({ era: 'legacy', sessionId: one.id, clientInfo: { name: 'e2e-raw' } });
    expect(first.headers['mcp-session-id']).toBe(one.id);
    expect(second.sessionId).toBe(two.id);
    const modern = await postModern(fixture.url, { method: 'tools/call', params: { name: 'whoami', arguments: {} } });
    expect(structured(await answerText(modern, 1))).toMatchObject({ era: 'modern', protocolVersion: '2026-07-28' });
    await Promise.all([one.delete(), two.delete()]);
  });

  it('pid, big, stderr and garbage do what they say over stdio', async () => {
    await using owned = await startStdio();
    const client = new LineClient(owned);
    await client.initialize();
    client.call(1, 'pid');
    expect(JSON.parse(await client.answerTo(1)).result.content[0].text).toBe(String(owned.pid));
    client.call(2, 'big', { bytes: 2_000_000 });
    expect((await client.answerTo(2)).length).toBeGreaterThan(2_000_000);
    client.call(3, 'stderr', { text: 'to the log' });
    await owned.line(/^to the log$/, { from: 'stderr' });
    client.call(4, 'garbage', { text: 'Listening on nothing' });
    await owned.line(/^Listening on nothing$/);
    await client.answerTo(4);
  });
});

describe('changes', () => {
  const nextMessage = async (events: AsyncGenerator<SseEvent>) => {
    for (;;) {
      const { value, done } = await events.next();
      if (done) throw new Error('the stream has ended');
      if (value.data !== '') return JSON.parse(value.data);
    }
  };

  it('reach a legacy client on its GET stream', async () => {
    const session = await openSession(fixture.url);
    const stream = sseEvents(await session.get());
    const subscribed = await session.post({
      jsonrpc: '2.0',
      id: 1,
      method: 'resources/subscribe',
      params: { uri: 'test://watched-resource' },
    });
    await answerText(subscribed, 1);
    await answerText(await session.post(call(2, 'touch_resource', { uri: 'test://watched-resource' })), 2);
    expect(await nextMessage(stream)).toMatchObject({
      method: 'notifications/resources/updated',
      params: { uri: 'test://watched-resource' },
    });
    await answerText(await session.post(call(3, 'trigger_list_changed', { add: true })), 3);
    expect(await nextMessage(stream)).toMatchObject({ method: 'notifications/tools/list_changed' });
    expect(JSON.parse(await answerText(await session.post(call(4, 'extra_1')), 4)).result.content[0].text).toBe(
      'extra_1',
    );
    await session.delete();
    expect((await stream.next()).done).toBe(true);
  });

  it('reach a modern client on its subscription', async () => {
    const leaving = new AbortController();
    const params = { notifications: { toolsListChanged: true } };
    const listen = await postModern(
      fixture.url,
      { id: 'sub', method: 'subscriptions/listen', params },
      { signal: leaving.signal },
    );
    const stream = sseEvents(listen);
    expect(await nextMessage(stream)).toMatchObject({ method: 'notifications/subscriptions/acknowledged' });
    const trigger = { method: 'tools/call', params: { name: 'trigger_list_changed', arguments: {} } };
    await answerText(await postModern(fixture.url, trigger), 1);
    expect(await nextMessage(stream)).toMatchObject({
      method: 'notifications/tools/list_changed',
      params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'sub' } },
    });
    leaving.abort();
  });
});

describe('legacy sessions over HTTP', () => {
  it('resume a stream that the server closed before the answer', async () => {
    const session = await openSession(fixture.url);
    const events: SseEvent[] = [];
    for await (const event of sseEvents(await session.post(call(1, 'test_reconnection')))) events.push(event);
    expect(events).toEqual([{ id: expect.any(String), retry: '500', data: '' }]);
    const rest = await session.get({ lastEventId: events[0]?.id ?? '' });
    expect(await answerText(rest, 1)).toContain('answered after the stream was closed');
    await session.delete();
  });

  it('accept batches in 2025-03-26', async () => {
    const session = await openSession(fixture.url, { protocolVersion: '2025-03-26' });
    const batch = await session.post([call(1, 'test_simple_text'), call(2, 'pid')]);
    const ids: unknown[] = [];
    for await (const { data } of sseEvents(batch)) if (data !== '') ids.push(JSON.parse(data).id);
    expect(ids.sort()).toEqual([1, 2]);
    await session.delete();
  });

  it.each([
    ['an unknown session', { 'mcp-session-id': 'nobody' }, 404, -32001],
    ['no session', {}, 400, -32000],
  ])('are refused with %s', async (_what, headers, status, code) => {
    const answer = await postRaw(fixture.url, JSON.stringify(call(9, 'pid')), { headers });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ id: 9, error: { code } });
  });

  it('end with DELETE', async () => {
    const session = await openSession(fixture.url);
    expect((await session.delete()).status).toBe(200);
    expect((await session.post(call(1, 'pid'))).status).toBe(404);
  });

  it('are for local hosts and origins only', async () => {
    const statusFor = async (headers: Record<string, string>): Promise<number | undefined> => {
      const sent = request(fixture.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
      });
      sent.end('{}');
      const [answer] = await once(sent, 'response');
      answer.resume();
      return answer.statusCode;
    };
    expect(await statusFor({ host: 'evil.example' })).toBe(403);
    expect(await statusFor({ origin: 'http://evil.example' })).toBe(403);
    expect(await statusFor({ host: 'localhost:1', origin: 'http://localhost:2' })).toBe(400);
  });
});

describe('ending', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('over HTTP on %s with streams and calls open', async (signal) => {
    await using own = await startFixture();
    const session = await openSession(own.url);
    const standing = await session.get();
    const call1 = await session.post(call(1, 'sleep', { ms: 60_000 }));
    const exit = await own.stop({ signal });
    expect({ code: exit.code, signal: exit.signal }).toEqual({ code: 0, signal: null });
    await Promise.allSettled([standing.text(), call1.text()]);
  });

  it('over stdio when stdin ends, with a call in flight', async () => {
    await using owned = await startStdio();
    const client = new LineClient(owned);
    await client.initialize();
    client.call(1, 'sleep', { ms: 60_000 });
    client.end();
    expect(await owned.exited).toMatchObject({ code: 0, signal: null });
  });

  it('over stdio on SIGTERM', async () => {
    await using owned = await startStdio();
    await new LineClient(owned).initialize();
    expect(await owned.stop()).toMatchObject({ code: 0, signal: null });
  });

  it.each([
    [['http', 'eighty'], 'PORT must be a whole number'],
    [['carrier-pigeon'], 'expected http or stdio'],
  ])('with code 2 for %j', async (args, message) => {
    await using owned = await OwnedProcess.start({ command: process.execPath, args: [FIXTURE_MAIN, ...args] });
    const exit = await owned.exited;
    expect(exit.code).toBe(2);
    expect(exit.stderr).toContain(message);
  });
});
