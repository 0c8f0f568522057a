import type { Clock } from '@shadowcat/kernel';
import type { Member } from '../member.js';

/** The share of its weight that a member begins with. */
const FIRST_SHARE = 0.1;

const NOBODY: ReadonlySet<string> = new Set();

/** Who of a group may be given an exchange, and what each weighs. */
export class Candidates<M extends Member> {
  /** By priority, the ones that are used first in front. */
  readonly #tiers: readonly (readonly M[])[];
  readonly #members: readonly M[];
  readonly #slowStartMs: number;
  readonly #clock: Clock;
  /** Members that could not be given anything when they were last looked at. */
  readonly #out = new Set<Member>();
  readonly #back = new Map<Member, number>();

  /** `slowStartMs`: how long a member that comes back takes to its whole weight; 0: no time. */
  constructor(members: readonly M[], slowStartMs: number, clock: Clock) {
    const priorities = [...new Set(members.map(({ priority }) => priority))].sort((a, b) => a - b);
    this.#tiers = priorities.map((priority) => members.filter((member) => member.priority === priority));
    this.#members = members;
    this.#slowStartMs = slowStartMs;
    this.#clock = clock;
  }

  /**
   * The members of the first tier that has any, without those that were `tried`. Those to be avoided come before lower
   * priorities only when nobody else is available; when nobody is available at all, everybody with a weight is named, so that
   * their gates decide.
   */
  choose(tried: ReadonlySet<string> = NOBODY, avoided: ReadonlySet<string> = NOBODY): readonly M[] {
    return (
      this.#firstTier((member) => !tried.has(member.name) && !avoided.has(member.name)) ??
      (avoided.size === 0 ? undefined : this.#firstTier((member) => !tried.has(member.name))) ??
      this.#members.filter((member) => member.weight() > 0 && !tried.has(member.name))
    );
  }

  /** What a member weighs now: less than its own weight for a while after it came back. */
  readonly weightOf = (member: Member): number => {
    const since = this.#back.get(member);
    if (since === undefined) return member.weight();
    const share = (this.#clock.now() - since) / this.#slowStartMs;
    if (share < 1) return member.weight() * Math.max(FIRST_SHARE, share);
    this.#back.delete(member);
    return member.weight();
  };

  #firstTier(wanted: (member: M) => boolean): readonly M[] | undefined {
    for (const tier of this.#tiers) {
      let usable = 0;
      for (const member of tier) if (this.#usable(member) && wanted(member)) usable += 1;
      if (usable === tier.length) return tier;
      if (usable > 0) return tier.filter((member) => !this.#out.has(member) && wanted(member));
    }
    return undefined;
  }

  #usable(member: Member): boolean {
    const usable = member.weight() > 0 && member.gate.available();
    if (!usable) {
      this.#out.add(member);
      this.#back.delete(member);
    } else if (this.#out.delete(member) && this.#slowStartMs > 0) {
      this.#back.set(member, this.#clock.now());
    }
    return usable;
  }
}
