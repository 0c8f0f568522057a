import process from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { type Connection, type ConnectionSink, type Log, ProxyError } from '@shadowcat/kernel';
import { asLine, LineSplitter } from './line-splitter.js';

export interface OwnStdioOptions {
  /** Default 10 MiB. */
  readonly maxLineBytes?: number;
}

export interface OwnStdioComponents {
  readonly log: Log;
  /** Default: those of this process. */
  readonly input?: Readable;
  readonly output?: Writable;
}

const MAX_LINE_BYTES = 10 * 1024 * 1024;

/**
 * The line to whoever started this process: one message a line on stdin and stdout. When stdin ends, `closed` is told, and
 * answers may still be sent until the line is disposed. Nothing else may write to stdout.
 */
export function ownStdio(options: OwnStdioOptions, components: OwnStdioComponents): Connection {
  return new OwnStdio(options, components);
}

class OwnStdio implements Connection {
  readonly name = 'stdio';
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #log: Log;
  readonly #splitter: LineSplitter;
  #sink: ConnectionSink | undefined;
  #told = false;
  /** Why nothing can be sent any more. */
  #over: ProxyError | undefined;
  #drain: { readonly promise: Promise<void>; settle: (error?: ProxyError) => void } | undefined;

  constructor(options: OwnStdioOptions, components: OwnStdioComponents) {
    this.#input = components.input ?? process.stdin;
    this.#output = components.output ?? process.stdout;
    this.#log = components.log;
    const limit = options.maxLineBytes ?? MAX_LINE_BYTES;
    this.#splitter = new LineSplitter(limit, {
      line: (text) => this.#sink?.message(text),
      tooLong: (start) => this.#tooLong(start, limit),
    });
    this.#output.on('error', this.#onOutputError);
    this.#output.on('drain', this.#onDrain);
  }

  send(text: string): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (this.#output.write(asLine(text)) && this.#drain === undefined) return DONE;
    this.#drain ??= gate();
    return this.#drain.promise;
  }

  listen(sink: ConnectionSink): void {
    if (this.#sink !== undefined) throw new Error('listen was called twice');
    this.#sink = sink;
    this.#input.on('data', this.#onData);
    this.#input.on('end', this.#onEnd);
    this.#input.on('close', this.#onEnd);
    this.#input.on('error', this.#onInputError);
  }

  destroy(reason: ProxyError): void {
    this.#finish(reason);
    this.#tellClosed(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over !== undefined) return;
    await this.#drain?.promise.catch(() => {});
    this.#finish(new ProxyError('upstream_closed', 'stdio: the line was closed'));
    this.#tellClosed(undefined);
  }

  /** Lets go of both streams; they belong to the process and are not destroyed. */
  #finish(reason: ProxyError): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    this.#input.off('data', this.#onData);
    this.#input.off('end', this.#onEnd);
    this.#input.off('close', this.#onEnd);
    this.#input.off('error', this.#onInputError);
    this.#input.pause();
    this.#output.off('drain', this.#onDrain);
    this.#drain?.settle(reason);
    this.#drain = undefined;
  }

  #tellClosed(reason: ProxyError | undefined): void {
    if (this.#told) return;
    this.#told = true;
    this.#sink?.closed(reason);
  }

  #tooLong(start: string, limit: number): void {
    this.#log.warn({ start }, `a line on stdin is longer than ${limit} bytes and was dropped`);
  }

  readonly #onData = (chunk: Buffer): void => this.#splitter.push(chunk);

  readonly #onEnd = (): void => {
    if (this.#told) return;
    this.#splitter.end();
    this.#tellClosed(undefined);
  };

  readonly #onInputError = (error: Error): void => {
    this.#tellClosed(new ProxyError('upstream_closed', `stdin failed: ${error.message}`, { cause: error }));
  };

  readonly #onOutputError = (error: Error): void => {
    const reason = new ProxyError('upstream_closed', `stdout failed: ${error.message}`, { cause: error });
    this.#finish(reason);
    this.#tellClosed(reason);
  };

  readonly #onDrain = (): void => {
    this.#drain?.settle();
    this.#drain = undefined;
  };
}

const DONE = Promise.resolve();

function gate(): { promise: Promise<void>; settle: (error?: ProxyError) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => {});
  return { promise, settle: (error) => (error === undefined ? resolve() : reject(error)) };
}
