/**
 * The life of a session, as a table.
 *
 *     opening --accepted--> open --deleted | idle | evicted | lost--> ended
 *        \--refused------------------------------------------------->/
 *
 * `used` and `settled` bracket an exchange of the session. An event that the table has no entry for is a mistake of the
 * caller, not of a client, and throws.
 */
import { ProxyError } from '@shadowcat/kernel';

export type SessionPhase = 'opening' | 'open' | 'ended';

/**
 * Why a session ended: its `initialize` was not accepted, the client sent DELETE, nobody used it for too long, it had to
 * make room for another, or the upstream lost it and it is not to be recovered.
 */
export const END_REASONS = ['refused', 'deleted', 'idle', 'evicted', 'lost'] as const;
export type EndReason = (typeof END_REASONS)[number];

export type SessionEvent = 'accepted' | 'used' | 'settled' | EndReason;

/** Immutable. Times are the injected clock's monotonic milliseconds. */
export interface SessionState {
  readonly phase: SessionPhase;
  /** When an exchange last began or ended. */
  readonly lastUsed: number;
  /** Exchanges that began and did not end: such a session is neither idle nor evicted. */
  readonly inFlight: number;
  readonly endedBy?: EndReason;
}

const NEXT: Readonly<Record<SessionPhase, Readonly<Partial<Record<SessionEvent, SessionPhase>>>>> = {
  opening: { accepted: 'open', refused: 'ended' },
  open: {
    used: 'open',
    settled: 'open',
    refused: 'ended',
    deleted: 'ended',
    idle: 'ended',
    evicted: 'ended',
    lost: 'ended',
  },
  ended: { settled: 'ended' },
};

/** A session whose `initialize` is under way: that is its first exchange in flight. */
export function opening(now: number): SessionState {
  return { phase: 'opening', lastUsed: now, inFlight: 1 };
}

/** A session that is open already, read back from a store. */
export function reopened(lastUsed: number): SessionState {
  return { phase: 'open', lastUsed, inFlight: 0 };
}

/** The state after `event`. Throws `ProxyError('internal')` when the table has no such step. */
export function advance(state: SessionState, event: SessionEvent, now: number): SessionState {
  const phase = NEXT[state.phase][event];
  if (phase === undefined) throw new ProxyError('internal', `a session that is ${state.phase} cannot be ${event}`);
  if (event === 'accepted') return { phase, lastUsed: now, inFlight: state.inFlight };
  if (event === 'used') return { phase, lastUsed: now, inFlight: state.inFlight + 1 };
  if (event === 'settled') return settled(state, now);
  return { phase, lastUsed: state.lastUsed, inFlight: state.inFlight, endedBy: event };
}

function settled(state: SessionState, now: number): SessionState {
  const inFlight = Math.max(0, state.inFlight - 1);
  return state.endedBy === undefined
    ? { phase: state.phase, lastUsed: now, inFlight }
    : { phase: state.phase, lastUsed: now, inFlight, endedBy: state.endedBy };
}

/** Whether nobody used the session for longer than `idleMs`. */
export function isIdle(state: SessionState, now: number, idleMs: number): boolean {
  return state.inFlight === 0 && now - state.lastUsed > idleMs;
}
