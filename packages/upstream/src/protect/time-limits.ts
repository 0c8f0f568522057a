import {
  Body,
  type Clock,
  type Context,
  type Exchange,
  Frame,
  type Handler,
  InFlight,
  type Layer,
  Linked,
  ProxyError,
  type Reply,
  type RequestHead,
  type Timer,
  withHeaders,
  withReply,
} from '@shadowcat/kernel';
import { type Call, callSlot, errorText, failureSlot, OwedAnswers, targetSlot } from '@shadowcat/wire';
import { cancelRequests } from './cancellation.js';
import { discard } from './discard.js';

export interface TimeLimitOptions {
  /** Milliseconds that a request may take to the end of its answer, repetitions included; nothing extends it. 0: no limit. */
  readonly totalMs: number;
  /** Milliseconds that an answer which has begun may be silent; whatever comes starts them anew. 0: no limit. */
  readonly idleMs: number;
}

export type TimeLimits = Layer & {
  /** Cancels the timers; what is under way has no limits any more. */
  readonly close: () => void;
};

/**
 * Ends requests that take too long: with `upstream_timeout` while there is no answer, and in a stream that has begun with an
 * error for each request that is unanswered. Standing streams may take as long as they like. Whatever carries the request hears
 * of it by its signal.
 */
export function timeLimits(options: TimeLimitOptions, components: { readonly clock: Clock }): TimeLimits {
  const { totalMs, idleMs } = options;
  const limits = {
    total: new Limit(totalMs, components.clock, (due) => due.timed.expire('total', totalMs)),
    idle: new Limit(idleMs, components.clock, (due) => due.timed.expire('idle', idleMs)),
  };
  const layer: Layer = (next) => (exchange) => {
    const call = exchange.context.get(callSlot);
    if (call?.expectsAnswer !== true || call.method === 'subscriptions/listen') return next(exchange);
    return new Timed({ exchange, call, limits, next }).run();
  };
  const close = (): void => {
    limits.total.close();
    limits.idle.close();
  };
  return Object.assign(totalMs === 0 && idleMs === 0 ? NO_LIMITS() : layer, { close });
}

const NO_LIMITS = (): Layer => (next) => next;

interface Limits {
  readonly total: Limit;
  readonly idle: Limit;
}

/** What waits for one limit. */
class Due extends Linked {
  readonly timed: Timed;
  at = 0;

  constructor(timed: Timed) {
    super();
    this.timed = timed;
  }
}

/** One limit for all requests: they fall due in the order in which they began to wait, so that one timer is enough. */
class Limit {
  readonly #ms: number;
  readonly #clock: Clock;
  readonly #fire: (due: Due) => void;
  readonly #waiting = new InFlight<Due>();
  #timer: Timer | undefined;

  constructor(ms: number, clock: Clock, fire: (due: Due) => void) {
    this.#ms = ms;
    this.#clock = clock;
    this.#fire = fire;
  }

  /** From now on; also for one that waits already. */
  start(due: Due): void {
    if (this.#ms === 0) return;
    this.#waiting.delete(due);
    due.at = this.#clock.now() + this.#ms;
    this.#waiting.add(due);
    this.#timer ??= this.#clock.timer(this.#ms, () => this.#look());
  }

  stop(due: Due): void {
    // The timer stays, and perhaps finds nothing: one that is set anew for each request would be a timer for each request.
    this.#waiting.delete(due);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    for (let due = this.#waiting.first; due !== undefined; due = this.#waiting.first) {
      if (due.at > now) {
        this.#timer = this.#clock.timer(due.at - now, () => this.#look());
        return;
      }
      this.#waiting.delete(due);
      this.#fire(due);
    }
  }
}

interface TimedParts {
  readonly exchange: Exchange;
  readonly call: Call;
  readonly limits: Limits;
  readonly next: Handler;
}

/** One request with its limits, as those inside see it. */
class Timed implements Exchange {
  readonly id: string;
  readonly head: RequestHead;
  readonly body: Body;
  readonly context: Context;
  readonly #original: Exchange;
  readonly #call: Call;
  readonly #limits: Limits;
  readonly #next: Handler;
  readonly #total = new Due(this);
  readonly #idle = new Due(this);
  #controller: AbortController | undefined;
  #reject: ((error: ProxyError) => void) | undefined;
  #reply: Reply | undefined;
  #error: ProxyError | undefined;

  constructor({ exchange, call, limits, next }: TimedParts) {
    this.id = exchange.id;
    this.head = exchange.head;
    this.body = exchange.body;
    this.context = exchange.context;
    this.#original = exchange;
    this.#call = call;
    this.#limits = limits;
    this.#next = next;
  }

  /** Made on first use, as the client's own is. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      const { signal } = this.#original;
      if (signal.aborted) this.#pass();
      else signal.addEventListener('abort', this.#pass);
      if (this.#error !== undefined) this.#controller.abort(this.#error);
    }
    return this.#controller.signal;
  }

  run(): Promise<Reply> {
    this.#limits.total.start(this.#total);
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#next(this).then(
        (reply) => {
          if (this.#error === undefined) resolve(this.#begun(reply));
          else discard(reply);
        },
        (error: unknown) => {
          this.#end();
          reject(error as Error);
        },
      );
    });
  }

  expire(which: 'total' | 'idle', ms: number): void {
    const who = this.context.get(targetSlot) ?? 'the server';
    const what = which === 'total' ? 'did not finish its answer within' : 'was silent in the middle of its answer for';
    const error = new ProxyError('upstream_timeout', `${who} ${what} ${ms / 1000} s; the request was given up`);
    this.#error = error;
    this.#controller?.abort(error);
    this.#end();
    if (this.#reply === undefined) this.#reject?.(error);
    else discard(this.#reply);
    cancelRequests(this.#original, this.#call, this.#next);
  }

  readonly #pass = (): void => this.#controller?.abort(this.#original.signal.reason);

  #begun(reply: Reply): Reply {
    // What is here already is as good as sent.
    if (reply.body.ready !== undefined) {
      this.#end();
      return reply;
    }
    this.#reply = reply;
    this.#limits.idle.start(this.#idle);
    const { status, headers } = reply.head;
    const { framing } = reply.body;
    const body =
      framing.name === 'sse'
        ? Body.fromFrames(this.#frames(reply.body), framing)
        : Body.stream({ [Symbol.asyncIterator]: () => this.#bytes(reply.body) }, framing);
    const head = {
      status,
      headers: withHeaders(headers, framing.name === 'sse' ? { 'content-length': undefined } : {}),
    };
    return withReply(reply, { head, body, dispose: () => this.#end() });
  }

  async *#frames(body: Body): AsyncGenerator<Frame, void, undefined> {
    const owed = new OwedAnswers(this.#call.messages);
    try {
      for await (const frame of body.frames()) {
        // A client that reads slowly is no upstream that is silent.
        this.#limits.idle.stop(this.#idle);
        if (this.#error !== undefined) break;
        if (mayAnswer(frame)) owed.note(frame);
        yield frame;
        this.#limits.idle.start(this.#idle);
      }
    } catch (error) {
      if (this.#error === undefined) throw error;
    }
    if (this.#error === undefined) return;
    if (!owed.settled) this.context.set(failureSlot, this.#error);
    for (const idText of owed.idTexts) {
      yield new Frame({ text: errorText(this.#error, idText), sse: { event: 'message' } });
    }
  }

  async *#bytes(body: Body): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of body.bytes()) {
        this.#limits.idle.stop(this.#idle);
        yield chunk;
        this.#limits.idle.start(this.#idle);
      }
    } catch (error) {
      throw this.#error ?? error;
    }
    if (this.#error !== undefined) throw this.#error;
  }

  #end(): void {
    this.#limits.total.stop(this.#total);
    this.#limits.idle.stop(this.#idle);
    if (this.#controller !== undefined) this.#original.signal.removeEventListener('abort', this.#pass);
  }
}

/** Progress is not parsed: an answer has one of these members. */
function mayAnswer({ text }: Frame): boolean {
  return text !== undefined && (text.includes('"result"') || text.includes('"error"'));
}
