import type { Clock, Timer } from '@shadowcat/kernel';

interface Alarm {
  readonly at: number;
  readonly order: number;
  readonly fire: () => void;
}

/** A clock that stands still until a test turns it. Timers fire in the order they are due; equal ones as they were set. */
export class ManualClock implements Clock {
  #now: number;
  #wallOffset: number;
  #order = 0;
  readonly #alarms = new Set<Alarm>();

  /** `now` and `wall` in milliseconds: the monotonic start (0) and the epoch time at that moment (2026-07-28T00:00:00Z). */
  constructor(start: { now?: number; wall?: number } = {}) {
    this.#now = start.now ?? 0;
    this.#wallOffset = (start.wall ?? Date.UTC(2026, 6, 28)) - this.#now;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.#wallOffset;
  }

  timer(ms: number, fire: () => void): Timer {
    const alarm: Alarm = { at: this.#now + Math.max(0, ms), order: this.#order++, fire };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  /** How many timers are set: 0 at the end of a test that owns everything it opened. */
  get pending(): number {
    return this.#alarms.size;
  }

  /** Turns the clock by `ms` and fires what falls due on the way, also timers that were set on the way. Synchronous. */
  advance(ms: number): void {
    const target = this.#now + ms;
    for (let due = this.#next(target); due !== undefined; due = this.#next(target)) this.#fire(due);
    this.#now = target;
  }

  /** Like {@link advance}, but promises that a timer settled get to run, and may set timers, before the next one fires. */
  async pass(ms: number): Promise<void> {
    const target = this.#now + ms;
    await settled();
    for (let due = this.#next(target); due !== undefined; due = this.#next(target)) {
      this.#fire(due);
      await settled();
    }
    this.#now = target;
    await settled();
  }

  /** Moves the wall clock without the monotonic one, as an administrator or NTP does. */
  setWall(wall: number): void {
    this.#wallOffset = wall - this.#now;
  }

  #next(target: number): Alarm | undefined {
    let first: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.at > target) continue;
      if (first === undefined || alarm.at < first.at || (alarm.at === first.at && alarm.order < first.order))
        first = alarm;
    }
    return first;
  }

  #fire(alarm: Alarm): void {
    this.#alarms.delete(alarm);
    if (alarm.at > this.#now) this.#now = alarm.at;
    alarm.fire();
  }
}

/** Resolves when the promise jobs that are under way, and those that they start, have run. No time passes. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
