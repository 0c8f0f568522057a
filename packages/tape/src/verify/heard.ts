import { type Message, textAt } from '@shadowcat/wire';
import type { Recording, Step } from '../recording.js';

/** A notification of the live server's. */
export interface HeardNotice {
  readonly message: Message;
  /** The request that it most likely came of. */
  readonly during: Recording | undefined;
  /** Whether it came when the tape was over: nobody can tell whether the recorded client had stayed to hear it. */
  readonly late: boolean;
}

/** Told too often, or at moments of their own, to be waited for before the tape is over. */
const INCIDENTAL: ReadonlySet<string> = new Set(['notifications/progress', 'notifications/message']);
/** Notifications that are kept of one session. */
const MAX_HEARD = 100_000;
const TOKEN = ['params', 'progressToken'];

/** A recorded request that was sent. */
export interface SentRequest {
  readonly recording: Recording;
  readonly answered: boolean;
}

/** Which request a message of the server's most likely came of: by its progress token, else one that is under way. */
export function causeOf({ method, text }: Message, sent: readonly SentRequest[]): Recording | undefined {
  const token = method === 'notifications/progress' ? textAt(text, TOKEN) : undefined;
  const tagged = sent.findLast(({ recording }) => token !== undefined && recording.progressToken === token);
  return (tagged ?? sent.find(({ answered }) => !answered) ?? sent.at(-1))?.recording;
}

/** The notifications that a live server sent to one client. */
export class Heard {
  readonly notices: HeardNotice[] = [];
  readonly #recorded: readonly Step[];
  readonly #counts = new Map<string, number>();
  /** Whether all that was recorded was sent and answered. */
  over = false;

  constructor(recorded: readonly Step[]) {
    this.#recorded = recorded;
  }

  add(message: Message, sent: readonly SentRequest[]): void {
    const { method = '' } = message;
    this.#counts.set(method, (this.#counts.get(method) ?? 0) + 1);
    if (this.notices.length >= MAX_HEARD) return;
    this.notices.push({ message, during: causeOf(message, sent), late: this.over });
  }

  /** Recorded notifications that what comes at `order` on the tape has to wait for. */
  before(order: number): readonly Step[] {
    return this.#recorded.filter((step) => step.order < order && (this.over || !INCIDENTAL.has(step.method ?? '')));
  }

  /** Whether as many of its method have come as on the tape until there. */
  has(step: Step): boolean {
    const nth = this.#recorded.filter(({ method, order }) => method === step.method && order <= step.order).length;
    return (this.#counts.get(step.method ?? '') ?? 0) >= nth;
  }
}
