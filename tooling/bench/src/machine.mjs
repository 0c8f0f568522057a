// What the kernel knows about processes and the machine. Linux.
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

const TICKS_PER_SECOND = 100;

function statOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
    return { parent: Number(fields[1]), seconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND };
  } catch {
    return undefined;
  }
}

/** CPU seconds (user and system) that process `pid` has used, all its threads and none of its children. */
export function cpuSeconds(pid) {
  const stat = statOf(pid);
  if (stat === undefined) throw new Error(`process ${pid} has ended while it was measured`);
  return stat.seconds;
}

/** Resident memory of process `pid` in MiB. */
export function memoryMiB(pid) {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/);
  return Number(line?.[1] ?? 0) / 1024;
}

export const openDescriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length;

/** The processes that `pid` has started itself. */
export function childPids(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

/**
 * CPU seconds that this process with all its descendants has used, and all processes of the machine together. Between two
 * calls no process of ours may end, or it looks as if others had used what it did.
 */
export function usage() {
  const stats = new Map();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(name) : undefined;
    if (stat !== undefined) stats.set(Number(name), stat);
  }
  const isOurs = (pid) => {
    for (let at = pid; at > 1; at = stats.get(at)?.parent ?? 0) if (at === process.pid) return true;
    return false;
  };
  let own = 0;
  for (const [pid, { seconds }] of stats) if (isOurs(pid)) own += seconds;
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/);
  const all = [user, nice, system, irq, softirq].reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
  return { own, all, at: performance.now() / 1000 };
}

/** The share of the machine's CPU time, 0 to 1, that processes of somebody else's used between two calls of `usage`. */
export function foreignShare(before, after) {
  const foreign = Math.max(0, after.all - before.all - (after.own - before.own));
  return foreign / ((after.at - before.at) * cpus().length);
}

/** For the first line of a report. */
export function describeMachine() {
  const processors = cpus();
  return `${processors.length} cores (${processors[0]?.model.trim() ?? 'unknown'}), Node ${process.version}`;
}
