/** Client messages that nothing is caused by. */
const CAUSE_NOTHING = new Set(['ping', 'notifications/cancelled', 'notifications/progress']);

/** Requests that only look: a server does not ask anything because of them, and announces no change before it answers. */
const LOOKS = new Set(['server/discover', 'tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']);

/** Whether a request only looks. */
export function onlyLooks(method: string): boolean {
  return LOOKS.has(method);
}

/** More that are under way at once are not told apart. */
const MAX_LOOKS = 100;

/**
 * What a message on a standing stream came after, of what the client did: the same for every recording of a conversation,
 * although clients open that stream at the same time as they send their first requests. `T` is what is kept of a client
 * message.
 */
export class Causes<T> {
  #last: T | undefined;
  /** What only looked since {@link #last}. */
  #looks: T[] = [];

  /** The client sent a message. */
  sent(method: string, cause: T): void {
    if (CAUSE_NOTHING.has(method)) return;
    if (LOOKS.has(method)) {
      this.#looks.push(cause);
      if (this.#looks.length > MAX_LOOKS) this.#looks.shift();
      return;
    }
    this.#last = cause;
    this.#looks = [];
  }

  /** What a message that comes now came after. `answered`: whether a request of the client's has its answer. */
  of(kind: 'notification' | 'request' | 'response', answered: (cause: T) => boolean): T | undefined {
    const looked = kind === 'request' ? undefined : this.#looks.findLast(answered);
    return looked ?? this.#last;
  }
}
