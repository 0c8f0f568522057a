import type { ProxyError, Reply } from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, streamReply } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { inFlightLimit } from '../src/protect/in-flight-limit.js';

const REQUEST = { jsonrpc: '2.0', id: 1, method: 'ping' };

describe('the limit of requests in flight', () => {
  it('refuses at once what is too much, until an answer has been sent to its end', async () => {
    const replies: PromiseWithResolvers<Reply>[] = [];
    const limit = inFlightLimit({ max: 2 });
    const handler = limit(() => {
      const reply = Promise.withResolvers<Reply>();
      replies.push(reply);
      return reply.promise;
    });
    const ask = (): Promise<Reply> => handler(classifiedExchange({ body: REQUEST }));
    const first = ask();
    const second = ask();
    await expect(ask()).rejects.toMatchObject({ code: 'pool_exhausted', retryAfter: 1 });
    expect([limit.stats(), replies.length]).toEqual([{ inFlight: 2, refused: 1 }, 2]);
    replies[0]?.resolve(streamReply(['{}']));
    const answer = await first;
    await expect(ask()).rejects.toMatchObject({ code: 'pool_exhausted' });
    await answer[Symbol.asyncDispose]();
    await answer[Symbol.asyncDispose]();
    expect(limit.stats().inFlight).toBe(1);
    const third = ask();
    replies[1]?.resolve(jsonReply('{}'));
    await second;
    expect(limit.stats().inFlight).toBe(1);
    replies[2]?.reject(new Error('it broke'));
    await expect(third).rejects.toThrow('it broke');
    expect(limit.stats().inFlight).toBe(0);
  });

  it('never holds back what is owed no answer', async () => {
    const limit = inFlightLimit({ max: 1 });
    const handler = limit((exchange) =>
      exchange.head.method === 'POST' ? Promise.resolve(jsonReply('{}')) : new Promise(() => {}),
    );
    void limit(() => new Promise(() => {}))(classifiedExchange({ body: REQUEST }));
    const refused = await handler(classifiedExchange({ body: REQUEST })).catch((error: ProxyError) => error.code);
    const answer = await handler(classifiedExchange({ body: { jsonrpc: '2.0', id: 7, result: {} } }));
    const told = await handler(classifiedExchange({ body: { jsonrpc: '2.0', method: 'notifications/cancelled' } }));
    expect([refused, answer.head.status, told.head.status]).toEqual(['pool_exhausted', 200, 200]);
    void handler(classifiedExchange({ method: 'GET' }));
    expect(limit.stats().inFlight).toBe(1);
  });
});
