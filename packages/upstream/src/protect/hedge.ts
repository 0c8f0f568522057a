import {
  type Clock,
  type Exchange,
  type Handler,
  type Layer,
  ProxyError,
  type Reply,
  type Timer,
  withReply,
} from '@shadowcat/kernel';
import { callSlot, sessionSlot, targetSlot } from '@shadowcat/wire';
import { avoidSlot } from '../member.js';
import { discard } from './discard.js';
import { outcomeOfStatus } from './gateway-status.js';
import { Leg } from './leg.js';
import { isReadOnly } from './repeatable.js';
import type { RetryBudget } from './retry-budget.js';

export interface HedgeComponents {
  readonly clock: Clock;
  readonly budget: RetryBudget;
  /** Told of each second attempt that was made, with the target that was slow. */
  readonly hedged?: ((target: string) => void) | undefined;
}

/**
 * Asks a second member when the first has not begun to answer after `afterMs`, and passes on the answer that comes first; the
 * other attempt is cancelled (Dean and Barroso, "The Tail at Scale", 2013). Only for requests that just read, and only without a
 * session: a server that gets one id twice on a session may answer it once. 0: never.
 */
export function hedge({ afterMs }: { readonly afterMs: number }, components: HedgeComponents): Layer {
  if (afterMs === 0) return (next) => next;
  return (next) => (exchange) => {
    const { context, body } = exchange;
    const hedgeable = context.get(sessionSlot) === undefined && body.ready !== undefined;
    if (!hedgeable || !isReadOnly(context.get(callSlot))) return next(exchange);
    return new Race(exchange, next, { ...components, afterMs }).answer;
  };
}

type Failure = { readonly error: unknown } | { readonly reply: Reply; readonly leg: Leg };

class Race {
  readonly answer: Promise<Reply>;
  readonly #exchange: Exchange;
  readonly #next: Handler;
  readonly #outcome = Promise.withResolvers<Reply>();
  readonly #running = new Set<Leg>();
  readonly #timer: Timer;
  /** The first failure: what the client hears when no attempt succeeds. */
  #failure: Failure | undefined;
  #over = false;

  constructor(exchange: Exchange, next: Handler, options: HedgeComponents & { readonly afterMs: number }) {
    const { clock, budget, hedged, afterMs } = options;
    this.#exchange = exchange;
    this.#next = next;
    this.answer = this.#outcome.promise;
    this.#timer = clock.timer(afterMs, () => {
      if (exchange.signal.aborted || !budget.spend()) return;
      const slow = first.context.get(targetSlot);
      hedged?.(slow ?? '');
      this.#start(slow);
    });
    const first = this.#start(undefined);
  }

  #start(avoided: string | undefined): Leg {
    const leg = new Leg(this.#exchange);
    if (avoided !== undefined) {
      leg.context.set(avoidSlot, new Set([...(this.#exchange.context.get(avoidSlot) ?? []), avoided]));
    }
    this.#running.add(leg);
    this.#next(leg).then(
      (reply) => this.#answered(leg, reply),
      (error: unknown) => this.#failed(leg, { error }),
    );
    return leg;
  }

  #answered(leg: Leg, reply: Reply): void {
    if (this.#over) {
      discard(reply);
      return;
    }
    if (outcomeOfStatus(reply.head.status) === 'answered') this.#win(leg, reply);
    else this.#failed(leg, { reply, leg });
  }

  #win(leg: Leg, reply: Reply): void {
    this.#end();
    for (const other of this.#running) if (other !== leg) other.lose();
    leg.win();
    const failure = this.#failure;
    if (failure !== undefined && 'reply' in failure) {
      failure.leg.lose();
      discard(failure.reply);
    }
    this.#outcome.resolve(withReply(reply, { dispose: () => leg.end() }));
  }

  #failed(leg: Leg, failure: Failure): void {
    this.#running.delete(leg);
    if (this.#over) return;
    if ('error' in failure) leg.end();
    // The first error says most; an answer says more than an error.
    const before = this.#failure;
    const kept = before === undefined || ('error' in before && 'reply' in failure) ? failure : before;
    if (kept !== failure && 'reply' in failure) discard(failure.reply);
    this.#failure = kept;
    if (this.#running.size > 0) return;
    this.#end();
    if ('reply' in kept) {
      kept.leg.win();
      this.#outcome.resolve(withReply(kept.reply, { dispose: () => kept.leg.end() }));
      return;
    }
    // Whoever retries wants to know which member it was.
    leg.win();
    this.#outcome.reject(ProxyError.from(kept.error));
  }

  #end(): void {
    this.#over = true;
    this.#timer.cancel();
  }
}
