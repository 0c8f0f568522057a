/** A timer that was set. Cancelling one that fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void;
}

/** Time as a component, so that PURE code has none of its own and tests can turn it by hand. */
export interface Clock {
  /** Monotonic milliseconds, with fractions, from an arbitrary start. For durations and deadlines. */
  now(): number;
  /** Milliseconds since the Unix epoch. For what is written down. */
  wall(): number;
  /** Runs `fire` once after `ms`. Real timers do not keep the process alive. */
  timer(ms: number, fire: () => void): Timer;
}
