import type { Clock } from '@shadowcat/kernel';

/**
 * How long an answer stays behind the last progress notification about it. MCP SDK v1 reads both in one chunk when they
 * follow each other closely; it then handles the answer first and drops the notification as one with an unknown token. With
 * SDK 1.32.2, of 400 notifications 360 were lost without a pause, 352 with one turn of the event loop, 5 with 1 ms, and none
 * with 5 ms, also on a machine whose cores were all busy.
 */
const PAUSE_MS = 5;
/** A progress notification is short; longer texts are not looked into. */
const MAX_PROGRESS = 64 * 1024;
/** Where an id is looked for: implementations write it before or after the result. */
const EDGE = 200;
const MAX_TOKENS = 1000;

/** Decides how long a message has to wait because of a progress notification just before it. */
export class ProgressPacer {
  readonly #clock: Clock;
  /** When progress was last sent, by token (as JSON). */
  readonly #last = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For each message, in the order they are sent: the milliseconds it has to wait, mostly 0. */
  delayOf(text: string): number {
    if (text.length < MAX_PROGRESS && text.includes('"notifications/progress"')) {
      this.#remember(text);
      return 0;
    }
    if (this.#last.size === 0) return 0;
    const now = this.#clock.now();
    let delay = 0;
    for (const [token, at] of this.#last) {
      const rest = at + PAUSE_MS - now;
      if (rest <= 0) this.#last.delete(token);
      else if (mayAnswer(text, token)) delay = rest;
    }
    return delay;
  }

  #remember(text: string): void {
    const token = /"progressToken"\s*:\s*("(?:[^"\\]|\\.)*"|[-\d.eE+]+)/.exec(text)?.[1];
    if (token === undefined) return;
    if (this.#last.size >= MAX_TOKENS) this.#last.clear();
    this.#last.set(token, this.#clock.now());
  }
}

/**
 * Whether a message answers the request whose progress token is `token`: SDK v1 uses the request's id. A message whose id
 * is not where it usually is may.
 */
function mayAnswer(text: string, token: string): boolean {
  const edges = text.length <= 2 * EDGE ? text : `${text.slice(0, EDGE)} ${text.slice(-EDGE)}`;
  const ids = [...edges.matchAll(/"id"\s*:\s*("(?:[^"\\]|\\.)*"|[-\d.eE+]+)/g)].map((found) => found[1]);
  return ids.length === 0 ? !edges.includes('"method"') : ids.includes(token);
}
