import {
  type Clock,
  type ErrorCode,
  type Exchange,
  type Handler,
  headerOf,
  type Log,
  ProxyError,
  type Reply,
  withReply,
} from '@shadowcat/kernel';
import { callSlot, credentialSlot, type SessionHandle, sessionSlot, targetSlot } from '@shadowcat/wire';
import { Candidates } from './choosing/candidates.js';
import { type BalancePolicy, type Pick, policy } from './choosing/policy.js';
import { avoidSlot, secondsOf } from './member.js';
import { discard } from './protect/discard.js';
import type { UpstreamMember } from './upstream-member.js';

/** What a `hash` group looks at: the session's id, the client's credential, or a header field (lower case). */
export type HashOn = 'session' | 'credential' | { readonly header: string };

export interface GroupOptions {
  readonly name: string;
  /** Default `round-robin`. */
  readonly balance?: BalancePolicy | undefined;
  /** Default `credential`. Exchanges that have none of it take turns. */
  readonly hashOn?: HashOn | undefined;
  /** Milliseconds that a member which comes back takes to its whole share. Default 0. */
  readonly slowStartMs?: number | undefined;
  /**
   * What becomes of a session whose member is gone: opened again on another one (default), or the client hears of it. Members
   * open a session that lives elsewhere when they are asked for it.
   */
  readonly onLoss?: 'recover' | 'fail' | undefined;
}

export interface GroupComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1, without 1. */
  readonly random: () => number;
}

/** Where a route leads: members that stand in for each other, or that are shown as one. */
export interface Destination {
  readonly name: string;
  /** Whether sessions that are bound to this name live here. */
  has(name: string): boolean;
  readonly handle: Handler;
}

/** All of these say that nothing was sent: another member can be asked. */
const UNSENT: ReadonlySet<ErrorCode> = new Set(['upstream_unreachable', 'upstream_unavailable', 'spawn_failed']);

/**
 * Members that can stand in for each other. Exchanges of a session go to the member where it lives; others are shared out by
 * the policy, within the first priority that has anybody available. Another member is tried only when nothing was sent, and
 * only for a body that can be sent twice.
 */
export class Group implements Destination {
  readonly name: string;
  readonly members: readonly UpstreamMember[];
  readonly #options: GroupOptions;
  readonly #log: Log;
  readonly #byName: ReadonlyMap<string, UpstreamMember>;
  readonly #candidates: Candidates<UpstreamMember>;
  readonly #pick: Pick;
  /** Where sessions are being opened again, so that all their exchanges go there. */
  readonly #moves = new WeakMap<SessionHandle, UpstreamMember>();
  /** Standing streams, and the members that they come from. */
  readonly #standing = new WeakMap<SessionHandle, Map<Reply, string>>();

  constructor(members: readonly UpstreamMember[], options: GroupOptions, components: GroupComponents) {
    const { clock, log, random } = components;
    if (members.length === 0) throw new ProxyError('internal', `the group ${options.name} has no members`);
    this.name = options.name;
    this.members = members;
    this.#options = options;
    this.#log = log;
    this.#byName = new Map(members.map((member) => [member.name, member]));
    this.#candidates = new Candidates(members, options.slowStartMs ?? 0, clock);
    this.#pick = policy(options.balance ?? 'round-robin', random);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** The innermost handler of what is for this group. */
  readonly handle = (exchange: Exchange): Promise<Reply> => {
    const session = exchange.context.get(sessionSlot);
    if (session === undefined) return this.#anew(exchange);
    const bound = session.upstream?.target;
    const call = exchange.context.get(callSlot);
    if (bound !== undefined) {
      const answer = this.#ofSession(exchange, session, bound);
      const isStanding = call?.verb === 'stream' && this.members.length > 1;
      return isStanding ? answer.then((stream) => this.#kept(stream, session, exchange)) : answer;
    }
    const opens = call?.method === 'initialize';
    return opens ? this.#anew(exchange) : this.#spread(exchange, { session });
  };

  /** What may go to anybody; where there is one member only, nothing is weighed. */
  #anew(exchange: Exchange): Promise<Reply> {
    const [only] = this.members;
    if (only === undefined || this.members.length > 1 || only.weight() === 0) return this.#spread(exchange);
    return only.ask(exchange);
  }

  /** An exchange of a session goes to its member, or, when that is gone and the session may be moved, takes it elsewhere. */
  #ofSession(exchange: Exchange, session: SessionHandle, bound: string): Promise<Reply> {
    const home = this.#byName.get(bound);
    const stays = this.#options.onLoss === 'fail';
    if (home === undefined) return stays ? Promise.reject(isGone(bound)) : this.#spread(exchange, { session });
    if (stays || this.members.length === 1 || !takesItsSessionAlong(exchange)) return home.ask(exchange);
    const elsewhere = (): Promise<Reply> => this.#spread(exchange, { session, tried: new Set([bound]) });
    if (home.refuses() && this.#somebodyElse(home)) return elsewhere();
    return home.ask(exchange).catch((error: unknown) => {
      if (!mayGoElsewhere(error, exchange) || !this.#somebodyElse(home)) throw error;
      return elsewhere();
    });
  }

  #somebodyElse(home: UpstreamMember): boolean {
    return this.members.some((member) => member !== home && member.weight() > 0 && member.gate.available());
  }

  /** With a `session`: that lives on the member from then on. */
  async #spread(
    exchange: Exchange,
    { session, tried = new Set<string>() }: { session?: SessionHandle; tried?: Set<string> } = {},
  ): Promise<Reply> {
    for (;;) {
      const member = this.#next(exchange, session, tried);
      tried.add(member.name);
      try {
        if (session === undefined) return await member.ask(exchange);
        return await this.#move(exchange, session, member);
      } catch (error) {
        if (!mayGoElsewhere(error, exchange)) throw error;
        if (this.#candidates.choose(tried).length === 0) throw this.#noneLeft(error);
        this.#log.warn({ exchange: exchange.id, target: member.name }, `${error.message}; trying the next upstream`);
      }
    }
  }

  #next(exchange: Exchange, session: SessionHandle | undefined, tried: ReadonlySet<string>): UpstreamMember {
    const moving = session === undefined ? undefined : this.#moves.get(session);
    if (moving !== undefined && !tried.has(moving.name)) return moving;
    const members = this.#candidates.choose(tried, exchange.context.get(avoidSlot));
    const [first] = members;
    if (first === undefined) {
      const message = `no upstream of ${this.name} takes anything: all have the weight 0`;
      throw new ProxyError('upstream_unavailable', message);
    }
    const key = this.#options.balance === 'hash' ? this.#keyOf(exchange) : undefined;
    return members.length === 1 ? first : this.#pick({ members, weightOf: this.#candidates.weightOf, key });
  }

  async #move(exchange: Exchange, session: SessionHandle, member: UpstreamMember): Promise<Reply> {
    this.#moves.set(session, member);
    try {
      const answer = await member.ask(exchange);
      if (session.upstream?.target !== member.name) session.bind({ ...session.upstream, target: member.name });
      this.#endStreams(session, member.name);
      return answer;
    } finally {
      this.#moves.delete(session);
    }
  }

  #kept(stream: Reply, session: SessionHandle, { context }: Exchange): Reply {
    const streams = this.#standing.get(session) ?? new Map<Reply, string>();
    this.#standing.set(session, streams);
    const kept = withReply(stream, { dispose: () => void streams.delete(kept) });
    streams.set(kept, context.get(targetSlot) ?? '');
    return kept;
  }

  /** Nothing would come on streams from where the session was; a client whose stream ends opens another one. */
  #endStreams(session: SessionHandle, home: string): void {
    for (const [stream, from] of this.#standing.get(session) ?? []) if (from !== home) discard(stream);
  }

  #noneLeft(last: ProxyError): ProxyError {
    if (last.code !== 'upstream_unavailable' || this.members.length === 1) return last;
    const waits = this.members.map(({ gate }) => gate.state().reopensInMs ?? 0);
    const message = `no upstream of ${this.name} takes anything at the moment; the last said: ${last.message}`;
    return new ProxyError('upstream_unavailable', message, { retryAfter: secondsOf(Math.min(...waits)) });
  }

  #keyOf({ context, head }: Exchange): string | undefined {
    const on = this.#options.hashOn ?? 'credential';
    if (on === 'credential') return context.get(credentialSlot);
    return on === 'session' ? context.get(sessionSlot)?.id : headerOf(head.headers, on.header);
  }
}

function isGone(bound: string): ProxyError {
  const message = `the session lives on ${bound}, which is no upstream any more; open a new session`;
  return new ProxyError('session_not_found', message);
}

/** A request and a standing stream want a live session; what ends one, or was said to the server that is gone, does not. */
function takesItsSessionAlong({ context }: Exchange): boolean {
  const call = context.get(callSlot);
  if (call === undefined) return false;
  return call.verb === 'stream' || (call.verb === 'post' && call.expectsAnswer);
}

function mayGoElsewhere(error: unknown, exchange: Exchange): error is ProxyError {
  const unsent = error instanceof ProxyError && UNSENT.has(error.code);
  return unsent && exchange.body.ready !== undefined && !exchange.signal.aborted;
}
