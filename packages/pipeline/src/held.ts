import { type Clock, ProxyError, type Timer } from '@shadowcat/kernel';

export interface Holding {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** On the clock's monotonic time. */
  readonly deadline: number;
}

/**
 * Waits until the promise settles, or for that many milliseconds. Rejects with `cancelled` as soon as the signal fires, with
 * an `Error` at the deadline, and as the promise does.
 */
export async function held(until: Promise<unknown> | number, holding: Holding): Promise<void> {
  const { signal, clock, deadline } = holding;
  const timers: Timer[] = [];
  let stop = (): void => {};
  const given = new Promise<never>((_, reject) => {
    stop = () => reject(new ProxyError('cancelled', 'the exchange was given up while a message of it was held'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    const late = (): void => reject(new Error('it held the message for too long'));
    timers.push(clock.timer(Math.max(0, deadline - clock.now()), late));
  });
  const waited =
    typeof until === 'number'
      ? new Promise<void>((resolve) => timers.push(clock.timer(Math.max(0, until), resolve)))
      : until;
  try {
    await Promise.race([given, waited]);
  } finally {
    signal.removeEventListener('abort', stop);
    for (const timer of timers) timer.cancel();
  }
}
