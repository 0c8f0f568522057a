import { type ErrorCode, type Handler, ProxyError, slot } from '@shadowcat/kernel';

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
  /** Milliseconds until it may be available again, where that is known. */
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

/** What says something about the transport. An answer of any kind, an error included, proves that the member is alive. */
const OUTCOMES: Partial<Record<ErrorCode, ExchangeOutcome>> = {
  upstream_unreachable: 'transport-failure',
  upstream_closed: 'transport-failure',
  child_exited: 'transport-failure',
  spawn_failed: 'transport-failure',
  upstream_timeout: 'timeout',
  upstream_protocol: 'answered',
};

export function outcomeOf(error: ProxyError): ExchangeOutcome {
  return OUTCOMES[error.code] ?? 'abandoned';
}

/** What is refused by a gate in this state hears. */
export function unavailable(name: string, { lastError, reopensInMs }: GateState): ProxyError {
  const why = lastError === undefined ? '' : `: ${lastError}`;
  return new ProxyError('upstream_unavailable', `${name} takes nothing at the moment${why}`, {
    retryAfter: secondsOf(reopensInMs),
  });
}

/** For `Retry-After`: whole seconds, at least one. */
export function secondsOf(ms: number | undefined): number {
  return Math.max(1, Math.ceil((ms ?? 0) / 1000));
}

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
 * Whose names tools have in an exchange, where that is not the target: those of a group that is shown as one server are its own.
 * Set by whoever gives them other names.
 */
export const namerSlot = slot<string>('namer');

/**
 * Names of members that already failed this exchange; a chooser avoids them while others are available. Set by whoever sends
 * an exchange again.
 */
export const avoidSlot = slot<ReadonlySet<string>>('avoid');
