import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import { clearTimeout, setTimeout } from 'node:timers';
import { fileURLToPath } from 'node:url';
import type { Log } from '@shadowcat/kernel';
import { type ChildList, openChildList } from './child-list.js';
import type { Lineage } from './lineage.js';

/** Knows which children must not outlive this process. */
export interface Watcher extends AsyncDisposable {
  add(lineage: Lineage): void;
  remove(lineage: Lineage): void;
  /** The watcher's pid, while it runs. */
  readonly pid: number | undefined;
}

const MAX_STARTS = 5;
/** More than the watcher takes to end what is left. */
const END_MS = 6000;

/**
 * One small process beside this one, started with the first child, that ends what is left of the children when this process
 * is gone without having done so itself (SIGKILL, out of memory, a crash). Make one per process, and dispose it after the
 * children; it then ends what it still has on its list. It does not keep this process alive.
 */
export function openWatcher(components: WatcherComponents): Watcher {
  return new WatcherHost(components);
}

export interface WatcherComponents {
  readonly log: Log;
  /** Where the children are listed for the next start, should the watcher be killed as well; absent: nowhere. */
  readonly listFolder?: string;
}

class WatcherHost implements Watcher {
  readonly #log: Log;
  readonly #lineages = new Map<number, Lineage>();
  #process: ChildProcess | undefined;
  #starts = 0;
  #closing: Promise<void> | undefined;

  readonly #list: ChildList | undefined;

  constructor({ log, listFolder }: WatcherComponents) {
    this.#log = log;
    this.#list = listFolder === undefined ? undefined : openChildList(listFolder, { log });
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  add(lineage: Lineage): void {
    this.#lineages.set(lineage.group, lineage);
    this.#list?.add(lineage);
    if (this.#process === undefined) this.#start();
    else this.#tell(`+ ${lineage.group} ${lineage.mark}`);
  }

  remove(lineage: Lineage): void {
    if (!this.#lineages.delete(lineage.group)) return;
    this.#list?.remove(lineage);
    this.#tell(`- ${lineage.group}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close().finally(() => this.#list?.close());
    return this.#closing;
  }

  #close(): Promise<void> {
    const watcher = this.#process;
    if (watcher?.pid === undefined || watcher.exitCode !== null || watcher.signalCode !== null)
      return Promise.resolve();
    return new Promise((resolve) => {
      const late = setTimeout(() => watcher.kill('SIGKILL'), END_MS);
      watcher.ref();
      watcher.once('exit', () => {
        clearTimeout(late);
        resolve();
      });
      watcher.stdin?.end();
    });
  }

  #start(): void {
    if (this.#closing !== undefined) return;
    if (this.#starts >= MAX_STARTS) {
      if (this.#starts === MAX_STARTS) this.#unwatched('it keeps ending');
      this.#starts = MAX_STARTS + 1;
      return;
    }
    this.#starts += 1;
    try {
      this.#process = this.#spawn();
    } catch (thrown) {
      // Some failures of spawn are thrown, others reported by an event. None may fail the child that was just started.
      this.#unwatched(thrown instanceof Error ? thrown.message : String(thrown));
      return;
    }
    for (const { group, mark } of this.#lineages.values()) this.#tell(`+ ${group} ${mark}`);
  }

  #spawn(): ChildProcess {
    // Next to this module, built or not: Node strips types by itself.
    const script = import.meta.url.endsWith('.ts') ? './lineage.ts' : './lineage.js';
    // A session of its own, so that a signal to our terminal or group does not reach it; no environment, so no mark.
    const watcher = spawn(
      process.execPath,
      ['--max-old-space-size=32', fileURLToPath(new URL(script, import.meta.url))],
      {
        stdio: ['pipe', 'ignore', 'ignore'],
        detached: true,
        windowsHide: true,
        env: {},
        cwd: process.platform === 'win32' ? undefined : '/',
      },
    );
    watcher.unref();
    watcher.on('error', (error) => this.#lost(watcher, error.message));
    watcher.on('exit', (code, signal) => this.#lost(watcher, signal ?? `exit code ${code}`));
    watcher.stdin?.on('error', () => {});
    (watcher.stdin as { unref?: () => void } | null)?.unref?.();
    return watcher;
  }

  #lost(watcher: ChildProcess, why: string): void {
    if (this.#process !== watcher) return;
    this.#process = undefined;
    if (this.#closing !== undefined) return;
    this.#log.warn({ why }, 'the child watcher ended; another one is started');
    this.#start();
  }

  #unwatched(why: string): void {
    this.#log.warn({ why }, 'there is no child watcher: server processes would outlive this process if it were killed');
  }

  #tell(line: string): void {
    // A pipe's write is handed to the kernel in this very turn, so a kill right after it does not lose it.
    this.#process?.stdin?.write(`${line}\n`);
  }
}
