import type { Message } from '@shadowcat/wire';
import type { QuestionRoom } from '../question-room.js';
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
  /** Where they wait. */
  readonly room: QuestionRoom;
  readonly #entries = new Map<string, Held & { leave(): void }>();
  readonly #newId: () => string;

  constructor(components: { readonly room: QuestionRoom; readonly newId: () => string }) {
    this.room = components.room;
    this.#newId = components.newId;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(state: unknown): boolean {
    return typeof state === 'string' && this.#entries.has(state);
  }

  /** The `requestState` to give to the client, or `undefined` when too many questions wait. */
  hold(held: Held): string | undefined {
    const state = this.#newId();
    const place = this.room.enter(() => {
      this.#entries.delete(state);
      void held.conversation.giveUp(held.question, 'the client did not answer in time');
    });
    if (place === undefined) return undefined;
    this.#entries.set(state, { ...held, leave: () => place.leave() });
    return state;
  }

  take(state: string, credential: string): Held | undefined {
    const held = this.#entries.get(state);
    if (held === undefined || held.credential !== credential) return undefined;
    this.#entries.delete(state);
    held.leave();
    return held;
  }

  /** Gives up all questions of some conversations. */
  async clear(which: (held: Held) => boolean): Promise<void> {
    const given: Promise<void>[] = [];
    for (const [state, held] of [...this.#entries]) {
      if (!which(held)) continue;
      this.#entries.delete(state);
      held.leave();
      given.push(held.conversation.giveUp(held.question, 'the proxy is ending'));
    }
    await Promise.all(given);
  }
}
