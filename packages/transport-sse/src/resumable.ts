import {
  Body,
  type Clock,
  concat,
  type Frame,
  type Log,
  ProxyError,
  type Reply,
  type Timer,
  withHeaders,
  withReply,
} from '@shadowcat/kernel';
import { errorText, type JsonObject, type Message, OwedAnswers, sseFraming, whenSent } from '@shadowcat/wire';
import { type BackoffOptions, backoffDelay, DEFAULT_BACKOFF } from './backoff.js';
import { isEvent } from './resumption-event.js';

export interface ResumableOptions {
  /** The upstream, for messages. */
  readonly name: string;
  /** What the client sent: the stream owes an answer to each request among them. */
  readonly messages: readonly Message[];
  /** A standing stream owes nothing and ends only when it cannot be had again. */
  readonly standing: boolean;
  /**
   * The client's own `Last-Event-ID`, if it sent one. It may then be the rest of an answer that the client asks for, and a
   * stream that brought one may end.
   */
  readonly lastEventId?: string | undefined;
  /** Whether the client's `lastEventId` is known to be of a standing stream, so that there is no answer to come. */
  readonly silent?: boolean | undefined;
  readonly backoff?: Partial<BackoffOptions>;
}

export interface ResumableComponents {
  /**
   * Asks for the rest of the stream, for a standing one perhaps from no event on. Absent where streams cannot be resumed
   * (2026-07-28). May reject; a status that says "never" (400, 404, 405, …) ends the attempts.
   */
  readonly open?: ((lastEventId: string | undefined, signal: AbortSignal) => Promise<Reply>) | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
  /** Told how each interruption ended that the client stayed for. */
  readonly resumed?: ((outcome: Resumption) => void) | undefined;
  /**
   * Takes a function to call when another upstream session has taken the place of the one that the stream is of: it is then
   * opened anew at once, from no event on. Returns how to take that back.
   */
  readonly onRenewal?: ((renew: () => void) => () => void) | undefined;
  /** Told of each event with an answer to another exchange's request; such answers go nowhere. */
  readonly foreign?: (() => void) | undefined;
  /**
   * Told when the stream ends without answers that it owes, before errors come in their place. The reason has a cause where something broke,
   * and none where the upstream ended the stream in good order.
   */
  readonly gaveUp?: ((reason: ProxyError) => void) | undefined;
}

/** `ok`: the stream goes on; `failed`: all attempts failed; `refused`: the upstream said that another would not help. */
export type Resumption = 'ok' | 'failed' | 'refused';

/** Tells the client that its stream is interrupted and being taken up again; clients ignore it (WHATWG HTML, 9.2.6). */
const RECONNECTING_COMMENT = new TextEncoder().encode(': reconnecting\n\n');

/**
 * An upstream's SSE stream that its client can rely on. Whole events only are passed on. A stream that breaks, or that the
 * upstream closes before all answers came (2025-11-25, Transports, "Sending Messages to the Server", 6), is taken up again
 * with GET and `Last-Event-ID` while the client's stream stays open. Where that is impossible or fails, the stream ends
 * with a JSON-RPC error for each request that has no answer, so that no client waits for what will never come.
 */
export function resumable(first: Reply, options: ResumableOptions, components: ResumableComponents): Reply {
  // A short answer is often all there: nothing is left to watch over.
  const whole = first.body.ready;
  if (whole !== undefined && !options.standing && new OwedAnswers(options.messages).settledBy(whole)) return first;
  const stream = new ResumableStream(first, options, components);
  const body = Body.stream({ [Symbol.asyncIterator]: () => stream.bytes() }, sseFraming);
  const { status, headers } = first.head;
  const head = { status, headers: withHeaders(headers, { 'content-length': undefined }) };
  const forget = components.onRenewal?.(() => stream.renew());
  const dispose = async (): Promise<void> => {
    forget?.();
    await stream.stop();
  };
  return withReply(first, { head, body, dispose });
}

/** How one attempt to take a stream up went; `final`: another will go no better. */
type Attempt =
  | { readonly next: Reply; readonly error?: undefined; readonly final?: undefined }
  | { readonly next?: undefined; readonly error: ProxyError; readonly final: boolean };

class ResumableStream {
  readonly #options: ResumableOptions;
  readonly #components: ResumableComponents;
  readonly #backoff: BackoffOptions & { readonly random: () => number };
  readonly #owed: OwedAnswers;
  #controller: AbortController | undefined;
  #stopped = false;
  /** Another upstream session is there: the next attempt is due now. */
  #renewed = false;
  #current: Reply;
  #lastEventId: string | undefined;
  #retry: number | undefined;
  #failures = 0;
  #progressed = false;
  /** Whether a stream that the client itself resumed brought an answer. */
  #answered = false;
  #wake: (() => void) | undefined;
  /** How often the stream was taken up again, and how often in a row because nothing had come. */
  #taken = 0;
  #silences = 0;
  #silence: Timer | undefined;

  constructor(first: Reply, options: ResumableOptions, components: ResumableComponents) {
    this.#current = first;
    this.#options = options;
    this.#components = components;
    this.#backoff = { ...DEFAULT_BACKOFF, ...options.backoff, random: components.random ?? Math.random };
    this.#owed = new OwedAnswers(options.messages);
    this.#lastEventId = options.lastEventId;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#silence?.cancel();
    this.#controller?.abort();
    this.#wake?.();
    await this.#current[Symbol.asyncDispose]();
  }

  /** Event ids of the session that was mean nothing to the one that is. */
  renew(): void {
    this.#lastEventId = undefined;
    this.#renewed = true;
    this.#wake?.();
    void this.#current[Symbol.asyncDispose]();
  }

  /** Chunks that end with an event. What a stream left incomplete is not passed on. */
  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const decoder = sseFraming.decoder();
      const began = this.#components.clock.now();
      let broken: ProxyError | undefined;
      this.#progressed = false;
      this.#watchSilence();
      try {
        for await (const chunk of this.#current.body.bytes()) {
          const frames = decoder.push(chunk);
          if (frames.length === 0) continue;
          const own = this.#admitted(frames);
          if (this.#silence !== undefined && frames.some(isEvent)) {
            this.#silences = 0;
            this.#watchSilence();
          }
          if (own.length > 0) yield joined(own, chunk);
        }
      } catch (error) {
        broken = ProxyError.from(error, 'upstream_closed');
      }
      this.#silence?.cancel();
      if (this.#stopped || (!this.#renewed && this.#complete(broken))) return;
      await this.#current[Symbol.asyncDispose]();
      if (this.#resumes(broken)) yield RECONNECTING_COMMENT;
      // A stream that had nothing to say for long is no failure either.
      if (this.#components.clock.now() - began >= this.#backoff.maxDelay) this.#progressed = true;
      const next = await this.#resume(broken);
      if (next === undefined) return;
      if (next instanceof ProxyError) {
        yield* this.#lastWords(next);
        return;
      }
      this.#current = next;
      this.#taken += 1;
      if (this.#stopped) {
        await next[Symbol.asyncDispose]();
        return;
      }
    }
  }

  /**
   * Some servers send what they kept and never what comes after it (server-everything does): while an answer is missing, a
   * stream that was taken up again and stays silent is asked for again, after ever longer waits.
   */
  #watchSilence(): void {
    this.#silence?.cancel();
    this.#silence = undefined;
    const { standing, lastEventId, silent } = this.#options;
    const rest = standing ? lastEventId !== undefined && silent !== true : this.#taken > 0 && !this.#owed.settled;
    if (!rest || this.#answered) return;
    const ms = Math.min(this.#backoff.maxDelay, SILENCE_MS * 2 ** this.#silences);
    this.#silence = this.#components.clock.timer(ms, () => {
      if (this.#answered || this.#lastEventId === undefined) return;
      this.#silences += 1;
      this.#renewed = true;
      void this.#current[Symbol.asyncDispose]();
    });
  }

  #complete(broken: ProxyError | undefined): boolean {
    if (!this.#options.standing) return this.#owed.settled;
    return this.#answered && broken === undefined;
  }

  /** Notes what came, and leaves out what belongs to others. */
  #admitted(frames: readonly Frame[]): readonly Frame[] {
    let own = frames;
    for (const frame of frames) {
      this.#note(frame);
      const kept = this.#owed.admit(frame);
      if (kept === frame) continue;
      this.#components.foreign?.();
      own = own.flatMap((each) => (each === frame ? (kept ?? []) : each));
    }
    return own;
  }

  #note(frame: Frame): void {
    const { sse } = frame;
    if (sse?.id !== undefined) this.#lastEventId = sse.id === '' ? undefined : sse.id;
    if (sse?.retry !== undefined) this.#retry = sse.retry;
    if (sse?.id === undefined && frame.text === undefined) return;
    this.#progressed = true;
    if (this.#options.lastEventId !== undefined && !this.#answered) this.#answered = isAnswer(frame);
  }

  /** The stream that goes on, the reason why there is none, or `undefined` when nobody waits any more. */
  async #resume(broken: ProxyError | undefined): Promise<Reply | ProxyError | undefined> {
    const { open, log } = this.#components;
    const { name } = this.#options;
    let reason = broken ?? new ProxyError('upstream_closed', `${name} ended its stream before it answered`);
    if (open === undefined || !this.#resumes(broken)) return because(reason, broken);
    // A server that names a retry time and closes in good order wants to be polled: that is no failure.
    const polled = broken === undefined && this.#retry !== undefined;
    this.#failures = this.#progressed || polled || this.#renewed ? 0 : this.#failures + 1;
    let outcome: Resumption = 'failed';
    while (this.#failures < this.#backoff.tries) {
      const delay = backoffDelay(this.#failures, this.#retry, this.#backoff);
      if (!this.#renewed) await this.#pause(polled && !this.#progressed ? Math.max(delay, IDLE_POLL_MS) : delay);
      if (this.#stopped) return undefined;
      const { next, error, final } = await this.#open(open);
      if (this.#stopped) {
        await next?.[Symbol.asyncDispose]();
        return undefined;
      }
      if (next !== undefined) {
        log.debug({ lastEventId: this.#lastEventId }, `took up the stream of ${name} again`);
        this.#components.resumed?.('ok');
        return next;
      }
      reason = error;
      if (final) {
        outcome = 'refused';
        break;
      }
      this.#failures += 1;
    }
    this.#components.resumed?.(outcome);
    log.warn({ failures: this.#failures, reason: reason.message }, `gave up a stream of ${name}`);
    // The request was sent, whatever became of the attempts.
    return because(whenSent(reason), broken);
  }

  /** Whether there is a way to go on. What cannot be read will not read better the second time. */
  #resumes(broken: ProxyError | undefined): boolean {
    if (this.#components.open === undefined || broken?.code === 'upstream_protocol') return false;
    return this.#options.standing || this.#lastEventId !== undefined;
  }

  async #open(open: NonNullable<ResumableComponents['open']>): Promise<Attempt> {
    const controller = new AbortController();
    this.#controller = controller;
    // What comes while the stream is being opened is known to `open`.
    this.#renewed = false;
    try {
      const next = await open(this.#lastEventId, controller.signal);
      const { status } = next.head;
      if (status === 200 && next.body.framing.name === 'sse') {
        this.#renewed = false;
        return { next };
      }
      await next[Symbol.asyncDispose]();
      const message = `${this.#options.name} ended its stream and would not take it up again (HTTP ${status})`;
      const error = new ProxyError('upstream_closed', message);
      return { error, final: status < 500 && !PASSING.has(status) };
    } catch (thrown) {
      return { error: ProxyError.from(thrown, 'upstream_closed'), final: false };
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#components.clock.timer(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  *#lastWords(reason: ProxyError): Generator<Uint8Array, void, undefined> {
    if (!this.#owed.settled) this.#components.gaveUp?.(reason);
    for (const idText of this.#owed.idTexts) {
      yield encoder.encode(`event: message\ndata: ${errorText(reason, idText)}\n\n`);
    }
  }
}

/** The first silence after which a stream that was taken up again is asked for once more. */
const SILENCE_MS = 2_000;

/** A server that has had nothing to say since it was last polled is asked no more often than this, whatever it wants. */
const IDLE_POLL_MS = 100;

/** Statuses that may be different next time: timeout, another stream not yet ended, too early, too many requests. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429]);

const encoder = new TextEncoder();

/** The same error with a cause, if there is one. */
function because(error: ProxyError, cause: ProxyError | undefined): ProxyError {
  if (cause === undefined || error.cause !== undefined) return error;
  return new ProxyError(error.code, error.message, { cause });
}

function isAnswer(frame: Frame): boolean {
  const message = frame.message as JsonObject | undefined;
  return message?.['id'] !== undefined && message['method'] === undefined;
}

/** The bytes of `frames`: `chunk` itself when they are just that. */
function joined(frames: readonly Frame[], chunk: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const { bytes } of frames) {
    if (bytes === undefined) continue;
    parts.push(bytes);
    size += bytes.length;
  }
  const [first] = parts;
  const whole = size === chunk.length && first?.buffer === chunk.buffer && first.byteOffset === chunk.byteOffset;
  return whole ? chunk : concat(parts, size);
}
