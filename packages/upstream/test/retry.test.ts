import { type ErrorCode, type Exchange, ProxyError, type Reply, silentLog } from '@shadowcat/kernel';
import {
  classifiedExchange,
  handlerOf,
  jsonReply,
  ManualClock,
  readReply,
  settled,
  streamReply,
} from '@shadowcat/testkit';
import { callSlot, targetSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { avoidSlot, namerSlot } from '../src/member.js';
import { type RetryOptions, retry } from '../src/protect/retry.js';
import { RetryBudget } from '../src/protect/retry-budget.js';

const call = (name: string): object => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const READ = { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'x:' } };

type Fate = ErrorCode | number | ProxyError | object;

/** A handler with one fate for each attempt, the last for all further ones. */
function failing(
  fates: readonly Fate[],
  options: RetryOptions = {},
  parts: { budget?: RetryBudget; random?: () => number } = {},
) {
  const clock = new ManualClock();
  const budget = parts.budget ?? new RetryBudget({}, { clock });
  const retried: string[] = [];
  const avoided: string[][] = [];
  const disposed: number[] = [];
  const random = parts.random ?? (() => 0);
  const handler = handlerOf((exchange) => {
    avoided.push([...(exchange.context.get(avoidSlot) ?? [])]);
    const attempt = avoided.length;
    exchange.context.set(targetSlot, `t${attempt}`);
    const fate = fates[Math.min(attempt, fates.length) - 1] ?? {};
    if (typeof fate === 'string') throw new ProxyError(fate, fate);
    if (fate instanceof ProxyError) throw fate;
    if (typeof fate !== 'number') return 'head' in fate ? (fate as Reply) : jsonReply(fate);
    const head = { status: fate, headers: { 'content-type': 'application/json' } };
    return streamReply(['{}'], { ...head, dispose: () => void disposed.push(attempt) });
  });
  const layered = retry(options, { clock, log: silentLog, budget, random, retried: (target) => retried.push(target) })(
    handler,
  );
  const ask = async (exchange: Exchange): Promise<string | number> => {
    const asked = layered(exchange).then(
      (reply) => reply.head.status,
      (error: unknown) => (error as ProxyError).code,
    );
    // Whatever is waited for is over then.
    await clock.pass(60_000);
    return asked;
  };
  return { ask, layered, handler, clock, budget, retried, avoided, disposed };
}

const post = (body: object): Exchange => classifiedExchange({ body });

describe('retry', () => {
  it.each<[what: string, body: object, fate: Fate, attempts: number]>([
    ['a read whose connection broke', READ, 'upstream_closed', 3],
    ['a read whose child died', READ, 'child_exited', 3],
    ['a read that a gateway could not pass on', READ, 502, 3],
    ['a read that a gateway had no room for', READ, 503, 3],
    ['a list', LIST, 'upstream_closed', 3],
    ['a read that took too long', READ, 'upstream_timeout', 1],
    ['a read that a gateway waited for too long', READ, 504, 1],
    ['a read whose answer was no HTTP', READ, 'upstream_protocol', 1],
    ['a read that was refused', READ, 'pool_exhausted', 1],
    ['a read that had an answer', READ, 500, 1],
    ['a call that never left', call('pay'), 'upstream_unreachable', 3],
    ['a call that may have arrived', call('pay'), 'upstream_closed', 1],
    ['a call that a gateway could not pass on', call('pay'), 502, 1],
    ['a call whose child died', call('pay'), 'child_exited', 1],
    ['a call of a tool that may be called twice', call('look'), 'upstream_closed', 3],
    ['a notification that may have arrived', { jsonrpc: '2.0', method: 'notifications/x' }, 'upstream_closed', 1],
    ['a notification that never left', { jsonrpc: '2.0', method: 'notifications/x' }, 'upstream_unreachable', 3],
    ['a batch of reads', [READ, { ...LIST, id: 2 }], 'upstream_closed', 3],
    ['a batch with a call', [READ, { ...call('pay'), id: 2 }], 'upstream_closed', 1],
  ])('sends %s: attempts as they should be', async (_what, body, fate, attempts) => {
    const { ask, handler } = failing([fate], { tools: ['look'] });
    expect(await ask(post(body))).toBe(fate);
    expect(handler.exchanges).toHaveLength(attempts);
  });

  it('hands on the first answer, and says which members failed before', async () => {
    const { ask, avoided, retried, disposed } = failing([
      503,
      'upstream_closed',
      { jsonrpc: '2.0', id: 1, result: {} },
    ]);
    expect(await ask(post(READ))).toBe(200);
    expect(avoided).toEqual([[], ['t1'], ['t1', 't2']]);
    expect(retried).toEqual(['t1', 't2']);
    expect(disposed).toEqual([1]);
  });

  it('sends a call with a task once, also of a tool that may be called twice', async () => {
    const { ask, handler } = failing(['upstream_closed'], { tools: ['look'] });
    await ask(post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'look', task: {} } }));
    expect(handler.exchanges).toHaveLength(1);
  });

  it('waits anything up to 100 ms, then up to 200 ms', async () => {
    const { layered, handler, clock } = failing(['upstream_closed'], {}, { random: () => 1 });
    const asked = layered(post(READ)).catch(() => 'failed');
    await clock.pass(99);
    expect(handler.exchanges).toHaveLength(1);
    await clock.pass(1);
    expect(handler.exchanges).toHaveLength(2);
    await clock.pass(199);
    expect(handler.exchanges).toHaveLength(2);
    await clock.pass(1);
    expect(handler.exchanges).toHaveLength(3);
    expect(await asked).toBe('failed');
    expect(clock.pending).toBe(0);
  });

  it('is not sooner back than a server asks for, and leaves it alone when that is long', async () => {
    const patient = failing([new ProxyError('upstream_unreachable', 'later', { retryAfter: 2 }), {}]);
    const asked = patient.layered(post(READ));
    await patient.clock.pass(1999);
    expect(patient.handler.exchanges).toHaveLength(1);
    await patient.clock.pass(1);
    expect((await asked).head.status).toBe(200);
    const busy = jsonReply('{}', { status: 503, headers: { 'retry-after': '60' } });
    const long = failing([busy]);
    expect(await long.ask(post(READ))).toBe(503);
    expect(long.handler.exchanges).toHaveLength(1);
  });

  it('ends with its budget', async () => {
    const clock = new ManualClock();
    const budget = new RetryBudget({ minimum: 1 }, { clock });
    const { ask, handler } = failing(['upstream_closed'], {}, { budget });
    await ask(post(READ));
    expect(handler.exchanges).toHaveLength(2);
    await ask(post(READ));
    expect(handler.exchanges).toHaveLength(3);
    expect(budget.stats().refused).toBe(2);
  });

  it('never sends again for a client that left, nor what can be read once only', async () => {
    const controller = new AbortController();
    const { layered, handler, clock } = failing(['upstream_closed'], {}, { random: () => 1 });
    const asked = layered(classifiedExchange({ body: READ, signal: controller.signal })).catch(
      (error: ProxyError) => error.code,
    );
    await settled();
    controller.abort();
    expect(await asked).toBe('upstream_closed');
    expect([handler.exchanges.length, clock.pending]).toEqual([1, 0]);
    const once = { ...post(READ), body: streamReply(['{}']).body };
    const other = failing(['upstream_unreachable']);
    expect(await other.ask(once)).toBe('upstream_unreachable');
    expect(other.handler.exchanges).toHaveLength(1);
  });

  it('knows tools by the names of the group that is shown as one, not by those of its members', async () => {
    const clock = new ManualClock();
    const asked: string[] = [];
    const handler = handlerOf((exchange) => {
      const { method } = exchange.context.get(callSlot) ?? {};
      const combined = exchange.head.target === '/all';
      exchange.context.set(targetSlot, combined ? 'all' : 'a');
      if (combined) exchange.context.set(namerSlot, 'all');
      if (method === 'tools/list') {
        const tools = [{ name: 'x', annotations: { readOnlyHint: combined } }];
        return jsonReply({ jsonrpc: '2.0', id: 1, result: { tools } });
      }
      // The member that was asked in the end says so, too.
      exchange.context.set(targetSlot, 'a');
      asked.push(exchange.head.target);
      throw new ProxyError('upstream_closed', 'gone');
    });
    const budget = new RetryBudget({ minimum: 100 }, { clock });
    const layered = retry({ attempts: 2 }, { clock, log: silentLog, budget, random: () => 0 })(handler);
    for (const target of ['/one', '/all']) await readReply(await layered(classifiedExchange({ target, body: LIST })));
    for (const target of ['/one', '/all']) {
      const done = layered(classifiedExchange({ target, body: call('x') })).catch(() => undefined);
      await clock.pass(1000);
      await done;
    }
    expect(asked).toEqual(['/one', '/all', '/all']);
  });

  it('believes the last list of tools of the target that failed, unless told not to', async () => {
    const tools = [
      { name: 'reads', annotations: { readOnlyHint: true } },
      { name: 'again', annotations: { idempotentHint: true } },
      { name: 'pays', annotations: { destructiveHint: true } },
      { name: 'silent' },
    ];
    const clock = new ManualClock();
    for (const hints of [true, false]) {
      const asked: string[] = [];
      const handler = handlerOf((exchange) => {
        exchange.context.set(targetSlot, 'a');
        const body = new TextDecoder().decode(exchange.body.ready);
        if (body.includes('tools/list')) {
          return streamReply([`data: ${JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools } })}\n\n`]);
        }
        asked.push(body);
        throw new ProxyError('upstream_closed', 'gone');
      });
      const budget = new RetryBudget({ minimum: 100 }, { clock });
      const layered = retry({ hints, attempts: 2 }, { clock, log: silentLog, budget, random: () => 0 })(handler);
      await readReply(await layered(post(LIST)));
      const times: number[] = [];
      for (const { name } of tools) {
        asked.length = 0;
        const done = layered(post(call(name))).catch(() => undefined);
        await clock.pass(1000);
        await done;
        times.push(asked.length);
      }
      expect(times).toEqual(hints ? [2, 2, 1, 1] : [1, 1, 1, 1]);
    }
  });
});
