import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { type Clock, type Connection, type ConnectionSink, ProxyError, type Timer } from '@shadowcat/kernel';
import { type ChildExit, exitError } from './child-errors.js';
import type { OwnedChild } from './child-process.js';
import { asLine, LineSplitter } from './line-splitter.js';
import type { StderrTail } from './stderr-tail.js';

/** The line to a server that we started. */
export interface ChildConnection extends Connection {
  readonly pid: number;
  /** The end of what it wrote to stderr. */
  readonly stderrTail: string;
  /** Set once the process has ended. */
  readonly exit: ChildExit | undefined;
}

export interface ChildLineParts {
  readonly pid: number;
  readonly child: ChildProcessWithoutNullStreams;
  readonly owned: OwnedChild;
  readonly stderr: StderrTail;
  readonly clock: Clock;
  readonly maxLineBytes: number;
  readonly onStray: ((text: string) => void) | undefined;
}

/** How long the rest of a dead child's output, or the exit of one that closed its output, may take. */
const LINGER_MS = 500;
const MAX_STRAY = 2000;
const DONE = Promise.resolve();

export class ChildLine implements ChildConnection {
  readonly name: string;
  readonly pid: number;
  readonly #parts: ChildLineParts;
  readonly #splitter: LineSplitter;
  #sink: ConnectionSink | undefined;
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
    this.#splitter = new LineSplitter(parts.maxLineBytes, {
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
    void parts.owned.exited.then(() => this.#expectExit());
  }

  get stderrTail(): string {
    return this.#parts.stderr.text;
  }

  get exit(): ChildExit | undefined {
    return this.#parts.owned.exit;
  }

  send(text: string): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (this.#parts.child.stdin.write(asLine(text)) && this.#drain === undefined) return DONE;
    if (this.#drain === undefined) {
      this.#drain = Promise.withResolvers();
      this.#drain.promise.catch(() => {});
    }
    return this.#drain.promise;
  }

  listen(sink: ConnectionSink): void {
    if (this.#sink !== undefined) throw new Error(`${this.name}: listen was called twice`);
    this.#sink = sink;
    if (this.#over !== undefined) {
      queueMicrotask(() => sink.closed(this.#reason));
      return;
    }
    const { stdout } = this.#parts.child;
    stdout.on('data', (chunk: Buffer) => this.#splitter.push(chunk));
    stdout.on('end', () => {
      this.#splitter.end();
      this.#expectExit();
    });
    if (this.exit !== undefined) this.#expectExit();
  }

  destroy(reason: ProxyError): void {
    this.#parts.owned.kill();
    void this.#parts.owned.end();
    this.#finish(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    await this.#parts.owned.end();
    this.#finish(undefined);
  }

  #line(text: string): void {
    if (this.#over !== undefined) return;
    const first = text.charCodeAt(0);
    const last = text.charCodeAt(text.length - 1);
    // Objects and arrays (batches). A line that is no JSON inside is found by whoever parses it.
    if ((first === 0x7b && last === 0x7d) || (first === 0x5b && last === 0x5d)) this.#sink?.message(text);
    else this.#unusual(text);
  }

  #unusual(text: string): void {
    const trimmed = text.trim();
    const json =
      (trimmed.startsWith('{') && trimmed.endsWith('}')) || (trimmed.startsWith('[') && trimmed.endsWith(']'));
    if (json) this.#sink?.message(trimmed);
    else this.#parts.onStray?.(text.slice(0, MAX_STRAY));
  }

  #tooLong(start: string): void {
    if (this.#over !== undefined) return;
    const { maxLineBytes, onStray } = this.#parts;
    if (!start.trimStart().startsWith('{')) {
      onStray?.(start);
      return;
    }
    // A message that somebody may wait for is lost, and nobody knows whose it was.
    const message = `the server process wrote a message of more than ${maxLineBytes} bytes; raise the line limit if that is wanted`;
    this.destroy(new ProxyError('upstream_protocol', message));
  }

  /**
   * The line is over when the process has exited and all of its output was read (stderr too: it has the reason). A descendant may hold the output open, and
   * a process may close its pipes and live on; neither is waited for long.
   */
  #expectExit(): void {
    if (this.#over !== undefined) return;
    if (this.exit !== undefined && this.#outputOver) {
      this.#finishDead();
      return;
    }
    if (this.exit !== undefined && this.#sink === undefined) return;
    this.#linger ??= this.#parts.clock.timer(LINGER_MS, () => this.#finishDead());
  }

  #finishDead(): void {
    const { owned, stderr } = this.#parts;
    // Starts or joins the ending of what the child left behind, or of the child itself when it only closed its pipes.
    void owned.end();
    if (this.#ending) this.#finish(undefined);
    else if (owned.exit !== undefined) this.#finish(exitError(owned.exit, stderr.lastLines(5)));
    else
      this.#finish(new ProxyError('upstream_closed', `the server process (${this.name}) closed its stdin or stdout`));
  }

  #finish(reason: ProxyError | undefined): void {
    if (this.#over !== undefined) return;
    this.#reason = reason;
    this.#over =
      reason ?? new ProxyError('upstream_closed', `the line to the server process (${this.name}) was closed`);
    this.#linger?.cancel();
    const { child, stderr } = this.#parts;
    stderr.end();
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    this.#drained(this.#over);
    this.#sink?.closed(reason);
  }

  #drained(error: ProxyError | undefined): void {
    const drain = this.#drain;
    this.#drain = undefined;
    if (error === undefined) drain?.resolve();
    else drain?.reject(error);
  }
}
