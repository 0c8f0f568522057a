import { type Clock, type Exchange, type Log, ProxyError } from '@shadowcat/kernel';
import type { Audience } from './audience.js';
import type { CombineMember } from './contract.js';
import { gather, type Waited } from './gather.js';
import type { Kind } from './kinds.js';
import { listOf, type MemberList } from './member-list.js';
import type { Joined } from './naming.js';
import type { OwnRequests } from './own-request.js';
import type { Patience } from './patience.js';

export interface ListsParts {
  readonly members: readonly CombineMember[];
  readonly requests: OwnRequests;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a client is shown. */
export interface JoinedList {
  readonly entries: readonly Joined[];
  readonly ttlMs: number;
  readonly scope: 'public' | 'private';
}

/** Who asks. */
interface Asking {
  readonly client: Exchange;
  readonly audience: Audience;
}

/**
 * Asks all members for a list at once. One that fails or takes too long is left out, or shown with what it said last; when it
 * does answer, clients that listen are told that the list has changed.
 */
export class Lists {
  readonly #parts: ListsParts;
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
    const enough = (answer: MemberList | Error): boolean => !(answer instanceof Error);
    const answers = await gather(asked, { enough, good: known }, clock);
    const fresh = answers.filter((answer): answer is MemberList => answer !== undefined && !(answer instanceof Error));
    if (fresh.length === 0 && !known) {
      throw answers.find((answer) => answer instanceof Error) ?? new ProxyError('internal', 'nobody was asked');
    }
    const whole = fresh.length === members.length;
    if (!whole) this.#partial += 1;
    // What members said to this request: the same member may have said something else to another client in the meantime.
    const said = new Map(
      answers.flatMap((answer, at) =>
        answer === undefined || answer instanceof Error ? [] : [[members[at]?.name ?? '', answer] as const],
      ),
    );
    return {
      entries: audience.joined(kind, said),
      // What is not whole must not be kept.
      ttlMs: whole ? Math.min(...fresh.map(({ ttlMs }) => ttlMs)) : 0,
      scope: whole && fresh.every(({ scope }) => scope === 'public') ? 'public' : 'private',
    };
  }

  /** Asks one member again for a list that it could not give; says whether it can now. Never rejects. */
  async again(kind: Kind, name: string, asking: Asking): Promise<boolean> {
    const member = this.#parts.members.find((one) => one.name === name);
    if (member === undefined) return true;
    return !((await this.#ask(member, kind, asking).answer) instanceof Error);
  }

  #ask(member: CombineMember, kind: Kind, { client, audience }: Asking): Waited<MemberList | Error> {
    const { log, requests, patience } = this.#parts;
    const { name } = member;
    const missed = (why: string, err?: Error): void => {
      if (!audience.miss(name, kind)) return;
      log.warn(
        { member: name, list: kind, err },
        `${name} does not list its ${kind} (${why}): shown are those it had last`,
      );
    };
    return patience.ask<MemberList>({
      member: name,
      whose: audience,
      what: kind,
      ask: (signal) => listOf(member, { kind, client, requests, signal }),
      overdue: () => missed('it does not answer in time'),
      answered: (answer, late) => {
        const { list, news } = audience.learn(name, kind, answer);
        if (news && late) audience.announce(kind);
        return list;
      },
      failed: (error) => missed(error.message, error),
    });
  }
}
