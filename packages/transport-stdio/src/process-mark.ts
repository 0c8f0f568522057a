import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { isRunning, machine } from './child-list.js';
import { startOf } from './lineage.js';

/**
 * A name for a process that no other gets: its number, and a fingerprint of when and where it was started. To be written down
 * by one process and asked about by another, with {@link runsStill}.
 */
export function processMark(pid = process.pid): string {
  return `${pid}-${fingerprint(startOf(pid) ?? 0)}`;
}

/** Whether the process of a mark runs on this machine. What is no mark does not. */
export function runsStill(mark: string): boolean {
  const [, number = '', wanted] = /^([1-9][0-9]{0,9})-([0-9a-f]{8})$/.exec(mark) ?? [];
  const pid = Number(number);
  if (pid === 0) return false;
  const start = startOf(pid) ?? 0;
  return fingerprint(start) === wanted && isRunning(pid, start);
}

function fingerprint(start: number): string {
  const { boot, namespace } = machine();
  return createHash('sha256').update(`${hostname()} ${boot} ${namespace} ${start}`).digest('hex').slice(0, 8);
}
