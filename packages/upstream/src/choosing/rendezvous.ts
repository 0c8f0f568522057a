import type { Member } from '../member.js';
import type { Choice, Pick } from './policy.js';
import { noMembers } from './weighted-turns.js';

/**
 * The same member for the same key: each member draws a lot from key and name, and the highest for its weight wins. When a
 * member comes or goes, only the keys that it wins or won move, 1/n of all (Thaler and Ravishankar, "Using name-based mappings to
 * increase hit rates", 1998; weights: Schindelhauer and Schomaker, 2005). Without a key, `other` chooses.
 */
export function rendezvous(other: Pick): Pick {
  const seeds = new WeakMap<Member, number>();
  const seedOf = (member: Member): number => {
    let seed = seeds.get(member);
    if (seed === undefined) {
      seed = mixed(textHash(member.name));
      seeds.set(member, seed);
    }
    return seed;
  };
  return <M extends Member>(choice: Choice<M>): M => {
    const { members, weightOf, key } = choice;
    if (key === undefined) return other(choice);
    const hash = textHash(key);
    let best: M | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const member of members) {
      const lot = (mixed(hash ^ seedOf(member)) + 0.5) / 2 ** 32;
      const distance = -Math.log(lot) / weightOf(member);
      if (best !== undefined && distance >= least) continue;
      best = member;
      least = distance;
    }
    if (best === undefined) throw noMembers();
    return best;
  };
}

/** FNV-1a over UTF-16 units: the same on every machine and in every run. */
function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Spreads near values over 32 bits (the finaliser of MurmurHash3). */
function mixed(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
