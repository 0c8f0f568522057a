import { type Exchange, type Reply, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, exchangeOf, jsonReply, ManualClock, settled, streamReply } from '@shadowcat/testkit';
import { sessionSlot, targetSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { Group } from '../src/group.js';
import { avoidSlot } from '../src/member.js';
import { bench, of, TestSession } from './support/members.js';

describe('a group', () => {
  it('takes turns, and says who it was', async () => {
    const { ask } = bench([{}, {}, {}]);
    expect([await ask(), await ask(), await ask(), await ask()]).toEqual(['a', 'b', 'c', 'a']);
  });

  it('tries the next member when nothing was sent', async () => {
    const { ask, asked, set } = bench([{}, {}, {}]);
    set('a', 'unreachable');
    set('b', 'unreachable');
    expect(await ask()).toBe('c');
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  it('asks each member once when none can be reached', async () => {
    const { ask, asked, set } = bench([{}, {}]);
    set('a', 'unreachable');
    set('b', 'unreachable');
    expect(await ask()).toBe('upstream_unreachable');
    expect(asked).toEqual(['a', 'b']);
  });

  it.each(['closed', 'timeout', 'protocol'] as const)('never sends twice what may have arrived (%s)', async (fate) => {
    const { ask, asked, set } = bench([{}, {}]);
    set('a', fate);
    expect(await ask()).toBe(`upstream_${fate}`);
    expect(asked).toEqual(['a']);
  });

  it('never sends a body twice that can be read once only, nor for a client that left', async () => {
    const { ask, asked, set } = bench([{}, {}]);
    set('a', 'unreachable');
    expect(await ask(exchangeOf({ method: 'POST', body: streamReply(['{}']).body }))).toBe('upstream_unreachable');
    set('b', 'unreachable');
    expect(await ask(exchangeOf({ body: '{}', signal: AbortSignal.abort() }))).toBe('upstream_unreachable');
    expect(asked).toEqual(['a', 'b']);
  });

  it('gives nothing to a member whose gate is closed while another is open', async () => {
    const { ask, gate } = bench([{}, {}]);
    gate('a').condition = 'ejected';
    expect([await ask(), await ask(), await ask()]).toEqual(['b', 'b', 'b']);
  });

  it('lets the gates decide when all are closed', async () => {
    const { ask, asked, gate } = bench([{}, {}]);
    gate('a').condition = 'ejected';
    gate('b').condition = 'ejected';
    expect(await ask()).toBe('a');
    gate('a').strict = true;
    gate('b').strict = true;
    asked.length = 0;
    expect(await ask()).toBe('upstream_unavailable');
    expect(asked).toEqual([]);
  });

  it('says when to try again where nobody takes anything', async () => {
    const { group, gate } = bench([{}, {}]);
    for (const name of ['a', 'b']) Object.assign(gate(name), { condition: 'ejected', strict: true });
    await expect(group.handle(exchangeOf({ body: '{}' }))).rejects.toMatchObject({
      code: 'upstream_unavailable',
      retryAfter: 2,
    });
  });

  it('avoids the members that failed an exchange before, while there are others', async () => {
    const { ask, gate } = bench([{}, {}]);
    const again = () => {
      const exchange = exchangeOf({ body: '{}' });
      exchange.context.set(avoidSlot, new Set(['a']));
      return exchange;
    };
    expect([await ask(again()), await ask(again())]).toEqual(['b', 'b']);
    gate('b').condition = 'down';
    expect(await ask(again())).toBe('a');
  });

  it('tells the gate how it ended', async () => {
    const { ask, gate, set } = bench([{}]);
    for (const fate of ['ok', 'closed', 'timeout', 'protocol', 'unreachable'] as const) {
      set('a', fate);
      await ask();
    }
    expect(gate('a').outcomes).toEqual(['answered', 'transport-failure', 'timeout', 'answered', 'transport-failure']);
  });

  it('counts a stream as in flight until it is disposed, and a standing one not at all', async () => {
    const handler = async (): Promise<Reply> => streamReply([': hello\n\n']);
    const { group, members } = bench([{ handler }]);
    const standing = classifiedExchange({ method: 'GET' });
    standing.context.set(sessionSlot, new TestSession('a'));
    const stream = await group.handle(standing);
    expect(members[0]?.inFlight()).toBe(0);
    await stream[Symbol.asyncDispose]();
    const answer = await group.handle(classifiedExchange({ body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } }));
    expect(members[0]?.inFlight()).toBe(1);
    await answer[Symbol.asyncDispose]();
    expect(members[0]?.inFlight()).toBe(0);
  });

  it('needs a member', () => {
    const parts = { clock: new ManualClock(), log: silentLog, random: () => 0 };
    expect(() => new Group([], { name: 'empty' }, parts)).toThrow('the group empty has no members');
  });
});

describe('priorities', () => {
  const regions = () => bench([{}, {}, { priority: 1 }, { priority: 2 }]);

  it('keep the others unused while one of the first is available', async () => {
    const { spread, gate } = regions();
    gate('a').condition = 'down';
    expect(await spread(10)).toEqual({ a: 0, b: 10, c: 0, d: 0 });
  });

  it('send to the next region when the first is gone, and back', async () => {
    const { spread, gate } = regions();
    gate('a').condition = 'down';
    gate('b').condition = 'ejected';
    expect(await spread(4)).toEqual({ a: 0, b: 0, c: 4, d: 0 });
    gate('c').condition = 'down';
    expect(await spread(4)).toEqual({ a: 0, b: 0, c: 0, d: 4 });
    gate('a').condition = 'up';
    expect(await spread(4)).toEqual({ a: 4, b: 0, c: 0, d: 0 });
  });

  it('go on to the next region within one exchange when nothing was sent', async () => {
    const { ask, asked, set } = regions();
    for (const name of ['a', 'b', 'c']) set(name, 'unreachable');
    expect(await ask()).toBe('d');
    expect(asked).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('slow start', () => {
  it('gives a member that is back a tenth of its share at first, and all of it in the end', async () => {
    const { spread, gate, clock } = bench([{}, {}], { slowStartMs: 10_000 });
    expect(await spread(100)).toEqual({ a: 50, b: 50 });
    gate('b').condition = 'ejected';
    await spread(1);
    gate('b').condition = 'up';
    expect((await spread(110))['b']).toBe(10);
    clock.advance(5000);
    expect((await spread(150))['b']).toBe(50);
    clock.advance(5000);
    expect((await spread(100))['b']).toBe(50);
  });

  it('is for members that got a weight, too', async () => {
    const { spread, members } = bench([{}, { weight: 0 }], { slowStartMs: 10_000 });
    expect(await spread(10)).toEqual({ a: 10, b: 0 });
    members[1]?.setWeight(1);
    expect((await spread(110))['b']).toBe(10);
  });
});

describe('a weight of 0', () => {
  it('is nothing new, while sessions stay', async () => {
    const { ask, spread } = bench([{ weight: 0 }, {}]);
    expect(await spread(5)).toEqual({ a: 0, b: 5 });
    expect(await ask(of(new TestSession('a')))).toBe('a');
  });

  it('for all is a plain refusal', async () => {
    const { ask } = bench([{ weight: 0 }, { weight: 0 }]);
    expect(await ask()).toBe('upstream_unavailable');
  });
});

describe('a session', () => {
  it('stays where it lives', async () => {
    const { ask } = bench([{}, {}, {}]);
    for (let i = 0; i < 5; i += 1) expect(await ask(of(new TestSession('b')))).toBe('b');
  });

  it('is opened wherever the policy says', async () => {
    const { ask } = bench([{}, {}]);
    const opening = { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} };
    expect(await ask(of(new TestSession(undefined), opening))).toBe('a');
    expect(await ask(of(new TestSession(undefined), opening))).toBe('b');
  });

  it.each(['unreachable', 'a closed gate'])('moves to another member when its own is gone (%s)', async (how) => {
    const { ask, set, gate, asked } = bench([{}, {}]);
    if (how === 'unreachable') set('b', 'unreachable');
    else gate('b').condition = 'down';
    const session = new TestSession('b');
    expect(await ask(of(session))).toBe('a');
    expect(session.upstream?.target).toBe('a');
    expect(asked).toEqual(how === 'unreachable' ? ['b', 'a'] : ['a']);
    set('b', 'ok');
    gate('b').condition = 'up';
    expect(await ask(of(session))).toBe('a');
  });

  it('moves when its member is not configured any more', async () => {
    const { ask } = bench([{}, {}]);
    const session = new TestSession('gone');
    expect(await ask(of(session))).toBe('a');
    expect(session.upstream?.target).toBe('a');
  });

  it('moves to one member, however many of its requests find out at the same time', async () => {
    const { group, set } = bench([{}, {}, {}]);
    set('c', 'unreachable');
    const session = new TestSession('c');
    const exchanges = Array.from({ length: 6 }, () => of(session));
    await Promise.all(exchanges.map((exchange) => group.handle(exchange)));
    expect(new Set(exchanges.map((exchange) => exchange.context.get(targetSlot))).size).toBe(1);
  });

  it('does not move for what was said to the server that is gone, nor to end', async () => {
    const { ask, set, asked } = bench([{}, {}]);
    set('b', 'unreachable');
    const answer = { jsonrpc: '2.0', id: 3, result: {} };
    const end = classifiedExchange({ method: 'DELETE' });
    end.context.set(sessionSlot, new TestSession('b'));
    expect(await ask(of(new TestSession('b'), answer))).toBe('upstream_unreachable');
    expect(await ask(end)).toBe('upstream_unreachable');
    expect(asked).toEqual(['b', 'b']);
  });

  it('does not move when there is nobody else', async () => {
    const { ask, set, gate } = bench([{}, {}]);
    set('b', 'unreachable');
    gate('a').condition = 'down';
    const session = new TestSession('b');
    expect(await ask(of(session))).toBe('upstream_unreachable');
    expect(session.upstream?.target).toBe('b');
  });

  it('stays, or is told that it is over, where moving is not wanted', async () => {
    const { ask, set, asked } = bench([{}, {}], { onLoss: 'fail' });
    set('b', 'unreachable');
    expect(await ask(of(new TestSession('b')))).toBe('upstream_unreachable');
    expect(await ask(of(new TestSession('gone')))).toBe('session_not_found');
    expect(asked).toEqual(['b']);
  });

  it('ends its streams when it moves, so that its client opens one where it lives now', async () => {
    const disposed: string[] = [];
    const standing = (name: string) => async () => streamReply([], { dispose: () => void disposed.push(name) });
    const { group, set, ask } = bench([{ handler: standing('a') }, { handler: standing('b') }]);
    const session = new TestSession('b');
    const stream = (): Exchange => {
      const exchange = classifiedExchange({ method: 'GET' });
      exchange.context.set(sessionSlot, session);
      return exchange;
    };
    const left = await group.handle(stream());
    await left[Symbol.asyncDispose]();
    await group.handle(stream());
    expect(disposed).toEqual(['b']);
    set('b', 'unreachable');
    // Moves it, and stays there.
    const moved = await group.handle(stream());
    await settled();
    expect([disposed, session.upstream?.target]).toEqual([['b', 'b'], 'a']);
    await ask(of(session));
    expect(disposed).toEqual(['b', 'b', 'a']);
    await moved[Symbol.asyncDispose]();
    expect(disposed).toEqual(['b', 'b', 'a', 'a']);
  });

  it('that is answered by several pieces still moves once only', async () => {
    const gate = Promise.withResolvers<void>();
    const handler = async (): Promise<Reply> => {
      await gate.promise;
      return jsonReply({});
    };
    const { group, set, asked } = bench([{ handler }, { handler }, {}]);
    set('c', 'unreachable');
    const session = new TestSession('c');
    const first = group.handle(of(session));
    const second = group.handle(of(session));
    gate.resolve();
    await Promise.all([first, second]);
    expect(asked.filter((name) => name !== 'c')).toEqual(['a', 'a']);
  });
});
