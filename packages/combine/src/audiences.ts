import type { Exchange } from '@shadowcat/kernel';
import { credentialSlot } from '@shadowcat/wire';
import { Audience } from './audience.js';
import type { CombineMember } from './contract.js';
import { SharedLists } from './shared-lists.js';

const MAX_AUDIENCES = 1000;
/** Characters of lists that all of them together keep, about; what several have alike counts once. */
const MAX_CHARS = 64 * 1024 * 1024;

/** One {@link Audience} for each credential; those that were not used for longest make room. */
export class Audiences {
  readonly #make: () => Audience;
  readonly #all = new Map<string, Audience>();

  constructor(members: readonly CombineMember[], prefix: 'collisions' | 'always') {
    const shared = new SharedLists(prefix);
    this.#make = () => new Audience(members, shared);
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
    let chars = 0;
    for (const { size } of this.#all.values()) chars += size;
    for (const [credential, audience] of this.#all) {
      if (this.#all.size <= MAX_AUDIENCES && chars <= MAX_CHARS) return;
      if (audience === newest || audience.listeners > 0) continue;
      chars -= audience.size;
      this.#all.delete(credential);
    }
  }
}
