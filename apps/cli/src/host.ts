import type { Log } from '@shadowcat/kernel';
import type { Environment } from './config/environment.js';
import type { Stack } from './stack/contract.js';

/** Tells a run when to stop. */
export interface Stopping extends Disposable {
  /** Aborted once, with the signal's name as its reason. */
  readonly signal: AbortSignal;
}

export interface StopOptions {
  /** How long what is in flight may take after the first signal. */
  readonly drainMs: number;
  readonly log: Log;
  /** What SIGHUP asks for where no terminal is closed with it; without it, it is one more way to say: end. */
  readonly reload?: () => void;
}

/** What the command line sees of the process it runs in; tests bring their own. */
export interface Host {
  readonly env: Environment;
  readonly cwd: string;
  /** Node's version, such as `24.1.0`. */
  readonly node: string;
  /** Whether stderr is a terminal. */
  readonly terminal: boolean;
  /** How many columns stdout has; `undefined` where it is no terminal. */
  readonly columns: number | undefined;
  /** Writes data to stdout. */
  out(text: string): void;
  /** Writes text for people to stderr. */
  err(text: string): void;
  /** From now on the process stops in good order when it is asked to. */
  stopping(options: StopOptions): Stopping;
  /** Loads what `reverse`, `record` and `replay` run; late, because the other commands do without it. */
  stack(): Promise<Stack>;
}
