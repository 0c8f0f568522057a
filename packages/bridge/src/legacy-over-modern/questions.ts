import { ProxyError } from '@shadowcat/kernel';
import { type Message, notificationText, requestText } from '@shadowcat/wire';
import type { QuestionRoom } from '../question-room.js';

/** How a question ended: with the client's answer, because nobody answered in time, or because it was taken back. */
export type Outcome =
  | { readonly kind: 'answered'; readonly message: Message }
  | { readonly kind: 'expired' | 'withdrawn' };

/** A request of the server that its client has to answer. */
export interface Question {
  /** To send to the client. */
  readonly text: string;
  /** Never rejects. */
  readonly outcome: Promise<Outcome>;
  /** To send to a client that need not answer any more. */
  readonly withdrawal: string;
  /** Nobody waits for the answer any more. */
  withdraw(): void;
}

interface Held {
  readonly session: string;
  readonly settle: (outcome: Outcome) => void;
}

/** The questions to legacy clients that wait for an answer, of all sessions. */
export class Questions {
  /** Where they wait. */
  readonly room: QuestionRoom;
  readonly #newId: () => string;
  readonly #held = new Map<string, Held>();

  constructor(components: { readonly room: QuestionRoom; readonly newId: () => string }) {
    this.room = components.room;
    this.#newId = components.newId;
  }

  /** Asks the client of `session`. Throws `pool_exhausted` when too many wait already. */
  ask(session: string, method: string, paramsText: string | undefined): Question {
    const id = this.#newId();
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const settle = (outcome: Outcome): void => {
      place?.leave();
      this.#held.delete(id);
      resolve(outcome);
    };
    const place = this.room.enter(() => settle({ kind: 'expired' }));
    if (place === undefined) {
      const { max } = this.room;
      throw new ProxyError('pool_exhausted', `${max} questions of servers wait for answers of clients already`);
    }
    this.#held.set(id, { session, settle });
    const idText = JSON.stringify(id);
    return {
      text: requestText(idText, method, paramsText),
      outcome: promise,
      withdrawal: notificationText('notifications/cancelled', `{"requestId":${idText}}`),
      withdraw: () => settle({ kind: 'withdrawn' }),
    };
  }

  /** A response of the client of `session`; one that answers nothing is dropped. */
  answer(session: string, message: Message): void {
    const held = typeof message.id === 'string' ? this.#held.get(message.id) : undefined;
    if (held?.session === session) held.settle({ kind: 'answered', message });
  }
}
