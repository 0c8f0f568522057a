import { type Clock, type Exchange, type Handler, ProxyError } from '@shadowcat/kernel';

/** How long the shadow may take to receive one, in milliseconds. */
const DEADLINE_MS = 5_000;
/** Those beyond are not sent. */
const MAX_UNDER_WAY = 100;

/** What is said to the shadow and needs no answer: cancellations, refusals. What becomes of it is nobody's business. */
export class Asides {
  readonly #shadow: Handler;
  readonly #clock: Clock;
  readonly #underWay = new Map<AbortController, Promise<void>>();

  constructor(shadow: Handler, clock: Clock) {
    this.#shadow = shadow;
    this.#clock = clock;
  }

  send(make: (signal: AbortSignal) => Exchange): void {
    if (this.#underWay.size >= MAX_UNDER_WAY) return;
    const controller = new AbortController();
    this.#underWay.set(controller, this.#send(make, controller));
  }

  /** Cuts off what is under way. Resolves when all of it is over. */
  async close(): Promise<void> {
    const error = new ProxyError('draining', 'nothing is mirrored any more');
    const all = [...this.#underWay.values()];
    for (const controller of this.#underWay.keys()) controller.abort(error);
    await Promise.all(all);
  }

  async #send(make: (signal: AbortSignal) => Exchange, controller: AbortController): Promise<void> {
    const late = new ProxyError('upstream_timeout', 'the shadow did not take it in time');
    const timer = this.#clock.timer(DEADLINE_MS, () => controller.abort(late));
    try {
      const reply = await this.#shadow(make(controller.signal));
      await reply[Symbol.asyncDispose]();
    } catch {
      // Whoever hangs or is gone is found out by the requests themselves.
    } finally {
      timer.cancel();
      this.#underWay.delete(controller);
    }
  }
}
