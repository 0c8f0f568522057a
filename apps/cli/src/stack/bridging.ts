import {
  type Bridge,
  type BridgeOptions,
  bridge,
  HeldQuestions,
  legacyOverModern,
  type QuestionLoss,
  QuestionRoom,
} from '@shadowcat/bridge';
import type { Clock, Handler, Log } from '@shadowcat/kernel';
import { callSlot } from '@shadowcat/wire';
import type { ProxyConfig } from './contract.js';
import type { Owned } from './owned.js';
import { unguessableId } from './system.js';

/** A target's name and what it answers with. */
interface Named {
  readonly name: string;
  readonly handler: Handler;
  /** Its lines, where there are not as many as one likes. */
  readonly lines: object | undefined;
}

/** Figures of the bridge, for metrics. */
export interface BridgingStats {
  /** Questions of servers that wait for clients. */
  readonly questions: number;
  /** Questions that got no answer, by why. */
  readonly lost: Readonly<Record<QuestionLoss, number>>;
  /** Legacy sessions that are open for modern clients, and requests that found no room for one. */
  readonly targets: readonly { readonly name: string; readonly sessions: number; readonly refused: number }[];
}

export interface Bridging {
  readonly targets: readonly { readonly name: string; readonly handler: Handler }[];
  /** Puts legacy clients in front of a handler that is modern only and our own. */
  front(name: string, modern: Handler): Handler;
  stats(): BridgingStats;
}

/**
 * Each target with a bridge of its own, which is closed before the target is. They share the questions that wait, because a
 * client's answer may come to any of them.
 */
export function bridged(
  targets: readonly Named[],
  { upstream, groups }: ProxyConfig,
  components: { readonly clock: Clock; readonly log: Log; readonly owned: Owned },
): Bridging {
  const { clock, log, owned } = components;
  const parts = { clock, log, newId: unguessableId, random: Math.random };
  const room = new QuestionRoom({ holdMs: upstream.bridgeHoldMs, max: upstream.maxBridgeQuestions }, parts);
  const held = new HeldQuestions({ room, newId: unguessableId });
  const bridges: { readonly name: string; readonly handler: Bridge }[] = [];
  const speaksModern = ({ handler }: { readonly handler: Bridge }): boolean => handler.stats().modern === 'yes';
  for (const { name, handler, lines } of targets) {
    const options: BridgeOptions = {
      target: name,
      maxSessions: upstream.maxBridgeSessions,
      answerMs: upstream.firstByteTimeoutMs,
      standing: lines === undefined ? 'always' : 'in-use',
    };
    // Only those that serve the same requests: others must not see what was meant for it.
    const alike = new Set(groups.filter(({ members }) => members.includes(name)).flatMap(({ members }) => members));
    const modernSibling = (): Handler | undefined =>
      bridges.find((one) => alike.has(one.name) && speaksModern(one))?.handler;
    const own = bridge(options, { ...parts, upstream: handler, held, modernSibling });
    owned.add(`the bridge to ${name}`, () => own.close());
    bridges.push({ name, handler: own });
  }
  const front = (name: string, modern: Handler): Handler => {
    const legacy = legacyOverModern({ target: name }, { ...parts, upstream: modern, room });
    owned.add(`the bridge to ${name}`, () => legacy.close());
    return (exchange) => (exchange.context.get(callSlot)?.era === 'legacy' ? legacy : modern)(exchange);
  };
  return {
    targets: bridges,
    front,
    stats: () => ({
      questions: room.held,
      lost: room.lost,
      targets: bridges.map(({ name, handler }) => ({ name, ...handler.stats() })),
    }),
  };
}
