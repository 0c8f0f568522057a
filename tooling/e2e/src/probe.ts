import { readdirSync } from 'node:fs';
import process from 'node:process';

/*
 * Loaded into the proxy with `node --expose-gc --import`, it tells on SIGUSR2 what the process holds: one line on stderr that
 * begins with PROBE. Timers are counted by wrapping the globals, because those that are unref'd are in no list of Node's.
 */

export interface Holding {
  /** Handles and requests that keep the process alive, by kind. */
  readonly handles: Readonly<Record<string, number>>;
  /** `setTimeout` timers that neither fired nor were cleared, unref'd ones too. */
  readonly timers: number;
  readonly descriptors: number;
  /** After a collection, in bytes. */
  readonly heap: number;
}

const timers = new Set<unknown>();
const { setTimeout: set, clearTimeout: clear } = globalThis;

function countTimers(): void {
  const counted = (fire: (...args: unknown[]) => void, ms?: number, ...args: unknown[]): NodeJS.Timeout => {
    const timer = set(() => {
      timers.delete(timer);
      fire(...args);
    }, ms);
    timers.add(timer);
    return timer;
  };
  globalThis.setTimeout = Object.assign(counted, set) as typeof set;
  globalThis.clearTimeout = (timer) => {
    timers.delete(timer);
    clear(timer);
  };
}

function tell(): void {
  globalThis.gc?.();
  // What the first collection made free to collect.
  setImmediate(() => {
    globalThis.gc?.();
    const handles: Record<string, number> = {};
    for (const kind of process.getActiveResourcesInfo()) handles[kind] = (handles[kind] ?? 0) + 1;
    const holding: Holding = {
      handles,
      timers: timers.size,
      descriptors: readdirSync('/proc/self/fd').length,
      heap: process.memoryUsage().heapUsed,
    };
    process.stderr.write(`PROBE ${JSON.stringify(holding)}\n`);
  });
}

countTimers();
process.on('SIGUSR2', tell);
