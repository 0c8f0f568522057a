import { type Exchange, type Reply, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, ManualClock, readReply, streamReply } from '@shadowcat/testkit';
import { sessionSlot, targetSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { Group } from '../src/group.js';
import { router } from '../src/router.js';
import { UpstreamMember } from '../src/upstream-member.js';
import { of, outcomeOf, TestGate, TestSession } from './support/members.js';

const tool = (name: string, id = 7): object => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } });
const opening = { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} };

/** `main` with the member m, `files` with f, and rules that send to the latter. `seen`: what came to f, and on which session. */
function routed(answer: (exchange: Exchange) => Reply = () => jsonReply({})) {
  const parts = { clock: new ManualClock(), log: silentLog, random: () => 0 };
  const seen: { session: string | undefined; method: string; exchange: Exchange }[] = [];
  const member = (name: string): UpstreamMember =>
    new UpstreamMember(
      {
        name,
        handler: async (exchange) => {
          const text = new TextDecoder().decode(exchange.body.ready);
          const message = JSON.parse(text === '' ? '{}' : text) as { method?: string };
          const session = exchange.context.get(sessionSlot)?.id;
          if (name === 'f') seen.push({ session, method: message.method ?? '(response)', exchange });
          return answer(exchange);
        },
      },
      new TestGate(),
    );
  const [m, f] = [member('m'), member('f')];
  const group = (name: string, members: readonly UpstreamMember[]): Group => new Group(members, { name }, parts);
  const [main, files, both] = [group('main', [m]), group('files', [f]), group('both', [m, f])];
  const handler = router({
    routes: [
      { match: { path: '/files/mcp' }, to: files },
      { match: { tools: ['read_*'] }, to: files },
      { match: { tools: ['any_*'] }, to: both },
    ],
    otherwise: main,
  });
  return { handler, seen, ask: (exchange: Exchange) => outcomeOf(handler, exchange) };
}

describe('a router', () => {
  it('sends what has no session where the first rule that matches says, each request on its own', async () => {
    const { ask } = routed();
    expect(await ask(classifiedExchange({ body: tool('read_file') }))).toBe('f');
    expect(await ask(classifiedExchange({ body: tool('write_file') }))).toBe('m');
    expect(await ask(classifiedExchange({ body: tool('write_file'), target: '/files/mcp' }))).toBe('f');
  });

  it('opens a session where its initialize is sent, and keeps it there', async () => {
    const { ask } = routed();
    const session = new TestSession(undefined);
    const initialize = classifiedExchange({ body: opening, target: '/files/mcp' });
    initialize.context.set(sessionSlot, session);
    expect(await ask(initialize)).toBe('f');
    session.bind({ target: 'f' });
    const stream = classifiedExchange({ method: 'GET' });
    stream.context.set(sessionSlot, session);
    expect(await ask(stream)).toBe('f');
    expect(await ask(of(session, { jsonrpc: '2.0', method: 'notifications/initialized' }))).toBe('f');
  });

  it('is nothing but the group where there are no rules', () => {
    const parts = { clock: new ManualClock(), log: silentLog, random: () => 0 };
    const only = new Group(
      [new UpstreamMember({ name: 'a', handler: async () => jsonReply({}) }, new TestGate())],
      { name: 'g' },
      parts,
    );
    expect(router({ routes: [], otherwise: only })).toBe(only.handle);
  });
});

describe('a request that a rule sends to another group than that of its session', () => {
  it('has a session of its own there, which the member opens', async () => {
    const { ask, seen } = routed();
    const session = new TestSession('m');
    const exchange = of(session, tool('read_file'));
    expect(await ask(exchange)).toBe('f');
    expect(await ask(of(session, tool('read_more')))).toBe('f');
    expect(await ask(of(session, tool('write_file')))).toBe('m');
    expect(session.upstream?.target).toBe('m');
    const [first, second] = seen.map((one) => one.exchange.context.get(sessionSlot));
    expect(first).toBe(second);
    expect(first).toMatchObject({ id: 's1/files', initializeText: session.initializeText, upstream: { target: 'f' } });
    expect(first?.restore.subscriptions).toEqual([]);
    expect(exchange.context.get(sessionSlot)).toBe(session);
    expect(exchange.context.get(targetSlot)).toBe('f');
  });

  it('ends with the session of its client', async () => {
    const { ask, seen } = routed();
    const session = new TestSession('m');
    await ask(of(session, tool('read_file')));
    let ended = false;
    seen[0]?.exchange.context.get(sessionSlot)?.onEnd(() => {
      ended = true;
    });
    session.end();
    expect(ended).toBe(true);
    expect(seen[0]?.exchange.context.get(sessionSlot)?.ended).toBe(true);
  });

  it('uses the session itself where the other group has its member, too', async () => {
    const { ask, seen } = routed();
    const session = new TestSession('m');
    expect(await ask(of(session, tool('any_thing')))).toBe('m');
    expect(seen).toEqual([]);
  });

  it('gets its cancellation, and answers to what its server asks', async () => {
    const question = 'event: message\ndata: {"jsonrpc":"2.0","id":"q1","method":"sampling/createMessage"}\n\n';
    const { handler, ask, seen } = routed(() => streamReply([question]));
    const session = new TestSession('m');
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } };
    const answer = await handler(of(session, tool('read_file')));
    expect(await ask(of(session, cancel))).toBe('f');
    await readReply(answer);
    expect(await ask(of(session, { jsonrpc: '2.0', id: 'q1', result: {} }))).toBe('f');
    // Both are over now.
    expect(await ask(of(session, cancel))).toBe('m');
    expect(await ask(of(session, { jsonrpc: '2.0', id: 'q1', result: {} }))).toBe('m');
    expect(seen.map(({ session: id, method }) => [id, method])).toEqual([
      ['s1/files', 'tools/call'],
      ['s1/files', 'notifications/cancelled'],
      ['s1/files', '(response)'],
    ]);
  });
});
