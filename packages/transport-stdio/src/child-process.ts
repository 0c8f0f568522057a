import type { ChildProcess } from 'node:child_process';
import process from 'node:process';
import type { Clock } from '@shadowcat/kernel';
import type { ChildExit } from './child-errors.js';
import { endLineages, type Lineage, signalGroup } from './lineage.js';
import type { Watcher } from './watcher.js';

export interface GracePeriods {
  /** From the end of stdin to SIGTERM. */
  readonly stdinMs: number;
  /** From SIGTERM to SIGKILL. */
  readonly termMs: number;
}

export interface OwnedChildParts {
  readonly child: ChildProcess;
  readonly lineage: Lineage;
  readonly grace: GracePeriods;
  readonly clock: Clock;
  readonly watcher: Watcher | undefined;
}

const WINDOWS = process.platform === 'win32';

/** How long what was killed may take to be gone before we stop looking. */
const KILLED_MS = 2000;

/**
 * A child, the group it leads, and everything it started: ended in order, whole, once. Its own death starts the same
 * ending, so that nothing it started stays behind.
 */
export class OwnedChild {
  readonly #parts: OwnedChildParts;
  readonly #exited = Promise.withResolvers<ChildExit>();
  #exit: ChildExit | undefined;
  #ending: Promise<void> | undefined;
  #cleared: Promise<void> | undefined;
  #killed = false;

  constructor(parts: OwnedChildParts) {
    this.#parts = parts;
    parts.watcher?.add(parts.lineage);
    parts.child.on('exit', (code, signal) => {
      this.#exit = { code, signal };
      this.#exited.resolve(this.#exit);
      this.#cleared = this.#clear();
    });
  }

  /** How the child itself ended; it may have left others behind, see {@link end}. */
  get exit(): ChildExit | undefined {
    return this.#exit;
  }

  get exited(): Promise<ChildExit> {
    return this.#exited.promise;
  }

  /** Gently: end of stdin, SIGTERM to the group, SIGKILL to the group, each after its grace. Resolves when nothing is left. */
  end(): Promise<void> {
    this.#ending ??= this.#endGently();
    return this.#ending;
  }

  /** At once; also cuts short an ending that is under way. {@link end} then resolves when nothing is left. */
  kill(): void {
    this.#killed = true;
    this.#signal('SIGKILL');
    void this.end();
  }

  async #endGently(): Promise<void> {
    const { child, grace } = this.#parts;
    if (!this.#killed) {
      child.stdin?.end();
      if (!(await this.#exitsWithin(grace.stdinMs))) this.#signal('SIGTERM');
      if (!(await this.#exitsWithin(grace.termMs))) this.#signal('SIGKILL');
    }
    // A process that waits for a disk cannot be killed; whoever shuts down does not wait for it.
    await this.#exitsWithin(KILLED_MS);
    await this.#cleared;
  }

  #exitsWithin(ms: number): Promise<boolean> {
    if (this.#exit !== undefined) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = this.#parts.clock.timer(ms, () => resolve(false));
      void this.exited.then(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }

  /** Until its exit was reported, the leader's pid is ours, and so is the group of that number. */
  #signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.#exit !== undefined) return;
    if (WINDOWS) this.#parts.child.kill(signal);
    else signalGroup(this.#parts.lineage.group, signal);
  }

  /** After the child's own end: what it left behind ends too, and then nobody needs to watch it. */
  async #clear(): Promise<void> {
    const { lineage, grace, watcher } = this.#parts;
    if (!WINDOWS) await endLineages([lineage], this.#killed ? 0 : grace.termMs);
    watcher?.remove(lineage);
  }
}
