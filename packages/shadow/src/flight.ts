import { type Body, type Clock, type Exchange, type Handler, Linked, ProxyError, type Timer } from '@shadowcat/kernel';
import {
  type Call,
  failureText,
  type JsonObject,
  type Message,
  notificationText,
  readMessage,
  type SessionHandle,
  sessionSlot,
} from '@shadowcat/wire';
import { type Answer, answerIn, answerOf, isAnswered } from './answer-in.js';
import type { Asides } from './asides.js';
import { compareAnswers, type Difference } from './compare.js';
import type { MirrorOutcome, SkipReason } from './contract.js';
import type { IgnoreTest } from './ignored.js';
import { shadowExchange } from './shadow-exchange.js';
import type { ShadowSession } from './shadow-session.js';
import type { ShadowSessions } from './shadow-sessions.js';

/** What all mirrored requests have in common. */
export interface FlightParts {
  readonly shadow: Handler;
  readonly sessions: ShadowSessions;
  readonly asides: Asides;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly ignored: IgnoreTest;
  /** Told once, when there is nothing more to find out. */
  readonly ended: (flight: Flight, end: FlightEnd) => void;
}

export interface FlightEnd {
  readonly outcome: MirrorOutcome;
  readonly reason?: SkipReason;
  readonly differences: readonly Difference[];
  /** Why the shadow gave no answer. */
  readonly error?: ProxyError;
}

/** The client's request, and what the mirrored server has begun to answer. */
export interface FlightRequest {
  readonly exchange: Exchange;
  readonly call: Call;
  readonly message: Message;
}

/** Whoever asks more is not listened to any more. */
const MAX_QUESTIONS = 20;
/** Any code: the client is not asked. */
const NOBODY = { code: -32_603, message: 'this is a copy of another request: there is nobody to ask' };

/** One request that is asked of the shadow as well, until both answers are there or one will never be. */
export class Flight extends Linked {
  readonly #parts: FlightParts;
  readonly #request: FlightRequest;
  readonly #controller = new AbortController();
  #timer: Timer | undefined;
  #primary: JsonObject | undefined;
  #shadow: JsonObject | undefined;
  #session: ShadowSession | undefined;
  #sent: Exchange | undefined;
  /** Questions that were refused: after one, whatever becomes of the call has a reason of ours. */
  #questions = 0;
  /** Each has an id of its own. */
  #told = 0;
  #over = false;

  constructor(request: FlightRequest, parts: FlightParts) {
    super();
    this.#request = request;
    this.#parts = parts;
  }

  get call(): Call {
    return this.#request.call;
  }

  /**
   * Begins in a turn of the event loop of its own: the client's answer goes first. `underWay` is given what settles, and never
   * rejects, when the shadow is not busy with it any more.
   */
  start(answered: Body, underWay: (done: Promise<void>) => void): void {
    const { clock, timeoutMs } = this.#parts;
    this.#timer = clock.timer(0, () => {
      const { ready, framing } = answered;
      if (ready !== undefined) this.answered(answerOf(ready, framing, this.#request.message.id ?? null));
      if (this.#over) return;
      this.#timer = clock.timer(timeoutMs, () => this.#expire());
      underWay(this.#ask());
    });
  }

  /** What the mirrored server said to the client. */
  answered(answer: Answer): void {
    if (this.#over) return;
    if (answer === 'none') this.#giveUp('unanswered');
    else if (answer === 'too-large') this.#giveUp('too-large');
    else {
      this.#primary = answer;
      if (this.#shadow === undefined) return;
      // The client's bytes are on their way through here: they go first.
      this.#timer?.cancel();
      this.#timer = this.#parts.clock.timer(0, () => this.#compare());
    }
  }

  /** Whether this is about the request with this id of this session. */
  isOf(session: SessionHandle | undefined, id: unknown): boolean {
    return this.#request.message.id === id && this.#request.exchange.context.get(sessionSlot) === session;
  }

  /** The client does not want the answer any more, or nothing is mirrored any more. */
  cancel(): void {
    this.#giveUp('cancelled');
  }

  #expire(): void {
    if (this.#over) return;
    // The other answer comes when it comes: it is the client's.
    if (this.#shadow !== undefined) return;
    if (this.#questions > 0) return this.#giveUp('asked');
    const error = new ProxyError(
      'upstream_timeout',
      `the shadow did not answer within ${this.#parts.timeoutMs / 1000} s`,
    );
    this.#stop(error);
    this.#end({ outcome: 'timeout', differences: [], error });
  }

  #giveUp(reason: SkipReason): void {
    if (this.#over) return;
    this.#stop(new ProxyError('cancelled', 'nobody waits for the answer of the shadow'));
    this.#end({ outcome: 'skipped', reason, differences: [] });
  }

  #end(end: FlightEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#parts.ended(this, end);
  }

  #compare(): void {
    if (this.#primary === undefined || this.#shadow === undefined) return;
    if (this.#questions > 0) return this.#giveUp('asked');
    const differences = compareAnswers(this.#primary, this.#shadow, this.#parts.ignored);
    this.#end({ outcome: differences.length === 0 ? 'same' : 'different', differences });
  }

  async #ask(): Promise<void> {
    try {
      const answer = await this.#answer();
      if (answer === 'too-large') this.#giveUp('too-large');
      else if (answer === 'none') throw new ProxyError('upstream_protocol', 'the shadow gave no answer');
      else {
        this.#shadow = answer;
        this.#compare();
      }
    } catch (thrown) {
      const error = ProxyError.from(thrown, 'upstream_closed');
      if (this.#questions > 0) return this.#giveUp('asked');
      if (error.code === 'cancelled') return this.#giveUp('cancelled');
      this.#end({ outcome: error.code === 'upstream_timeout' ? 'timeout' : 'failed', differences: [], error });
    }
  }

  async #answer(): Promise<Answer> {
    const { shadow, sessions } = this.#parts;
    const { exchange, message } = this.#request;
    const client = exchange.context.get(sessionSlot);
    const use = client && sessions.use(client, exchange);
    try {
      this.#session = await use?.opened;
      if (this.#over) return 'none';
      this.#sent = this.#make(message, 'shadow', this.#controller.signal);
      const reply = await shadow(this.#sent);
      const { status } = reply.head;
      if (!isAnswered(status)) {
        await reply[Symbol.asyncDispose]();
        throw new ProxyError('upstream_protocol', `the shadow gave no answer (HTTP ${status})`);
      }
      return await answerIn(reply, message.id ?? null, (other) => this.#heard(other));
    } finally {
      use?.release();
    }
  }

  /** Requests of the shadow are refused, so that it does not wait; notifications are nobody's. */
  #heard({ id, method }: JsonObject): void {
    if (method === undefined || id === undefined) return;
    if (this.#over) return;
    this.#questions += 1;
    if (this.#questions > MAX_QUESTIONS) return this.#giveUp('asked');
    this.#tell(failureText(JSON.stringify(id), NOBODY), 'refusal');
  }

  /** Frees the shadow from what nobody waits for. */
  #stop(error: ProxyError): void {
    const { call, message } = this.#request;
    if (this.#sent !== undefined && this.#shadow === undefined && call.era === 'legacy') {
      const params = `{"requestId":${message.idText ?? 'null'},"reason":"nobody waits for it"}`;
      this.#tell(notificationText('notifications/cancelled', params), 'cancel');
    }
    this.#controller.abort(error);
  }

  #tell(text: string, what: string): void {
    const message = readMessage(text);
    this.#told += 1;
    const name = `${what}${this.#told}`;
    if (message !== undefined) this.#parts.asides.send((signal) => this.#make(message, name, signal));
  }

  #make(message: Message, what: string, signal: AbortSignal): Exchange {
    const { exchange } = this.#request;
    return shadowExchange({ id: `${exchange.id}-${what}`, client: exchange, message, session: this.#session, signal });
  }
}
