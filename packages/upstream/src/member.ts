import type { Handler } from '@shadowcat/kernel';
import { slot } from '@shadowcat/kernel';

/**
 * How a member is doing. `up`; `ejected`: gets nothing new for a while; `probing`: the while is over, and one exchange at a
 * time finds out whether it is back; `down`: an active probe says so; `draining`: it is being taken out of use.
 */
export type Condition = 'up' | 'ejected' | 'probing' | 'down' | 'draining';

/** What a gate says of itself, for health and metrics. */
export interface GateState {
  readonly condition: Condition;
  /** Transport failures in a row. */
  readonly failures: number;
  /** How often it was closed. */
  readonly ejections: number;
  /** The last transport failure, until an exchange succeeds. */
  readonly lastError: string | undefined;
  /** Milliseconds until it may open again, where that is known. */
  readonly reopensInMs?: number;
}

/** Whether a member may be given exchanges, and how they ended. */
export interface Gate {
  /** False: not now (breaker open, ejected, probe failed, draining). */
  available(): boolean;
  /**
   * A pass for one exchange; undefined when it was not available after all (e.g. the half-open probe is taken). Asked as well
   * when no member is available: a gate that would rather have it tried than refused gives a pass then.
   */
  enter(): Pass | undefined;
  state(): GateState;
}

/** One exchange that was let through. */
export interface Pass {
  /** Says how it ended; only the first call counts. `error` is what was thrown, for `lastError`. */
  done(outcome: ExchangeOutcome, error?: Error): void;
}

/**
 * `answered`: by whatever, an error included, which proves that the member is alive; `abandoned`: nobody waited any more,
 * or the proxy itself gave up, which says nothing about the member.
 */
export type ExchangeOutcome = 'answered' | 'transport-failure' | 'timeout' | 'abandoned';

/** One server of a group. */
export interface Member {
  /** As in the configuration; sessions are bound to it. */
  readonly name: string;
  readonly handler: Handler;
  /** Its share of what is new, relative to the others'; 0: nothing new. May change at any time. */
  weight(): number;
  /** 0 is used first; a higher number only while no member with a lower one is available. */
  readonly priority: number;
  readonly gate: Gate;
  /** Exchanges whose answers have not ended. */
  inFlight(): number;
}

/**
 * Names of members that already failed this exchange; a chooser avoids them while others are available. Set by whoever sends
 * an exchange again.
 */
export const avoidSlot = slot<ReadonlySet<string>>('avoid');
