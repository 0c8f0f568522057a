import type { Clock, Layer, Log } from '@shadowcat/kernel';

/** How often the hint comes at most, in milliseconds. */
const EVERY_MS = 60_000;

/**
 * Tells the operator when the upstream refuses requests because no token goes there: the client cannot know that its own
 * is not passed on. For proxies that do not forward `Authorization`.
 */
export function tokenHint({ clock, log }: { readonly clock: Clock; readonly log: Log }): Layer {
  let next = Number.NEGATIVE_INFINITY;
  return (inner) => async (exchange) => {
    const answer = await inner(exchange);
    if (answer.head.status === 401 && clock.now() >= next) {
      next = clock.now() + EVERY_MS;
      log.warn(
        { exchange: exchange.id },
        "the upstream asks for a token: pass on the client's with --forward-authorization, or give one with --header",
      );
    }
    return answer;
  };
}
