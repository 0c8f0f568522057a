import { type Handler, ProxyError } from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, streamReply } from '@shadowcat/testkit';
import { failureSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import type { ExchangeOutcome } from '../src/member.js';
import { UpstreamMember } from '../src/upstream-member.js';
import { TestGate } from './support/members.js';

const REQUEST = { jsonrpc: '2.0', id: 1, method: 'ping' };

function memberWith(handler: Handler) {
  const gate = new TestGate();
  return { gate, member: new UpstreamMember({ name: 'a', handler }, gate) };
}

describe('what an answer says about the member', () => {
  it.each<[status: number, outcome: ExchangeOutcome]>([
    [200, 'answered'],
    [400, 'answered'],
    [404, 'answered'],
    [429, 'answered'],
    [500, 'answered'],
    [502, 'transport-failure'],
    [503, 'transport-failure'],
    [504, 'timeout'],
  ])('HTTP %i: %s', async (status, outcome) => {
    const { gate, member } = memberWith(async () => jsonReply('{}', { status }));
    expect((await member.ask(classifiedExchange({ body: REQUEST }))).head.status).toBe(status);
    expect(gate.outcomes).toEqual([outcome]);
  });

  it('is taken back when a stream that had begun fails', async () => {
    const { gate, member } = memberWith(async () => streamReply([]));
    const exchange = classifiedExchange({ body: REQUEST });
    const answer = await member.ask(exchange);
    exchange.context.set(failureSlot, new ProxyError('child_exited', 'it crashed'));
    await answer[Symbol.asyncDispose]();
    expect([gate.outcomes, member.inFlight()]).toEqual([['answered', 'transport-failure'], 0]);
  });

  it('is taken back when a stream took too long, not when its client left', async () => {
    const ended = async (reason: ProxyError): Promise<readonly ExchangeOutcome[]> => {
      const { gate, member } = memberWith(async () => streamReply([]));
      const controller = new AbortController();
      const answer = await member.ask(classifiedExchange({ body: REQUEST, signal: controller.signal }));
      controller.abort(reason);
      await answer[Symbol.asyncDispose]();
      return gate.outcomes;
    };
    expect(await ended(new ProxyError('upstream_timeout', 'too long'))).toEqual(['answered', 'timeout']);
    expect(await ended(new ProxyError('cancelled', 'left'))).toEqual(['answered']);
  });
});
