import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import process from 'node:process';
import { type Clock, type Log, ProxyError } from '@shadowcat/kernel';
import { type ChildConnection, ChildLine } from './child-connection.js';
import { spawnError } from './child-errors.js';
import { type GracePeriods, OwnedChild } from './child-process.js';
import { childEnvironment } from './environment.js';
import { Garbage } from './garbage.js';
import { LINEAGE_VARIABLE, startOf } from './lineage.js';
import { StderrTail } from './stderr-tail.js';
import type { Watcher } from './watcher.js';

export interface ChildOptions {
  /** Looked up on PATH; no shell is involved. */
  readonly command: string;
  readonly args?: readonly string[];
  /** What to call it in words for people. Default: the last part of `command`. */
  readonly name?: string;
  /** Absolute. Default: ours. */
  readonly cwd?: string;
  /** Added to the allow-listed environment, see `childEnvironment`. */
  readonly env?: Readonly<Record<string, string>>;
  /** The longest line it may write, in bytes. Default 10 MiB. */
  readonly maxLine?: number;
  /** Default 2 s each. */
  readonly grace?: Partial<GracePeriods>;
}

export interface ChildComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Ends what is left when this process dies; without one, children may outlive a SIGKILL of this process. */
  readonly watcher?: Watcher;
  /** Each line the child writes to stderr. May not throw. */
  readonly onStderr?: (line: string, pid: number) => void;
  /** Each line of its output that is no message, cut at 2000 characters. May not throw. */
  readonly onGarbage?: (line: string, pid: number) => void;
}

const MAX_LINE = 10 * 1024 * 1024;
const STDERR_TAIL = 64 * 1024;
const GRACE: GracePeriods = { stdinMs: 2000, termMs: 2000 };

/**
 * Starts a server and gives the line to it, as the leader of a process group of its own. Rejects with `spawn_failed`. The
 * line owns the process: disposing or destroying it ends the process and everything that it started.
 */
export async function openChild(
  options: ChildOptions,
  components: ChildComponents,
  signal?: AbortSignal,
): Promise<ChildConnection> {
  if (signal?.aborted === true) throw ProxyError.from(signal.reason, 'cancelled');
  const cwd = options.cwd ?? process.cwd();
  const mark = randomUUID();
  const child = start(options, cwd, mark);
  const { pid } = child;
  // Node knows by now whether the command could be executed; only the reason comes by an event.
  if (pid === undefined) throw await failedStart(child, { command: options.command, cwd });
  const { clock, log, watcher, onGarbage } = components;
  // From here on the process exists, and so does its owner: nothing may fail in between.
  const since = startOf(pid);
  const lineage = since === undefined ? { group: pid, mark } : { group: pid, mark, since };
  const owned = new OwnedChild({ child, lineage, grace: { ...GRACE, ...options.grace }, clock, watcher });
  child.on('error', (error) => log.warn({ pid, err: error }, 'the server process reported an error'));
  log.debug({ pid, command: options.command }, 'started a server process');
  const command = options.name ?? basename(options.command);
  return new ChildLine({
    pid,
    command,
    child,
    owned,
    clock,
    stderr: drainStderr(child, pid, components.onStderr),
    garbage: new Garbage(log, { pid, command }, onGarbage === undefined ? undefined : (line) => onGarbage(line, pid)),
    maxLine: options.maxLine ?? MAX_LINE,
  });
}

function start(options: ChildOptions, cwd: string, mark: string): ChildProcessWithoutNullStreams {
  try {
    return spawn(options.command, [...(options.args ?? [])], {
      cwd,
      env: { ...childEnvironment(process.env, options.env), [LINEAGE_VARIABLE]: mark },
      stdio: ['pipe', 'pipe', 'pipe'],
      shell: false,
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
  } catch (thrown) {
    throw spawnError(thrown, { command: options.command, cwd });
  }
}

function failedStart(
  child: ChildProcessWithoutNullStreams,
  what: { command: string; cwd: string },
): Promise<ProxyError> {
  return new Promise((resolve) => child.once('error', (error) => resolve(spawnError(error, what))));
}

/** Reads stderr from the first moment to the last: a child whose stderr is not read stands still. */
function drainStderr(
  child: ChildProcessWithoutNullStreams,
  pid: number,
  onStderr: ChildComponents['onStderr'],
): StderrTail {
  const tail = new StderrTail(STDERR_TAIL, onStderr === undefined ? undefined : (line) => onStderr(line, pid));
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => tail.push(text));
  child.stderr.on('error', () => {});
  return tail;
}
