import type { Body } from './body.js';
import type { Context } from './context.js';
import type { HeaderMap } from './headers.js';

/** The head of a request: method in upper case, target as in the request line (path and query). */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderMap;
}

/** One question put to the proxy. */
export interface Exchange {
  /** Unique within this process; short, for logs and tapes. */
  readonly id: string;
  readonly head: RequestHead;
  readonly body: Body;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  readonly context: Context;
}

/** What of an exchange may be another. */
export interface ExchangeChanges {
  readonly head?: RequestHead;
  readonly body?: Body;
  readonly context?: Context;
}

/** The same exchange with another head, body or context; the signal, and what is not named, stay shared. */
export function withExchange(exchange: Exchange, changes: ExchangeChanges): Exchange {
  return new ChangedExchange(exchange, changes);
}

/** A class, because each object literal with a getter gets a hidden class of its own, which outlives the object. */
class ChangedExchange implements Exchange {
  readonly id: string;
  readonly head: RequestHead;
  readonly body: Body;
  readonly context: Context;
  readonly #original: Exchange;

  constructor(original: Exchange, changes: ExchangeChanges) {
    this.id = original.id;
    this.head = changes.head ?? original.head;
    this.body = changes.body ?? original.body;
    this.context = changes.context ?? original.context;
    this.#original = original;
  }

  /** Asked for late, because listeners make the signal on first use. */
  get signal(): AbortSignal {
    return this.#original.signal;
  }
}
