import type { Exchange } from '@shadowcat/kernel';
import { credentialSlot } from '@shadowcat/wire';
import { Audience } from './audience.js';
import type { CombineMember } from './contract.js';

const MAX_AUDIENCES = 1000;
/** Entries and names that all of them together keep, about: some hundred megabytes. */
const MAX_ENTRIES = 500_000;

/** One {@link Audience} for each credential; those that were not used for longest make room. */
export class Audiences {
  readonly #make: () => Audience;
  readonly #all = new Map<string, Audience>();

  constructor(members: readonly CombineMember[], prefix: 'collisions' | 'always') {
    this.#make = () => new Audience(members, prefix);
  }

  of({ context }: Exchange): Audience {
    const credential = context.get(credentialSlot) ?? '';
    const known = this.#all.get(credential);
    const audience = known ?? this.#make();
    this.#all.delete(credential);
    this.#all.set(credential, audience);
    if (known === undefined) this.#makeRoom(audience);
    return audience;
  }

  all(): Iterable<Audience> {
    return this.#all.values();
  }

  #makeRoom(newest: Audience): void {
    let entries = 0;
    for (const { size } of this.#all.values()) entries += size;
    for (const [credential, audience] of this.#all) {
      if (this.#all.size <= MAX_AUDIENCES && entries <= MAX_ENTRIES) return;
      if (audience === newest || audience.listeners > 0) continue;
      entries -= audience.size;
      this.#all.delete(credential);
    }
  }
}
