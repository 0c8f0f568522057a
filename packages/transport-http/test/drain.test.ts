import { request } from 'node:http';
import { jsonReply, streamReply } from '@shadowcat/testkit';
import { resumableSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { classified, eventually, postOf, REQUEST, serving, Wire } from './support.js';

describe('closing a listener', () => {
  it('lets what is in flight finish, closes its connection then, and takes nothing new', async () => {
    const go = Promise.withResolvers<void>();
    const listener = await serving(async () => {
      await go.promise;
      return jsonReply('{"late":true}');
    });
    const idle = new Wire(listener.port);
    const wire = new Wire(listener.port);
    wire.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await eventually(() => listener.stats().exchanges === 1 && listener.stats().connections === 2);
    const closed = listener.close({ drainMs: 10_000 });
    expect(listener.close({ drainMs: 0 })).toBe(closed);
    await idle.end();
    await expect(fetch(listener.url)).rejects.toThrow();
    go.resolve();
    const text = await wire.end();
    expect(text).toContain('{"late":true}');
    expect(text.toLowerCase()).toContain('connection: close');
    await closed;
    expect(listener.stats()).toMatchObject({ connections: 0, exchanges: 0 });
  });

  it('ends standing streams at once, with a retry hint', async () => {
    const listener = await serving(async (exchange) => streamReply(forever(exchange.signal)), { retryHint: 250 });
    const wire = new Wire(listener.port);
    wire.write('GET /mcp HTTP/1.1\r\nHost: h\r\n\r\n');
    await wire.until(/data: 1/);
    await listener.close({ drainMs: 60_000 });
    expect(await wire.end()).toMatch(/data: 1\n\n\r\n[\da-f]+\r\nretry: 250\n\n\r\n0\r\n\r\n$/);
  });

  it('counts subscriptions/listen among the standing streams', async () => {
    const listener = await serving(classified(async (exchange) => streamReply(forever(exchange.signal))));
    const body = { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: {} };
    const answer = await fetch(listener.url, postOf(body));
    await listener.close({ drainMs: 60_000 });
    expect(await answer.text()).toBe('data: 1\n\nretry: 1000\n\n');
  });

  it('answers what is left when the time is over', async () => {
    const listener = await serving(
      classified(async (exchange) => {
        if (exchange.head.target === '/stream') return streamReply(forever(exchange.signal));
        await new Promise<void>((resolve) => exchange.signal.addEventListener('abort', () => resolve()));
        return jsonReply('{}');
      }),
    );
    const waiting = fetch(`${listener.url}/wait`, postOf(REQUEST));
    const streaming = await fetch(`${listener.url}/stream`, postOf(REQUEST));
    await eventually(() => listener.stats().exchanges === 2);
    await listener.close({ drainMs: 20 });
    const answer = await waiting;
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await answer.json()).toMatchObject({ id: 7, error: { message: expect.stringContaining('shutting down') } });
    expect(await streaming.text()).toMatch(/^data: 1\n\nevent: message\ndata: .*"id":7,"error":.*shutting down.*\n\n$/);
    expect(listener.stats()).toMatchObject({ connections: 0, exchanges: 0 });
  });

  it('ends a stream that its client can come back to in good order, and tells others of each of its requests', async () => {
    const listener = await serving(
      classified(async (exchange) => {
        const outlivesProxy = exchange.head.target === '/kept';
        exchange.context.set(resumableSlot, { standing: false, requests: ['7', '"b"'], outlivesProxy });
        return streamReply(forever(exchange.signal));
      }),
      { retryHint: 250 },
    );
    // One was taken up again with GET, which names no request; it is waited for all the same.
    const [kept, lost] = await Promise.all(['/kept', '/lost'].map((path) => fetch(`${listener.url}${path}`)));
    await listener.close({ drainMs: 20 });
    expect(await kept?.text()).toBe('data: 1\n\nretry: 250\n\n');
    const told = [...((await lost?.text()) ?? '').matchAll(/^data: (\{.*)$/gm)].map(([, text = '']) =>
      JSON.parse(text),
    );
    expect(told).toMatchObject([
      { id: 7, error: { code: -32007 } },
      { id: 'b', error: { code: -32007 } },
    ]);
  });

  it('refuses a request that arrives on a connection that is still busy', async () => {
    const go = Promise.withResolvers<void>();
    const listener = await serving(async () => {
      await go.promise;
      return jsonReply('{}');
    });
    const wire = new Wire(listener.port);
    wire.write('GET /1 HTTP/1.1\r\nHost: h\r\n\r\n');
    await eventually(() => listener.stats().exchanges === 1);
    const closed = listener.close({ drainMs: 10_000 });
    wire.write('GET /2 HTTP/1.1\r\nHost: h\r\n\r\n');
    await eventually(() => listener.stats().exchanges === 1);
    go.resolve();
    await wire.end();
    await closed;
  });

  it('waits until what was written has left', async () => {
    const large = 'x'.repeat(8 * 1024 * 1024);
    const listener = await serving(async () => jsonReply(large));
    const wire = new Wire(listener.port);
    wire.socket.pause();
    wire.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await eventually(() => listener.stats().exchanges === 1 || wire.socket.bytesRead > 0);
    await eventually(() => listener.stats().exchanges === 0);
    const closed = listener.close({ drainMs: 10_000 });
    wire.socket.resume();
    const text = await wire.end();
    expect(text.length).toBeGreaterThan(large.length);
    await closed;
  });

  it('destroys upgraded connections that their owner left open', async () => {
    const listener = await serving(async () => jsonReply('{}'));
    listener.server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    });
    const upgrading = request({
      host: '127.0.0.1',
      port: listener.port,
      headers: { connection: 'Upgrade', upgrade: 'x' },
    }).end();
    const socket = await new Promise<import('node:stream').Duplex>((resolve) => {
      upgrading.on('upgrade', (_answer, upgraded) => resolve(upgraded));
    });
    const ended = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined).resume();
    await listener.close({ drainMs: 10_000 });
    await ended;
    expect(listener.stats().connections).toBe(0);
  });
});

async function* forever(signal: AbortSignal): AsyncGenerator<string> {
  yield 'data: 1\n\n';
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
}
