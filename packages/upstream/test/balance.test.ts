import { type Exchange, type Handler, ProxyError, type Reply, silentLog } from '@shadowcat/kernel';
import { exchangeOf, jsonReply, ManualClock, streamReply } from '@shadowcat/testkit';
import { type SessionHandle, sessionSlot, targetSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { type BalanceOptions, balance } from '../src/balance.js';

type Fate = 'ok' | 'unreachable' | 'closed' | 'timeout' | 'protocol';

const ERRORS: Record<Exclude<Fate, 'ok'>, ProxyError> = {
  unreachable: new ProxyError('upstream_unreachable', 'cannot be reached'),
  closed: new ProxyError('upstream_closed', 'closed the connection'),
  timeout: new ProxyError('upstream_timeout', 'too late'),
  protocol: new ProxyError('upstream_protocol', 'no HTTP'),
};

/** Targets `a`, `b`, … whose fate a test decides; `asked` says who was asked, in order. */
function targets(count: number, options: BalanceOptions = {}, random?: () => number) {
  const clock = new ManualClock();
  const names = 'abcdef'.slice(0, count).split('');
  const fates = new Map<string, Fate>(names.map((name) => [name, 'ok']));
  const asked: string[] = [];
  const handlerFor =
    (name: string): Handler =>
    async () => {
      asked.push(name);
      const fate = fates.get(name) ?? 'ok';
      if (fate !== 'ok') throw ERRORS[fate];
      return jsonReply({ from: name });
    };
  const members = names.map((name) => ({ name, handler: handlerFor(name) }));
  const handler = balance(members, options, { clock, log: silentLog, ...(random === undefined ? {} : { random }) });
  const ask = async (parts: { exchange?: Exchange } = {}): Promise<string> => {
    const exchange = parts.exchange ?? exchangeOf({ body: '{}' });
    try {
      await handler(exchange);
      return exchange.context.get(targetSlot) ?? '';
    } catch (error) {
      return (error as ProxyError).code;
    }
  };
  const condition = (name: string) => handler.states().find((state) => state.name === name)?.condition;
  return { clock, handler, ask, asked, set: (name: string, fate: Fate) => void fates.set(name, fate), condition };
}

function boundTo(target: string | undefined): Exchange {
  const exchange = exchangeOf({ body: '{}' });
  const upstream = target === undefined ? undefined : { target };
  exchange.context.set(sessionSlot, { id: 's', upstream } as unknown as SessionHandle);
  return exchange;
}

describe('balance', () => {
  it('takes turns, and says who it was', async () => {
    const { ask } = targets(3);
    expect([await ask(), await ask(), await ask(), await ask()]).toEqual(['a', 'b', 'c', 'a']);
  });

  it('sends a session where it lives', async () => {
    const { ask } = targets(3);
    for (let i = 0; i < 5; i += 1) expect(await ask({ exchange: boundTo('b') })).toBe('b');
    expect(await ask({ exchange: boundTo(undefined) })).toBe('a');
  });

  it('sends a session where it lives also while that target is ejected, and nowhere else', async () => {
    const { ask, asked, set, condition } = targets(2, { failures: 1 });
    set('b', 'unreachable');
    expect(await ask({ exchange: boundTo('b') })).toBe('upstream_unreachable');
    expect(condition('b')).toBe('ejected');
    expect(await ask({ exchange: boundTo('b') })).toBe('upstream_unreachable');
    expect(asked).toEqual(['b', 'b']);
  });

  it('says so when the target of a session is gone', async () => {
    const { ask, asked } = targets(2);
    expect(await ask({ exchange: boundTo('elsewhere') })).toBe('session_not_found');
    expect(asked).toEqual([]);
  });

  it('tries the next target when nothing was sent', async () => {
    const { ask, asked, set } = targets(3);
    set('a', 'unreachable');
    set('b', 'unreachable');
    expect(await ask()).toBe('c');
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  it('asks each target once when none can be reached', async () => {
    const { ask, asked, set } = targets(2);
    set('a', 'unreachable');
    set('b', 'unreachable');
    expect(await ask()).toBe('upstream_unreachable');
    expect(asked).toEqual(['a', 'b']);
  });

  it.each(['closed', 'timeout', 'protocol'] as const)('never sends twice what may have arrived (%s)', async (fate) => {
    const { ask, asked, set } = targets(2);
    set('a', fate);
    expect(await ask()).toBe(`upstream_${fate}`);
    expect(asked).toEqual(['a']);
  });

  it('never sends a body twice that can be read once only, nor for a client that left', async () => {
    const { ask, asked, set } = targets(2);
    set('a', 'unreachable');
    const once = exchangeOf({ method: 'POST', body: streamReply(['{}']).body });
    expect(await ask({ exchange: once })).toBe('upstream_unreachable');
    set('b', 'unreachable');
    const left = exchangeOf({ body: '{}', signal: AbortSignal.abort() });
    expect(await ask({ exchange: left })).toBe('upstream_unreachable');
    expect(asked).toEqual(['a', 'b']);
  });

  it('ejects a target that fails several times in a row, and probes it with one exchange at a time', async () => {
    const { ask, asked, set, clock, condition } = targets(2, { failures: 3, ejectFor: 30_000 });
    set('a', 'closed');
    for (let i = 0; i < 6; i += 1) await ask();
    expect(condition('a')).toBe('ejected');
    asked.length = 0;
    for (let i = 0; i < 4; i += 1) expect(await ask()).toBe('b');
    expect(asked).toEqual(['b', 'b', 'b', 'b']);
    clock.advance(30_000);
    expect(condition('a')).toBe('probing');
    expect([await ask(), await ask()].sort()).toEqual(['b', 'upstream_closed']);
    expect(condition('a')).toBe('ejected');
    clock.advance(30_000);
    set('a', 'ok');
    expect([await ask(), await ask()].sort()).toEqual(['a', 'b']);
    expect(condition('a')).toBe('up');
  });

  it('sends one exchange to a target on probation while that one is under way', async () => {
    const clock = new ManualClock();
    const gate = Promise.withResolvers<Reply>();
    let slow = false;
    const a: Handler = () => (slow ? gate.promise : Promise.reject(ERRORS.unreachable));
    const b: Handler = async () => jsonReply('{}');
    const handler = balance(
      [
        { name: 'a', handler: a },
        { name: 'b', handler: b },
      ],
      { failures: 1, ejectFor: 10 },
      { clock, log: silentLog },
    );
    await handler(exchangeOf({ body: '{}' }));
    clock.advance(10);
    slow = true;
    const chosen = (): string | undefined => handler.states().find(({ waiting }) => waiting > 0)?.name;
    const first = handler(exchangeOf({ body: '{}' }));
    const second = chosen() === 'a' ? undefined : handler(exchangeOf({ body: '{}' }));
    expect(chosen()).toBe('a');
    const exchange = exchangeOf({ body: '{}' });
    await handler(exchange);
    expect(exchange.context.get(targetSlot)).toBe('b');
    gate.resolve(jsonReply('{}'));
    await first;
    await second;
    expect(handler.states().map(({ condition }) => condition)).toEqual(['up', 'up']);
  });

  it('spreads the ends of ejections', async () => {
    const { ask, set, clock, condition } = targets(2, { failures: 1, ejectFor: 10_000 }, () => 1);
    set('a', 'closed');
    await ask();
    clock.advance(11_999);
    expect(condition('a')).toBe('ejected');
    clock.advance(1);
    expect(condition('a')).toBe('probing');
  });

  it('tries them all when all are ejected', async () => {
    const { ask, set, condition } = targets(2, { failures: 1 });
    set('a', 'unreachable');
    set('b', 'unreachable');
    await ask();
    expect([condition('a'), condition('b')]).toEqual(['ejected', 'ejected']);
    set('b', 'ok');
    expect(await ask()).toBe('b');
    expect(condition('b')).toBe('up');
  });

  it('counts failures in a row only, and of the transport only', async () => {
    const { ask, set, condition, handler } = targets(1, { failures: 2 });
    for (const fate of ['closed', 'ok', 'closed', 'ok', 'protocol', 'protocol', 'protocol'] as const) {
      set('a', fate);
      await ask();
    }
    expect(condition('a')).toBe('up');
    set('a', 'timeout');
    await ask();
    await ask();
    expect(handler.states()).toEqual([
      { name: 'a', condition: 'ejected', failures: 2, waiting: 0, lastError: 'too late', ejections: 1 },
    ]);
    set('a', 'ok');
    expect(await ask()).toBe('a');
    expect(handler.states()[0]).toMatchObject({ condition: 'up', failures: 0, lastError: undefined, ejections: 1 });
  });

  it('needs a target', () => {
    expect(() => balance([], {}, { clock: new ManualClock(), log: silentLog })).toThrow('name at least one');
  });
});
