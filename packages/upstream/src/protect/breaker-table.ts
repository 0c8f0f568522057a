/** `closed`: everything passes; `open`: nothing does; `half-open`: one exchange at a time finds out. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * `tripped`: too much failed; `waited`: it was open for its time; `answered` and `failed`: what the one exchange found out;
 * `recovered`: active probes were answered often enough.
 */
export type BreakerEvent = 'tripped' | 'waited' | 'answered' | 'failed' | 'recovered';

/** What follows from what. An event that a state has no entry for says nothing in that state. */
export const BREAKER: Readonly<Record<BreakerState, Readonly<Partial<Record<BreakerEvent, BreakerState>>>>> = {
  closed: { tripped: 'open' },
  open: { waited: 'half-open', recovered: 'closed' },
  'half-open': { answered: 'closed', failed: 'open', tripped: 'open', recovered: 'closed' },
};
