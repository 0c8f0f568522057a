import type { IncomingHttpHeaders } from 'node:http';
import { classifiedExchange, ManualClock, readReply } from '@shadowcat/testkit';
import { type SessionHandle, sessionSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { bodyOf, endableSession, eventually, nodeServer, REQUEST, upstreamAt } from './support.js';

const sessionAt = (sessionId: string) =>
  endableSession({ id: `client-${sessionId}`, sessionId, protocolVersion: '2025-06-18' });

/** A server that answers everything, DELETE with `status`; 0: never. */
async function serverThat(status = 200) {
  const deleted: IncomingHttpHeaders[] = [];
  const { url } = await nodeServer(async (request, response) => {
    const text = await bodyOf(request);
    if (request.method === 'DELETE') {
      deleted.push(request.headers);
      if (status !== 0) response.writeHead(status).end();
      return;
    }
    const { id } = JSON.parse(text) as { id: unknown };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: {} }));
  });
  return { url, deleted };
}

const asking = (session: SessionHandle, method = 'POST', headers: Record<string, string> = {}) => {
  const exchange = classifiedExchange(method === 'POST' ? { body: REQUEST, headers } : { method, headers });
  exchange.context.set(sessionSlot, session);
  return exchange;
};

describe('a session that ends by itself', () => {
  it('is ended upstream too, once, with what the client is known by there', async () => {
    const { url, deleted } = await serverThat();
    const upstream = upstreamAt(url, { forwardAuthorization: true });
    const session = sessionAt('s1');
    for (const token of ['old', 'new']) {
      const headers = { authorization: `Bearer ${token}`, 'mcp-name': 'echo', 'content-type': 'application/json' };
      await readReply(await upstream(asking(session, 'POST', headers)));
    }
    expect(deleted).toEqual([]);
    session.end();
    await eventually(() => deleted.length > 0 && upstream.stats().inFlight === 0);
    expect(deleted).toMatchObject([
      { 'mcp-session-id': 's1', 'mcp-protocol-version': '2025-06-18', authorization: 'Bearer new' },
    ]);
    expect(deleted[0]).not.toHaveProperty('mcp-name');
    expect(deleted[0]).not.toHaveProperty('content-type');
  });

  it('is ended upstream although this process never served it', async () => {
    const { url, deleted } = await serverThat();
    const upstream = upstreamAt(url);
    const session = sessionAt('s1');
    session.end();
    upstream.farewell(session);
    await eventually(() => deleted.length > 0 && upstream.stats().inFlight === 0);
    expect(deleted).toMatchObject([{ 'mcp-session-id': 's1', 'mcp-protocol-version': '2025-06-18' }]);
  });

  it('is not ended by another upstream than its own', async () => {
    const [own, other] = [await serverThat(), await serverThat()];
    const session = sessionAt('s1');
    const upstreams = [upstreamAt(own.url), upstreamAt(other.url, { target: 'other' })];
    for (const upstream of upstreams) await readReply(await upstream(asking(session)));
    session.end();
    await eventually(() => own.deleted.length > 0);
    await Promise.all(upstreams.map((upstream) => upstream.close()));
    expect(other.deleted).toEqual([]);
  });

  it('is not ended twice when its client has ended it', async () => {
    const { url, deleted } = await serverThat();
    const upstream = upstreamAt(url);
    const session = sessionAt('s1');
    await readReply(await upstream(asking(session, 'DELETE')));
    session.end();
    await upstream.close();
    expect(deleted.length).toBe(1);
  });

  it('waits its turn where many end together, and what has begun is finished', async () => {
    const { url, deleted } = await serverThat();
    const upstream = upstreamAt(url);
    const sessions = Array.from({ length: 100 }, (_, n) => sessionAt(`s${n}`));
    for (const session of sessions) await readReply(await upstream(asking(session)));
    for (const session of sessions) session.end();
    expect(upstream.stats().inFlight).toBeLessThanOrEqual(16);
    await eventually(() => deleted.length === 100 && upstream.stats().inFlight === 0);
    expect(new Set(deleted.map((headers) => headers['mcp-session-id'])).size).toBe(100);
  });

  it('is given up on when the upstream does not answer', async () => {
    const { url, deleted } = await serverThat(0);
    const clock = new ManualClock();
    const upstream = upstreamAt(url, {}, clock);
    const session = sessionAt('s1');
    await readReply(await upstream(asking(session)));
    session.end();
    await eventually(() => deleted.length === 1);
    clock.advance(5_000);
    await eventually(() => upstream.stats().inFlight === 0);
    expect(clock.pending).toBe(0);
  });

  it('is cut off when the proxy ends', async () => {
    const { url, deleted } = await serverThat(0);
    const clock = new ManualClock();
    const upstream = upstreamAt(url, {}, clock);
    const [session, living] = [sessionAt('s1'), sessionAt('s2')];
    for (const one of [session, living]) await readReply(await upstream(asking(one)));
    session.end();
    await eventually(() => deleted.length === 1);
    const closed = upstream.close();
    clock.advance(1_000);
    await closed;
    living.end();
    expect(deleted.length).toBe(1);
    expect(clock.pending).toBe(0);
  });
});
