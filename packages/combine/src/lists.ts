import { type Clock, type Exchange, type Log, ProxyError } from '@shadowcat/kernel';
import type { Audience } from './audience.js';
import type { CombineMember } from './contract.js';
import { gather, type Waited } from './gather.js';
import type { Kind } from './kinds.js';
import { listOf, type MemberList } from './member-list.js';
import type { Joined } from './naming.js';
import type { OwnRequests } from './own-request.js';

export interface ListsParts {
  readonly members: readonly CombineMember[];
  readonly requests: OwnRequests;
  /** How long a list waits for a member, in milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a client is shown. */
export interface JoinedList {
  readonly entries: readonly Joined[];
  readonly ttlMs: number;
  readonly scope: 'public' | 'private';
}

/** A member that did not answer in time is waited for so long, so that it is heard of when it does. */
const LATE_MS = 30_000;
/** A member that is late already is waited for no longer than this, in milliseconds: what it said last is shown at once. */
const LATE_TIMEOUT_MS = 100;
/** A member that hangs is not asked again for the same list while so many late requests for it wait. */
const MAX_LATE = 4;

/**
 * Asks all members for a list at once. One that fails or takes too long is left out, or shown with what it said last; when it
 * does answer, clients that listen are told that the list has changed.
 */
export class Lists {
  readonly #parts: ListsParts;
  /** How many requests are late, by list and member. */
  readonly #late = new Map<string, number>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  #partial = 0;

  constructor(parts: ListsParts) {
    this.#parts = parts;
  }

  /** How often a list was answered without one of the members. */
  get partial(): number {
    return this.#partial;
  }

  /** Rejects with what the first member said when none can be shown. */
  async get(kind: Kind, client: Exchange, audience: Audience): Promise<JoinedList> {
    const { members, clock } = this.#parts;
    const known = members.some(({ name }) => audience.known(name, kind) !== undefined);
    const asked = members.map((member) => this.#ask(member, kind, { client, audience }));
    const answers = await gather(asked, (answer) => known || !(answer instanceof Error), clock);
    const fresh = answers.filter((answer): answer is MemberList => answer !== undefined && !(answer instanceof Error));
    if (fresh.length === 0 && !known) {
      throw answers.find((answer) => answer instanceof Error) ?? new ProxyError('internal', 'nobody was asked');
    }
    const whole = fresh.length === members.length;
    if (!whole) this.#partial += 1;
    return {
      entries: audience.joined(kind),
      // What is not whole must not be kept.
      ttlMs: whole ? Math.min(...fresh.map(({ ttlMs }) => ttlMs)) : 0,
      scope: whole && fresh.every(({ scope }) => scope === 'public') ? 'public' : 'private',
    };
  }

  /** Asks one member again for a list that it could not give; says whether it can now. Never rejects. */
  async again(
    kind: Kind,
    name: string,
    { client, audience }: { client: Exchange; audience: Audience },
  ): Promise<boolean> {
    const member = this.#parts.members.find((one) => one.name === name);
    if (member === undefined) return true;
    return !((await this.#ask(member, kind, { client, audience }).answer) instanceof Error);
  }

  /** Ends what still waits. Never rejects. */
  async close(): Promise<void> {
    this.#closing.abort(new ProxyError('draining', 'the proxy is ending'));
    await Promise.all(this.#running);
  }

  /** Asks for the member's list; the answer is that, or why there is none. */
  #ask(
    member: CombineMember,
    kind: Kind,
    { client, audience }: { readonly client: Exchange; readonly audience: Audience },
  ): Waited<MemberList | Error> {
    const { timeoutMs, clock, log, requests } = this.#parts;
    const { name } = member;
    const at = `${kind} ${name}`;
    const lateOnes = this.#late.get(at) ?? 0;
    const patienceMs = lateOnes === 0 ? timeoutMs : Math.min(timeoutMs, LATE_TIMEOUT_MS);
    if (lateOnes >= MAX_LATE) {
      audience.miss(name, kind);
      const error = new ProxyError('upstream_timeout', `${name} has not answered earlier requests for its list`);
      return { answer: Promise.resolve(error), patienceMs };
    }
    const abort = new AbortController();
    const stop = (): void => abort.abort(this.#closing.signal.reason);
    if (this.#closing.signal.aborted) stop();
    this.#closing.signal.addEventListener('abort', stop, { once: true });
    const timer = clock.timer(timeoutMs + LATE_MS, () =>
      abort.abort(new ProxyError('upstream_timeout', `${name} did not answer at all`)),
    );
    let late = false;
    let over = false;
    const overdue = (): void => {
      if (over) return;
      late = true;
      this.#late.set(at, (this.#late.get(at) ?? 0) + 1);
      audience.miss(name, kind);
      log.warn(
        { member: name, list: kind },
        `${name} does not answer in time: its ${kind} are shown as they were last`,
      );
    };
    const answer = listOf(member, { kind, client, requests, signal: abort.signal })
      .then(
        (list): MemberList | Error => {
          if (audience.learn(name, kind, list) && late) audience.announce(kind);
          return list;
        },
        (error: Error) => {
          if (!late)
            log.warn({ member: name, list: kind, err: error }, `${name} cannot list its ${kind}: ${error.message}`);
          audience.miss(name, kind);
          return error;
        },
      )
      .finally(() => {
        over = true;
        timer.cancel();
        this.#closing.signal.removeEventListener('abort', stop);
        if (late) this.#late.set(at, (this.#late.get(at) ?? 1) - 1);
        this.#running.delete(answer);
      });
    this.#running.add(answer);
    return { answer, patienceMs, overdue };
  }
}
