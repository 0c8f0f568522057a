import { Body, type Clock, type Exchange, type Layer, type Log, type Reply, reply, withReply } from '@shadowcat/kernel';
import { type Call, callSlot, errorReply, failureSlot, jsonFraming } from '@shadowcat/wire';
import { requestIds } from './call-parts.js';
import { judgeDownward } from './downward.js';
import type { Interceptor, Verdict } from './interceptor.js';
import type { JudgeComponents } from './judge.js';
import { type Refusal, refusalText } from './refusal.js';
import { judgeUpward } from './upward.js';

export interface InterceptOptions {
  /** How long one interceptor may hold one message with `pause`, in milliseconds; then it is blocked. Default 60,000. */
  readonly maxPause?: number;
}

export interface InterceptComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Told of every verdict, for metrics. */
  readonly onVerdict?: (interceptor: string, action: Verdict['action'] | 'failed') => void;
}

const encoder = new TextEncoder();

/**
 * Shows the messages of each exchange to these interceptors, the outermost first. Without any, nothing is added to anything;
 * with some, a body is looked into only where one of them might want to see it. Needs `callSlot`.
 */
export function intercept(
  interceptors: readonly Interceptor[],
  options: InterceptOptions,
  components: InterceptComponents,
): Layer {
  if (interceptors.length === 0) return (next) => next;
  const { clock, log, onVerdict = () => {} } = components;
  const judging: JudgeComponents = { clock, log, onVerdict, maxPause: options.maxPause ?? 60_000 };
  const upward = interceptors.filter(({ directions }) => directions?.includes('client-to-server') !== false);
  const downward = interceptors
    .filter(({ directions }) => directions?.includes('server-to-client') !== false)
    .reverse();

  return (next) => async (exchange) => {
    const call = exchange.context.get(callSlot);
    if (call === undefined) return next(exchange);
    let sent = exchange;
    if (upward.length > 0 && call.messages.length > 0) {
      const outcome = await judgeUpward(upward, { exchange, call }, judging);
      if (outcome.kind === 'refuse') return refused(exchange, call, outcome.refusal);
      if (outcome.kind === 'drop') return reply({ status: 202, headers: {} });
      sent = outcome.exchange;
    }
    const answer = await next(sent);
    if (downward.length === 0 || answer.body.framing.name === 'opaque') return answer;
    const step = judgeDownward(downward, { exchange: sent, call: sent.context.get(callSlot) ?? call, next }, judging);
    return withReply(answer, { body: answer.body.with(step) });
  };
}

/** The reply to an exchange of which a request was blocked: an error for each request of it. */
function refused(exchange: Exchange, call: Call, refusal: Refusal): Reply {
  exchange.context.set(failureSlot, refusal.error);
  const idTexts = requestIds(call);
  const answer = errorReply(refusal.error, { idTexts, era: call.era });
  if (refusal.code === undefined) return answer;
  const texts = idTexts.map((idText) => refusalText(refusal, idText));
  const text = call.batch ? `[${texts.join(',')}]` : (texts[0] ?? '');
  return withReply(answer, { body: Body.whole(encoder.encode(text), jsonFraming) });
}
