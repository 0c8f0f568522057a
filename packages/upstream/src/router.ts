import type { Exchange, Handler, Reply } from '@shadowcat/kernel';
import { callSlot, type SessionHandle, sessionSlot } from '@shadowcat/wire';
import type { Destination } from './group.js';
import { type RouteMatch, type RouteTest, routeTest } from './route.js';
import { SideSessions } from './side-sessions.js';

export interface Route {
  readonly match: RouteMatch;
  readonly to: Destination;
}

export interface RouterOptions {
  /** The first one that matches counts. */
  readonly routes: readonly Route[];
  /** Where everything else goes. */
  readonly otherwise: Destination;
}

/**
 * Sends each exchange to a group. A legacy session belongs to the group in which it was opened: what is about the session as a
 * whole (its stream, its end, notifications) goes there; a request that a rule sends to another group gets a session of its own
 * there, opened with the client's `initialize` when it is first needed.
 */
export function router({ routes, otherwise }: RouterOptions): Handler {
  return routes.length === 0 ? otherwise.handle : new Router(routes, otherwise).handle;
}

class Router {
  readonly #routes: readonly { readonly test: RouteTest; readonly to: Destination }[];
  readonly #otherwise: Destination;
  readonly #groups: readonly Destination[];
  readonly #sides = new SideSessions();
  /** Where sessions were opened. */
  readonly #homes = new WeakMap<SessionHandle, Destination>();

  constructor(routes: readonly Route[], otherwise: Destination) {
    this.#routes = routes.map(({ match, to }) => ({ test: routeTest(match), to }));
    this.#otherwise = otherwise;
    this.#groups = [...new Set([...routes.map(({ to }) => to), otherwise])];
  }

  readonly handle = (exchange: Exchange): Promise<Reply> => {
    const session = exchange.context.get(sessionSlot);
    if (session === undefined) return this.#groupOf(exchange).handle(exchange);
    const call = exchange.context.get(callSlot);
    if (call?.method === 'initialize' && session.upstream === undefined) {
      const group = this.#groupOf(exchange);
      this.#homes.set(session, group);
      return group.handle(exchange);
    }
    const routed = this.#groupOf(exchange);
    const home = this.#homeOf(session, routed);
    if (call === undefined || call.verb !== 'post') return home.handle(exchange);
    const group = call.expectsAnswer ? routed : (this.#sides.groupOf(call, session) ?? home);
    // A member of both has the session already.
    const isHome = group === home || group.has(session.upstream?.target ?? '');
    return isHome ? home.handle(exchange) : this.#sides.ask(exchange, session, group);
  };

  #groupOf(exchange: Exchange): Destination {
    for (const { test, to } of this.#routes) if (test(exchange)) return to;
    return this.#otherwise;
  }

  /** After a restart it is known on which member a session lives, and a member may be in several groups. */
  #homeOf(session: SessionHandle, routed: Destination): Destination {
    const known = this.#homes.get(session);
    if (known !== undefined) return known;
    const bound = session.upstream?.target ?? '';
    const home = routed.has(bound) ? routed : (this.#groups.find((group) => group.has(bound)) ?? routed);
    this.#homes.set(session, home);
    return home;
  }
}
