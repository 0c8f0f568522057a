import { type Exchange, type Handler, ProxyError, type Reply, withReply } from '@shadowcat/kernel';
import { callSlot, failureSlot, targetSlot } from '@shadowcat/wire';
import { type Gate, type Member, outcomeOf, unavailable } from './member.js';
import { outcomeOfStatus } from './protect/gateway-status.js';

export interface MemberOptions {
  /** As in the configuration; sessions are bound to it. */
  readonly name: string;
  readonly handler: Handler;
  /** Default 1. */
  readonly weight?: number | undefined;
  /** Default 0. */
  readonly priority?: number | undefined;
  /**
   * What the gate is for. `exchanges` (default): each one. `openings`: new lines, of which the handler itself takes care; an
   * exchange is given to the handler whatever the gate says, since it may need none.
   */
  readonly gated?: 'exchanges' | 'openings' | undefined;
}

/** One server, which may be a member of several groups: its gate, its weight and what it has in flight are the same in all. */
export class UpstreamMember implements Member {
  readonly name: string;
  readonly handler: Handler;
  readonly priority: number;
  readonly gate: Gate;
  readonly #gated: 'exchanges' | 'openings';
  #weight: number;
  #inFlight = 0;

  constructor(options: MemberOptions, gate: Gate) {
    this.name = options.name;
    this.handler = options.handler;
    this.priority = options.priority ?? 0;
    this.gate = gate;
    this.#gated = options.gated ?? 'exchanges';
    this.#weight = options.weight ?? 1;
  }

  weight(): number {
    return this.#weight;
  }

  /** From now on; sessions that live there stay, whatever it is. */
  setWeight(weight: number): void {
    this.#weight = weight;
  }

  inFlight(): number {
    return this.#inFlight;
  }

  /** Whether it is certain that an exchange of a session that lives here would be refused. */
  refuses(): boolean {
    return this.#gated === 'exchanges' && !this.gate.available();
  }

  /** Sends an exchange, and says to whom (`targetSlot`). Throws `upstream_unavailable` when the gate does not let it pass. */
  async ask(exchange: Exchange): Promise<Reply> {
    exchange.context.set(targetSlot, this.name);
    const pass = this.#gated === 'openings' ? undefined : this.gate.enter();
    if (pass === undefined && this.#gated === 'exchanges') throw unavailable(this.name, this.gate.state());
    this.#inFlight += 1;
    let answer: Reply;
    try {
      answer = await this.handler(exchange);
    } catch (thrown) {
      this.#inFlight -= 1;
      const error = ProxyError.from(thrown);
      pass?.done(outcomeOf(error), error);
      throw error;
    }
    const { status } = answer.head;
    const outcome = outcomeOfStatus(status);
    if (outcome === 'answered') pass?.done(outcome);
    else pass?.done(outcome, new ProxyError('upstream_closed', `${this.name} answered with HTTP ${status}`));
    // What is here already is as good as sent, and a standing stream keeps nobody busy.
    if (answer.body.ready !== undefined || exchange.context.get(callSlot)?.verb === 'stream') {
      this.#inFlight -= 1;
      return answer;
    }
    return withReply(answer, {
      dispose: () => {
        this.#inFlight -= 1;
        this.#judgeAgain(exchange);
      },
    });
  }

  /** A stream that began, perhaps only because a line was silent for long, can still fail. */
  #judgeAgain({ context, signal }: Exchange): void {
    if (this.#gated === 'openings') return;
    const failure = context.get(failureSlot) ?? (signal.aborted ? ProxyError.from(signal.reason) : undefined);
    if (failure === undefined) return;
    const outcome = outcomeOf(failure);
    if (outcome !== 'answered' && outcome !== 'abandoned') this.gate.enter()?.done(outcome, failure);
  }
}
