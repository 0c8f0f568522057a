import type { ServerResponse } from 'node:http';
import { classifiedExchange } from '@shadowcat/testkit';
import type { SessionHandle } from '@shadowcat/wire';
import { sessionSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { bodyOf, endableSession, nodeServer, upstreamAt } from './support.js';

/** A server with one session. `keepOpen`: it does not close the standing stream of a session that was deleted. */
async function serverOfOne(keepOpen: boolean) {
  const asked: string[] = [];
  let standing: ServerResponse | undefined;
  let deleted = false;
  const { url } = await nodeServer(async (request, response) => {
    const text = await bodyOf(request);
    asked.push(text === '' ? (request.method ?? '') : ((JSON.parse(text) as { method: string }).method ?? ''));
    if (request.method === 'DELETE') {
      deleted = true;
      if (!keepOpen) standing?.end();
      response.writeHead(200).end();
    } else if (deleted) response.writeHead(404).end();
    else {
      standing = response;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': here\n\n');
    }
  });
  return { url, asked };
}

const asking = (session: SessionHandle, method: string) => {
  const exchange = classifiedExchange({ method, headers: { accept: 'text/event-stream' } });
  exchange.context.set(sessionSlot, session);
  return exchange;
};

describe.each([{ keepOpen: false }, { keepOpen: true }])('a session that its client deletes ($keepOpen)', (options) => {
  it('has its standing stream ended, and is not opened again', async () => {
    const { url, asked } = await serverOfOne(options.keepOpen);
    const upstream = upstreamAt(url, { backoff: { minDelay: 0, maxDelay: 0 } });
    const session = endableSession({ id: 'client-facing', sessionId: 's1', protocolVersion: '2025-11-25' });
    await using stream = await upstream(asking(session, 'GET'));
    const read = (async () => {
      let size = 0;
      for await (const chunk of stream.body.bytes()) size += chunk.length;
      return size;
    })();
    await (await upstream(asking(session, 'DELETE')))[Symbol.asyncDispose]();
    session.end();
    expect(await read).toBeGreaterThanOrEqual(0);
    expect(asked.filter((what) => what !== 'GET')).toEqual(['DELETE']);
    expect(upstream.stats()).toMatchObject({ inFlight: 0 });
  });
});
