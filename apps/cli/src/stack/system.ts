import { createHash, randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
// Imported, not global: in a test with fake timers the globals stand still, and what serves its tape must not.
import { clearTimeout, setTimeout } from 'node:timers';
import type { Clock } from '@shadowcat/kernel';

/** Node fires at once what is to wait longer, in milliseconds. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

const { now: wall } = Date;

/** The machine's own time, also where a test has put another in place of the global one. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall,
  timer(ms, fire) {
    let timer: NodeJS.Timeout;
    const wait = (left: number): void => {
      const step = Math.min(left, LONGEST_TIMEOUT);
      timer = setTimeout(() => (left > step ? wait(left - step) : fire()), step);
      timer.unref();
    };
    wait(ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** 192 random bits in visible ASCII: an id that a client cannot guess (MCP 2025-11-25, "Session Management"). */
export const unguessableId = (): string => randomBytes(24).toString('base64url');

/** 72 random bits in letters and digits: a name that is not met twice within a session, also not across restarts. */
export const randomName = (): string => randomBytes(9).toString('hex');

/** Short ids, unique within the process: `prefix` and a count in base 36. */
export function counter(prefix: string): () => string {
  let count = 0;
  return () => `${prefix}${(count++).toString(36)}`;
}

/** What stands for a credential wherever it has to be told apart and must not be kept. */
export const fingerprint = (credential: string): string => createHash('sha256').update(credential).digest('base64url');
