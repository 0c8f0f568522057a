/** So much longer than on the tape a request or notification of the server's is waited for that came by itself. Milliseconds. */
export const UNASKED_MS = 3000;
/** One such wait takes no longer. */
const UNASKED_MOST_MS = 30_000;
/** When such waits were in vain for so long, there are no more, but a short one at the end of each client. */
const UNASKED_TOTAL_MS = 12_000;
const UNASKED_LAST_MS = 100;
/** So many answers that do not come are waited for as long as one may take; each later one so long. */
const LATE_ANSWERS = 3;
const LATE_ANSWER_MS = 1000;

/**
 * How long one run waits for what does not come, so that a broken server is told of within minutes however long the tape is. What
 * was missed already makes the run fail, so that later waits may be short. One for all clients of a run.
 */
export class Patience {
  readonly #answerMs: number;
  #answersSpent = 0;
  #unaskedSpent = 0;

  /** `answerMs`: how long an answer may take. */
  constructor(answerMs: number) {
    this.#answerMs = answerMs;
  }

  /** How long the next answer may take. */
  get answerMs(): number {
    const spent = this.#answersSpent >= LATE_ANSWERS * this.#answerMs;
    return spent ? Math.min(this.#answerMs, LATE_ANSWER_MS) : this.#answerMs;
  }

  /** How long what nobody asked for may take. `usualMs`: how long it took on the tape; `last`: nothing comes after it. */
  unaskedMs({ usualMs, last }: { readonly usualMs: number; readonly last: boolean }): number {
    if (this.#unaskedSpent >= UNASKED_TOTAL_MS) return last ? UNASKED_LAST_MS : 0;
    return Math.min(usualMs + UNASKED_MS, UNASKED_MOST_MS);
  }

  /** An answer did not come in so many milliseconds. */
  missedAnswer(ms: number): void {
    this.#answersSpent += ms;
  }

  /** Something that nobody asked for did not come in so many milliseconds. */
  missedUnasked(ms: number): void {
    this.#unaskedSpent += ms;
  }
}
