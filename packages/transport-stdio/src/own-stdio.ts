import type { Readable, Writable } from 'node:stream';
import { type Clock, type Connection, type ConnectionSink, type Log, ProxyError } from '@shadowcat/kernel';
import { asLine, LineSplitter } from './line-splitter.js';

export interface OwnStdioOptions {
  /** `process.stdin`. */
  readonly input: Readable;
  /** `process.stdout`. Nothing else may write to it. */
  readonly output: Writable;
  /** The longest line taken, in bytes. Default 10 MiB; a longer one is dropped and logged. */
  readonly maxLine?: number;
}

export interface OwnStdioComponents {
  readonly clock: Clock;
  readonly log: Log;
}

const MAX_LINE = 10 * 1024 * 1024;
/** How long the end waits for what is still to be written. */
const LINGER_MS = 2000;
const DONE = Promise.resolve();

/**
 * The line to whoever started this process: one message a line on stdin and stdout. When stdin ends, `closed` is told, and
 * answers may still be sent until the line is disposed or stdout breaks; disposing waits 2 s for a reader at most. Lines that are no JSON are delivered too, so that they
 * can be answered. The streams belong to the process and are not destroyed.
 */
export function ownStdio(options: OwnStdioOptions, components: OwnStdioComponents): Connection {
  return new OwnStdio(options, components);
}

class OwnStdio implements Connection {
  readonly name = 'stdio';
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #components: OwnStdioComponents;
  readonly #splitter: LineSplitter;
  #sink: ConnectionSink | undefined;
  #told = false;
  #ending: Promise<void> | undefined;
  /** Why nothing can be sent any more. */
  #over: ProxyError | undefined;
  #drain: PromiseWithResolvers<void> | undefined;

  constructor(options: OwnStdioOptions, components: OwnStdioComponents) {
    this.#input = options.input;
    this.#output = options.output;
    this.#components = components;
    const limit = options.maxLine ?? MAX_LINE;
    this.#splitter = new LineSplitter(limit, {
      line: (text) => this.#sink?.message(text),
      tooLong: (start) => this.#tooLong(start, limit),
    });
    // This listener stays for good: an error that comes late must not end the process.
    this.#output.on('error', this.#onOutputError);
    this.#output.on('close', this.#onOutputClose);
    this.#output.on('drain', this.#onDrain);
  }

  send(text: string): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (this.#ending !== undefined) return Promise.reject(closedError());
    return this.#write(text);
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

  [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    if (this.#over !== undefined) return;
    const late = this.#components.clock.timer(LINGER_MS, () => this.#finish(closedError()));
    await this.#drain?.promise.catch(() => {});
    late.cancel();
    this.#finish(closedError());
    this.#tellClosed(undefined);
  }

  #write(text: string): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (this.#output.write(asLine(text)) && this.#drain === undefined) return DONE;
    if (this.#drain === undefined) {
      this.#drain = Promise.withResolvers();
      // A sender that does not wait must not become an unhandled rejection when the line ends.
      this.#drain.promise.catch(() => {});
    }
    return this.#drain.promise;
  }

  #finish(reason: ProxyError): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    this.#input.off('data', this.#onData);
    this.#input.off('end', this.#onEnd);
    this.#input.off('close', this.#onEnd);
    this.#input.pause();
    this.#output.off('drain', this.#onDrain);
    this.#output.off('close', this.#onOutputClose);
    this.#drain?.reject(reason);
    this.#drain = undefined;
  }

  #tellClosed(reason: ProxyError | undefined): void {
    if (this.#told) return;
    this.#told = true;
    this.#sink?.closed(reason);
  }

  #tooLong(start: string, limit: number): void {
    this.#components.log.warn({ start }, `a line on stdin is longer than ${limit} bytes and was dropped`);
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

  readonly #onOutputError = (error: NodeJS.ErrnoException): void => {
    const gone = error.code === 'EPIPE' || error.code === 'ECONNRESET';
    const words = gone ? 'the client that started this process is gone' : `stdout failed: ${error.message}`;
    this.destroy(new ProxyError('upstream_closed', words, { cause: error }));
  };

  readonly #onOutputClose = (): void => {
    this.destroy(new ProxyError('upstream_closed', 'stdout was closed'));
  };

  readonly #onDrain = (): void => {
    this.#drain?.resolve();
    this.#drain = undefined;
  };
}

function closedError(): ProxyError {
  return new ProxyError('upstream_closed', 'the line on stdin and stdout was closed');
}
