import type { Member } from '../member.js';
import type { Choice, Pick } from './policy.js';
import { noMembers } from './weighted-turns.js';

/** The member with the fewest exchanges in flight for its weight; equal ones take turns. */
export function leastConnections(): Pick {
  let turn = 0;
  return <M extends Member>({ members, weightOf }: Choice<M>): M => {
    turn = (turn + 1) % members.length;
    let best: M | undefined;
    for (let i = 0; i < members.length; i += 1) {
      const member = members[(turn + i) % members.length];
      if (member === undefined) continue;
      if (best === undefined || load(member, weightOf) < load(best, weightOf)) best = member;
    }
    if (best === undefined) throw noMembers();
    return best;
  };
}

/**
 * Draws two by weight and takes the one with fewer exchanges in flight. Nearly as even as asking all, and members that look idle
 * are not flooded by all at once (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
 */
export function powerOfTwo(random: () => number): Pick {
  return (choice) => {
    const one = drawn(choice, random);
    if (choice.members.length === 1) return one;
    const other = drawn(choice, random, one);
    return other.inFlight() < one.inFlight() ? other : one;
  };
}

/** By chance, in proportion to the weights. */
export function randomly(random: () => number): Pick {
  return (choice) => drawn(choice, random);
}

const load = (member: Member, weightOf: Choice['weightOf']): number => (member.inFlight() + 1) / weightOf(member);

function drawn<M extends Member>({ members, weightOf }: Choice<M>, random: () => number, except?: M): M {
  let total = 0;
  for (const member of members) if (member !== except) total += weightOf(member);
  let left = random() * total;
  let last: M | undefined;
  for (const member of members) {
    if (member === except) continue;
    last = member;
    left -= weightOf(member);
    if (left < 0) break;
  }
  if (last === undefined) throw noMembers();
  return last;
}
