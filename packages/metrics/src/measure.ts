import {
  type Clock,
  type ErrorCode,
  type Exchange,
  type Handler,
  type Layer,
  ProxyError,
  type Reply,
  withHeaders,
  withReply,
} from '@shadowcat/kernel';
import { type Call, callSlot, failureSlot, targetSlot } from '@shadowcat/wire';
import { type AnswerSink, outcomeOf, watched } from './answer-watch.js';
import { INSTRUMENTS } from './instruments.js';
import type { Count, Meter, Observe } from './meter.js';
import { methodLabel } from './methods.js';
import { type Outcome, outcomeOfError, outcomeOfStatus } from './outcome.js';

export interface MeasureComponents {
  readonly meter: Meter;
  readonly clock: Clock;
}

/** The layer, and what only it knows. */
export type MeasureLayer = Layer & {
  /** Exchanges whose reply did not end yet. */
  readonly inFlight: () => number;
};

/**
 * Counts exchanges and times them from their start to the end of their reply, by method, era and outcome; stands inside the
 * rescue layer or outside of it. Answers are looked into as they pass, as far as that is cheap: one that is over 64 KiB, or that
 * comes in several pieces, counts by its status.
 */
export function measure(components: MeasureComponents): MeasureLayer {
  const { clock } = components;
  const series = seriesOf(components.meter);
  const failed = failures(components.meter);
  let inFlight = 0;
  const layer: Layer = (next) => async (exchange) => {
    const started = clock.now();
    inFlight += 1;
    const settle: Settle = (outcome, error) => {
      inFlight -= 1;
      const { count, observe } = series(exchange.context.get(callSlot), outcome);
      count();
      observe((clock.now() - started) / 1000);
      // What failed after the head was sent is known only now.
      if (outcome !== 'ok' || error !== undefined) failed(error ?? exchange.context.get(failureSlot));
    };
    let answer: Reply;
    try {
      answer = await next(exchange);
    } catch (error) {
      settle(outcomeOfError(error), error);
      throw error;
    }
    return measured(exchange, answer, settle);
  };
  return Object.assign(layer, { inFlight: () => inFlight });
}

/** Ends a measurement; `error` is what the exchange ended with where that is not in `failureSlot`. */
type Settle = (outcome: Outcome, error?: unknown) => void;

/** The reply, which settles the measurement when it is disposed. */
function measured(exchange: Exchange, answer: Reply, settle: Settle): Reply {
  const { status, headers } = answer.head;
  const failure = exchange.context.get(failureSlot);
  if (failure !== undefined) return withReply(answer, { dispose: () => settle(outcomeOfError(failure), failure) });
  const call = exchange.context.get(callSlot);
  const framing = answer.body.framing.name;
  if (status >= 300 || call?.expectsAnswer !== true || (framing !== 'json' && framing !== 'sse')) {
    if (framing !== 'sse' || answer.body.ready !== undefined)
      return withReply(answer, { dispose: () => settle(outcomeOfStatus(status)) });
    // A standing stream has no answer to look for, but it may break.
    const standing = new Verdict();
    return withReply(answer, {
      body: watched(answer.body, standing, { look: false }),
      dispose: () => settle(outcomeOfStatus(status), standing.error),
    });
  }
  const { ready } = answer.body;
  if (ready !== undefined) {
    return withReply(answer, { dispose: () => settle(outcomeOf(ready, framing) ?? 'ok') });
  }
  const verdict = new Verdict();
  const body = watched(answer.body, verdict);
  const dispose = (): void => settle(verdict.outcome(), verdict.error);
  if (!answer.body.rewritten || headers['content-length'] === undefined) return withReply(answer, { body, dispose });
  // The wrapped body does not tell any more that it is not as long as it was.
  return withReply(answer, {
    head: { status, headers: withHeaders(headers, { 'content-length': undefined }) },
    body,
    dispose,
  });
}

/** What came of a body that was watched: the first that is known of error, answer, failure, and being given up. */
class Verdict implements AnswerSink {
  #answer: Outcome | undefined;
  #ended = false;
  /** What the body failed with. */
  error: unknown;

  answered(outcome: Outcome): void {
    if (this.#answer === undefined || this.#answer === 'ok') this.#answer = outcome;
  }
  failed(error: unknown): void {
    this.error = error;
  }
  ended(): void {
    this.#ended = true;
  }
  outcome(): Outcome {
    if (this.#answer !== undefined) return this.#answer;
    if (this.error !== undefined) return outcomeOfError(this.error);
    return this.#ended ? 'ok' : 'cancelled';
  }
}

/** Counts errors by their codes, which are a closed set. */
function failures(meter: Meter): (error: unknown) => void {
  const known = new Map<ErrorCode, Count>();
  return (error) => {
    if (error === undefined) return;
    const { code } = ProxyError.from(error);
    const count = known.get(code) ?? meter.counter(INSTRUMENTS.errors, code);
    known.set(code, count);
    count();
  };
}

interface Series {
  readonly count: Count;
  readonly observe: Observe;
}

/** Series by their labels, looked up in the meter once. */
function seriesOf(meter: Meter): (call: Call | undefined, outcome: Outcome) => Series {
  const known = new Map<string, Series>();
  return (call, outcome) => {
    const method = methodLabel(call?.method);
    const era = call?.era ?? '';
    const key = `${method} ${era} ${outcome}`;
    let series = known.get(key);
    if (series === undefined) {
      series = {
        count: meter.counter(INSTRUMENTS.requests, method, era, outcome),
        observe: meter.histogram(INSTRUMENTS.requestDuration, method, era, outcome),
      };
      known.set(key, series);
    }
    return series;
  };
}

/**
 * Times what an upstream takes to the head of its reply, by target. Wraps the innermost handler, or each target's; without a
 * `target` the one in `targetSlot` counts.
 */
export function measureUpstream(components: MeasureComponents, target?: string): Layer {
  const { clock, meter } = components;
  const known = new Map<string, Observe>();
  const observe = (exchange: Exchange, outcome: Outcome, started: number): void => {
    const name = target ?? exchange.context.get(targetSlot) ?? '';
    const key = `${outcome} ${name}`;
    let series = known.get(key);
    if (series === undefined) {
      series = meter.histogram(INSTRUMENTS.upstreamDuration, name, outcome);
      known.set(key, series);
    }
    series((clock.now() - started) / 1000);
  };
  return (next: Handler) => async (exchange) => {
    const started = clock.now();
    try {
      const answer = await next(exchange);
      observe(exchange, outcomeOfStatus(answer.head.status), started);
      return answer;
    } catch (error) {
      observe(exchange, outcomeOfError(error), started);
      throw error;
    }
  };
}
