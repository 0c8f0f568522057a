import type { Clock, Timer } from '@shadowcat/kernel';

export interface QuestionRoomOptions {
  /** Milliseconds that a question waits for its client's answer. Default 5 minutes. */
  readonly holdMs?: number | undefined;
  /** Questions that wait at the same time. Default 1000. */
  readonly max?: number | undefined;
}

/** Why a question of a server got no answer: too many waited, its client was too late, or is not one for such questions. */
export type QuestionLoss = 'full' | 'expired' | 'incapable';

/** The room that the questions of all targets share while they wait for clients, in both directions of the bridge. */
export class QuestionRoom {
  readonly max: number;
  readonly #holdMs: number;
  readonly #clock: Clock;
  readonly #lost: Record<QuestionLoss, number> = { full: 0, expired: 0, incapable: 0 };
  #held = 0;

  constructor({ holdMs = 300_000, max = 1000 }: QuestionRoomOptions, components: { readonly clock: Clock }) {
    this.#holdMs = holdMs;
    this.max = max;
    this.#clock = components.clock;
  }

  get held(): number {
    return this.#held;
  }

  /** How many got no answer. */
  get lost(): Readonly<Record<QuestionLoss, number>> {
    return this.#lost;
  }

  /** Counts a question that got no answer. */
  lose(why: QuestionLoss): void {
    this.#lost[why] += 1;
  }

  /** A place for one question, or `undefined` when there is none left. Give it back; `expired` is called if that is too late. */
  enter(expired: () => void): { leave(): void } | undefined {
    if (this.#held >= this.max) {
      this.lose('full');
      return undefined;
    }
    this.#held += 1;
    let here = true;
    const leave = (): void => {
      if (!here) return;
      here = false;
      this.#held -= 1;
      timer.cancel();
    };
    const timer: Timer = this.#clock.timer(this.#holdMs, () => {
      leave();
      this.lose('expired');
      expired();
    });
    return { leave };
  }
}
