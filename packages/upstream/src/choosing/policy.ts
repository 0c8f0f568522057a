import type { Member } from '../member.js';
import { leastConnections, powerOfTwo, randomly } from './by-load.js';
import { rendezvous } from './rendezvous.js';
import { weightedTurns } from './weighted-turns.js';

/** How a group shares out what is new; all of them respect weights. `weighted` is another word for `round-robin`. */
export type BalancePolicy = 'round-robin' | 'weighted' | 'least-connections' | 'power-of-two' | 'random' | 'hash';

/** What a policy chooses from. */
export interface Choice<M extends Member = Member> {
  /** At least one. */
  readonly members: readonly M[];
  /** What each of them weighs at the moment; more than 0. */
  readonly weightOf: (member: Member) => number;
  /** Equal keys want the same member; for `hash`. */
  readonly key: string | undefined;
}

export type Pick = <M extends Member>(choice: Choice<M>) => M;

/** `random`: 0 to 1, without 1. */
export function policy(name: BalancePolicy, random: () => number): Pick {
  switch (name) {
    case 'round-robin':
    case 'weighted':
      return weightedTurns();
    case 'least-connections':
      return leastConnections();
    case 'power-of-two':
      return powerOfTwo(random);
    case 'random':
      return randomly(random);
    case 'hash':
      return rendezvous(weightedTurns());
  }
}
