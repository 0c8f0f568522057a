import { classifiedExchange, ManualClock, readReply } from '@shadowcat/testkit';
import { sessionSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { bodyOf, endableSession, eventually, nodeServer, REQUEST, upstreamAt } from './support.js';

/** A server that opens a standing stream when it is told to, and notes what happens in which order. */
async function slowToOpen() {
  const seen: string[] = [];
  const open = Promise.withResolvers<void>();
  const { url } = await nodeServer(async (request, response) => {
    const text = await bodyOf(request);
    seen.push(request.method ?? '');
    if (request.method === 'GET') {
      await open.promise;
      seen.push('open');
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      return;
    }
    const { id } = JSON.parse(text) as { id: unknown };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: {} }));
  });
  return { url, seen, open: open.resolve };
}

const sessionAt = (sessionId: string) =>
  endableSession({ id: `c-${sessionId}`, sessionId, protocolVersion: '2025-06-18' });
const asking = (session: ReturnType<typeof sessionAt>, method: 'GET' | 'POST') => {
  const exchange = classifiedExchange(
    method === 'POST' ? { body: REQUEST } : { method, headers: { accept: 'text/event-stream' } },
  );
  exchange.context.set(sessionSlot, session);
  return exchange;
};

describe('a call that follows a standing stream', () => {
  it('does not overtake it on the way to the upstream', async () => {
    const { url, seen, open } = await slowToOpen();
    const upstream = upstreamAt(url, {}, new ManualClock());
    const session = sessionAt('s1');
    await readReply(await upstream(asking(session, 'POST')));
    const stream = upstream(asking(session, 'GET'));
    const called = upstream(asking(session, 'POST'));
    await eventually(() => seen.includes('GET'));
    // Time enough to overtake it: others come and go.
    for (const other of ['s2', 's3']) await readReply(await upstream(asking(sessionAt(other), 'POST')));
    seen.push('others');
    open();
    await readReply(await called);
    expect(seen.slice(seen.indexOf('others'))).toEqual(['others', 'open', 'POST']);
    await (await stream)[Symbol.asyncDispose]();
  });

  it('waits shortly only: a server may have nothing to say there for hours', async () => {
    const { url, seen, open } = await slowToOpen();
    const clock = new ManualClock();
    const upstream = upstreamAt(url, {}, clock);
    const session = sessionAt('s1');
    const stream = upstream(asking(session, 'GET'));
    await eventually(() => seen.includes('GET'));
    const called = upstream(asking(session, 'POST'));
    clock.advance(1000);
    await readReply(await called);
    await readReply(await upstream(asking(session, 'POST')));
    expect(seen).toEqual(['GET', 'POST', 'POST']);
    // Having learned that, it waits less for the next.
    const next = sessionAt('s2');
    const nextStream = upstream(asking(next, 'GET'));
    await eventually(() => seen.length === 4);
    const nextCalled = upstream(asking(next, 'POST'));
    clock.advance(50);
    await readReply(await nextCalled);
    open();
    for (const late of [stream, nextStream]) await (await late)[Symbol.asyncDispose]();
  });

  it('does not wait for the stream of another session', async () => {
    const { url, seen, open } = await slowToOpen();
    const upstream = upstreamAt(url, {}, new ManualClock());
    const stream = upstream(asking(sessionAt('s1'), 'GET'));
    await eventually(() => seen.includes('GET'));
    await readReply(await upstream(asking(sessionAt('s2'), 'POST')));
    expect(seen).toEqual(['GET', 'POST']);
    open();
    await (await stream)[Symbol.asyncDispose]();
  });
});
