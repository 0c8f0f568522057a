import {
  Body,
  type Clock,
  type Exchange,
  type HeaderMap,
  ProxyError,
  type Reply,
  reply,
  type Timer,
} from '@shadowcat/kernel';
import type { Era } from './call.js';
import type { Flying } from './correlator.js';
import { FrameQueue } from './frame-queue.js';
import { jsonFraming } from './json-framing.js';
import type { Message } from './jsonrpc.js';
import { errorText } from './replies.js';
import { failureSlot } from './slots.js';
import { sseFraming } from './sse-framing.js';

export interface FlightOptions {
  readonly exchange: Exchange;
  readonly era: Era;
  readonly scope: string;
  readonly batch: boolean;
  /** Without an answer for this long the reply becomes a stream, so that keep-alives can flow. */
  readonly commitAfterMs: number;
  /** What may lie unread on the stream, in characters. */
  readonly queueLimit: number;
  /** The client left before everything was answered. */
  readonly left: (flight: Flight) => void;
  readonly clock: Clock;
}

const encoder = new TextEncoder();

const JSON_HEADERS: HeaderMap = { 'content-type': 'application/json' };

/** Streams are passed on as they come by every hop that reads these. */
export const SSE_HEADERS: HeaderMap = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/**
 * One POST with requests, on its way over a line. Its reply is decided by what comes first: the final answer makes it JSON
 * (for a batch: all of them), anything else makes it a stream, which ends after the last answer.
 */
export class Flight {
  readonly scope: string;
  readonly reply: Promise<Reply>;
  readonly #options: FlightOptions;
  readonly #unanswered = new Set<Flying<unknown>>();
  readonly #outcome = Promise.withResolvers<Reply>();
  #timer: Timer;
  /** Answers that came while the reply was undecided. */
  #answers: string[] = [];
  #queue: FrameQueue | undefined;
  #over = false;
  #whenOver: (() => void) | undefined;

  constructor(options: FlightOptions) {
    this.scope = options.scope;
    this.#options = options;
    this.reply = this.#outcome.promise;
    this.#timer = options.clock.timer(options.commitAfterMs, () => this.#commit());
  }

  /**
   * Whether its client is known to have left. A legacy client may do so without cancelling, and while there is nothing to
   * send nobody notices, unless asked.
   */
  get deserted(): boolean {
    return this.#over || this.#options.exchange.signal.aborted;
  }

  /** Whether it was given up because it took too long (2025-11-25, Lifecycle, "Timeouts"). */
  get late(): boolean {
    const { signal } = this.#options.exchange;
    return signal.aborted && ProxyError.from(signal.reason).code === 'upstream_timeout';
  }

  /** Answered, failed, or its client is gone. */
  get over(): boolean {
    return this.#over;
  }

  /** Runs `done` as soon as it is over. */
  whenOver(done: () => void): void {
    this.#whenOver = done;
  }

  get unanswered(): ReadonlySet<Flying<unknown>> {
    return this.#unanswered;
  }

  /** One more request that belongs to it. */
  add(entry: Flying<unknown>): void {
    this.#unanswered.add(entry);
  }

  /** A final answer. `message` is the server's own. */
  answer(entry: Flying<unknown>, text: string, message: Message): void {
    if (!this.#unanswered.delete(entry) || this.#over) return;
    const last = this.#unanswered.size === 0;
    if (this.#queue !== undefined) {
      this.#queue.owe(text);
      if (last) this.#end();
      return;
    }
    this.#answers.push(text);
    if (last) this.#answerJson(statusOf(message, this.#options.era));
  }

  /** A message on the way to the answer. `false`: the client does not read, or is gone. */
  message(text: string): boolean {
    if (this.#over) return false;
    return this.#commit().push(text);
  }

  /** There will be no answer to this request, because the client cancelled it or the server ended it. */
  drop(entry: Flying<unknown>): void {
    if (!this.#unanswered.delete(entry) || this.#over || this.#unanswered.size > 0) return;
    // An answer to a cancelled request must not be sent; a stream that ends without one is what is left.
    if (this.#queue === undefined && this.#answers.length > 0) this.#answerJson(200);
    else {
      this.#commit();
      this.#end();
    }
  }

  /** What is unanswered gets this error: as a reply while that is undecided, else as messages. */
  fail(error: ProxyError): void {
    if (this.#over) return;
    const errors = [...this.#unanswered].map((entry) => errorText(error, entry.idText));
    this.#unanswered.clear();
    if (this.#queue === undefined && this.#answers.length === 0) {
      this.#finish();
      this.#outcome.reject(error);
      return;
    }
    // The reply is a good one as far as those outside can see, so they are told.
    this.#options.exchange.context.set(failureSlot, error);
    if (this.#queue === undefined) {
      this.#answers.push(...errors);
      this.#answerJson(200);
    } else {
      for (const text of errors) this.#queue.owe(text);
      this.#end();
    }
  }

  /** The client is dropped: its stream breaks off. */
  breakOff(error: ProxyError): void {
    if (this.#over) return;
    this.#finish();
    if (this.#queue === undefined) this.#outcome.reject(error);
    else this.#queue.fail(error);
  }

  #answerJson(status: number): void {
    this.#finish();
    const text = this.#options.batch ? `[${this.#answers.join(',')}]` : (this.#answers[0] ?? '');
    this.#outcome.resolve(reply({ status, headers: JSON_HEADERS }, Body.whole(encoder.encode(text), jsonFraming)));
  }

  #commit(): FrameQueue {
    if (this.#queue !== undefined) return this.#queue;
    this.#timer.cancel();
    const left = (): void => this.#left();
    const queue = new FrameQueue(this.#options.queueLimit, left);
    this.#queue = queue;
    for (const text of this.#answers) queue.owe(text);
    this.#answers = [];
    this.#outcome.resolve(reply({ status: 200, headers: SSE_HEADERS }, Body.fromFrames(queue, sseFraming), left));
    return queue;
  }

  #left(): void {
    if (this.#over) return;
    this.#finish();
    this.#queue?.end();
    this.#options.left(this);
  }

  #end(): void {
    this.#finish();
    this.#queue?.end();
  }

  #finish(): void {
    this.#over = true;
    this.#timer.cancel();
    this.#whenOver?.();
  }
}

/** Modern errors have HTTP statuses (2026-07-28, Streamable HTTP, "Sending Messages to the Server"); legacy ones are 200. */
function statusOf(message: Message, era: Era): number {
  if (era === 'legacy') return 200;
  const error = message.value['error'];
  if (typeof error !== 'object' || error === null) return 200;
  const { code } = error as { readonly code?: unknown };
  if (code === -32601) return 404;
  return typeof code === 'number' && BAD_REQUEST.has(code) ? 400 : 200;
}

const BAD_REQUEST: ReadonlySet<number> = new Set([-32700, -32600, -32602, -32020, -32021, -32022]);
