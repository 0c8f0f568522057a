import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { Log } from '@shadowcat/kernel';
import { endLineages, type Lineage, startOf, stillOurs } from './lineage.js';

/**
 * The second line of defence behind the watcher: a file of our own that names the process groups that we have started and
 * not ended yet. When this process and its watcher were both killed, the next one that starts finds it, see
 * {@link clearLists}.
 *
 * The first line says whose it is: `<pid> <start> <boot> <namespace>`; then `+ <group> <mark> <since>` and `- <group>`.
 */
export interface ChildList {
  add(lineage: Lineage): void;
  remove(lineage: Lineage): void;
  /** Removes the file, unless it still names something. */
  close(): void;
}

export interface ChildListComponents {
  readonly log: Log;
}

const SUFFIX = '.children';
const GRACE_MS = 2000;
/** Lines after which the file is written anew, with what lives. */
const MAX_LINES = 1000;

/** Opens the list of this process in `folder`, which is made when there is none. It is only for this user, or not used. */
export function openChildList(folder: string, components: ChildListComponents): ChildList {
  return new ListFile(folder, components.log);
}

/** A process may keep more than one. */
let opened = 0;

class ListFile implements ChildList {
  readonly #folder: string;
  readonly #path: string;
  readonly #log: Log;
  readonly #living = new Map<number, Lineage>();
  #file: number | undefined;
  #lines = 0;
  #broken = false;

  constructor(folder: string, log: Log) {
    this.#log = log;
    this.#folder = folder;
    this.#path = join(folder, `${process.pid}-${startOf(process.pid) ?? 0}-${opened++}${SUFFIX}`);
  }

  add(lineage: Lineage): void {
    this.#living.set(lineage.group, lineage);
    this.#append(entryOf(lineage));
  }

  remove(lineage: Lineage): void {
    if (this.#living.delete(lineage.group)) this.#append(`- ${lineage.group}\n`);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    if (this.#living.size === 0) rmSync(this.#path, { force: true });
  }

  #append(line: string): void {
    this.#try(() => {
      if (this.#file === undefined || this.#lines > MAX_LINES + 2 * this.#living.size) this.#rewrite();
      else writeSync(this.#file, line);
      this.#lines += 1;
    });
  }

  /** With what lives, the line to be added too. */
  #rewrite(): void {
    if (this.#file === undefined) ownFolder(this.#folder);
    const fresh = `${this.#path}.new`;
    const file = openSync(fresh, 'w', 0o600);
    writeSync(file, `${owner()}\n${[...this.#living.values()].map(entryOf).join('')}`);
    renameSync(fresh, this.#path);
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = file;
    this.#lines = this.#living.size;
  }

  /** Children are served with or without the list. */
  #try(work: () => void): void {
    if (this.#broken) return;
    try {
      work();
    } catch (error) {
      this.#broken = true;
      const why = error instanceof Error ? error.message : String(error);
      this.#log.warn(
        { why },
        `the list of server processes cannot be kept: ${why}; only the child watcher protects them`,
      );
    }
  }
}

const entryOf = ({ group, mark, since }: Lineage): string => `+ ${group} ${mark} ${since ?? ''}\n`;

/**
 * Ends what lists in `folder` still name whose owners are gone, and removes these lists. Only processes that bear the mark
 * which their list names are ended, and groups that such a process or the recorded leader is in: numbers alone prove nothing.
 * Resolves with the number of lists that named something living. Never rejects.
 */
export async function clearLists(folder: string, { log }: ChildListComponents): Promise<number> {
  let cleared = 0;
  for (const path of await listsIn(folder)) {
    try {
      cleared += (await clearList(path, log)) ? 1 : 0;
    } catch (error) {
      // Its owner has ended in good order meanwhile.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      log.warn({ err: error, path }, 'what an earlier run left behind could not be ended');
    }
  }
  return cleared;
}

async function clearList(path: string, log: Log): Promise<boolean> {
  const [owner = '', ...entries] = (await readFile(path, 'utf8')).split('\n');
  const [pid = '', start = '', boot = '', namespace = ''] = owner.split(' ');
  const here = machine();
  // Another container: its processes are none that can be seen from here.
  if (boot === here.boot && namespace !== here.namespace) return false;
  if (boot === here.boot && isRunning(Number(pid), Number(start))) return false;
  // Processes do not outlive the system that they ran on.
  const named = boot === here.boot ? living(entries) : [];
  const ours = await stillOurs(named);
  if (ours.length > 0) {
    log.warn(
      { groups: ours.map(({ group }) => group), pid: Number(pid) },
      'ending servers that a killed proxy left behind',
    );
    await endLineages(ours, GRACE_MS);
  }
  await rm(path, { force: true });
  return ours.length > 0;
}

function living(entries: readonly string[]): Lineage[] {
  const found = new Map<number, Lineage>();
  for (const entry of entries) {
    const [verb, number = '', mark = '', since = ''] = entry.split(' ');
    const group = Number(number);
    if (verb === '-') found.delete(group);
    else if (verb === '+' && group > 1 && mark.length > 30)
      found.set(group, since === '' ? { group, mark } : { group, mark, since: Number(since) });
  }
  return [...found.values()];
}

async function listsIn(folder: string): Promise<string[]> {
  try {
    if (!isOwn(folder)) return [];
    return (await readdir(folder)).filter((name) => name.endsWith(SUFFIX)).map((name) => join(folder, name));
  } catch {
    // There is none yet, or it is not ours to read.
    return [];
  }
}

/** Whether a process runs that was started then; 0: whenever it was. */
export function isRunning(pid: number, start: number): boolean {
  if (start !== 0) return startOf(pid) === start;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function owner(): string {
  const { boot, namespace } = machine();
  return `${process.pid} ${startOf(process.pid) ?? 0} ${boot} ${namespace}`;
}

/** What process numbers mean something in. Without /proc: this machine, whenever. */
export function machine(): { readonly boot: string; readonly namespace: string } {
  const read = (from: () => string): string => {
    try {
      return from().trim();
    } catch {
      return '-';
    }
  };
  return {
    boot: read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    namespace: read(() => readlinkSync('/proc/self/ns/pid')),
  };
}

function ownFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!isOwn(folder)) throw new Error(`${folder} belongs to another user, or others may write to it`);
}

/** Whether nobody else could have put lists there. */
function isOwn(folder: string): boolean {
  const stat = lstatSync(folder);
  return (
    stat.isDirectory() && (process.getuid === undefined || (stat.uid === process.getuid() && (stat.mode & 0o022) === 0))
  );
}
