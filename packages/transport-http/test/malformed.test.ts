import { handlerOf, jsonReply } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { eventually, serving, Wire } from './support.js';

const collecting = () => handlerOf(async (exchange) => jsonReply({ size: (await exchange.body.collect(1e9)).length }));

function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

const cases: readonly { name: string; request: string; status: number; words: string }[] = [
  {
    name: 'two Host fields',
    request: head('GET / HTTP/1.1', 'Host: a', 'Host: b'),
    status: 400,
    words: 'more than one Host',
  },
  { name: 'no Host field', request: head('GET / HTTP/1.1'), status: 400, words: 'no Host' },
  { name: 'no HTTP at all', request: 'hello there\r\n\r\n', status: 400, words: 'not proper HTTP' },
  {
    name: 'both a length and chunks',
    request: head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3', 'Transfer-Encoding: chunked'),
    status: 400,
    words: 'not proper HTTP',
  },
  {
    name: 'two lengths',
    request: head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3', 'Content-Length: 4'),
    status: 400,
    words: 'not proper HTTP',
  },
  {
    name: 'a field with a line break in it',
    request: 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\n c\rd: e\r\n\r\n',
    status: 400,
    words: 'not proper HTTP',
  },
  {
    name: 'fields that are too large',
    request: head('GET / HTTP/1.1', 'Host: a', `X-Large: ${'x'.repeat(20_000)}`),
    status: 431,
    words: 'too large',
  },
  {
    name: 'too many fields',
    request: head('GET / HTTP/1.1', 'Host: a', ...Array.from({ length: 150 }, (_, i) => `x-${i}: 1`)),
    status: 431,
    words: 'too many',
  },
  {
    name: 'one field too many',
    request: head('GET / HTTP/1.1', 'Host: a', ...Array.from({ length: 100 }, (_, i) => `x-${i}: 1`)),
    status: 431,
    words: 'more than 100 header fields',
  },
];

describe('a request that is no proper HTTP', () => {
  it.each(cases)('is refused when it has $name', async ({ request, status, words }) => {
    const handler = collecting();
    const listener = await serving(handler);
    const wire = new Wire(listener.port);
    wire.write(request);
    const text = await wire.end();
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(text.toLowerCase()).toContain('connection: close');
    const body = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as { id: null; error: { message: string } };
    expect(body.id).toBeNull();
    expect(body.error.message).toContain(words);
    expect(handler.exchanges).toEqual([]);
    expect(listener.stats()).toMatchObject({ malformed: 1, exchanges: 0 });
    expect((await fetch(listener.url)).status).toBe(200);
  });

  it('accepts exactly as many fields as it may have', async () => {
    const listener = await serving(collecting());
    const wire = new Wire(listener.port);
    wire.write(
      head('GET / HTTP/1.1', 'Host: a', 'Connection: close', ...Array.from({ length: 98 }, (_, i) => `x-${i}: 1`)),
    );
    expect(await wire.end()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('is refused when its chunks are broken, while the handler reads them', async () => {
    const handler = collecting();
    const listener = await serving(handler);
    const wire = new Wire(listener.port);
    wire.write(head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked'));
    wire.write('5\r\nhello\r\n');
    wire.write('zz\r\nnonsense\r\n');
    expect(await wire.end()).toMatch(/^HTTP\/1\.1 400 /);
    expect(handler.exchanges.length).toBe(1);
    await eventually(() => listener.stats().exchanges === 0);
  });

  it('does not disturb a reply that is under way', async () => {
    const go = Promise.withResolvers<void>();
    const listener = await serving(async () => {
      await go.promise;
      return jsonReply('{}');
    });
    const wire = new Wire(listener.port);
    wire.write(`${head('GET / HTTP/1.1', 'Host: a')}GARBAGE\r\n\r\n`);
    const text = await wire.end();
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text.match(/HTTP\/1\.1/g)?.length).toBe(1);
    go.resolve();
  });
});

describe('a request that is too large', () => {
  const limits = { body: 1_000 };

  it('is refused before a byte of it is read when it says so, and its client sees the refusal', async () => {
    const listener = await serving(collecting(), { limits });
    const wire = new Wire(listener.port);
    wire.write(head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 5000'));
    expect(await wire.until(/"error"/)).toMatch(/^HTTP\/1\.1 413 /);
    wire.write('x'.repeat(5_000));
    const text = await wire.end();
    expect(text.toLowerCase()).toContain('connection: close');
    expect(text).toContain('larger than 1000 bytes');
  });

  it('is refused when its chunks become too much', async () => {
    const listener = await serving(collecting(), { limits });
    const wire = new Wire(listener.port);
    wire.write(head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked'));
    for (let i = 0; i < 3; i += 1) wire.write(`1f4\r\n${'x'.repeat(500)}\r\n`);
    expect(await wire.until(/"error"/)).toMatch(/^HTTP\/1\.1 413 /);
    wire.write('0\r\n\r\n');
    await wire.end();
    expect(listener.stats().exchanges).toBe(0);
  });

  it('is not told to go on when it asks', async () => {
    const listener = await serving(collecting(), { limits });
    const large = new Wire(listener.port);
    large.write(head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 5000', 'Expect: 100-continue'));
    expect(await large.until(/"error"/)).toMatch(/^HTTP\/1\.1 413 /);
    const small = new Wire(listener.port);
    small.write(head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 5', 'Expect: 100-continue', 'Connection: close'));
    expect(await small.until(/100 Continue/)).toMatch(/^HTTP\/1\.1 100 /);
    small.write('hello');
    expect(await small.end()).toContain('{"size":5}');
  });

  it('passes at exactly the limit, with a length and in chunks', async () => {
    const listener = await serving(collecting(), { limits });
    const sized = await fetch(listener.url, { method: 'POST', body: 'x'.repeat(1_000) });
    expect(await sized.json()).toEqual({ size: 1_000 });
    const wire = new Wire(listener.port);
    wire.write(head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked', 'Connection: close'));
    wire.write(`3e8\r\n${'x'.repeat(1_000)}\r\n0\r\n\r\n`);
    expect(await wire.end()).toContain('{"size":1000}');
  });

  it('is refused when it is iterated instead of collected', async () => {
    const listener = await serving(
      async (exchange) => {
        let size = 0;
        for await (const chunk of exchange.body.bytes()) size += chunk.length;
        return jsonReply({ size });
      },
      { limits },
    );
    expect(await (await fetch(listener.url, { method: 'POST', body: 'x'.repeat(1_000) })).json()).toEqual({
      size: 1_000,
    });
    expect((await fetch(listener.url, { method: 'POST', body: 'x'.repeat(1_001) })).status).toBe(413);
  });
});

describe('a request that is too slow', () => {
  it('is refused when its head does not arrive in time', async () => {
    const listener = await serving(collecting(), { limits: { headersTimeout: 40, requestTimeout: 80 } });
    const wire = new Wire(listener.port);
    wire.write('GET / HTTP/1.1\r\nHo');
    expect(await wire.end()).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('is refused when its body does not arrive in time, and its handler is told', async () => {
    const failed = Promise.withResolvers<unknown>();
    const listener = await serving(
      async (exchange) => {
        await exchange.body.collect(1e6).catch(failed.resolve);
        return jsonReply('{}');
      },
      // The head has to be in time, or there is no handler to be told: both limits count from the connection on.
      { limits: { headersTimeout: 1_000, requestTimeout: 1_000 } },
    );
    const wire = new Wire(listener.port);
    wire.write(head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 10'));
    wire.write('abc');
    expect(await wire.end()).toMatch(/^HTTP\/1\.1 408 /);
    expect(await failed.promise).toMatchObject({ code: 'cancelled' });
  });

  it('gets no connection when there are too many', async () => {
    const listener = await serving(collecting(), { limits: { connections: 1 } });
    const first = new Wire(listener.port);
    first.write(head('GET / HTTP/1.1', 'Host: a'));
    await first.until(/size/);
    const second = new Wire(listener.port);
    expect(await second.end()).toBe('');
    expect(listener.stats()).toMatchObject({ connections: 1, dropped: 1 });
  });
});
