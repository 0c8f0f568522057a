import { ProxyError, type Reply } from '@shadowcat/kernel';
import { failureText, type Message, notificationText, type RpcId, readLine, requestText } from '@shadowcat/wire';
import { type Answer, answers, readAnswer } from '../answers.js';
import { sameJson } from '../same-json.js';
import { legacyParams } from './envelope.js';
import { type InFlight, QUESTIONS } from './legacy-session.js';
import type { Lease } from './sessions.js';

/** What happens next in a conversation. */
export type Turn =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'question'; readonly message: Message }
  | { readonly kind: 'answer'; readonly message: Message }
  | { readonly kind: 'refused'; readonly answer: Answer };

/** Messages from outside of its own stream that wait for a conversation's client. */
const MAX_INJECTED = 100;

/** Methods whose result may be a question (2026-07-28, "Multi Round-Trip Requests"). */
const ASKING: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/**
 * One request on a legacy session, from its sending to its answer, over as many round-trips of its client as it takes. It
 * holds the lease of its session, and ends by an answer, a failure or {@link Conversation.cancel}.
 */
export class Conversation implements InFlight {
  readonly id: string;
  readonly method: string;
  readonly asks: boolean;
  readonly lease: Lease;
  readonly #request: Message;
  readonly #controller = new AbortController();
  readonly #injected: Message[] = [];
  #reply: Reply | undefined;
  #messages: AsyncIterator<Message> | undefined;
  #pending: Promise<IteratorResult<Message>> | undefined;
  #wake: (() => void) | undefined;
  #over = false;

  constructor(request: Message, lease: Lease) {
    const { session } = lease;
    this.lease = lease;
    this.#request = request;
    this.id = session.nextId();
    this.method = request.method ?? '';
    this.asks = ASKING.has(this.method);
    session.calls.add(this);
    // What the server asked while nobody could be asked comes first: its answers may decide what the call does.
    if (this.asks) this.#injected.push(...session.strays.splice(0));
  }

  inject(message: Message): boolean {
    if (this.#injected.length >= MAX_INJECTED) return false;
    this.#injected.push(message);
    this.#wake?.();
    return true;
  }

  retract(id: RpcId): void {
    const at = this.#injected.findIndex((message) => message.kind === 'request' && message.id === id);
    if (at >= 0) this.#injected.splice(at, 1);
  }

  /** Rejects with a `ProxyError` when the upstream fails, or the conversation was cancelled. */
  async next(): Promise<Turn> {
    for (;;) {
      if (this.#over) throw new ProxyError('cancelled', 'the request was cancelled');
      const injected = this.#injected.shift();
      const message = injected ?? (await this.#read());
      if (message === undefined) continue;
      if ('refused' in message) return { kind: 'refused', answer: message.refused };
      const turn = this.#sort(message, injected !== undefined);
      if (turn !== undefined) return turn;
    }
  }

  /** Sends the client's answer to a question. */
  answer(text: string): Promise<void> {
    return this.lease.session.tell(text);
  }

  /** Whether a retry repeats the request that waits: the same but for what one round-trip brings. */
  isRepeatedBy(retry: Message): boolean {
    if (retry.method !== this.method) return false;
    return sameJson(JSON.parse(legacyParams(retry, undefined)), JSON.parse(legacyParams(this.#request, undefined)));
  }

  /** The server gets an error for its question, and the call is cancelled, for nobody comes back for it. */
  async giveUp(question: Message, reason: string): Promise<void> {
    await this.lease.session.respond(failureText(question.idText ?? 'null', { code: -32603, message: reason }));
    await this.cancel(reason);
  }

  /** Nobody waits for the answer: says so to the server and gives everything back. Idempotent; never rejects. */
  async cancel(reason: string): Promise<void> {
    if (this.#over) return;
    const sent = this.#messages !== undefined || this.#reply !== undefined || this.#pending !== undefined;
    const { session } = this.lease;
    this.#over = true;
    this.#wake?.();
    const params = JSON.stringify({ requestId: this.id, reason });
    if (sent && !session.ended) await session.respond(notificationText('notifications/cancelled', params));
    await this.#close();
  }

  /** The answer was passed on, or there will be none. */
  async finish(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    await this.#close();
  }

  async #close(): Promise<void> {
    const { session } = this.lease;
    session.calls.delete(this);
    this.#controller.abort(new ProxyError('cancelled', 'nobody waits for the answer'));
    for (const message of this.#injected.splice(0)) if (message.kind === 'request') session.take(message);
    try {
      await this.#reply?.[Symbol.asyncDispose]();
    } catch {
      // It is over either way, and nobody reads it any more.
    } finally {
      this.lease.release();
    }
  }

  /** The next message of the upstream's stream; `undefined` when something else woke the reader. */
  async #read(): Promise<Message | { readonly refused: Answer } | undefined> {
    this.#pending ??= this.#step();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#wake = () => resolve(undefined);
    // Left alone when the reader is woken: it is looked at again with the next turn.
    this.#pending.catch(() => undefined);
    const read = await Promise.race([this.#pending, promise]);
    this.#wake = undefined;
    if (read === undefined) return undefined;
    this.#pending = undefined;
    if (read.done !== true) return read.value;
    if (read.value !== undefined) return { refused: read.value as Answer };
    throw new ProxyError('upstream_closed', 'the upstream ended its stream without an answer');
  }

  async #step(): Promise<IteratorResult<Message, Answer | undefined>> {
    if (this.#messages === undefined) {
      const { session } = this.lease;
      const id = JSON.stringify(this.id);
      const text = requestText(id, this.method, legacyParams(this.#request, id));
      const reply = await session.post(text, this.#controller.signal);
      if (this.#over) {
        await reply[Symbol.asyncDispose]();
        return { done: true, value: undefined };
      }
      if (reply.head.status >= 400) {
        if (reply.head.status === 404) void session.end(true);
        return { done: true, value: await readAnswer(reply, this.id) };
      }
      this.#reply = reply;
      this.#messages = messagesOf(reply);
    }
    return this.#messages.next() as Promise<IteratorResult<Message, undefined>>;
  }

  /** What the message is for this conversation; `undefined` when it is not its business. */
  #sort(message: Message, injected: boolean): Turn | undefined {
    if (message.kind === 'response') return answers(message, this.id) ? { kind: 'answer', message } : undefined;
    const { method = '' } = message;
    if (message.kind === 'request') {
      if (QUESTIONS.has(method) && this.asks) return { kind: 'question', message };
    } else if (method === 'notifications/progress' || method === 'notifications/message') {
      return { kind: 'message', message };
    }
    if (!injected) this.lease.session.take(message);
    return undefined;
  }
}

async function* messagesOf(reply: Reply): AsyncGenerator<Message, undefined, undefined> {
  for await (const frame of reply.body.frames()) {
    if (frame.text !== undefined && frame.text !== '') yield* readLine(frame.text);
  }
  return undefined;
}
