import { Body } from './body.js';
import type { HeaderMap } from './headers.js';

/** The head of an answer: an HTTP status and lower-case header fields. */
export interface ReplyHead {
  readonly status: number;
  readonly headers: HeaderMap;
}

/**
 * The answer to an exchange. Whoever holds it disposes it exactly when the body has been sent or given up; disposing
 * gives back what the answer borrows (a lease, a timer, an open tape entry), inside out, and is idempotent.
 */
export interface Reply extends AsyncDisposable {
  readonly head: ReplyHead;
  readonly body: Body;
}

/** Makes a reply; `dispose` runs once. */
export function reply(head: ReplyHead, body: Body = Body.empty, dispose?: () => void | Promise<void>): Reply {
  return new OwnedReply(head, body, dispose);
}

class OwnedReply implements Reply {
  readonly head: ReplyHead;
  readonly body: Body;
  readonly #dispose: (() => void | Promise<void>) | undefined;
  #pending: Promise<void> | undefined;

  constructor(head: ReplyHead, body: Body, dispose: (() => void | Promise<void>) | undefined) {
    this.head = head;
    this.body = body;
    this.#dispose = dispose;
  }

  [Symbol.asyncDispose](): Promise<void> {
    const dispose = this.#dispose;
    this.#pending ??= dispose === undefined ? DONE : (async () => dispose())();
    return this.#pending;
  }
}

/**
 * The same reply with another head or body. Disposing the result runs `dispose` and then disposes the original, so that
 * a layer that adds to an answer never forgets what the answer borrows.
 */
export function withReply(
  original: Reply,
  changes: { head?: ReplyHead; body?: Body; dispose?: () => void | Promise<void> },
): Reply {
  const { dispose } = changes;
  return reply(
    changes.head ?? original.head,
    changes.body ?? original.body,
    dispose === undefined
      ? () => original[Symbol.asyncDispose]() as Promise<void>
      : async () => {
          try {
            await dispose();
          } finally {
            await original[Symbol.asyncDispose]();
          }
        },
  );
}

const DONE = Promise.resolve();
