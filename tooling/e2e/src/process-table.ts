import { readdirSync, readFileSync } from 'node:fs';

/** One row of the system's process table. */
export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  /** One letter as in proc(5): R, S, D, Z, T, … */
  readonly state: string;
  readonly command: string;
}

/** Every process that this user can see. Linux only: it reads /proc. */
function processTable(): ProcessRow[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map((name) => rowOf(Number(name))).filter((row) => row !== undefined);
}

/** Whether the process runs; one that has ended and was not waited for yet does not. */
export function isAlive(pid: number): boolean {
  const row = rowOf(pid);
  return row !== undefined && row.state !== 'Z' && row.state !== 'X';
}

/** The live children of a process, their children, and so on, without the process itself. */
export function descendantsOf(pid: number): ProcessRow[] {
  const byParent = Map.groupBy(processTable(), (row) => row.parent);
  const found: ProcessRow[] = [];
  const parents = [pid];
  for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
    for (const row of byParent.get(parent) ?? []) {
      parents.push(row.pid);
      if (row.state !== 'Z') found.push(row);
    }
  }
  return found;
}

/**
 * The live processes that were started with `NAME=value` in their environment. Children inherit it, so this finds also
 * those whose parent is gone, which {@link descendantsOf} cannot.
 */
export function processesWithEnv(name: string, value: string): ProcessRow[] {
  const entry = `${name}=${value}`;
  return processTable().filter((row) => row.state !== 'Z' && environmentOf(row.pid).includes(entry));
}

/** The live processes whose command line names this path. */
export function processesNaming(path: string): ProcessRow[] {
  return processTable().filter((row) => row.state !== 'Z' && row.command.includes(path));
}

function environmentOf(pid: number): string[] {
  return (readProc(pid, 'environ') ?? '').split('\0');
}

function rowOf(pid: number): ProcessRow | undefined {
  const stat = readProc(pid, 'stat');
  if (stat === undefined) return undefined;
  // The name is in parentheses and may hold any character, so the fields are counted from its last parenthesis.
  const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const command = (readProc(pid, 'cmdline') ?? '').split('\0').join(' ').trim();
  return { pid, parent: Number(parent), state, command };
}

/** Undefined if the process has ended or belongs to somebody else. */
function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}
