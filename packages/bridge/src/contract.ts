import type { Clock, Handler, Log } from '@shadowcat/kernel';

/** What both directions of the bridge work with. */
export interface BridgeComponents {
  /** One target's handler, as it is without a bridge. */
  readonly upstream: Handler;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes an unguessable id of visible ASCII. */
  readonly newId: () => string;
  /** 0 to 1, to spread what is tried again. Default `Math.random`. */
  readonly random?: () => number;
}

export interface BridgeOptions {
  /** The target's name, for messages. */
  readonly target: string;
  /** Milliseconds that a question of a server waits for its client's answer. Default 5 minutes. */
  readonly holdMs?: number;
  /** Questions that wait at the same time; more are refused. Default 1000. */
  readonly maxHeld?: number;
  /** How long an upstream session that the bridge opened may be unused, in milliseconds. Default 5 minutes. */
  readonly idleMs?: number;
}
