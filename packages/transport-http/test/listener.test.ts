import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Body, ProxyError, type Reply, reply, silentLog } from '@shadowcat/kernel';
import { handlerOf, jsonReply, ManualClock, streamReply } from '@shadowcat/testkit';
import { jsonFraming, peerSlot, sseFraming } from '@shadowcat/wire';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listen } from '../src/listener.js';
import { classified, eventually, postOf, REQUEST, realClock, serving, Wire } from './support.js';

describe('listen', () => {
  it('hands over what was asked, and sends the reply in one piece with its length', async () => {
    const handler = handlerOf(async (exchange) => {
      const text = new TextDecoder().decode(await exchange.body.collect(1e6));
      return jsonReply({ heard: text }, { status: 201, headers: { 'x-of-the-reply': 'yes' } });
    });
    const listener = await serving(handler);
    const answer = await fetch(`${listener.url}/mcp?q=1`, postOf('{"a":1}', { 'X-Client': 'c' }));
    expect(answer.status).toBe(201);
    expect(answer.headers.get('x-of-the-reply')).toBe('yes');
    expect(answer.headers.get('content-length')).toBe('21');
    expect(await answer.json()).toEqual({ heard: '{"a":1}' });
    const [exchange] = handler.exchanges;
    expect(exchange?.head).toMatchObject({ method: 'POST', target: '/mcp?q=1', headers: { 'x-client': 'c' } });
    expect(exchange?.context.get(peerSlot)).toBe('127.0.0.1');
    expect(exchange?.id).toBe('x1');
  });

  it('disposes each reply once, after its body', async () => {
    const order: string[] = [];
    const listener = await serving(async () =>
      streamReply(
        (function* () {
          order.push('body');
          yield 'data: 1\n\n';
          order.push('end');
        })(),
        { dispose: () => void order.push('disposed') },
      ),
    );
    await (await fetch(listener.url)).text();
    await eventually(() => listener.stats().exchanges === 0);
    expect(order).toEqual(['body', 'end', 'disposed']);
  });

  it('forbids every hop to hold back or change an event stream', async () => {
    const listener = await serving(async () =>
      streamReply(['data: 1\n\n'], { headers: { 'cache-control': 'max-age=5' } }),
    );
    const answer = await fetch(listener.url);
    expect(answer.headers.get('x-accel-buffering')).toBe('no');
    expect(answer.headers.get('cache-control')).toBe('no-cache, no-transform');
    expect(await answer.text()).toBe('data: 1\n\n');
  });

  it('sends the head of an event stream before its first event', async () => {
    const go = Promise.withResolvers<void>();
    const listener = await serving(async () =>
      streamReply(
        (async function* () {
          await go.promise;
          yield 'data: 1\n\n';
        })(),
      ),
    );
    const answer = await fetch(listener.url);
    expect(answer.status).toBe(200);
    go.resolve();
    expect(await answer.text()).toBe('data: 1\n\n');
  });

  it('declares no length for a body that frame steps may change', async () => {
    const body = Body.whole(new TextEncoder().encode('{"a":1}'), jsonFraming).with({
      transforms: true,
      frame: (frame) => frame.replace('{"a":"something longer"}'),
    });
    const listener = await serving(async () => reply({ status: 200, headers: { 'content-length': '7' } }, body));
    expect(await (await fetch(listener.url)).text()).toBe('{"a":"something longer"}');
  });

  it('sends no length and no body with 204', async () => {
    const listener = await serving(async () => reply({ status: 204, headers: {} }));
    const wire = new Wire(listener.port);
    wire.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    const text = await wire.end();
    expect(text).toMatch(/^HTTP\/1\.1 204/);
    expect(text.toLowerCase()).not.toContain('content-length');
  });

  it.each(['a ProxyError', 'any error'])('answers when the handler rejects with %s, and lives on', async (kind) => {
    const thrown =
      kind === 'any error' ? new Error('secret detail') : new ProxyError('upstream_unreachable', 'up is down');
    const listener = await serving(
      classified(async (exchange) => {
        if (exchange.head.target === '/ok') return jsonReply('{}');
        throw thrown;
      }),
    );
    const answer = await fetch(`${listener.url}/mcp`, postOf(REQUEST));
    expect(answer.status).toBe(kind === 'any error' ? 500 : 502);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({ jsonrpc: '2.0', id: 7, error: { code: expect.any(Number) } });
    expect(text).not.toContain('secret detail');
    expect((await fetch(`${listener.url}/ok`, postOf(REQUEST))).status).toBe(200);
    expect(listener.stats().exchanges).toBe(0);
  });

  it('answers with an error when a body fails before its first byte', async () => {
    const listener = await serving(
      classified(async () => reply({ status: 200, headers: {} }, Body.stream(failing(), jsonFraming))),
    );
    const answer = await fetch(listener.url, postOf(REQUEST));
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ id: 7, error: { message: 'it broke' } });
  });

  it('breaks the connection when a JSON body fails in the middle', async () => {
    const listener = await serving(
      classified(async () => reply({ status: 200, headers: {} }, Body.stream(failing('{"half":'), jsonFraming))),
    );
    const read = async (): Promise<string> => (await fetch(listener.url, postOf(REQUEST))).text();
    await expect(read()).rejects.toThrow();
    await eventually(() => listener.stats().exchanges === 0);
  });

  it('ends an event stream that fails with an error for the request', async () => {
    const listener = await serving(
      classified(async () => reply({ status: 200, headers: {} }, Body.stream(failing('data: {"ha'), sseFraming))),
    );
    const text = await (await fetch(listener.url, postOf(REQUEST))).text();
    expect(text).toMatch(/^data: \{"ha\n\nevent: message\ndata: \{"jsonrpc":"2.0","id":7,"error":.*it broke.*\n\n$/);
  });

  it('survives a reply with a header that cannot be sent', async () => {
    const listener = await serving(async () => jsonReply('{}', { headers: { 'x-bad': 'a\nb' } }));
    expect((await fetch(listener.url)).status).toBe(500);
  });

  it('fires the signal and disposes the reply when the client leaves, also while the handler works', async () => {
    const disposed: string[] = [];
    const reached = Promise.withResolvers<AbortSignal>();
    const listener = await serving(async (exchange) => {
      if (exchange.head.target === '/stream') {
        return streamReply(until(exchange.signal), { dispose: () => void disposed.push('stream') });
      }
      reached.resolve(exchange.signal);
      await new Promise<void>((resolve) => exchange.signal.addEventListener('abort', () => resolve()));
      return jsonReply('{}');
    });
    const waiting = new Wire(listener.port);
    waiting.write('GET /wait HTTP/1.1\r\nHost: h\r\n\r\n');
    const signal = await reached.promise;
    expect(signal.aborted).toBe(false);
    waiting.socket.destroy();
    await eventually(() => listener.stats().exchanges === 0);
    expect(signal.aborted).toBe(true);

    const streaming = new Wire(listener.port);
    streaming.write('GET /stream HTTP/1.1\r\nHost: h\r\n\r\n');
    await streaming.until(/data: 1/);
    expect(listener.stats()).toMatchObject({ exchanges: 1, streams: 1 });
    streaming.socket.destroy();
    await eventually(() => listener.stats().exchanges === 0);
    expect(disposed).toEqual(['stream']);
    expect(listener.stats().streams).toBe(0);
  });

  it('gives back what a reply borrowed when a client that does not read leaves', async () => {
    const disposed = Promise.withResolvers<void>();
    let produced = 0;
    const listener = await serving(async () =>
      streamReply(
        (function* () {
          for (;;) {
            produced += 1;
            yield `data: ${'x'.repeat(65_536)}\n\n`;
          }
        })(),
        { dispose: () => disposed.resolve() },
      ),
    );
    const wire = new Wire(listener.port);
    wire.socket.pause();
    wire.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    let before = -1;
    await eventually(() => {
      const still = produced > 0 && produced === before;
      before = produced;
      return still;
    });
    wire.socket.destroy();
    await disposed.promise;
    await eventually(() => listener.stats().exchanges === 0);
  });

  it('keeps an idle event stream alive, between events only', async () => {
    const clock = new ManualClock();
    const next = [Promise.withResolvers<string>(), Promise.withResolvers<string>()] as const;
    const listener = await serving(
      async () =>
        streamReply(
          (async function* () {
            for (const piece of next) yield await piece.promise;
          })(),
        ),
      {},
      clock,
    );
    const wire = new Wire(listener.port);
    wire.write('GET / HTTP/1.0\r\nHost: h\r\n\r\n');
    await wire.until(/\r\n\r\n/);
    expect(clock.pending).toBe(1);
    clock.advance(15_000);
    await wire.until(/: keep-alive\n\n/);
    next[0].resolve('data: half of');
    await wire.until(/half of/);
    clock.advance(120_000);
    next[1].resolve(' it\n\n');
    const text = await wire.end();
    expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe(': keep-alive\n\ndata: half of it\n\n');
    await eventually(() => clock.pending === 0);
  });

  it('serves pipelined requests in order, and lets go of all of them when the client leaves', async () => {
    const signals: AbortSignal[] = [];
    const listener = await serving(async (exchange) => {
      if (exchange.head.target.startsWith('/n')) return jsonReply(exchange.head.target);
      signals.push(exchange.signal);
      await new Promise<void>((resolve) => exchange.signal.addEventListener('abort', () => resolve()));
      return jsonReply('{}');
    });
    const wire = new Wire(listener.port);
    wire.write(['/n1', '/n2', '/n3'].map((target) => `GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`).join(''));
    const text = await wire.until(/n3/);
    expect([...text.matchAll(/\/n\d/g)].join()).toBe('/n1,/n2,/n3');
    wire.write('GET /w1 HTTP/1.1\r\nHost: h\r\n\r\nGET /w2 HTTP/1.1\r\nHost: h\r\n\r\n');
    await eventually(() => signals.length === 2);
    wire.socket.destroy();
    await eventually(() => listener.stats().exchanges === 0);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  it('says in plain words why it cannot listen', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const components = { log: silentLog, clock: realClock, newId: () => 'x' };
    const handler = async (): Promise<Reply> => jsonReply('{}');
    await expect(listen({ host: '127.0.0.1', port }, handler, components)).rejects.toMatchObject({
      message: `port ${port} is already in use on 127.0.0.1; stop what listens there, or choose another port`,
      data: { code: 'EADDRINUSE' },
    });
    await expect(listen({ host: '192.0.2.1', port: 0 }, handler, components)).rejects.toMatchObject({
      message: expect.stringContaining('this machine has no address 192.0.2.1'),
    });
  });

  it('names the address that it really took', async () => {
    const listener = await serving(async () => jsonReply('{}'), { host: '::1' });
    expect(listener.url).toBe(`http://[::1]:${listener.port}`);
    expect((await fetch(listener.url)).status).toBe(200);
  });
});

async function* failing(first?: string): AsyncGenerator<Uint8Array> {
  if (first !== undefined) yield new TextEncoder().encode(first);
  throw new ProxyError('upstream_closed', 'it broke');
}

async function* until(signal: AbortSignal): AsyncGenerator<string> {
  yield 'data: 1\n\n';
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
}
