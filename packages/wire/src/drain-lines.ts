import type { Clock } from '@shadowcat/kernel';
import type { LineServer } from './line-server.js';

/** Lets the requests in flight on these lines finish, for up to `ms` milliseconds. The lines stay to be disposed. */
export function drainLines(lines: Iterable<LineServer>, ms: number, clock: Clock): Promise<void> {
  const draining = Promise.all(Array.from(lines, (line) => line.drain()));
  return new Promise((resolve) => {
    const timer = clock.timer(ms, resolve);
    void draining.finally(() => {
      timer.cancel();
      resolve();
    });
  });
}
