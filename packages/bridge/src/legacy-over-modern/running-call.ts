import { type Clock, type Exchange, type Handler, type HeaderMap, ProxyError, type Reply } from '@shadowcat/kernel';
import {
  errorText,
  failureSlot,
  failureText,
  type Message,
  modernExchange,
  noAnswer,
  objectAt,
  type Posted,
  post,
  type RpcId,
  readMessage,
  withMembers,
} from '@shadowcat/wire';
import { cannotAsk } from '../askable.js';
import type { ClientFacts } from './client-facts.js';
import { collect, type InputRequired, inputRequired, legacyParams, MAX_QUESTIONS } from './input-round.js';
import { legacyAnswer } from './legacy-answer.js';
import { withId } from './modern-request.js';
import type { Question, Questions } from './questions.js';
import { takesStream } from './replies.js';

export interface CallParts {
  /** The client's request. */
  readonly message: Message;
  /** The same with a modern envelope. */
  readonly text: string;
  readonly exchange: Exchange;
  /** The session's id. */
  readonly session: string;
  readonly client: ClientFacts;
  readonly upstream: Handler;
  readonly questions: Questions;
  readonly clock: Clock;
  readonly newId: () => string;
  /** An id for a request to the server, as JSON. */
  readonly nextId: () => string;
  /** The `Mcp-Param-*` headers of this call, as far as they are known. */
  readonly headers: () => HeaderMap;
  /** Learns them from the server. `false`: nothing new. */
  readonly learnHeaders: (signal: AbortSignal) => Promise<void>;
  /** A result that passes, before it is changed. */
  readonly passing: (method: string, message: Message) => void;
  readonly wrapped: () => boolean;
}

/** How often a server may ask instead of answering. */
const MAX_ROUNDS = 20;
/** A server that asks for nothing but patience is asked again after this long, as modern clients do. */
const PATIENCE_MS = 250;

/**
 * One request of a legacy client on its way through a modern server: posted, and posted again with the client's answers as
 * long as the server asks for input.
 */
export class RunningCall {
  readonly #parts: CallParts;
  readonly #abort = new AbortController();
  #cancelled = false;

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  get id(): RpcId | undefined {
    return this.#parts.message.id;
  }

  get idText(): string {
    return this.#parts.message.idText ?? 'null';
  }

  /** The client wants no answer any more: the server is told, and nothing more is sent. */
  cancel(): void {
    this.#cancelled = true;
    this.#abort.abort(new ProxyError('cancelled', 'the client cancelled the request'));
  }

  /** It ends with `reason` as its answer. */
  stop(reason: ProxyError): void {
    this.#abort.abort(reason);
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** Sends it for the first time. Rejects with what kept the server from answering. */
  async start(): Promise<Posted> {
    const first = await this.#post({});
    if (first.kind !== 'answer' || objectAt(first.message.value, 'error')?.['code'] !== HEADER_MISMATCH) return first;
    if (this.#parts.message.method !== 'tools/call') return first;
    // Nothing was done yet: the server wants arguments repeated in headers, and its tool list says which.
    await this.#parts.learnHeaders(this.#abort.signal);
    return this.#post({});
  }

  /** Whether the server's first answer is the last one, too. */
  isFinal(posted: Posted): posted is Posted & { readonly kind: 'answer' } {
    return posted.kind === 'answer' && inputRequired(posted.message) === undefined;
  }

  /** The final answer for the client. */
  answerText(answer: Message): string {
    const { message, passing, wrapped } = this.#parts;
    const method = message.method ?? '';
    passing(method, answer);
    return legacyAnswer(answer, { method, idText: this.idText, wrapped: wrapped() });
  }

  /**
   * All messages for the client, the answer last; none for a request that was cancelled. Never throws. `first`: what
   * {@link start} resolved with.
   */
  async *messages(first?: Posted): AsyncGenerator<string, void, undefined> {
    try {
      yield* this.#rounds(first ?? (await this.start()));
    } catch (thrown) {
      if (this.#cancelled) return;
      const error = ProxyError.from(this.#abort.signal.reason ?? thrown);
      this.#parts.exchange.context.set(failureSlot, error);
      yield errorText(error, this.idText);
    }
  }

  async *#rounds(first: Posted): AsyncGenerator<string, void, undefined> {
    let posted = first;
    for (let round = 0; ; round += 1) {
      if (posted.kind === 'refused') {
        await posted.reply[Symbol.asyncDispose]();
        throw new ProxyError('upstream_protocol', `the server answered with HTTP ${posted.reply.head.status}`);
      }
      const answer: Message = posted.kind === 'stream' ? yield* this.#relay(posted.reply) : posted.message;
      const needed = inputRequired(answer);
      if (needed === undefined) {
        yield this.answerText(answer);
        return;
      }
      if (round >= MAX_ROUNDS) {
        yield this.#failure(`the server asked for input ${MAX_ROUNDS} times and still did not answer`);
        return;
      }
      const input = yield* this.#input(needed);
      if ('failure' in input) {
        yield this.#failure(input.failure);
        return;
      }
      posted = await this.#post({ inputResponses: input.responsesText, requestState: needed.stateText });
    }
  }

  /** What comes on the server's stream before its answer. */
  async *#relay(reply: Reply): AsyncGenerator<string, Message, undefined> {
    await using stream = reply;
    for await (const { text } of stream.body.frames()) {
      this.#abort.signal.throwIfAborted();
      const message = text === undefined ? undefined : readMessage(text);
      if (message?.kind === 'response') return message;
      if (message?.kind === 'notification') yield message.text;
    }
    this.#abort.signal.throwIfAborted();
    throw noAnswer();
  }

  async *#input({
    count,
    requests,
  }: InputRequired): AsyncGenerator<string, { responsesText?: string } | { failure: string }> {
    const { client, questions, session, newId } = this.#parts;
    if (requests.length === 0) {
      await this.#patience();
      return {};
    }
    if (!takesStream(this.#parts.exchange)) {
      return { failure: 'the server asks the client something, but the client accepts no text/event-stream' };
    }
    if (count > requests.length) {
      return { failure: `the server asks ${count} questions at once; no more than ${MAX_QUESTIONS} are passed on` };
    }
    for (const request of requests) {
      const failure = cannotAsk(request, client.capabilities);
      if (failure !== undefined) {
        questions.room.lose('incapable');
        return { failure };
      }
    }
    const asked: { request: (typeof requests)[number]; question: Question }[] = [];
    const withdraw = (): void => {
      for (const { question } of asked) question.withdraw();
    };
    this.#abort.signal.addEventListener('abort', withdraw, { once: true });
    try {
      for (const request of requests) {
        const question = questions.ask(session, request.method, legacyParams(request, newId));
        asked.push({ request, question });
      }
      for (const { question } of asked) yield question.text;
      const outcome = await collect(asked);
      this.#abort.signal.throwIfAborted();
      if ('failure' in outcome) yield* this.#withdrawals(asked);
      return outcome;
    } finally {
      withdraw();
      this.#abort.signal.removeEventListener('abort', withdraw);
    }
  }

  /** The client need not answer what else it was asked. */
  async *#withdrawals(asked: readonly { readonly question: Question }[]): AsyncGenerator<string, void, undefined> {
    for (const { question } of asked) {
      question.withdraw();
      if ((await question.outcome).kind !== 'answered') yield question.withdrawal;
    }
  }

  #failure(message: string): string {
    return failureText(this.idText, { code: -32603, message });
  }

  #patience(): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#abort;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        timer.cancel();
        reject(signal.reason as Error);
      };
      const timer = clock.timer(PATIENCE_MS, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Sends the request, each time under an id of its own. */
  #post(input: { inputResponses?: string | undefined; requestState?: string | undefined }): Promise<Posted> {
    const { text, exchange, upstream, nextId, headers } = this.#parts;
    const own = Object.keys(input).length === 0 ? text : withMembers(text, ['params'], { ...NO_INPUT, ...input });
    const { signal } = this.#abort;
    signal.throwIfAborted();
    return post(
      upstream,
      modernExchange({ text: withId(own, nextId()), client: exchange, signal, headers: headers() }),
    );
  }
}

const HEADER_MISMATCH = -32020;
const NO_INPUT = { inputResponses: undefined, requestState: undefined };
