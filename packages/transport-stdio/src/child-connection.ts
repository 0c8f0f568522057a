import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { type Clock, type Connection, type ConnectionSink, ProxyError, type Timer } from '@shadowcat/kernel';
import { type ChildExit, exitError } from './child-errors.js';
import type { OwnedChild } from './child-process.js';
import type { Garbage } from './garbage.js';
import { asLine, LineSplitter } from './line-splitter.js';
import type { StderrTail } from './stderr-tail.js';

/**
 * The line to a server that we started. Disposing it closes its stdin, then sends SIGTERM, then SIGKILL to its process group,
 * each after a grace, and resolves when neither the server nor anything that it started is left; destroying it sends SIGKILL at
 * once. When the server ends by itself, `closed` is told `child_exited` after all that it had written.
 */
export interface ChildConnection extends Connection {
  readonly pid: number;
  /** How the process ended. Never rejects. What it started may live a little longer, until the line is disposed. */
  readonly exit: Promise<ChildExit>;
  /** The end of what it wrote to stderr, 64 KiB at most. */
  stderrTail(): string;
}

export interface ChildLineParts {
  readonly pid: number;
  /** What the command is called in words for people. */
  readonly command: string;
  readonly child: ChildProcessWithoutNullStreams;
  readonly owned: OwnedChild;
  readonly stderr: StderrTail;
  readonly garbage: Garbage;
  readonly clock: Clock;
  readonly maxLine: number;
}

/** How long the rest of a dead child's output, or the exit of one that closed a pipe, may take. */
const LINGER_MS = 500;
const LAST_LINES = 20;
const DONE = Promise.resolve();

export class ChildLine implements ChildConnection {
  readonly name: string;
  readonly pid: number;
  readonly #parts: ChildLineParts;
  readonly #splitter: LineSplitter;
  #sink: ConnectionSink | undefined;
  /** Output from before anybody listened: one read's worth, the rest waits in the pipe. */
  #early: Buffer[] = [];
  /** Whether the sink is being told; before that, what comes is kept. */
  #started = false;
  #outputEnded = false;
  /** stdout and stderr are closed, too. */
  #outputOver = false;
  #linger: Timer | undefined;
  /** Set once the line is over: the reason for those who still send. */
  #over: ProxyError | undefined;
  /** What `closed` is told; `undefined` after an ending that we asked for. */
  #reason: ProxyError | undefined;
  #ending = false;
  #drain: PromiseWithResolvers<void> | undefined;

  constructor(parts: ChildLineParts) {
    this.#parts = parts;
    this.pid = parts.pid;
    this.name = `pid ${parts.pid}`;
    this.#splitter = new LineSplitter(parts.maxLine, {
      line: (text) => this.#line(text),
      tooLong: (start) => this.#tooLong(start),
    });
    const { child } = parts;
    const { stdin, stdout } = child;
    child.on('close', () => {
      this.#outputOver = true;
      this.#expectExit();
    });
    stdin.on('drain', () => this.#drained(undefined));
    // A child that closed its input usually is about to exit; its exit says more than EPIPE does.
    stdin.on('error', () => this.#expectExit());
    stdout.on('error', () => {});
    stdout.on('data', (chunk: Buffer) => this.#read(chunk));
    stdout.on('end', () => {
      this.#outputEnded = true;
      if (this.#started) this.#endOutput();
    });
    stdout.pause();
    void parts.owned.exited.then(() => this.#expectExit());
  }

  stderrTail(): string {
    return this.#parts.stderr.text;
  }

  get exit(): Promise<ChildExit> {
    return this.#parts.owned.exited;
  }

  send(text: string): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (this.#ending) return Promise.reject(this.#closedError());
    if (this.#parts.child.stdin.write(asLine(text)) && this.#drain === undefined) return DONE;
    if (this.#drain === undefined) {
      this.#drain = Promise.withResolvers();
      // A sender that does not wait must not become an unhandled rejection when the line ends.
      this.#drain.promise.catch(() => {});
    }
    return this.#drain.promise;
  }

  listen(sink: ConnectionSink): void {
    if (this.#sink !== undefined) throw new Error(`${this.name}: listen was called twice`);
    this.#sink = sink;
    queueMicrotask(() => this.#start(sink));
  }

  destroy(reason: ProxyError): void {
    this.#parts.owned.kill();
    this.#finish(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    await this.#parts.owned.end();
    this.#finish(undefined);
  }

  #start(sink: ConnectionSink): void {
    this.#started = true;
    if (this.#over !== undefined) {
      sink.closed(this.#reason);
      return;
    }
    for (const chunk of this.#early.splice(0)) this.#splitter.push(chunk);
    if (this.#outputEnded) this.#endOutput();
    else this.#parts.child.stdout.resume();
    if (this.#parts.owned.exit !== undefined) this.#expectExit();
  }

  #endOutput(): void {
    this.#splitter.end();
    this.#expectExit();
  }

  #read(chunk: Buffer): void {
    if (this.#over !== undefined) return;
    if (this.#started) {
      this.#splitter.push(chunk);
      return;
    }
    // Node resumes the output of a process that exited; it has to wait all the same.
    this.#early.push(chunk);
    this.#parts.child.stdout.pause();
  }

  #line(text: string): void {
    if (this.#over !== undefined) return;
    // Objects and arrays (batches). A line that is no JSON inside is found by whoever parses it.
    if (isBracketed(text)) this.#sink?.message(text);
    else {
      const trimmed = text.trim();
      if (isBracketed(trimmed)) this.#sink?.message(trimmed);
      else this.#parts.garbage.report(text);
    }
  }

  #tooLong(start: string): void {
    if (this.#over !== undefined) return;
    if (!/^\s*[[{]/.test(start)) {
      this.#parts.garbage.report(start);
      return;
    }
    // A message that somebody may wait for is lost, and nobody knows whose it was.
    const { command, maxLine } = this.#parts;
    const message = `the server command (${command}) wrote a message of more than ${maxLine} bytes, which is the limit`;
    this.destroy(new ProxyError('upstream_protocol', message));
  }

  /**
   * The line is over when the process has exited and all of its output was read, stderr too: it has the reason. A descendant
   * may hold the output open, and a process may close its pipes and live on; neither is waited for long.
   */
  #expectExit(): void {
    if (this.#over !== undefined) return;
    const exited = this.#parts.owned.exit !== undefined;
    // Until somebody listens, what it wrote is kept.
    if (exited && !this.#started) return;
    if (exited && this.#outputOver) this.#finishDead();
    else this.#linger ??= this.#parts.clock.timer(LINGER_MS, () => this.#finishDead());
  }

  #finishDead(): void {
    const { owned, stderr, command } = this.#parts;
    // Starts or joins the ending of what the child left behind, or of the child itself when it only closed its pipes.
    void owned.end();
    if (this.#ending) this.#finish(undefined);
    else if (owned.exit !== undefined) this.#finish(exitError(command, owned.exit, stderr.lastLines(LAST_LINES)));
    else this.#finish(new ProxyError('upstream_closed', `the server command (${command}) closed its stdin or stdout`));
  }

  #finish(reason: ProxyError | undefined): void {
    if (this.#over !== undefined) return;
    this.#reason = reason;
    this.#over = reason ?? this.#closedError();
    this.#linger?.cancel();
    this.#early = [];
    const { child, stderr, garbage } = this.#parts;
    stderr.end();
    garbage.end();
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    this.#drained(this.#over);
    if (this.#started) this.#sink?.closed(reason);
  }

  #closedError(): ProxyError {
    return new ProxyError('upstream_closed', `the line to the server command (${this.#parts.command}) was closed`);
  }

  #drained(error: ProxyError | undefined): void {
    const drain = this.#drain;
    this.#drain = undefined;
    if (error === undefined) drain?.resolve();
    else drain?.reject(error);
  }
}

function isBracketed(text: string): boolean {
  const first = text.charCodeAt(0);
  const last = text.charCodeAt(text.length - 1);
  return (first === 0x7b && last === 0x7d) || (first === 0x5b && last === 0x5d);
}
