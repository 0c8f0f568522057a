import { type Layer, ProxyError, withReply } from '@shadowcat/kernel';
import { callSlot } from '@shadowcat/wire';

export type InFlightLimit = Layer & {
  readonly stats: () => { readonly inFlight: number; readonly refused: number };
};

/**
 * At most `max` requests at a time; those beyond are refused at once with `pool_exhausted`. What is owed no answer always passes:
 * a client's answer to a server must not wait for the request that it belongs to.
 */
export function inFlightLimit({ max }: { readonly max: number }): InFlightLimit {
  let inFlight = 0;
  let refused = 0;
  // One for all: an error with a stack of its own for each is most of what refusing would cost.
  const refusal = new ProxyError('pool_exhausted', `the proxy has ${max} requests in flight already; try again later`, {
    retryAfter: 1,
  });
  const layer: Layer = (next) => async (exchange) => {
    const call = exchange.context.get(callSlot);
    // A subscription is a standing stream (2026-07-28, subscriptions/listen).
    if (call?.expectsAnswer !== true || call.method === 'subscriptions/listen') return next(exchange);
    if (inFlight >= max) {
      refused += 1;
      throw refusal;
    }
    inFlight += 1;
    let began = false;
    try {
      const answer = await next(exchange);
      // What is here already is as good as sent.
      if (answer.body.ready !== undefined) return answer;
      began = true;
      return withReply(answer, {
        dispose: () => {
          inFlight -= 1;
        },
      });
    } finally {
      if (!began) inFlight -= 1;
    }
  };
  return Object.assign(layer, { stats: () => ({ inFlight, refused }) });
}
