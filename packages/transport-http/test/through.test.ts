import { request } from 'node:http';
import { Body, type Handler, withExchange } from '@shadowcat/kernel';
import { ManualClock } from '@shadowcat/testkit';
import { jsonFraming } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { bodyOf, classified, eventually, nodeServer, postOf, REQUEST, serving, upstreamAt, Wire } from './support.js';

/** Reads the body as the classify layer does, without looking into it. */
const collecting =
  (next: Handler): Handler =>
  async (exchange) =>
    next(withExchange(exchange, { body: Body.whole(await exchange.body.collect(1e8), jsonFraming) }));

describe('listener and upstream together', () => {
  it.each([0, 1, 100, 65_536, 1_000_000, 4_000_000])('carry a body of %i bytes there and back', async (size) => {
    const { url } = await nodeServer(async (incoming, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(await bodyOf(incoming));
    });
    const listener = await serving(collecting(upstreamAt(url)));
    const body = 'a'.repeat(size);
    const answer = await fetch(listener.url, { method: 'POST', body });
    expect(await answer.text()).toBe(body);
  });

  it('carry events one by one, each before the next is made', async () => {
    const steps: ((text: string | undefined) => void)[] = [];
    const { url } = await nodeServer((_incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      steps.push((text) => (text === undefined ? response.end() : response.write(text)));
    });
    const listener = await serving(classified(upstreamAt(url)));
    const answer = await fetch(listener.url, postOf(REQUEST));
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    const step = steps[0] as (text: string | undefined) => void;
    for (let i = 0; i < 5; i += 1) {
      step(`data: {"jsonrpc":"2.0","method":"n","params":{"i":${i}}}\n\n`);
      const { value } = await reader.read();
      expect(new TextDecoder().decode(value)).toContain(`"i":${i}`);
    }
    step('data: {"jsonrpc":"2.0","id":7,"result":{}}\n\n');
    step(undefined);
    let rest = '';
    for (let next = await reader.read(); !next.done; next = await reader.read())
      rest += new TextDecoder().decode(next.value);
    expect(rest).toContain('"result"');
  });

  it('keep the stream of a silent upstream alive', async () => {
    const clock = new ManualClock();
    const { url } = await nodeServer((_incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    });
    const listener = await serving(upstreamAt(url, {}, clock), {}, clock);
    const wire = new Wire(listener.port);
    wire.write('GET /mcp HTTP/1.1\r\nHost: h\r\n\r\n');
    await wire.until(/\r\n\r\n/);
    for (let i = 1; i <= 3; i += 1) {
      clock.advance(15_000);
      // At the beginning of a line: `Connection: keep-alive` is none.
      await wire.until(new RegExp(`(\\n: keep-alive[^:]*){${i}}`));
    }
    wire.socket.destroy();
    await eventually(() => listener.stats().exchanges === 0 && clock.pending === 0);
  });

  it('hold nothing back and lose nothing for a slow reader', async () => {
    const count = 2_000;
    const { url } = await nodeServer((_incoming, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let i = 0;
      const more = (): void => {
        while (i < count) {
          i += 1;
          if (!response.write(`data: {"i":${i},"pad":"${'x'.repeat(4_000)}"}\n\n`)) {
            response.once('drain', more);
            return;
          }
        }
        response.end('data: {"jsonrpc":"2.0","id":7,"result":{}}\n\n');
      };
      more();
    });
    const listener = await serving(classified(upstreamAt(url)));
    const { body, headers } = postOf(REQUEST);
    const asking = request(listener.url, { method: 'POST', headers: headers as Record<string, string> }).end(body);
    const answer = await new Promise<import('node:http').IncomingMessage>((resolve) => asking.on('response', resolve));
    let text = '';
    for await (const chunk of answer) {
      text += String(chunk);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const seen = [...text.matchAll(/"i":(\d+)/g)].map((match) => Number(match[1]));
    expect(seen.length).toBe(count);
    expect(seen.every((value, at) => value === at + 1)).toBe(true);
    expect(text.endsWith('"result":{}}\n\n')).toBe(true);
  });

  it('leave nothing open after 200 exchanges of which many were given up', async () => {
    const upstreamOpen = new Set<unknown>();
    const { url } = await nodeServer(async (incoming, response) => {
      upstreamOpen.add(response);
      response.on('close', () => upstreamOpen.delete(response));
      const kind = Number(incoming.headers['x-request-id']) % 5;
      await bodyOf(incoming).catch(() => '');
      if (kind === 0) return;
      if (kind === 1) {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n');
        return;
      }
      if (kind === 2) {
        incoming.socket.destroy();
        return;
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":7,"result":{}}');
    });
    const upstream = upstreamAt(url);
    const listener = await serving(classified(upstream));
    const one = async (n: number): Promise<number | 'gone'> => {
      const controller = new AbortController();
      const asked = fetch(listener.url, {
        ...postOf(REQUEST, { 'x-request-id': String(n) }),
        signal: controller.signal,
      });
      const kind = n % 5;
      if (kind === 0) {
        await eventually(() => upstream.stats().inFlight > 0);
        controller.abort();
      }
      try {
        const answer = await asked;
        if (kind === 1) {
          await (answer.body as ReadableStream<Uint8Array>).getReader().read();
          controller.abort();
          return 'gone';
        }
        await answer.text();
        return answer.status;
      } catch {
        return 'gone';
      }
    };
    const outcomes: (number | 'gone')[] = [];
    for (let n = 0; n < 200; n += 20)
      outcomes.push(...(await Promise.all(Array.from({ length: 20 }, (_, i) => one(n + i)))));
    const count = (outcome: number | 'gone'): number => outcomes.filter((each) => each === outcome).length;
    expect({ ok: count(200), gone: count('gone'), bad: count(502) }).toEqual({ ok: 80, gone: 80, bad: 40 });
    await eventually(() => upstreamOpen.size === 0 && listener.stats().exchanges === 0);
    expect(upstream.stats().inFlight).toBe(0);
    expect(listener.stats()).toMatchObject({ exchanges: 0, streams: 0 });
    await upstream.close();
    expect(upstream.stats().connections).toBe(0);
  });
});
