import {
  type Clock,
  type ErrorCode,
  type Exchange,
  type Layer,
  type Log,
  ProxyError,
  type Reply,
} from '@shadowcat/kernel';
import { callSlot, errorReply, failureSlot } from '@shadowcat/wire';
import { requestIds } from './call-parts.js';

export interface RescueComponents {
  readonly log: Log;
  /** With it, what a flood of requests hears is said once a second, with how often since; without it each time. */
  readonly clock?: Clock | undefined;
}

/** What refuses many requests at a time. To write a line for each would make refusing dear when it should be cheap. */
const FLOODS: ReadonlySet<ErrorCode> = new Set(['pool_exhausted', 'upstream_unavailable']);
const QUIET_MS = 1000;

/**
 * Turns whatever is thrown further in into a reply: the status and JSON-RPC code of the one error table, with the id of
 * each request of the exchange. Sets `failureSlot` and logs, as loud as the one who is to blame needs. A body that fails
 * after its head was sent is its writer's business.
 */
export function rescue({ log, clock }: RescueComponents): Layer {
  const reporter = new Reporter(log, clock);
  return (next) => async (exchange) => {
    try {
      return await next(exchange);
    } catch (thrown) {
      return failed(exchange, thrown, reporter);
    }
  };
}

function failed(exchange: Exchange, thrown: unknown, reporter: Reporter): Reply {
  const error = ProxyError.from(thrown);
  exchange.context.set(failureSlot, error);
  reporter.report(exchange, error);
  const call = exchange.context.get(callSlot);
  return call === undefined ? errorReply(error) : errorReply(error, { idTexts: requestIds(call), era: call.era });
}

class Reporter {
  readonly #log: Log;
  readonly #clock: Clock | undefined;
  /** When each kind of flood was last said, and how often it was not since. */
  readonly #floods = new Map<ErrorCode, { at: number; more: number }>();

  constructor(log: Log, clock: Clock | undefined) {
    this.#log = log;
    this.#clock = clock;
  }

  report(exchange: Exchange, error: ProxyError): void {
    const log = this.#log;
    const more = FLOODS.has(error.code) ? this.#unsaid(error.code) : 0;
    if (more === undefined) return;
    const call = exchange.context.get(callSlot);
    const details = { exchange: exchange.id, code: error.code, method: call?.method, ...(more === 0 ? {} : { more }) };
    // When nobody waits any more, what went wrong is most likely that.
    if (error.blame === 'nobody' || exchange.signal.aborted) log.debug(details, error.message);
    else if (error.blame === 'proxy') log.error({ ...details, err: error.cause ?? error }, error.message);
    else if (error.blame === 'client') log.info(details, error.message);
    else log.warn({ ...details, ...causeOf(error) }, error.message);
  }

  /** How often this was not said since it was; `undefined` when it is not to be said now. */
  #unsaid(code: ErrorCode): number | undefined {
    if (this.#clock === undefined) return 0;
    const now = this.#clock.now();
    const last = this.#floods.get(code);
    if (last !== undefined && now - last.at < QUIET_MS) {
      last.more += 1;
      return undefined;
    }
    this.#floods.set(code, { at: now, more: 0 });
    return last?.more ?? 0;
  }
}

function causeOf(error: ProxyError): { cause?: string } {
  return error.cause instanceof Error ? { cause: error.cause.message } : {};
}
