import { type Exchange, ProxyError, type Reply } from '@shadowcat/kernel';
import { classifiedExchange, ManualClock, settled, streamReply } from '@shadowcat/testkit';
import { failureSlot, type SessionHandle, sessionSlot, targetSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { avoidSlot } from '../src/member.js';
import { hedge } from '../src/protect/hedge.js';
import { RetryBudget } from '../src/protect/retry-budget.js';

const READ = { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'x:' } };
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'pay' } };

function racing(minimum = 3) {
  const clock = new ManualClock();
  const legs: { readonly exchange: Exchange; readonly reply: PromiseWithResolvers<Reply> }[] = [];
  const disposed: string[] = [];
  const budget = new RetryBudget({ minimum }, { clock });
  const hedged: string[] = [];
  const handler = hedge(
    { afterMs: 200 },
    { clock, budget, hedged: (target) => hedged.push(target) },
  )((exchange) => {
    exchange.context.set(targetSlot, `t${legs.length + 1}`);
    const reply = Promise.withResolvers<Reply>();
    legs.push({ exchange, reply });
    return reply.promise;
  });
  const answer = (n: number, status = 200): void => {
    legs[n]?.reply.resolve(streamReply(['{}'], { status, dispose: () => void disposed.push(`t${n + 1}`) }));
  };
  const fail = (n: number): void => legs[n]?.reply.reject(new ProxyError('upstream_closed', `t${n + 1} broke`));
  const aborted = (): boolean[] => legs.map(({ exchange }) => exchange.signal.aborted);
  return { clock, handler, legs, disposed, hedged, answer, fail, aborted };
}

describe('hedge', () => {
  it('asks once when the answer begins in time', async () => {
    const { handler, clock, legs, answer, disposed } = racing();
    const exchange = classifiedExchange({ body: READ });
    const asked = handler(exchange);
    await clock.pass(199);
    answer(0);
    const reply = await asked;
    expect([legs.length, clock.pending, exchange.context.get(targetSlot)]).toEqual([1, 0, 't1']);
    await reply[Symbol.asyncDispose]();
    expect(disposed).toEqual(['t1']);
  });

  it('asks another member when it does not, takes what comes first and gives up the other', async () => {
    const { handler, clock, legs, answer, aborted, hedged, disposed } = racing();
    const exchange = classifiedExchange({ body: READ });
    const asked = handler(exchange);
    await clock.pass(200);
    expect([...(legs[1]?.exchange.context.get(avoidSlot) ?? [])]).toEqual(['t1']);
    answer(1);
    await asked;
    expect(aborted()).toEqual([true, false]);
    expect([hedged, exchange.context.get(targetSlot)]).toEqual([['t1'], 't2']);
    // Also one that does not know of signals gives back what it borrowed.
    answer(0);
    await settled();
    expect(disposed).toEqual(['t1']);
    legs[1]?.exchange.context.set(failureSlot, new ProxyError('internal', 'later'));
    expect(exchange.context.get(failureSlot)?.message).toBe('later');
  });

  it('takes the first answer when the second attempt fails, and the error when both do', async () => {
    const one = racing();
    const answered = one.handler(classifiedExchange({ body: READ }));
    await one.clock.pass(200);
    one.fail(1);
    await settled();
    one.answer(0);
    expect((await answered).head.status).toBe(200);
    const both = racing();
    const failed = both.handler(classifiedExchange({ body: READ }));
    await both.clock.pass(200);
    both.fail(1);
    both.fail(0);
    await expect(failed).rejects.toThrow('t2 broke');
  });

  it('prefers an answer to what a gateway says, and that to an error', async () => {
    const { handler, clock, answer, fail, disposed } = racing();
    const asked = handler(classifiedExchange({ body: READ }));
    await clock.pass(200);
    answer(0, 502);
    await settled();
    fail(1);
    const reply = await asked;
    expect([reply.head.status, disposed]).toEqual([502, []]);
  });

  it('cancels both when the client leaves', async () => {
    const { handler, clock, aborted, fail } = racing();
    const controller = new AbortController();
    const asked = handler(classifiedExchange({ body: READ, signal: controller.signal }));
    await clock.pass(200);
    controller.abort();
    expect(aborted()).toEqual([true, true]);
    fail(0);
    fail(1);
    await expect(asked).rejects.toThrow('broke');
  });

  it('asks once what has effects, what belongs to a session, and what there is no budget for', async () => {
    const { handler, clock, legs } = racing();
    void handler(classifiedExchange({ body: CALL }));
    const ofSession = classifiedExchange({ body: READ });
    ofSession.context.set(sessionSlot, { id: 's' } as SessionHandle);
    void handler(ofSession);
    const poor = racing(0);
    void poor.handler(classifiedExchange({ body: READ }));
    await clock.pass(1000);
    await poor.clock.pass(1000);
    expect([legs.length, poor.legs.length, clock.pending]).toEqual([2, 1, 0]);
  });
});
