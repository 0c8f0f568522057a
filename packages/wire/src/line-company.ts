/** A request as far as it matters here: `wireId` grows with each; `scope` is its client. */
interface Guest {
  readonly wireId: number;
  readonly scope: string;
}

/**
 * Knows which requests had a line to themselves. What a server says without naming a request can be about any that it works
 * on, or about one that it has just answered; so a request that met another client's on the line, at whatever moment,
 * cannot claim it, and neither can the first one after another session's. Where clients cannot be told apart (each
 * request is a scope of its own, as in the modern era) only requests that were there together count.
 */
export class LineCompany {
  /** Requests that the server may work on, by scope. */
  readonly #present = new Map<string, number>();
  /** The session that had the line last. */
  #before: string | undefined;
  #metUpTo = 0;

  /** `known`: the scope is a client that comes again. */
  came({ wireId, scope }: Guest, known: boolean): void {
    this.#present.set(scope, (this.#present.get(scope) ?? 0) + 1);
    const follows = known && this.#before !== undefined && this.#before !== scope;
    if (this.#present.size > 1 || follows) this.#metUpTo = wireId;
  }

  /** The server has no more to do with it. */
  left({ scope }: Guest, known: boolean): void {
    const count = this.#present.get(scope);
    if (count === undefined) return;
    if (count > 1) this.#present.set(scope, count - 1);
    else this.#present.delete(scope);
    if (known) this.#before = scope;
  }

  /** Whether nobody else was on the line since before this request came. */
  wasAlone({ wireId }: Guest): boolean {
    return wireId > this.#metUpTo;
  }

  clear(): void {
    this.#present.clear();
  }
}
