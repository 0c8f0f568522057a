import { failureText, type Message, responseText, spliceMessage } from '@shadowcat/wire';
import type { Recording, Step } from '../recording.js';
import { shapeOf } from '../request-key.js';

/** A request of the live server's. */
export interface AskedLive {
  readonly message: Message;
  /** The recorded one that it was answered as. */
  readonly as: Step | undefined;
  /** The client's request that it most likely came of. */
  readonly during: Recording | undefined;
}

/** Requests of the server's that are kept and answered in one session. */
const MAX_ASKED = 10_000;
const TOO_MANY = { code: -32000, message: 'too many requests of the server' } as const;
const NOT_HERE = { code: -32601, message: 'the tape has no such request' } as const;

/** What a live server asks one client, and what the recorded client answered. */
export class Questions {
  readonly asked: AskedLive[] = [];
  readonly #recorded: readonly Step[];
  /** Those that did not come yet, in the order of the tape. */
  readonly #open: Set<Step>;

  /** `recorded`: what the recorded server asked, in the order of the tape. */
  constructor(recorded: readonly Step[]) {
    this.#recorded = recorded;
    this.#open = new Set(recorded);
  }

  /** Whether the live server has asked this. */
  came(step: Step): boolean {
    return !this.#open.has(step);
  }

  /**
   * The answer to a live question, as it was recorded: to the one with the same parameters, else the next of its method. JSON text;
   * `undefined`: the recorded client left it without one.
   */
  answer(message: Message, during: Recording | undefined): string | undefined {
    const { idText = 'null', method = '' } = message;
    if (method === 'ping') return responseText(idText, '{}');
    if (this.asked.length >= MAX_ASKED) return failureText(idText, TOO_MANY);
    const same = [...this.#open].filter((step) => step.method === method);
    const { key } = shapeOf(method, message.text);
    const as = same.find(({ text }) => shapeOf(method, text).key === key) ?? same[0];
    this.asked.push({ message, as, during });
    if (as !== undefined) this.#open.delete(as);
    const repeated = as ?? this.#recorded.findLast((step) => step.method === method);
    if (repeated === undefined) return unknownQuestion(message);
    return repeated.answer && spliceMessage(repeated.answer.text, [{ path: ['id'], json: idText }]);
  }
}

/** The answer to what the tape does not have. */
export function unknownQuestion({ idText = 'null' }: Message): string {
  return failureText(idText, NOT_HERE);
}
