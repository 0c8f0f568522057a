import { type Exchange, type Handler, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import {
  type Call,
  callSlot,
  jsonReply,
  type Message,
  objectAt,
  type RpcId,
  readMessage,
  type SessionHandle,
  sessionSlot,
} from '@shadowcat/wire';
import type { BridgeComponents, BridgeOptions } from '../contract.js';
import type { QuestionRoom } from '../question-room.js';
import { BridgedSession, type SessionParts } from './bridged-session.js';
import { streamReply } from './call-stream.js';
import { handshake } from './handshake.js';
import { ownAnswer } from './own-answers.js';
import { Questions } from './questions.js';
import { accepted, takesStream } from './replies.js';
import type { RunningCall } from './running-call.js';

/** Begins the upstream id of each session that the bridge has opened; what has it is the bridge's, also after a restart. */
export const BRIDGED_PREFIX = 'shadowcat-bridge-';

/**
 * Legacy clients in front of a server that speaks 2026-07-28 only. Takes classified legacy exchanges whose session is in
 * `sessionSlot`. `close` ends all that is open and resolves when nothing of it is left.
 */
export function legacyOverModern(
  options: BridgeOptions,
  components: BridgeComponents & { readonly room: QuestionRoom },
): Handler & { close(): Promise<void> } {
  const bridge = new Bridge(options, components);
  return Object.assign((exchange: Exchange) => bridge.handle(exchange), { close: () => bridge.close() });
}

class Bridge {
  readonly #target: string;
  readonly #components: BridgeComponents;
  readonly #parts: SessionParts;
  readonly #sessions = new Map<SessionHandle, BridgedSession>();
  /** What goes on without anybody who waits for it. */
  readonly #rest = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #lastId = 0;

  constructor(options: BridgeOptions, components: BridgeComponents & { readonly room: QuestionRoom }) {
    const { upstream, clock, log, newId, room, random = Math.random } = components;
    this.#target = options.target;
    this.#components = components;
    const questions = new Questions({ room, newId });
    const nextId = (): string => this.#nextId();
    this.#parts = { upstream, questions, clock, log, newId, nextId, random };
  }

  async handle(exchange: Exchange): Promise<Reply> {
    const call = exchange.context.get(callSlot);
    const handle = exchange.context.get(sessionSlot);
    if (call === undefined) throw new ProxyError('internal', 'the exchange was not classified');
    if (this.#closing.signal.aborted) throw draining();
    if (handle === undefined) throw new ProxyError('session_required', 'open a session with initialize first');
    if (call.method === 'initialize') return this.#initialize(exchange, call);
    const session = this.#sessionOf(handle);
    if (call.verb === 'end') return this.#end(session);
    if (call.verb === 'stream') return session.open(exchange);
    return this.#post(session, exchange, call);
  }

  async close(): Promise<void> {
    this.#closing.abort(draining());
    await Promise.all([...this.#sessions.values()].map((session) => session.close(draining())));
    this.#sessions.clear();
    await Promise.all(this.#rest);
  }

  #nextId(): string {
    this.#lastId += 1;
    return String(this.#lastId);
  }

  #initialize(exchange: Exchange, call: Call): Promise<Reply> {
    const { message } = call;
    if (message === undefined || call.batch) {
      throw new ProxyError('invalid_request', 'initialize must not be part of a batch');
    }
    return handshake({
      message,
      exchange,
      upstream: this.#parts.upstream,
      target: this.#target,
      sessionId: `${BRIDGED_PREFIX}${this.#components.newId()}`,
      idText: this.#nextId(),
      // Without its client the session would be nobody's.
      signal: AbortSignal.any([this.#closing.signal, exchange.signal]),
    });
  }

  #sessionOf(handle: SessionHandle): BridgedSession {
    const known = this.#sessions.get(handle);
    if (known !== undefined) return known;
    const session = new BridgedSession(handle, this.#parts);
    this.#sessions.set(handle, session);
    handle.onEnd(() => {
      this.#sessions.delete(handle);
      this.#track(session.close(new ProxyError('cancelled', 'the session has ended')));
    });
    return session;
  }

  async #end(session: BridgedSession): Promise<Reply> {
    this.#sessions.delete(session.handle);
    await session.close(new ProxyError('cancelled', 'the session has ended'));
    return reply({ status: 200, headers: {} });
  }

  async #post(session: BridgedSession, exchange: Exchange, call: Call): Promise<Reply> {
    for (const message of call.messages) this.#hear(session, message);
    const requests = call.messages.filter(({ kind }) => kind === 'request');
    const [request] = requests;
    if (request === undefined) return accepted();
    if (call.batch) return this.#batch(session, exchange, requests);
    const own = await ownAnswer(session, request, exchange.context);
    if (own !== undefined) return jsonReply(own);
    return this.#ask(session, exchange, request);
  }

  /** What is no request: answers to questions, and cancellations. The rest is of no interest to a modern server. */
  #hear(session: BridgedSession, message: Message): void {
    if (message.kind === 'response') this.#parts.questions.answer(session.handle.id, message);
    if (message.method !== 'notifications/cancelled') return;
    session.cancel(objectAt(message.value, 'params')?.['requestId'] as RpcId | undefined);
  }

  async #ask(session: BridgedSession, exchange: Exchange, request: Message): Promise<Reply> {
    const call = session.call(request, exchange);
    let begun = false;
    try {
      const posted = await call.start();
      if (posted.kind === 'refused') return posted.reply;
      if (call.isFinal(posted)) return jsonReply(call.answerText(posted.message));
      begun = true;
      return await this.#reply(exchange, followed(call, session, call.messages(posted)));
    } catch (error) {
      // Nothing may answer a request that was cancelled; a stream that ends without an answer is what is left.
      if (call.cancelled) return streamReply(nothing(), () => {});
      throw error;
    } finally {
      if (!begun) session.over(call);
    }
  }

  /** One request after the other (2025-03-26 leaves that to the server). */
  #batch(session: BridgedSession, exchange: Exchange, requests: readonly Message[]): Promise<Reply> {
    async function* all(): AsyncGenerator<string, void, undefined> {
      for (const request of requests) {
        const own = await ownAnswer(session, request, exchange.context);
        if (own !== undefined) {
          yield own;
          continue;
        }
        const call = session.call(request, exchange);
        yield* followed(call, session, call.messages());
      }
    }
    return this.#reply(exchange, all(), true);
  }

  /** A stream, or for a client that takes none the answers alone. */
  async #reply(exchange: Exchange, messages: AsyncGenerator<string, void, undefined>, batch = false): Promise<Reply> {
    if (takesStream(exchange)) return streamReply(messages, (rest) => this.#track(rest));
    const texts: string[] = [];
    for await (const text of messages) if (readMessage(text)?.kind === 'response') texts.push(text);
    return batch ? jsonReply(`[${texts.join(',')}]`) : jsonReply(texts.at(-1) ?? '');
  }

  #track(rest: Promise<void>): void {
    const tracked = rest
      .catch((error: unknown) => this.#components.log.error({ err: error }, 'a bridged request did not end well'))
      .finally(() => this.#rest.delete(tracked));
    this.#rest.add(tracked);
  }
}

/** Tells the session when the call is over. */
async function* followed(
  call: RunningCall,
  session: BridgedSession,
  messages: AsyncGenerator<string, void, undefined>,
): AsyncGenerator<string, void, undefined> {
  try {
    yield* messages;
  } finally {
    session.over(call);
  }
}

async function* nothing(): AsyncGenerator<string, void, undefined> {}

function draining(): ProxyError {
  return new ProxyError('draining', 'the proxy is ending');
}
