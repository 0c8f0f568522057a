import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { descendantsOf, isAlive, type ProcessRow, processesWithEnv } from './process-table.js';
import { Tail } from './tail.js';

/**
 * Set to a value of its own for every process started here, and inherited by whatever that process starts. The proxy passes
 * it on to its children only with `--env` and this name.
 */
export const OWNER_VARIABLE = 'SHADOWCAT_E2E_OWNER';

/** How long a process may take to be gone after SIGKILL. */
const KILLED_MS = 2000;

export interface ProcessOptions {
  readonly command: string;
  readonly args?: readonly string[];
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** `pipe` if the test wants to write to it; default `ignore`. */
  readonly stdin?: 'ignore' | 'pipe';
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StopOptions {
  /** Default SIGTERM. */
  readonly signal?: NodeJS.Signals;
  /** After so long it is killed; default 20 s. */
  readonly graceMs?: number;
}

const live = new Set<OwnedProcess>();
/** Those that lived since {@link forgetEnded} was called last. */
const recent = new Set<OwnedProcess>();
/** Lines of stderr that say what became of a process. */
const LAST_LINES = 20;
process.on('exit', () => {
  for (const owned of live) owned.kill();
});

/**
 * A child process in a group of its own. Disposing it ends it, first gently; then whatever it has started and left behind
 * is killed, so that no test leaves a process. What it left can be asked for before, with {@link OwnedProcess.survivors}.
 */
export class OwnedProcess implements AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #command: string;
  readonly #child: ChildProcess;
  readonly #stdout = new Tail();
  readonly #stderr = new Tail();
  readonly #owner = randomUUID();

  private constructor(options: ProcessOptions) {
    const { command, args = [], env, cwd, stdin = 'ignore' } = options;
    this.#child = spawn(command, [...args], {
      cwd,
      env: { ...process.env, ...env, [OWNER_VARIABLE]: this.#owner },
      stdio: [stdin, 'pipe', 'pipe'],
      detached: true,
    });
    this.pid = this.#child.pid ?? 0;
    this.#command = [command, ...args]
      .map((word) => basename(word))
      .join(' ')
      .slice(0, 200);
    follow(this.#child.stdout, this.#stdout);
    follow(this.#child.stderr, this.#stderr);
    this.exited = this.#waitForExit();
    this.exited.catch(() => {});
  }

  /** Rejects if the command cannot be run. */
  static async start(options: ProcessOptions): Promise<OwnedProcess> {
    const owned = new OwnedProcess(options);
    await once(owned.#child, 'spawn');
    live.add(owned);
    recent.add(owned);
    return owned;
  }

  /** What it was started as, how it ended, and the end of its stderr. */
  get lastWords(): string {
    const { exitCode, signalCode } = this.#child;
    const how = exitCode === null && signalCode === null ? 'runs' : `ended with ${signalCode ?? exitCode}`;
    const lines = this.stderr.trimEnd().split('\n').slice(-LAST_LINES);
    return [`${this.#command} (pid ${this.pid}) ${how}; on stderr:`, ...lines].join('\n');
  }

  get stdin(): NodeJS.WritableStream | null {
    return this.#child.stdin;
  }

  get stdout(): string {
    return this.#stdout.text;
  }

  get stderr(): string {
    return this.#stderr.text;
  }

  /**
   * The first line of stdout or stderr that matches, whenever it came.
   * @throws if the process ends or `timeoutMs` (default 45 s) pass without it; the message quotes stderr
   */
  async line(pattern: RegExp, options: { from?: 'stdout' | 'stderr'; timeoutMs?: number } = {}): Promise<string> {
    const { from = 'stdout', timeoutMs = 45_000 } = options;
    const timer = new AbortController();
    const late = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
    const line = await Promise.race([(from === 'stdout' ? this.#stdout : this.#stderr).line(pattern), late]);
    timer.abort();
    if (line !== undefined) return line;
    throw new Error(`no line ${pattern} on ${from} of ${this.#child.spawnargs.join(' ')}\n${this.stderr.slice(-2000)}`);
  }

  /** Sends a signal to the process alone and waits for its end; kills its group if it takes too long. */
  async stop({ signal = 'SIGTERM', graceMs = 20_000 }: StopOptions = {}): Promise<Exit> {
    this.#child.kill(signal);
    const timer = new AbortController();
    delay(graceMs, undefined, { signal: timer.signal }).then(
      () => this.kill(),
      () => {},
    );
    try {
      return await this.exited;
    } finally {
      timer.abort();
    }
  }

  /** Kills the whole group at once. */
  kill(): void {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Nobody is left in the group.
    }
  }

  /** Its live children, their children, and so on. */
  descendants(): ProcessRow[] {
    return descendantsOf(this.pid);
  }

  /** All live processes that stem from it, even those whose parents are gone; itself too, while it runs. */
  survivors(): ProcessRow[] {
    return processesWithEnv(OWNER_VARIABLE, this.#owner);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    // Before anything is killed: a process that is being taken down has no environment any more while it still is in the table.
    const left = this.survivors();
    this.kill();
    for (const { pid } of this.survivors()) killOne(pid);
    await until(() => this.survivors().length === 0 && !left.some(({ pid }) => isAlive(pid)), KILLED_MS);
    live.delete(this);
  }

  async #waitForExit(): Promise<Exit> {
    // `exit`, not `close`: a grandchild that keeps our pipes open must not keep us waiting.
    const [code, signal] = (await once(this.#child, 'exit')) as [number | null, NodeJS.Signals | null];
    await Promise.race([once(this.#child, 'close'), delay(200).then(() => this.#drained())]);
    return { code, signal, stdout: this.stdout, stderr: this.stderr };
  }

  /** Resolves when everything has been read that was in the pipes, also where this process had no time to read before. */
  async #drained(): Promise<void> {
    const read = (): number => this.#stdout.length + this.#stderr.length;
    for (let before = -1; before !== read(); ) {
      before = read();
      await turn();
    }
  }
}

/**
 * Starts a server that prints its URL as the first line on stdout.
 * @throws if that line does not come; nothing is left running then
 */
export async function startWithUrl(options: ProcessOptions): Promise<OwnedProcess & { readonly url: string }> {
  const owned = await OwnedProcess.start(options);
  try {
    const url = new URL((await owned.line(/./)).trim()).href;
    return Object.assign(owned, { url });
  } catch (error) {
    await owned[Symbol.asyncDispose]();
    throw error;
  }
}

/** Runs a command to its end, at most `timeoutMs` (default 60 s; then it is killed and `signal` says so). */
export async function run(options: ProcessOptions & { readonly timeoutMs?: number }): Promise<Exit> {
  await using owned = await OwnedProcess.start(options);
  const timer = new AbortController();
  delay(options.timeoutMs ?? 60_000, undefined, { signal: timer.signal }).then(
    () => owned.kill(),
    () => {},
  );
  const exit = await owned.exited;
  timer.abort();
  return exit;
}

/**
 * Where {@link freePort} looks: below what the system gives to connections and to who asks for port 0 (Linux: 32768 and up), so that
 * nobody gets the port before the program that it is for.
 */
const PORTS = { first: 20_000, count: 12_000 };
/** Each process begins somewhere else, so that two do not find the same port at the same time. */
let nextPort = randomInt(PORTS.count);

/** A TCP port on 127.0.0.1 where nobody listens. Prefer port 0 where a program can tell which it got. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < PORTS.count; tried += 1) {
    const port = PORTS.first + nextPort;
    nextPort = (nextPort + 1) % PORTS.count;
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** What the processes said last that lived since {@link forgetEnded} was called last, those included that have ended. */
export function lastWords(): string[] {
  return [...recent].map((owned) => owned.lastWords);
}

export function forgetEnded(): void {
  for (const owned of recent) if (!live.has(owned)) recent.delete(owned);
}

function follow(stream: NodeJS.ReadableStream | null, tail: Tail): void {
  stream?.setEncoding('utf8');
  stream?.on('data', (chunk: string) => tail.push(chunk));
  stream?.once('close', () => tail.end());
}

/** A killed process is gone a little later; nothing tells us when, since it may not be our child. */
async function until(done: () => boolean, timeoutMs: number): Promise<void> {
  for (let waited = 0; !done() && waited < timeoutMs; waited += 10) await delay(10);
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
