interface Subscribed {
  /** Who wants to hear of it. */
  users: number;
  /** Whether the server was told so last, and agreed. */
  active: boolean;
  /** Settles when the server has answered all that was asked about it so far. Never rejects. */
  turn: Promise<unknown>;
  /** What it will be asked after that; one for all who come before. */
  next: Promise<boolean> | undefined;
  /** Whether it is being asked. */
  asking: boolean;
}

export interface ResourceSubscriptionsParts {
  /** Asks the server. Resolves with whether it agreed; rejects with what kept it from answering. */
  readonly ask: (method: 'resources/subscribe' | 'resources/unsubscribe', uri: string) => Promise<boolean>;
  /** Whether there is nobody to ask any more. */
  readonly ended: () => boolean;
}

/**
 * The resources that a legacy session is subscribed to (MCP 2025-11-25, "Resources"), each once for all who want it. One request at
 * a time for each resource: requests travel on connections of their own, and a subscription must not be overtaken by the end
 * of the one before. Whoever comes meanwhile shares the next request, so that nobody waits for more than two answers of a server
 * that hangs, however many wait.
 */
export class ResourceSubscriptions {
  readonly #parts: ResourceSubscriptionsParts;
  readonly #byUri = new Map<string, Subscribed>();

  constructor(parts: ResourceSubscriptionsParts) {
    this.#parts = parts;
  }

  /** The resources that somebody wants to hear of. */
  get uris(): string[] {
    return [...this.#byUri].filter(([, { users }]) => users > 0).map(([uri]) => uri);
  }

  /** Resolves when the server has agreed (true) or refused (false); rejects with what kept it from answering. */
  async subscribe(uri: string): Promise<boolean> {
    const entry = this.#byUri.get(uri) ?? newEntry();
    this.#byUri.set(uri, entry);
    entry.users += 1;
    let done = false;
    try {
      done = await this.#settle(uri, entry);
      return done;
    } finally {
      if (!done) entry.users -= 1;
      this.#tidy(uri, entry);
    }
  }

  /** Resolves when the server knows, if it was the last who wanted it. */
  async unsubscribe(uri: string): Promise<void> {
    const entry = this.#byUri.get(uri);
    if (entry === undefined) return;
    entry.users -= 1;
    try {
      await this.#settle(uri, entry);
    } finally {
      this.#tidy(uri, entry);
    }
  }

  /** Tells the server what is wanted, if that is not what it knows. Resolves with whether it is subscribed to then. */
  #settle(uri: string, entry: Subscribed): Promise<boolean> {
    if (entry.next !== undefined) return entry.next;
    const next = entry.turn.then(() => this.#take(uri, entry));
    entry.next = next;
    entry.turn = next.catch(() => {});
    return next;
  }

  async #take(uri: string, entry: Subscribed): Promise<boolean> {
    entry.next = undefined;
    const wanted = entry.users > 0;
    if (wanted === entry.active) return wanted;
    // A server that did not answer may have forgotten it, so that it is asked again the next time.
    entry.active = false;
    entry.asking = true;
    try {
      if (wanted) entry.active = await this.#parts.ask('resources/subscribe', uri);
      else if (!this.#parts.ended()) await this.#parts.ask('resources/unsubscribe', uri);
    } finally {
      entry.asking = false;
    }
    return entry.active;
  }

  #tidy(uri: string, entry: Subscribed): void {
    const idle = entry.next === undefined && !entry.asking;
    if (idle && entry.users === 0 && !entry.active && this.#byUri.get(uri) === entry) this.#byUri.delete(uri);
  }
}

function newEntry(): Subscribed {
  return { users: 0, active: false, turn: Promise.resolve(), next: undefined, asking: false };
}
