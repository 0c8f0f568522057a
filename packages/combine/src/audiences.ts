import type { Exchange } from '@shadowcat/kernel';
import { credentialSlot } from '@shadowcat/wire';
import { Audience } from './audience.js';
import type { CombineMember } from './contract.js';

const MAX_AUDIENCES = 1000;

/** One {@link Audience} for each credential; those that were not used for longest make room. */
export class Audiences {
  readonly #make: () => Audience;
  readonly #all = new Map<string, Audience>();

  constructor(members: readonly CombineMember[], prefix: 'collisions' | 'always') {
    this.#make = () => new Audience(members, prefix);
  }

  of({ context }: Exchange): Audience {
    const credential = context.get(credentialSlot) ?? '';
    const audience = this.#all.get(credential) ?? this.#make();
    this.#all.delete(credential);
    this.#all.set(credential, audience);
    if (this.#all.size > MAX_AUDIENCES) this.#makeRoom();
    return audience;
  }

  all(): Iterable<Audience> {
    return this.#all.values();
  }

  #makeRoom(): void {
    for (const [credential, { listeners }] of this.#all) {
      if (listeners > 0) continue;
      this.#all.delete(credential);
      return;
    }
  }
}
