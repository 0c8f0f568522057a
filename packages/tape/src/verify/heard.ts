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

/** A request that was sent: a recorded one, or one of our own. */
export interface SentRequest {
  readonly recording: Recording | undefined;
  /** Absent: it was not answered yet. */
  readonly outcome: unknown;
}

/** Which request a message of the server's most likely came of: by its progress token, else one that is under way, else the last. */
export function causeOf({ method, text }: Message, sent: Iterable<SentRequest>): Recording | undefined {
  const token = method === 'notifications/progress' ? textAt(text, TOKEN) : undefined;
  let tagged: Recording | undefined;
  let open: Recording | undefined;
  let last: Recording | undefined;
  for (const { recording, outcome } of sent) {
    if (recording === undefined) continue;
    last = recording;
    if (outcome === undefined) open ??= recording;
    if (token !== undefined && recording.progressToken === token) tagged = recording;
  }
  return tagged ?? open ?? last;
}

/** The notifications that a live server sent to one client. */
export class Heard {
  readonly notices: HeardNotice[] = [];
  readonly #recorded: readonly Step[];
  /** Which of its method each recorded one is, from 1. */
  readonly #nth = new Map<Step, number>();
  readonly #counts = new Map<string, number>();
  /** Whether all that was recorded was sent, and answered or given up: what is left is waited for, incidental or not. */
  over = false;

  /** `recorded`: in the order of the tape. */
  constructor(recorded: readonly Step[]) {
    this.#recorded = recorded;
    const counts = new Map<string, number>();
    for (const step of recorded) {
      const { method = '' } = step;
      counts.set(method, (counts.get(method) ?? 0) + 1);
      this.#nth.set(step, counts.get(method) ?? 0);
    }
  }

  add(message: Message, { sent, late }: { readonly sent: Iterable<SentRequest>; readonly late: boolean }): void {
    const { method = '' } = message;
    this.#counts.set(method, (this.#counts.get(method) ?? 0) + 1);
    if (this.notices.length >= MAX_HEARD) return;
    this.notices.push({ message, during: causeOf(message, sent), late });
  }

  /** Recorded notifications that what comes at `order` on the tape has to wait for. */
  before(order: number): readonly Step[] {
    return this.#recorded.filter((step) => step.order < order && (this.over || !INCIDENTAL.has(step.method ?? '')));
  }

  /** Whether as many of its method have come as on the tape until there. */
  has(step: Step): boolean {
    const nth = this.#nth.get(step) ?? 0;
    return (this.#counts.get(step.method ?? '') ?? 0) >= nth;
  }
}
