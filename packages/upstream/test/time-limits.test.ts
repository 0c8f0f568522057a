import { type Exchange, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, ManualClock, readReply, settled, streamReply } from '@shadowcat/testkit';
import { callSlot, failureSlot, targetSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { timeLimits } from '../src/protect/time-limits.js';

const REQUEST = { jsonrpc: '2.0', id: 'q', method: 'tools/call', params: { name: 'x' } };
const PROGRESS = 'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n';
const ANSWER = 'data: {"jsonrpc":"2.0","id":"q","result":{}}\n\n';

function limited(totalMs: number, idleMs: number) {
  const clock = new ManualClock();
  const asked: Exchange[] = [];
  const outcome = Promise.withResolvers<Reply>();
  const layer = timeLimits({ totalMs, idleMs }, { clock });
  const handler = layer((exchange) => {
    asked.push(exchange);
    exchange.context.set(targetSlot, 't');
    return outcome.promise;
  });
  return { clock, handler, asked, outcome, close: layer.close };
}

/** A stream that a test writes; disposing it ends it, as sockets and lines do. */
function pipe() {
  const chunks: string[] = [];
  let wake = (): void => {};
  let over = false;
  let disposals = 0;
  async function* source(): AsyncGenerator<string> {
    for (;;) {
      const chunk = chunks.shift();
      if (chunk !== undefined) yield chunk;
      else if (over) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  const end = (): void => {
    over = true;
    wake();
  };
  const answer = streamReply(source(), {
    dispose: () => {
      disposals += 1;
      end();
    },
  });
  const write = (text: string): void => {
    chunks.push(text);
    wake();
  };
  return { answer, end, disposals: () => disposals, write };
}

describe('the total time of a request', () => {
  it('is over while nothing came: the client hears of it, and so does whoever carries the request', async () => {
    const { handler, clock, asked } = limited(1000, 0);
    const answer = handler(classifiedExchange({ body: REQUEST }));
    const { signal } = asked[0] as Exchange;
    await clock.pass(999);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    await expect(answer).rejects.toMatchObject({
      code: 'upstream_timeout',
      message: expect.stringMatching(/^t did not finish .* 1 s/),
    });
    expect((signal.reason as ProxyError).code).toBe('upstream_timeout');
    expect(clock.pending).toBe(0);
  });

  it('tells a legacy server which request nobody waits for, except for initialize', async () => {
    const said = async (body: object, headers = {}): Promise<unknown[]> => {
      const { handler, clock, asked } = limited(1000, 0);
      handler(classifiedExchange({ body, headers })).catch(() => {});
      clock.advance(1000);
      await settled();
      return asked.slice(1).map(({ context }) => context.get(callSlot)?.message?.value);
    };
    const params = { requestId: 'q', reason: 'it took too long' };
    expect(await said(REQUEST)).toEqual([{ jsonrpc: '2.0', method: 'notifications/cancelled', params }]);
    expect(await said({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {} })).toEqual([]);
    expect(await said(REQUEST, { 'mcp-protocol-version': '2026-07-28' })).toEqual([]);
  });

  it('gives back an answer that comes too late', async () => {
    const { handler, clock, outcome } = limited(1000, 0);
    const answer = handler(classifiedExchange({ body: REQUEST })).catch(() => 'failed');
    clock.advance(1000);
    expect(await answer).toBe('failed');
    let disposed = false;
    const dispose = (): void => {
      disposed = true;
    };
    outcome.resolve(reply({ status: 200, headers: {} }, undefined, dispose));
    await settled();
    expect(disposed).toBe(true);
  });

  it('is not extended by progress: the stream ends with an error in the place of the answer', async () => {
    const { handler, clock, outcome } = limited(1000, 0);
    const stream = pipe();
    const exchange = classifiedExchange({ body: REQUEST });
    outcome.resolve(stream.answer);
    const read = readReply(await handler(exchange));
    for (let i = 0; i < 3; i += 1) {
      stream.write(PROGRESS);
      await clock.pass(300);
    }
    await clock.pass(100);
    const { messages } = await read;
    expect(messages.map(({ method, error }) => method ?? error)).toEqual([
      'notifications/progress',
      'notifications/progress',
      'notifications/progress',
      expect.objectContaining({ code: -32012 }),
    ]);
    expect(messages[3]).toMatchObject({ id: 'q' });
    expect(exchange.context.get(failureSlot)?.code).toBe('upstream_timeout');
  });

  it('says nothing of a request that was answered on a stream that stays open', async () => {
    const { handler, clock, outcome } = limited(1000, 0);
    const stream = pipe();
    outcome.resolve(stream.answer);
    const exchange = classifiedExchange({ body: REQUEST });
    const read = readReply(await handler(exchange));
    stream.write(ANSWER);
    await clock.pass(1000);
    expect((await read).messages).toEqual([{ jsonrpc: '2.0', id: 'q', result: {} }]);
    expect(exchange.context.get(failureSlot)).toBeUndefined();
  });

  it('breaks off an answer that is no stream of messages', async () => {
    const { handler, clock, outcome } = limited(1000, 0);
    const stream = pipe();
    outcome.resolve(reply({ status: 200, headers: {} }, jsonStream(stream.answer), stream.end));
    const read = readReply(await handler(classifiedExchange({ body: REQUEST })));
    stream.write('{"jsonrpc"');
    const failed = expect(read).rejects.toMatchObject({ code: 'upstream_timeout' });
    await clock.pass(1000);
    await failed;
  });

  it('holds for each of many requests, with one timer', async () => {
    const { handler, clock, outcome, close } = limited(1000, 0);
    outcome.promise.catch(() => {});
    const ends: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      handler(classifiedExchange({ body: REQUEST })).catch(() => ends.push(clock.now()));
      await clock.pass(100);
      expect(clock.pending).toBe(1);
    }
    await clock.pass(2000);
    expect(ends).toEqual([1000, 1100, 1200, 1300, 1400]);
    outcome.resolve(jsonReply('{}'));
    await handler(classifiedExchange({ body: REQUEST }));
    close();
    expect(clock.pending).toBe(0);
  });

  it('is not for standing streams, notifications and subscriptions', async () => {
    const { handler, clock, asked } = limited(1000, 1000);
    const listen = { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: {} };
    void handler(classifiedExchange({ method: 'GET' }));
    void handler(classifiedExchange({ body: { jsonrpc: '2.0', method: 'notifications/x' } }));
    void handler(classifiedExchange({ body: listen }));
    expect([asked.length, clock.pending]).toEqual([3, 0]);
  });

  it('hears of a client that leaves', async () => {
    const { handler, asked } = limited(1000, 0);
    const controller = new AbortController();
    void handler(classifiedExchange({ body: REQUEST, signal: controller.signal }));
    const { signal } = asked[0] as Exchange;
    controller.abort(new ProxyError('cancelled', 'left'));
    expect((signal.reason as ProxyError).message).toBe('left');
  });
});

describe('the idle time of an answer', () => {
  it('begins anew with whatever comes', async () => {
    const { handler, clock, outcome } = limited(0, 1000);
    const stream = pipe();
    outcome.resolve(stream.answer);
    const read = readReply(await handler(classifiedExchange({ body: REQUEST })));
    for (let i = 0; i < 3; i += 1) {
      await clock.pass(900);
      stream.write(i === 1 ? ': keep-alive\n\n' : PROGRESS);
    }
    await clock.pass(999);
    expect(stream.disposals()).toBe(0);
    await clock.pass(1);
    const { messages } = await read;
    expect(messages.at(-1)).toMatchObject({ id: 'q', error: { message: expect.stringContaining('silent') } });
  });

  it('does not run while the client does not read', async () => {
    const { handler, clock, outcome } = limited(0, 1000);
    const stream = pipe();
    outcome.resolve(stream.answer);
    const answer = await handler(classifiedExchange({ body: REQUEST }));
    const bytes = answer.body.bytes()[Symbol.asyncIterator]();
    stream.write(PROGRESS);
    await bytes.next();
    await clock.pass(5000);
    expect(stream.disposals()).toBe(0);
    stream.write(ANSWER);
    expect((await bytes.next()).done).toBe(false);
    await answer[Symbol.asyncDispose]();
  });
});

function jsonStream(answer: Reply): Reply['body'] {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* answer.body.bytes();
  }
  return streamReply(source(), { headers: { 'content-type': 'application/json' } }).body;
}
