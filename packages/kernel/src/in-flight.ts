/** What can be in one {@link InFlight} at a time. The links are the list's business alone. */
export abstract class Linked {
  /** @internal */
  previous: Linked | undefined;
  /** @internal */
  following: Linked | undefined;
}

/**
 * What is under way, in the order it began. A linked list through its members and not a `Set`: under load, a long-lived
 * `Set` with an entry added and deleted for each request kept everything that had passed through it alive until the next
 * full collection, which cost about a sixth of the proxy's CPU.
 */
export class InFlight<T extends Linked> {
  readonly #head = new Head();
  #size = 0;

  constructor() {
    this.#head.previous = this.#head;
    this.#head.following = this.#head;
  }

  get size(): number {
    return this.#size;
  }

  /** The one that has been under way for longest. */
  get first(): T | undefined {
    const { following } = this.#head;
    return following === this.#head ? undefined : (following as T | undefined);
  }

  /** `member` must not be in any list. */
  add(member: T): void {
    const last = this.#head.previous ?? this.#head;
    member.previous = last;
    member.following = this.#head;
    last.following = member;
    this.#head.previous = member;
    this.#size += 1;
  }

  /** Does nothing when `member` was taken out before. */
  delete(member: T): void {
    const { previous, following } = member;
    if (previous === undefined || following === undefined) return;
    previous.following = following;
    following.previous = previous;
    member.previous = undefined;
    member.following = undefined;
    this.#size -= 1;
  }

  /** A copy, so that members may leave while it is walked. */
  all(): T[] {
    const members: T[] = [];
    for (let at = this.#head.following; at !== undefined && at !== this.#head; at = at.following) members.push(at as T);
    return members;
  }
}

class Head extends Linked {}
