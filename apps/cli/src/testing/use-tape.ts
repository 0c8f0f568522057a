import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TapeTransport } from './client-transport.js';
import type { StdioCommand } from './endpoint.js';
import type { ConcurrentTest, Framework } from './frameworks.js';
import type { TapeOptions } from './options.js';
import { TapeError, tapeErrorOf } from './tape-error.js';
import { pathOf } from './tape-path.js';
import type { TapeSession, TapeSource } from './tape-session.js';
import { TapeUse } from './tape-use.js';

/** A server whose answers come from a tape. All three ways lead to the same sessions. */
export interface Tape {
  /** Streamable HTTP on loopback, at a port of its own. With `ws:` instead of `http:` it is a WebSocket, subprotocol `mcp`. */
  readonly url: string;
  /** For clients that launch servers: `new StdioClientTransport(tape.command)`. What is launched leads back into the test. */
  readonly command: StdioCommand;
  /** For clients in this process: `await client.connect(tape.transport())`. Each client needs its own. */
  transport(): TapeTransport;
  /** What really happens; `once` is one of the first two. */
  readonly mode: 'replay' | 'record' | 'live';
  /** Of the tape; absolute. */
  readonly path: string;
}

/** A tape that somebody closes. */
export interface OpenTape extends Tape, AsyncDisposable {
  /**
   * Closes it and everything connected to it; what was recorded becomes the tape. Rejects with a `TapeError` for requests that were not
   * on the tape, and for recordings that nobody asked for. Idempotent.
   */
  close(): Promise<void>;
}

/** What `useTape` returns: in a test, await it; in a file or a `describe`, use it in the tests. */
export interface UsedTape extends Tape, PromiseLike<Tape> {}

export interface UseTapeOptions extends TapeOptions {
  /** The context of a concurrent Vitest test, which does not know by itself which of them it is. */
  readonly test?: ConcurrentTest;
}

/** Looks after a tape with the hooks of a framework. `at`: an error made where the test calls. */
export function usedTape(
  framework: Framework,
  asked: { readonly name: string | URL; readonly options: UseTapeOptions; readonly at: Error },
): UsedTape {
  const { name, options, at } = asked;
  const { test, ...rest } = options;
  const { directory, owner, repeats, inTest, attach } = framework.spot({ ...callerOf(at), test });
  const use = new TapeUse({ source: sourceOf(name, rest, { directory, at }), at, owner, repeats });
  attach(use);
  return new Used(use, inTest ? undefined : at);
}

/**
 * The same for other test frameworks and for scripts: whoever opens the tape closes it, best with
 * `await using tape = await openTape('test/notes.tape.jsonl')`. Relative paths begin at the working directory. Rejects when the
 * tape cannot be opened.
 */
export async function openTape(name: string | URL, options: TapeOptions = {}): Promise<OpenTape> {
  const at = placeOf(openTape);
  const source = sourceOf(name, options, { directory: process.cwd(), at });
  const use = new TapeUse({ source, at, owner: undefined, repeats: false });
  const tape = viewOf(await use.open());
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= use.close({ complete: true });
    return closing;
  };
  return { ...tape, close, [Symbol.asyncDispose]: close };
}

/** Where somebody calls `callee`. */
export function placeOf(callee: (...parts: never[]) => unknown): Error {
  const at = new Error('a tape is asked for here');
  Error.captureStackTrace(at, callee);
  return at;
}

class Used implements UsedTape {
  readonly #use: TapeUse;
  readonly #outside: Error | undefined;

  /** `outside`: where it was asked for, if that is no test. */
  constructor(use: TapeUse, outside: Error | undefined) {
    this.#use = use;
    this.#outside = outside;
  }

  get url(): string {
    return this.#session().url;
  }

  get command(): StdioCommand {
    return this.#session().command;
  }

  get mode(): Tape['mode'] {
    return this.#session().mode;
  }

  get path(): string {
    return this.#session().path;
  }

  transport(): TapeTransport {
    return this.#session().transport();
  }

  // biome-ignore lint/suspicious/noThenProperty: one call serves a test, which waits for it, and a file, where hooks do
  then<R = Tape, F = never>(
    opened?: ((tape: Tape) => R | PromiseLike<R>) | null,
    failed?: ((reason: unknown) => F | PromiseLike<F>) | null,
  ): Promise<R | F> {
    return this.#open().then(opened, failed);
  }

  async #open(): Promise<Tape> {
    if (this.#outside !== undefined) {
      throw new TapeError(
        'useTape is awaited inside of a test only: in a file, a describe or a hook of theirs, call it in the file or the describe,\n' +
          'without await; it is open when their tests begin',
        this.#outside,
      );
    }
    return viewOf(await this.#use.open());
  }

  #session(): TapeSession {
    const { session } = this.#use;
    if (session !== undefined) return session;
    throw new Error(
      'the tape is not open: in a test, and at the top of a file of node:test, write `await useTape(…)`;\n' +
        'one for a describe or a file of Vitest is open in its hooks and tests',
    );
  }
}

/** The public side, which is no promise. */
function viewOf({ url, command, transport, mode, path }: TapeSession): Tape {
  return { url, command, transport, mode, path };
}

interface Caller {
  /** Where relative paths begin. */
  readonly directory: string;
  /** Made where the test calls. */
  readonly at: Error;
}

function sourceOf(name: string | URL, options: TapeOptions, { directory, at }: Caller): TapeSource {
  const fullPath = (file: string | URL): string => {
    const path = pathOf(file);
    return isAbsolute(path) ? path : resolve(directory, path);
  };
  const { overlay } = options;
  try {
    return {
      path: fullPath(name),
      name: String(name),
      options: overlay === undefined ? options : { ...options, overlay: [overlay].flat().map(fullPath) },
      place: { cwd: process.cwd(), env: process.env },
    };
  } catch (error) {
    throw tapeErrorOf(error, at);
  }
}

/** The file and line that the topmost frame of a stack is in. */
function callerOf({ stack = '' }: Error): { file: string | undefined; line: string | undefined } {
  const [, inBrackets, bare] = /\n\s+at (?:[^\n]*? \(([^\n]+)\)|(?:async )?([^\n]+))(?:\n|$)/.exec(stack) ?? [];
  const [, place, line] = /^(.+):(\d+):\d+$/.exec(inBrackets ?? bare ?? '') ?? [];
  return { file: place?.startsWith('file:') === true ? fileURLToPath(place) : place, line };
}
