import { type Exchange, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, readReply, settled, streamReply } from '@shadowcat/testkit';
import { callSlot, credentialSlot, sessionSlot } from '@shadowcat/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bench, ClientSession, look, request, result } from './support/bench.js';

const outcomes = (verdicts: readonly { outcome: string; reason?: string }[]): string[] =>
  verdicts.map(({ outcome, reason }) => (reason === undefined ? outcome : `${outcome} ${reason}`));

async function ask(handler: (exchange: Exchange) => Promise<Reply>, exchange: Exchange): Promise<string> {
  return (await readReply(await handler(exchange))).text;
}

const event = (value: object): string => `event: message\ndata: ${JSON.stringify(value)}\n\n`;

describe('what is mirrored', () => {
  it('is asked of both, and compared', async () => {
    const { handler, shadow, clock, verdicts } = bench();
    await ask(handler, look({ modern: true }));
    expect(shadow.heard).toEqual([]);
    await clock.pass(1);
    expect(outcomes(verdicts)).toEqual(['same']);
    shadow.answer = (_exchange, id) => result(id, { ok: false });
    await ask(handler, look({ modern: true }));
    await clock.pass(1);
    expect(verdicts[1]).toMatchObject({
      method: 'tools/call',
      tool: 'look',
      outcome: 'different',
      differences: [{ pointer: '/ok', kind: 'value' }],
    });
    expect(clock.pending).toBe(0);
  });

  it('arrives as the client sent it, with what is known of the client and nothing of the first server', async () => {
    const { handler, shadow, clock } = bench();
    const exchange = look({ modern: true, id: 'one' });
    exchange.context.set(credentialSlot, 'digest');
    await ask(handler, exchange);
    await clock.pass(1);
    const copy = shadow.heard[0]?.exchange;
    expect(copy?.body.ready).toEqual(exchange.body.ready);
    expect(copy?.head).toEqual(exchange.head);
    expect(copy?.context.get(credentialSlot)).toBe('digest');
    expect(copy?.signal).not.toBe(exchange.signal);
    expect(copy?.context).not.toBe(exchange.context);
  });

  it.each([
    ['a tool that does not say that it reads', request('tools/call', { params: { name: 'pay' } })],
    ['a method that is not listed', request('resources/subscribe', { params: { uri: 'u:1' } })],
    ['initialize', request('initialize', { params: { protocolVersion: '2025-11-25' } })],
    ['ping', request('ping')],
    ['the next page of a list', request('tools/list', { params: { cursor: 'x' } })],
    ['an answer to a question', look({ params: { inputResponses: {}, requestState: 's' } })],
    ['a task', look({ params: { task: { ttl: 1 } } })],
    ['a batch', classifiedExchange({ body: [{ jsonrpc: '2.0', id: 1, method: 'tools/list' }] })],
    ['a notification', classifiedExchange({ body: { jsonrpc: '2.0', method: 'notifications/initialized' } })],
    ['the standing stream', classifiedExchange({ method: 'GET' })],
    ['the end', classifiedExchange({ method: 'DELETE' })],
  ])('is not %s', async (_name, exchange) => {
    const { handler, shadow, clock, verdicts } = bench();
    await ask(handler, exchange);
    await clock.pass(1);
    expect([shadow.heard, verdicts]).toEqual([[], []]);
  });

  it('is a tool with effects only when it may be', async () => {
    const { handler, shadow, clock } = bench({ effects: true });
    await ask(handler, request('tools/call', { params: { name: 'pay' } }));
    await clock.pass(1);
    expect(shadow.methods).toEqual(['tools/call']);
  });

  it('is the share that was asked for', async () => {
    const numbers = [0.05, 0.1, 0.5, 0.09];
    let next = 0;
    const { handler, shadow, clock } = bench({ share: 0.1 }, ['look'], () => numbers[next++] ?? 1);
    for (const _ of numbers) await ask(handler, look());
    await clock.pass(1);
    expect(shadow.heard).toHaveLength(2);
    // Chance is asked for what can be mirrored only.
    await ask(handler, request('ping'));
    expect(next).toBe(4);
  });
});

describe('sessions', () => {
  it('are opened once with what the client sent, and end with its own', async () => {
    const { handler, shadow, clock, mirroring } = bench();
    const session = new ClientSession();
    await ask(handler, look({ session }));
    await ask(handler, look({ session }));
    await clock.pass(1);
    expect(shadow.methods).toEqual(['initialize', 'notifications/initialized', 'tools/call', 'tools/call']);
    const [opened, , called] = shadow.heard;
    expect(opened?.message).toEqual(JSON.parse(session.initializeText));
    expect(opened?.exchange.head.headers['mcp-protocol-version']).toBeUndefined();
    // What was agreed upon with the shadow, not with the first server.
    expect(called?.exchange.head.headers['mcp-protocol-version']).toBe('2025-11-25');
    const side = shadow.sessions[0];
    expect(called?.exchange.context.get(sessionSlot)).toBe(side);
    expect(side?.upstream).toEqual({ target: 'shadow', sessionId: 's1' });
    expect([side?.ended, mirroring.stats().sessions]).toEqual([false, 1]);
    session.end();
    expect([side?.ended, mirroring.stats().sessions]).toEqual([true, 0]);
    expect(session.upstream).toEqual({ target: 'primary', sessionId: 'p1' });
  });

  it('that clients end at once end at the shadow when it has answered', async () => {
    const { handler, shadow, clock, verdicts, mirroring } = bench();
    const session = new ClientSession();
    const gate = Promise.withResolvers<void>();
    shadow.answer = async (_exchange, id) => {
      await gate.promise;
      return result(id, { ok: true });
    };
    await ask(handler, look({ session }));
    await ask(handler, look({ session }));
    await clock.pass(1);
    session.end();
    // One that comes too late is none for the shadow.
    await ask(handler, look({ session }));
    await clock.pass(1);
    const [side] = shadow.sessions;
    expect([side?.ended, mirroring.stats().sessions, outcomes(verdicts)]).toEqual([false, 1, ['skipped cancelled']]);
    gate.resolve();
    await settled();
    expect([side?.ended, mirroring.stats().sessions]).toEqual([true, 0]);
    expect(outcomes(verdicts)).toEqual(['skipped cancelled', 'same', 'same']);
    expect([session.hooks.size, clock.pending]).toEqual([0, 0]);
  });

  it('that the shadow does not open are tried again, and leave nothing behind', async () => {
    const { handler, shadow, clock, verdicts, mirroring } = bench();
    const session = new ClientSession();
    shadow.refusesSessions = true;
    for (let turn = 0; turn < 3; turn += 1) {
      await ask(handler, look({ session }));
      await clock.pass(1);
    }
    expect(outcomes(verdicts)).toEqual(['failed', 'failed', 'failed']);
    expect([session.hooks.size, mirroring.stats().sessions, clock.pending]).toEqual([0, 0, 0]);
    shadow.refusesSessions = false;
    await ask(handler, look({ session }));
    await clock.pass(1);
    expect(outcomes(verdicts).at(-1)).toBe('same');
  });

  it('end when nothing is mirrored any more', async () => {
    const { handler, shadow, clock, mirroring } = bench();
    const session = new ClientSession();
    await ask(handler, look({ session }));
    await clock.pass(1);
    await mirroring.close();
    expect(shadow.sessions[0]?.ended).toBe(true);
    expect([session.ended, session.hooks.size, clock.pending]).toEqual([false, 0, 0]);
  });
});

describe('a client', () => {
  it('has the same bytes with and without a mirror, however they come', async () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.string().map((text) => new TextEncoder().encode(text)),
    );
    const typed = fc.constantFrom('text/event-stream', 'application/json', 'text/plain');
    await fc.assert(
      fc.asyncProperty(fc.array(piece), typed, fc.boolean(), async (pieces, type, whole) => {
        const answer = (): Reply =>
          whole
            ? jsonReply(new TextDecoder().decode(Buffer.concat(pieces)), { headers: { 'content-type': type } })
            : streamReply(pieces, { headers: { 'content-type': type, 'content-length': '7' } });
        const { handler, primary, clock, shadow, mirroring } = bench();
        shadow.answer = () => streamReply(pieces);
        primary.answer = async () => answer();
        const [bare, mirrored] = [answer(), await handler(look())];
        const chunks = async ({ body }: Reply): Promise<string[]> => {
          const all: string[] = [];
          for await (const chunk of body.bytes()) all.push(Buffer.from(chunk).toString('hex'));
          return all;
        };
        expect(mirrored.head).toEqual(bare.head);
        expect(await chunks(mirrored)).toEqual(await chunks(bare));
        await mirrored[Symbol.asyncDispose]();
        await clock.pass(60_000);
        expect([mirroring.stats().inFlight, clock.pending]).toEqual([0, 0]);
      }),
    );
  });

  it('has an answer that is whole already as the same object, and each event when it comes', async () => {
    const { handler, primary } = bench();
    const whole = result(1, {});
    primary.answer = async () => whole;
    expect(await handler(look())).toBe(whole);
    const gate = Promise.withResolvers<void>();
    primary.answer = async () =>
      streamReply(
        (async function* () {
          yield event({ jsonrpc: '2.0', method: 'notifications/progress', params: {} });
          await gate.promise;
          yield event({ jsonrpc: '2.0', id: 1, result: {} });
        })(),
      );
    const bytes = (await handler(look({ id: 1 }))).body.bytes()[Symbol.asyncIterator]();
    expect((await bytes.next()).done).toBe(false);
    gate.resolve();
    expect((await bytes.next()).done).toBe(false);
    expect((await bytes.next()).done).toBe(true);
  });

  it('has its bytes before they are compared', async () => {
    const { handler, primary, clock, verdicts } = bench();
    const last = Promise.withResolvers<void>();
    primary.answer = async ({ context }) => {
      const id = context.get(callSlot)?.message?.id ?? null;
      return streamReply(
        (async function* () {
          yield event({ jsonrpc: '2.0', method: 'notifications/progress' });
          await last.promise;
          yield event({ jsonrpc: '2.0', id, result: { ok: false } });
        })(),
      );
    };
    const answered = await handler(look());
    const pieces = answered.body.bytes()[Symbol.asyncIterator]();
    await pieces.next();
    await clock.pass(1);
    last.resolve();
    expect((await pieces.next()).done).toBe(false);
    expect(verdicts).toEqual([]);
    await clock.pass(1);
    expect([outcomes(verdicts), clock.pending]).toEqual([['different'], 0]);
    await answered[Symbol.asyncDispose]();
  });

  it('does not wait for a shadow that hangs, and hears nothing of it', async () => {
    const { handler, shadow, clock, verdicts, mirroring } = bench({ timeoutMs: 1000 });
    shadow.hang();
    expect(JSON.parse(await ask(handler, look({ id: 7, modern: true })))).toEqual({
      jsonrpc: '2.0',
      id: 7,
      result: { ok: true },
    });
    await clock.pass(999);
    expect([mirroring.stats().inFlight, verdicts.length]).toEqual([1, 0]);
    await clock.pass(1);
    expect(outcomes(verdicts)).toEqual(['timeout']);
    expect([mirroring.stats().inFlight, clock.pending]).toEqual([0, 0]);
  });

  it('hears the errors of its own server only', async () => {
    const { handler, primary, shadow, clock, verdicts } = bench();
    shadow.answer = () => Promise.reject(new ProxyError('upstream_unreachable', 'cannot be reached'));
    await ask(handler, look());
    await clock.pass(1);
    primary.answer = () => Promise.reject(new ProxyError('upstream_closed', 'gone'));
    await expect(handler(look())).rejects.toThrow('gone');
    await clock.pass(1);
    expect(outcomes(verdicts)).toEqual(['failed']);
    expect(shadow.heard).toHaveLength(1);
  });
});

describe('a request that is not compared', () => {
  it('is one that its server did not answer', async () => {
    const { handler, primary, shadow, clock, verdicts } = bench();
    const answers = [502, 401, 200].map((status) => () => reply({ status, headers: {} }));
    for (const answer of [
      ...answers,
      () => streamReply([event({ jsonrpc: '2.0', method: 'notifications/message' })]),
    ]) {
      primary.answer = async () => answer();
      await ask(handler, look());
    }
    await clock.pass(1);
    expect(outcomes(verdicts)).toEqual(Array(4).fill('skipped unanswered'));
    expect(shadow.heard).toEqual([]);
  });

  it('is given up at the shadow when its client leaves', async () => {
    const { handler, primary, shadow, clock, verdicts } = bench();
    const session = new ClientSession();
    shadow.hang();
    primary.answer = async () => streamReply([event({ jsonrpc: '2.0', method: 'notifications/progress' })]);
    const passing = await handler(look({ session, id: 5 }));
    const bytes = passing.body.bytes()[Symbol.asyncIterator]();
    await bytes.next();
    await clock.pass(1);
    const copy = shadow.heard.at(-1)?.exchange;
    await bytes.return?.();
    await passing[Symbol.asyncDispose]();
    await settled();
    expect(outcomes(verdicts)).toEqual(['skipped unanswered']);
    expect(copy?.signal.aborted).toBe(true);
    expect(shadow.heard.at(-1)?.message).toMatchObject({ method: 'notifications/cancelled', params: { requestId: 5 } });
    expect(clock.pending).toBe(0);
  });

  it('is given up at the shadow when its client cancels it', async () => {
    const { handler, primary, shadow, clock, verdicts } = bench();
    const [session, other] = [new ClientSession(), new ClientSession()];
    shadow.hang();
    const never = Promise.withResolvers<void>();
    primary.answer = async () =>
      streamReply(
        (async function* () {
          await never.promise;
          yield '';
        })(),
      );
    await handler(look({ session, id: 5 }));
    await clock.pass(1);
    primary.answer = async () => reply({ status: 202, headers: {} });
    const cancel = (whose: ClientSession, requestId: unknown): Promise<Reply> => {
      const body = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } };
      const exchange = classifiedExchange({ body });
      exchange.context.set(sessionSlot, whose);
      return handler(exchange);
    };
    await cancel(other, 5);
    await cancel(session, '5');
    expect(verdicts).toEqual([]);
    await cancel(session, 5);
    await settled();
    expect(outcomes(verdicts)).toEqual(['skipped cancelled']);
    expect(shadow.methods.at(-1)).toBe('notifications/cancelled');
    never.resolve();
  });

  it('is one of too many', async () => {
    const { handler, shadow, clock, verdicts } = bench({ maxInFlight: 2 });
    shadow.hang();
    for (let id = 0; id < 5; id += 1) await ask(handler, look());
    await clock.pass(1);
    expect(shadow.heard).toHaveLength(2);
    expect(outcomes(verdicts)).toEqual(Array(3).fill('skipped busy'));
    await clock.pass(30_000);
    await ask(handler, look());
    expect(outcomes(verdicts)).toHaveLength(5);
  });

  it('is one more while the shadow does not let go of others', async () => {
    const { handler, shadow, clock, verdicts } = bench({ maxInFlight: 2, timeoutMs: 10 });
    shadow.answer = () => new Promise(() => {});
    for (let turn = 0; turn < 4; turn += 1) {
      await ask(handler, look({ modern: true }));
      await clock.pass(20);
    }
    expect(shadow.heard).toHaveLength(2);
    expect(outcomes(verdicts)).toEqual(['timeout', 'timeout', 'skipped busy', 'skipped busy']);
  });

  it('is one with an answer that is too large to be looked at', async () => {
    const { handler, primary, shadow, clock, verdicts } = bench();
    const large = { text: 'x'.repeat(1024 * 1024) };
    primary.answer = async () => result(1, large);
    await ask(handler, look({ id: 1 }));
    primary.answer = async () => result(2, {});
    shadow.answer = (_exchange, id) => result(id, large);
    await ask(handler, look({ id: 2 }));
    await clock.pass(1);
    expect(outcomes(verdicts)).toEqual(['skipped too-large', 'skipped too-large']);
  });

  it('is one about which the shadow asks the client: it is told that nobody is there', async () => {
    const { handler, shadow, clock, verdicts } = bench();
    const session = new ClientSession();
    shadow.answer = (_exchange, id) =>
      streamReply([
        event({ jsonrpc: '2.0', method: 'notifications/message', params: {} }),
        event({ jsonrpc: '2.0', id: 'q1', method: 'sampling/createMessage', params: {} }),
        event({ jsonrpc: '2.0', id, result: { ok: false } }),
      ]);
    await ask(handler, look({ session }));
    await clock.pass(1);
    expect(outcomes(verdicts)).toEqual(['skipped asked']);
    expect(shadow.heard.at(-1)).toMatchObject({ method: '(response)', message: { id: 'q1', error: {} } });
  });
});

describe('a shadow that asks the client', () => {
  const question = (id: number): string => event({ jsonrpc: '2.0', id: `q${id}`, method: 'sampling/createMessage' });

  it('again and again is not listened to any more', async () => {
    const { handler, shadow, clock, verdicts } = bench();
    let questions = 0;
    shadow.answer = ({ signal }) =>
      streamReply(
        (async function* () {
          while (!signal.aborted) {
            questions += 1;
            yield question(questions);
          }
        })(),
      );
    await ask(handler, look());
    await expect.poll(() => clock.pass(1).then(() => outcomes(verdicts))).toEqual(['skipped asked']);
    expect(questions).toBeLessThan(50);
    expect(shadow.methods.filter((method) => method === '(response)').length).toBeLessThan(50);
    expect(clock.pending).toBe(0);
  });

  it('and then says nothing more has not failed', async () => {
    const { handler, shadow, clock, verdicts } = bench();
    shadow.answer = () => streamReply([question(1)]);
    await ask(handler, look());
    await clock.pass(1);
    expect(outcomes(verdicts)).toEqual(['skipped asked']);
  });
});

describe('a shadow that refuses', () => {
  it.each([302, 401, 403, 429, 500, 503])('with HTTP %i has not answered', async (status) => {
    const { handler, shadow, clock, verdicts } = bench();
    shadow.answer = (_exchange, id) => jsonReply({ jsonrpc: '2.0', id, error: { code: 1, message: 'm' } }, { status });
    await ask(handler, look());
    await clock.pass(1);
    expect([outcomes(verdicts), clock.pending]).toEqual([['failed'], 0]);
  });
});

describe('names that clients choose', () => {
  it('are kept to a length', async () => {
    const { handler, clock, verdicts } = bench();
    await ask(handler, request('prompts/get', { params: { name: 'x'.repeat(100_000) } }));
    await clock.pass(1);
    expect(verdicts[0]?.tool.length).toBeLessThan(200);
  });
});

describe('the end', () => {
  it('gives up what is under way and does not wait for a shadow that does not let go', async () => {
    const { handler, shadow, clock, verdicts, mirroring } = bench();
    shadow.answer = () => new Promise(() => {});
    await ask(handler, look());
    await clock.pass(1);
    const closed = mirroring.close();
    expect(mirroring.close()).toBe(closed);
    expect(outcomes(verdicts)).toEqual(['skipped cancelled']);
    await clock.pass(1000);
    await closed;
    await ask(handler, look());
    expect([shadow.methods, clock.pending]).toEqual([['tools/call', 'notifications/cancelled'], 0]);
  });

  it('leaves no timer of what had not begun', async () => {
    const { handler, shadow, clock, mirroring } = bench();
    await ask(handler, look());
    await mirroring.close();
    await clock.pass(1000);
    expect([shadow.heard.length, clock.pending]).toEqual([0, 0]);
  });
});
