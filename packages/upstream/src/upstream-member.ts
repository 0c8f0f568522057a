import { type ErrorCode, type Exchange, type Handler, ProxyError, type Reply, withReply } from '@shadowcat/kernel';
import { callSlot, failureSlot, targetSlot } from '@shadowcat/wire';
import type { ExchangeOutcome, Gate, Member } from './member.js';
import { outcomeOfStatus } from './protect/gateway-status.js';

export interface MemberOptions {
  /** As in the configuration; sessions are bound to it. */
  readonly name: string;
  readonly handler: Handler;
  /** Default 1. */
  readonly weight?: number | undefined;
  /** Default 0. */
  readonly priority?: number | undefined;
}

/** What says something about the transport. An answer of any kind, an error included, proves that the member is alive. */
const OUTCOMES: Partial<Record<ErrorCode, ExchangeOutcome>> = {
  upstream_unreachable: 'transport-failure',
  upstream_closed: 'transport-failure',
  child_exited: 'transport-failure',
  spawn_failed: 'transport-failure',
  upstream_timeout: 'timeout',
  upstream_protocol: 'answered',
};

/** One server, which may be a member of several groups: its gate, its weight and what it has in flight are the same in all. */
export class UpstreamMember implements Member {
  readonly name: string;
  readonly handler: Handler;
  readonly priority: number;
  readonly gate: Gate;
  #weight: number;
  #inFlight = 0;

  constructor(options: MemberOptions, gate: Gate) {
    this.name = options.name;
    this.handler = options.handler;
    this.priority = options.priority ?? 0;
    this.gate = gate;
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

  /** Sends an exchange, and says to whom (`targetSlot`). Throws `upstream_unavailable` when the gate does not let it pass. */
  async ask(exchange: Exchange): Promise<Reply> {
    exchange.context.set(targetSlot, this.name);
    const pass = this.gate.enter();
    if (pass === undefined) throw this.#unavailable();
    this.#inFlight += 1;
    let answer: Reply;
    try {
      answer = await this.handler(exchange);
    } catch (thrown) {
      this.#inFlight -= 1;
      const error = ProxyError.from(thrown);
      pass.done(OUTCOMES[error.code] ?? 'abandoned', error);
      throw error;
    }
    const { status } = answer.head;
    const outcome = outcomeOfStatus(status);
    if (outcome === 'answered') pass.done(outcome);
    else pass.done(outcome, new ProxyError('upstream_closed', `${this.name} answered with HTTP ${status}`));
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
    const failure = context.get(failureSlot) ?? (signal.aborted ? ProxyError.from(signal.reason) : undefined);
    const outcome = failure === undefined ? undefined : OUTCOMES[failure.code];
    if (outcome !== undefined && outcome !== 'answered') this.gate.enter()?.done(outcome, failure);
  }

  #unavailable(): ProxyError {
    const { lastError, reopensInMs } = this.gate.state();
    const why = lastError === undefined ? '' : `: ${lastError}`;
    return new ProxyError('upstream_unavailable', `${this.name} takes nothing at the moment${why}`, {
      retryAfter: secondsOf(reopensInMs),
    });
  }
}

/** For `Retry-After`: whole seconds, at least one. */
export function secondsOf(ms: number | undefined): number {
  return Math.max(1, Math.ceil((ms ?? 0) / 1000));
}
