import { type Clock, ProxyError } from '@shadowcat/kernel';
import type { Waited } from './gather.js';
import { Refused } from './member-list.js';

/** What is asked of a member on behalf of a client, and who hears of it. */
export interface Question<T> {
  readonly member: string;
  /** Those who share what is known of the members. */
  readonly whose: object;
  /** Such as the list that is asked for: a member may be quick with one and slow with another. */
  readonly what: string;
  /** Asks; may reject. */
  readonly ask: (signal: AbortSignal) => Promise<T>;
  /** It is not waited for any more; it may still answer. */
  readonly overdue: () => void;
  /** Takes the answer, and says what becomes of it; `late`: nobody waits for it any more. */
  readonly answered: (answer: T, late: boolean) => T;
  readonly failed: (error: Error) => void;
}

/** A member that did not answer in time is waited for so long, so that it is heard of when it does. */
const LATE_MS = 30_000;
/** A member that was slow is waited for no longer than this, in milliseconds, until it answers again. */
const SLOW_TIMEOUT_MS = 100;
/** A member that hangs is not asked the same by the same ones again while so many late questions wait for it. */
const MAX_LATE = 4;

/** Late questions of one kind, to one member, of the same ones. */
interface Late {
  count: number;
  /** The answer to the newest of them. */
  newest: Promise<unknown>;
}

/**
 * How long each member is waited for: the whole limit, unless it was slow when it was last asked for anything. That is known of
 * members, not of clients, so that one that hangs costs the first client a wait, and not everybody.
 */
export class Patience {
  /** How long a member is waited for that was not slow, in milliseconds. */
  readonly limitMs: number;
  readonly #clock: Clock;
  /** Members, and what of them, that were slow last. */
  readonly #slow = new Set<string>();
  /** By whose they are, then by what and member. */
  readonly #late = new WeakMap<object, Map<string, Late>>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  constructor(limitMs: number, clock: Clock) {
    this.limitMs = limitMs;
    this.#clock = clock;
  }

  /** Whether a member was slow when it was last asked for something. */
  isSlow(member: string): boolean {
    return this.#slow.has(member);
  }

  /** How long a member is waited for, in milliseconds. */
  limitOf(member: string, what?: string): number {
    const slow = this.isSlow(member) || (what !== undefined && this.#slow.has(place(member, what)));
    return slow ? Math.min(this.limitMs, SLOW_TIMEOUT_MS) : this.limitMs;
  }

  /** Asks. What is waited for is the answer, or why there is none. */
  ask<T>(question: Question<T>): Waited<T | Error> {
    const { member, what } = question;
    const at = place(member, what);
    const patienceMs = this.limitOf(member, what);
    const mine = this.#lateOf(question.whose);
    const before = mine.get(at);
    if (before !== undefined && before.count >= MAX_LATE) {
      const { overdue } = question;
      return { answer: before.newest as Promise<T | Error>, patienceMs, overdue };
    }
    let late = false;
    let over = false;
    const overdue = (): void => {
      if (over) return;
      late = true;
      mine.set(at, { count: (mine.get(at)?.count ?? 0) + 1, newest: answer });
      this.#blame(member, what);
      question.overdue();
    };
    const since = this.#clock.now();
    const answer = this.#bounded(member, question.ask)
      .then(
        (found): T | Error => {
          // One that always takes longer than the limit stays slow.
          if (this.#clock.now() - since <= this.limitMs) {
            this.#slow.delete(at);
            this.#slow.delete(member);
          }
          return question.answered(found, late);
        },
        (error: Error) => {
          // Who waits for a failure waits in vain. That somebody has to log in says nothing of the others.
          const slow = this.#clock.now() - since > SLOW_TIMEOUT_MS && !(error instanceof Refused);
          if (slow) this.#blame(member, what);
          question.failed(error);
          return error;
        },
      )
      .finally(() => {
        over = true;
        if (late) lessLate(mine, at);
        this.#running.delete(answer);
      });
    this.#running.add(answer);
    return { answer, patienceMs, overdue };
  }

  /** Ends what still waits. Never rejects. */
  async close(): Promise<void> {
    this.#closing.abort(new ProxyError('draining', 'the proxy is ending'));
    await Promise.all(this.#running);
  }

  async #bounded<T>(member: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeout = new AbortController();
    const timer = this.#clock.timer(this.limitMs + LATE_MS, () =>
      timeout.abort(new ProxyError('upstream_timeout', `${member} did not answer at all`)),
    );
    try {
      return await work(AbortSignal.any([this.#closing.signal, timeout.signal]));
    } finally {
      timer.cancel();
    }
  }

  #blame(member: string, what: string): void {
    this.#slow.add(member);
    this.#slow.add(place(member, what));
  }

  #lateOf(whose: object): Map<string, Late> {
    const known = this.#late.get(whose) ?? new Map<string, Late>();
    this.#late.set(whose, known);
    return known;
  }
}

function lessLate(all: Map<string, Late>, at: string): void {
  const late = all.get(at);
  if (late === undefined) return;
  late.count -= 1;
  if (late.count === 0) all.delete(at);
}

/** No member has a space in its name. */
function place(member: string, what: string): string {
  return `${what} ${member}`;
}
