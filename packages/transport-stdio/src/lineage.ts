// This file is both a module and, started by ./watcher.ts as a process of its own, the watcher. It therefore imports
// nothing but Node.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/**
 * The variable that marks a child and all that it starts, also what leaves its process group. It is how a descendant is
 * known on Linux, where /proc shows the environment that a process was started with.
 */
export const LINEAGE_VARIABLE = 'SHADOWCAT_LINEAGE';

/** A child of ours: the process group it leads, and its mark. */
export interface Lineage {
  readonly group: number;
  readonly mark: string;
  /** When the leader was started, in the kernel's own count (Linux only): what is older is no descendant. */
  readonly since?: number;
}

/**
 * Something to be signalled. On Linux one process, known by its pid and its start, so that a pid that was given to another
 * process meanwhile is noticed; elsewhere a whole group (a negative number, as kill(2) takes it).
 */
interface Survivor {
  readonly target: number;
  readonly start: number;
}

interface Stat {
  readonly group: number;
  readonly start: number;
}

type Signal = 'SIGTERM' | 'SIGKILL';

/** Linux, where it shows its processes. */
const PROC = process.platform === 'linux' && existsSync('/proc/self/stat');
const POLL_MS = 50;
/** Each takes 20 ms longer than the one before. */
const KILL_ROUNDS = 17;
const MARK = new RegExp(`(?:^|\\0)${LINEAGE_VARIABLE}=([^\\0]+)`);

/**
 * Whether a process group has members; those that are dead and not yet reaped count. The kernel gives no new process a number
 * that is still the number of a group. So a group that was ours, and was seen alive ever since, is ours, also after its
 * leader is gone; a group that was once seen empty is never signalled again.
 */
function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Signals every member of a process group. Only while the group is known to live, see {@link groupExists}. */
export function signalGroup(group: number, signal: Signal): void {
  signalTarget(-group, signal);
}

function signalTarget(target: number, signal: Signal): void {
  try {
    process.kill(target, signal);
  } catch {
    // It ended by itself, or it is not ours to end.
  }
}

/** When a process was started, in the kernel's count; `undefined` when it is gone, or where there is no /proc. */
export function startOf(pid: number): number | undefined {
  return PROC ? statOf(pid)?.start : undefined;
}

/** `undefined` for what is gone, also when nobody has reaped it yet. */
function statOf(pid: number): Stat | undefined {
  try {
    // proc(5): "pid (name) state ppid pgrp …"; the name may hold anything, parentheses too. `starttime` is field 22.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 20);
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return { group: Number(fields[2]), start: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

/** What still lives of `lineages`. */
async function survivors(lineages: readonly Lineage[]): Promise<Survivor[]> {
  if (!PROC) {
    return lineages.filter(({ group }) => groupExists(group)).map(({ group }) => ({ target: -group, start: 0 }));
  }
  nextLook ??= planLook();
  nextLook.lineages.push(...lineages);
  const found = await nextLook.found;
  return found.filter((one) =>
    lineages.some(({ group, mark, since = 0 }) => one.start >= since && (one.group === group || one.mark === mark)),
  );
}

/**
 * A look at all processes. It takes milliseconds of the processor for some hundred of them, and children often end together: so
 * there is one at a time, and one for all who ask before it begins.
 */
interface Look {
  readonly lineages: Lineage[];
  readonly found: Promise<readonly Found[]>;
}

/** A survivor, and what it was known by: its group is not that of two lineages, since each is a session of its own. */
interface Found extends Survivor {
  readonly group: number;
  /** Not read of those that are in one of the groups. */
  readonly mark?: string;
}

/** The one that has not begun. */
let nextLook: Look | undefined;
/** The one before it. Never rejects. */
let lastLook: Promise<unknown> = Promise.resolve();
/** A look that takes longer hangs at some process, see {@link markOf}: the next does not wait for it. */
const HUNG_MS = 2000;

function planLook(): Look {
  const lineages: Lineage[] = [];
  const found = inTime(lastLook).then(() => {
    nextLook = undefined;
    return lookFor(lineages);
  });
  lastLook = found.catch(() => {});
  return { lineages, found };
}

async function inTime(look: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const hung = sleep(HUNG_MS, undefined, { signal: over.signal }).catch(() => {});
  await Promise.race([look, hung]);
  over.abort();
}

async function lookFor(lineages: readonly Lineage[]): Promise<Found[]> {
  const groups = new Set(lineages.map(({ group }) => group));
  const marks = new Set(lineages.map(({ mark }) => mark));
  const oldest = Math.min(...lineages.map(({ since = 0 }) => since));
  const found: Found[] = [];
  for (const [index, name] of processNames().entries()) {
    // About 25 us each: where there are thousands, others get their turn.
    if (index % 100 === 99) await nextTurn();
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const stat = statOf(pid);
    if (stat === undefined || stat.start < oldest) continue;
    const survivor = { target: pid, ...stat };
    if (groups.has(stat.group)) found.push(survivor);
    else {
      const mark = await markOf(pid);
      if (marks.has(mark)) found.push({ ...survivor, mark });
    }
  }
  return found;
}

function processNames(): string[] {
  try {
    return readdirSync('/proc');
  } catch {
    // Out of descriptors: nothing can be found out now.
    return [];
  }
}

/** Reading an environment takes a lock of that process and may wait for it, which the event loop must not. */
async function markOf(pid: number): Promise<string> {
  try {
    return MARK.exec(await readFile(`/proc/${pid}/environ`, 'latin1'))?.[1] ?? '';
  } catch {
    // It ended meanwhile, or belongs to another user.
    return '';
  }
}

function lives({ target, start }: Survivor): boolean {
  return target < 0 ? groupExists(-target) : statOf(target)?.start === start;
}

/**
 * Ends what still lives of `lineages`: SIGTERM, then SIGKILL after `graceMs`. Resolves when nothing lives, or about three seconds
 * after the first SIGKILL: what the kernel does not end then waits for a disk, and nobody else can end it. On a busy machine a
 * process that was killed may wait a good while for the processor that it needs to be gone.
 */
export async function endLineages(lineages: readonly Lineage[], graceMs: number): Promise<void> {
  let alive = await survivors(lineages);
  if (alive.length === 0) return;
  if (graceMs > 0) for (const { target } of alive) signalTarget(target, 'SIGTERM');
  for (let waited = 0; alive.length > 0 && waited < graceMs; waited += POLL_MS) {
    await sleep(POLL_MS);
    alive = alive.filter(lives);
  }
  // Several times, for what a dying process started last.
  alive = await survivors(lineages);
  for (let round = 0; alive.length > 0 && round < KILL_ROUNDS; round += 1) {
    for (const survivor of alive) if (lives(survivor)) signalTarget(survivor.target, 'SIGKILL');
    await sleep(round * 20);
    alive = await survivors(lineages);
  }
}

/** What becomes of the number of a group that nothing is known to be ours in: no group has it. */
const NO_GROUP = -1;

/**
 * Of lineages that another process had recorded, those that something lives of, without the numbers of groups that may be
 * somebody else's by now. A group is ours while one of its members bears its mark, or is the leader that was recorded.
 */
export async function stillOurs(lineages: readonly Lineage[]): Promise<Lineage[]> {
  if (lineages.length === 0) return [];
  const marked = PROC ? await markedInProc() : await markedByPs(lineages);
  const ours: Lineage[] = [];
  for (const lineage of lineages) {
    const groups = marked.get(lineage.mark);
    const leads = lineage.since !== undefined && startOf(lineage.group) === lineage.since;
    if (leads || groups?.has(lineage.group) === true) ours.push(lineage);
    else if (groups !== undefined && PROC) ours.push({ ...lineage, group: NO_GROUP });
  }
  return ours;
}

/** The groups of living processes, by the mark that they bear. */
async function markedInProc(): Promise<Map<string, Set<number>>> {
  const found = new Map<string, Set<number>>();
  for (const name of processNames()) {
    const pid = Number(name);
    const stat = Number.isInteger(pid) && pid !== process.pid ? statOf(pid) : undefined;
    if (stat === undefined) continue;
    const mark = await markOf(pid);
    if (mark !== '') note(found, mark, stat.group);
  }
  return found;
}

/** The same as `ps` tells it, where there is no /proc. On macOS it shows the environments of one's own processes. */
export async function markedByPs(lineages: readonly Lineage[]): Promise<Map<string, Set<number>>> {
  const found = new Map<string, Set<number>>();
  // `-E` and `e` are BSD's and procps's words for "with the environment".
  const args = process.platform === 'darwin' ? ['-A', '-E', '-ww'] : ['axeww'];
  for (const row of (await outputOf('ps', [...args, '-o', 'pgid=,command='])).split('\n')) {
    const group = Number.parseInt(row, 10);
    for (const { mark } of lineages)
      if (Number.isInteger(group) && row.includes(`${LINEAGE_VARIABLE}=${mark}`)) note(found, mark, group);
  }
  return found;
}

function note(found: Map<string, Set<number>>, mark: string, group: number): void {
  found.set(mark, (found.get(mark) ?? new Set()).add(group));
}

/** What a command prints; nothing when it fails. */
function outputOf(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const options = { timeout: 5000, maxBuffer: 64 * 1024 * 1024, encoding: 'utf8' } as const;
    execFile(command, args, options, (_error, stdout) => resolve(stdout));
  });
}

const GRACE_MS = 2000;

/**
 * The watcher's life: told of lineages over its stdin (`+ group mark`, `- group`), it waits for the end of that pipe. The
 * kernel closes the pipe however the proxy ends; what is on the list then is ended.
 */
async function watch(): Promise<void> {
  // Also replaces the command line that others see: whoever kills by a pattern that names the proxy must not hit this.
  process.title = 'mcp-child-watcher';
  // A terminal's signals are for the proxy, which ends its children and then this process.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  const lineages = new Map<number, Lineage>();
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, group = '', mark = ''] = line.split(' ');
    if (verb === '+') lineages.set(Number(group), { group: Number(group), mark });
    else lineages.delete(Number(group));
  }
  if (lineages.size > 0) await endLineages([...lineages.values()], GRACE_MS);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await watch();
