import { type Exchange, type Handler, ProxyError, type Reply, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, exchangeOf, jsonReply, ManualClock } from '@shadowcat/testkit';
import { type SessionHandle, sessionSlot, targetSlot, type UpstreamBinding } from '@shadowcat/wire';
import { Group, type GroupOptions } from '../../src/group.js';
import type { Condition, ExchangeOutcome, Gate } from '../../src/member.js';
import { UpstreamMember } from '../../src/upstream-member.js';

export type Fate = 'ok' | 'unreachable' | 'closed' | 'timeout' | 'protocol';

const ERRORS: Record<Exclude<Fate, 'ok'>, ProxyError> = {
  unreachable: new ProxyError('upstream_unreachable', 'cannot be reached'),
  closed: new ProxyError('upstream_closed', 'closed the connection'),
  timeout: new ProxyError('upstream_timeout', 'too late'),
  protocol: new ProxyError('upstream_protocol', 'no HTTP'),
};

/** A gate that a test opens and closes. */
export class TestGate implements Gate {
  condition: Condition = 'up';
  /** Whether it lets nobody through who asks nevertheless. */
  strict = false;
  readonly outcomes: ExchangeOutcome[] = [];
  available(): boolean {
    return this.condition === 'up';
  }
  enter() {
    if (this.strict && !this.available()) return undefined;
    let over = false;
    return {
      done: (outcome: ExchangeOutcome) => {
        if (!over) this.outcomes.push(outcome);
        over = true;
      },
    };
  }
  state() {
    const reopensInMs = this.available() ? {} : { reopensInMs: 1500 };
    return { condition: this.condition, failures: 0, ejections: 0, lastError: undefined, ...reopensInMs };
  }
}

export interface MemberParts {
  readonly weight?: number;
  readonly priority?: number;
  readonly handler?: Handler;
}

/** Members `a`, `b`, … whose fate a test decides; `asked` says who was asked, in order. */
export function bench(parts: readonly MemberParts[], options: Partial<GroupOptions> = {}, random = () => 0.5) {
  const clock = new ManualClock();
  const names = 'abcdefghij'.slice(0, parts.length).split('');
  const fates = new Map<string, Fate>();
  const gates = new Map(names.map((name) => [name, new TestGate()]));
  const asked: string[] = [];
  const handlerFor =
    (name: string): Handler =>
    async (exchange) => {
      asked.push(name);
      const fate = fates.get(name) ?? 'ok';
      if (fate !== 'ok') throw ERRORS[fate];
      return parts[names.indexOf(name)]?.handler?.(exchange) ?? jsonReply({ from: name });
    };
  const gateOf = (name: string): TestGate => gates.get(name) as TestGate;
  const members = names.map(
    (name, i) => new UpstreamMember({ ...parts[i], name, handler: handlerFor(name) }, gateOf(name)),
  );
  const group = new Group(members, { name: 'g', ...options }, { clock, log: silentLog, random });
  return {
    clock,
    group,
    members,
    asked,
    set: (name: string, fate: Fate) => void fates.set(name, fate),
    gate: gateOf,
    ask: (exchange: Exchange = exchangeOf({ body: '{}' })) => outcomeOf(group.handle, exchange),
    /** How many of `count` exchanges each member got. */
    async spread(count: number, make: (i: number) => Exchange = () => exchangeOf({ body: '{}' })) {
      const counts: Record<string, number> = Object.fromEntries(names.map((name) => [name, 0]));
      for (let i = 0; i < count; i += 1) {
        const name = await outcomeOf(group.handle, make(i));
        counts[name] = (counts[name] ?? 0) + 1;
      }
      return counts;
    },
  };
}

/** The member that answered, or the code of the error. */
export async function outcomeOf(handler: Handler, exchange: Exchange): Promise<string> {
  let answer: Reply;
  try {
    answer = await handler(exchange);
  } catch (error) {
    return (error as ProxyError).code;
  }
  await answer[Symbol.asyncDispose]();
  return exchange.context.get(targetSlot) ?? '';
}

/** An open session; `ends` when a test says so. */
export class TestSession implements SessionHandle {
  readonly initializeText = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}';
  readonly initializeResult = undefined;
  readonly protocolVersion = '2025-11-25';
  readonly restore = { logLevel: undefined, subscriptions: ['file:///a'] };
  ended = false;
  upstream: UpstreamBinding | undefined;
  readonly #ends: (() => void)[] = [];
  readonly id: string;
  constructor(target: string | undefined, id = 's1') {
    this.id = id;
    this.upstream = target === undefined ? undefined : { target, sessionId: `${target}-1` };
  }
  bind(upstream: UpstreamBinding): void {
    this.upstream = upstream;
  }
  onEnd(done: () => void): () => void {
    this.#ends.push(done);
    return () => {};
  }
  end(): void {
    this.ended = true;
    for (const done of this.#ends) done();
  }
}

/** What a client of `session` sends. */
export function of(session: SessionHandle, body: object = { jsonrpc: '2.0', id: 7, method: 'tools/list' }): Exchange {
  const exchange = classifiedExchange({ body });
  exchange.context.set(sessionSlot, session);
  return exchange;
}
