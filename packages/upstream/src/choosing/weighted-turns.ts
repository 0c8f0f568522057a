import { ProxyError } from '@shadowcat/kernel';
import type { Member } from '../member.js';
import type { Choice, Pick } from './policy.js';

/**
 * Turns by weight, evenly spread: 5, 1, 1 gives a a b a c a a and not five in a row. Each turn every member gains its weight,
 * and the one that has most is chosen and pays what all have gained.
 */
export function weightedTurns(): Pick {
  const credit = new Map<Member, number>();
  return <M extends Member>({ members, weightOf }: Choice<M>): M => {
    let total = 0;
    for (const member of members) total += weightOf(member);
    let best: M | undefined;
    let most = 0;
    for (const member of members) {
      // With weights as they are nobody gains or owes as much; with those of before they may have.
      const before = Math.max(-total, Math.min(total, credit.get(member) ?? 0));
      const has = before + weightOf(member);
      credit.set(member, has);
      if (best !== undefined && has <= most) continue;
      best = member;
      most = has;
    }
    if (best === undefined) throw noMembers();
    credit.set(best, most - total);
    return best;
  };
}

export function noMembers(): ProxyError {
  return new ProxyError('internal', 'there is no upstream to choose from');
}
