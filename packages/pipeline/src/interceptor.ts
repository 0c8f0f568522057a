import type { Log } from '@shadowcat/kernel';
import type { Era, MessageKind } from '@shadowcat/wire';

/** `client-to-server` is what a client sent, its answers to the server's requests included. */
export type Direction = 'client-to-server' | 'server-to-client';

/** One message on its way, as an interceptor is shown it. */
export interface Intercepted {
  readonly direction: Direction;
  readonly kind: MessageKind;
  /**
   * The message's method; for an answer the method of the request it answers. `(response)` where that is not known, which
   * is so for a client's answers to the server.
   */
  readonly method: string;
  /** The tool, prompt or resource that a client's request is about, and that the answer to it is about. */
  readonly target: string | undefined;
  readonly era: Era;
  /** The client-facing session id (legacy), to tell sessions apart. It is a secret: do not print it. */
  readonly session: string | undefined;
  /** The exchange's id, as the log has it. */
  readonly exchange: string;
  /** The JSON-RPC message: a copy for this one call, to be changed and given back with `modify`. */
  readonly message: Record<string, unknown>;
}

/** What an interceptor gets besides the message. */
export interface Control {
  /** Fires when nobody waits for the exchange any more. */
  readonly signal: AbortSignal;
  /** How often this interceptor has paused this message before. */
  readonly pauses: number;
  readonly log: Log;
}

/** What shall become of a message. */
export type Verdict =
  /** Goes on as it is. */
  | { readonly action: 'continue' }
  /** Goes on as `message`. Kind, id and method stay as they are. */
  | { readonly action: 'modify'; readonly message: object }
  /**
   * Does not go on. Who waits for its answer gets a JSON-RPC error with the id of the request, this reason, and `code`
   * (-32019 to -32000; without it the proxy's own for this case). A notification vanishes.
   */
  | { readonly action: 'block'; readonly reason: string; readonly code?: number }
  /** Held until the promise settles or that many milliseconds passed; then the same interceptor is asked again. */
  | { readonly action: 'pause'; readonly until: Promise<unknown> | number };

/**
 * Judges messages one by one: requests, notifications and responses, in both directions. Interceptors stand in a row; what
 * a client sends meets the first one first, what it gets meets the first one last, and each sees what those before it made
 * of the message. One that throws, or answers what it may not, has the message blocked.
 */
export interface Interceptor {
  /** For errors, log and metrics. */
  readonly name: string;
  /** Only messages of these methods (see `Intercepted.method`); `tools/*` is all that begin so. Default: all. */
  readonly methods?: readonly string[];
  /** Default: both. */
  readonly directions?: readonly Direction[];
  intercept(message: Intercepted, control: Control): Verdict | Promise<Verdict>;
}

const CONTINUE: Verdict = { action: 'continue' };

/** The verdicts, for those who like to write them as calls. */
export const verdict = {
  continue: (): Verdict => CONTINUE,
  modify: (message: object): Verdict => ({ action: 'modify', message }),
  block: (reason: string, code?: number): Verdict =>
    code === undefined ? { action: 'block', reason } : { action: 'block', reason, code },
  pause: (until: Promise<unknown> | number): Verdict => ({ action: 'pause', until }),
};

/**
 * The interceptors that a module exports as its default: one, or a list. Throws an `Error` of one plain line, which does not
 * name the module, when the export is something else.
 */
export function interceptorsOf(exported: unknown): readonly Interceptor[] {
  const list: readonly unknown[] = Array.isArray(exported) ? exported : [exported];
  for (const [index, item] of list.entries()) {
    const problem = problemOf(item);
    if (problem === undefined) continue;
    const which = Array.isArray(exported) ? `entry ${index + 1} of its default export` : 'its default export';
    throw new Error(`${which} is no interceptor: ${problem}; see docs/interceptors.md`);
  }
  return list as readonly Interceptor[];
}

function problemOf(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return 'it is not an object';
  const { name, intercept, methods, directions } = item as Partial<Record<keyof Interceptor, unknown>>;
  if (typeof name !== 'string' || name === '') return '`name` is not a text';
  if (typeof intercept !== 'function') return '`intercept` is not a function';
  if (methods !== undefined && !isListOf(methods, (entry) => typeof entry === 'string')) {
    return '`methods` is not a list of texts';
  }
  const isDirection = (entry: unknown): boolean => entry === 'client-to-server' || entry === 'server-to-client';
  if (directions !== undefined && !isListOf(directions, isDirection)) {
    return "`directions` is not a list of 'client-to-server' and 'server-to-client'";
  }
  return undefined;
}

function isListOf(value: unknown, fits: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(fits);
}
