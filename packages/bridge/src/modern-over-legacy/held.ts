import type { Clock, Timer } from '@shadowcat/kernel';
import type { Message } from '@shadowcat/wire';
import type { Conversation } from './conversation.js';

/** A server's question that waits for the answer of its client. */
export interface Held {
  readonly conversation: Conversation;
  readonly question: Message;
  readonly credential: string;
}

/**
 * The questions that wait, by the `requestState` that the client was given: unguessable, good once, and only for the
 * credential that it was given to. The targets of one proxy share them, since a retry may be sent to any of them.
 */
export class HeldQuestions {
  readonly #entries = new Map<string, Held & { readonly timer: Timer }>();
  readonly #options: { readonly holdMs: number; readonly max: number };
  readonly #components: { readonly clock: Clock; readonly newId: () => string };

  constructor(
    options: { readonly holdMs?: number | undefined; readonly max?: number | undefined },
    components: { readonly clock: Clock; readonly newId: () => string },
  ) {
    this.#options = { holdMs: options.holdMs ?? 300_000, max: options.max ?? 1000 };
    this.#components = components;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The `requestState` to give to the client, or `undefined` when too many questions wait. */
  hold(held: Held): string | undefined {
    if (this.#entries.size >= this.#options.max) return undefined;
    const state = this.#components.newId();
    const timer = this.#components.clock.timer(this.#options.holdMs, () => {
      this.#entries.delete(state);
      void held.conversation.giveUp(held.question, 'the client did not answer in time');
    });
    this.#entries.set(state, { ...held, timer });
    return state;
  }

  take(state: string, credential: string): Held | undefined {
    const held = this.#entries.get(state);
    if (held === undefined || held.credential !== credential) return undefined;
    this.#entries.delete(state);
    held.timer.cancel();
    return held;
  }

  /** Gives up all questions of one session, or all there are. */
  async clear(which: (held: Held) => boolean): Promise<void> {
    for (const [state, held] of [...this.#entries]) {
      if (!which(held)) continue;
      this.#entries.delete(state);
      held.timer.cancel();
      await held.conversation.giveUp(held.question, 'the proxy is ending');
    }
  }
}
