import { Body, opaqueFraming, reply } from '@shadowcat/kernel';
import { callSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { classifiedExchange, exchangeOf, handlerOf, jsonReply, readReply, streamReply } from '../src/exchanges.js';

describe('exchangeOf', () => {
  it('makes a POST of a body and a GET without one', async () => {
    const post = exchangeOf({ body: { jsonrpc: '2.0', method: 'n' }, headers: { accept: '*/*' } });
    expect(post.head).toMatchObject({ method: 'POST', target: '/mcp' });
    expect(post.head.headers).toMatchObject({ accept: '*/*', 'content-type': 'application/json' });
    expect(new TextDecoder().decode(await post.body.collect(100))).toBe('{"jsonrpc":"2.0","method":"n"}');
    const get = exchangeOf();
    expect(get.head.method).toBe('GET');
    expect(get.head.headers['content-type']).toBeUndefined();
    expect(get.id).not.toBe(post.id);
    expect(get.signal.aborted).toBe(false);
  });

  it('takes text and bytes verbatim, and a body as it is', () => {
    const bytes = new Uint8Array([0x7b]);
    const body = Body.whole(bytes, opaqueFraming);
    expect(exchangeOf({ body: '{"n":1.0}' }).body.ready).toEqual(new TextEncoder().encode('{"n":1.0}'));
    expect(exchangeOf({ body: bytes }).body.ready).toBe(bytes);
    expect(exchangeOf({ body }).body).toBe(body);
  });

  it('is classified where a test starts behind that layer', () => {
    const call = (parts: Parameters<typeof classifiedExchange>[0]) => classifiedExchange(parts).context.get(callSlot);
    expect(call({ body: { jsonrpc: '2.0', id: 1, method: 'ping' } })?.method).toBe('ping');
    expect(call({ method: 'DELETE' })?.verb).toBe('end');
  });
});

describe('readReply', () => {
  it('reads frames, messages and text, and disposes', async () => {
    let disposed = 0;
    const dispose = () => {
      disposed += 1;
    };
    const read = await readReply(streamReply(['data: {"id":', '1}\n\n: c\n\n'], { dispose }));
    expect(read).toMatchObject({ status: 200, text: 'data: {"id":1}\n\n: c\n\n', messages: [{ id: 1 }] });
    expect(read.frames[1]?.sse).toEqual({ comment: ' c' });
    expect(disposed).toBe(1);
  });

  it('disposes also when the body fails', async () => {
    let disposed = 0;
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array([0x7b]);
      throw new Error('reset');
    }
    const answer = reply({ status: 200, headers: {} }, Body.stream(broken(), opaqueFraming), () => {
      disposed += 1;
    });
    await expect(readReply(answer)).rejects.toThrow('reset');
    expect(disposed).toBe(1);
  });
});

describe('handlerOf', () => {
  it('answers with JSON and keeps what it was asked', async () => {
    const handler = handlerOf((exchange) => ({ id: exchange.id }));
    const exchange = exchangeOf({ id: 'x9' });
    expect(await readReply(await handler(exchange))).toMatchObject({ status: 200, text: '{"id":"x9"}' });
    expect(handler.exchanges).toEqual([exchange]);
  });

  it('passes a reply on', async () => {
    const answer = jsonReply('{"n":1.0}', { status: 202, headers: { 'x-a': 'b' } });
    const handler = handlerOf(() => answer);
    expect(await handler(exchangeOf())).toBe(answer);
    expect(await readReply(answer)).toMatchObject({ status: 202, headers: { 'x-a': 'b' }, text: '{"n":1.0}' });
  });
});
