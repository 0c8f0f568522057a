import { type Exchange, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import {
  type Call,
  callSlot,
  credentialSlot,
  envelopeProblem,
  failureText,
  jsonReply,
  type Message,
  responseText,
  textAt,
  toolParamHeaders,
} from '@shadowcat/wire';
import { handedOn, statusOf } from '../answers.js';
import type { BridgeComponents, BridgeOptions } from '../contract.js';
import { Conversation } from './conversation.js';
import { type Envelope, envelopeOf, requestStateOf } from './envelope.js';
import type { HeldQuestions } from './held.js';
import { answerTo } from './legacy-session.js';
import { discoverResult } from './results.js';
import { answerRound, askingText, questionKey } from './round.js';
import { type Lease, LegacySessions } from './sessions.js';
import { listen } from './subscription.js';

const IDLE_MS = 300_000;
const ANSWER_MS = 60_000;
const MAX_SESSIONS = 10_000;

/** What the modern revision does not have; a legacy server would take some of these for its own. */
const GONE: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);

export interface ModernOverLegacy {
  handle(exchange: Exchange): Promise<Reply>;
  stats(): { readonly sessions: number; readonly refused: number };
  close(): Promise<void>;
}

/**
 * Serves modern clients from a server that only knows legacy revisions: the bridge is that server's client, with sessions of
 * its own. Throws what keeps the upstream from answering.
 */
export function modernOverLegacy(
  options: BridgeOptions,
  components: BridgeComponents & { readonly held: HeldQuestions },
): ModernOverLegacy {
  const serving = new Serving(options, components);
  // The server cannot see what its client's headers say about the arguments.
  const handle = toolParamHeaders({ validate: true })((exchange) => serving.handle(exchange));
  return { handle, stats: () => serving.stats(), close: () => serving.close() };
}

class Serving implements ModernOverLegacy {
  readonly #options: BridgeOptions;
  readonly #components: BridgeComponents;
  readonly #sessions: LegacySessions;
  readonly #held: HeldQuestions;

  constructor(options: BridgeOptions, components: BridgeComponents & { readonly held: HeldQuestions }) {
    this.#options = options;
    this.#components = components;
    this.#held = components.held;
    const { target, idleMs = IDLE_MS, maxSessions = MAX_SESSIONS, answerMs = ANSWER_MS, standing = 'always' } = options;
    const { room } = components.held;
    this.#sessions = new LegacySessions(
      { target, idleMs, max: maxSessions, standing },
      { ...components, room, answerMs },
    );
  }

  stats(): { readonly sessions: number; readonly refused: number } {
    return { sessions: this.#sessions.open, refused: this.#sessions.refused };
  }

  async close(): Promise<void> {
    await this.#held.clear(({ conversation }) => this.#sessions.owns(conversation.lease.session));
    await this.#sessions.close();
  }

  async handle(exchange: Exchange): Promise<Reply> {
    const call: Call | undefined = exchange.context.get(callSlot);
    const message = call?.message;
    if (message === undefined) throw new ProxyError('internal', 'the exchange was not classified');
    // A notification of a modern client has no session to be about; giving up a request is leaving it.
    if (message.kind !== 'request') return reply({ status: 202, headers: {} });
    const idText = message.idText ?? 'null';
    const problem = envelopeProblem(message) ?? this.#unserved(message);
    if (problem !== undefined) return jsonReply(failureText(idText, problem), { status: statusOf(problem.code) });
    const envelope = envelopeOf(message);
    const state = requestStateOf(message);
    if (state !== undefined) return this.#retry(exchange, message, { envelope, state });
    const lease = await this.#sessions.borrow(exchange, envelope);
    if (!('session' in lease)) return handedOn(lease, idText);
    return this.#serve(exchange, message, { envelope, lease });
  }

  async #serve(
    exchange: Exchange,
    message: Message,
    { envelope, lease }: { readonly envelope: Envelope; readonly lease: Lease },
  ): Promise<Reply> {
    const { session } = lease;
    if (message.method === 'subscriptions/listen') return listen(exchange, message, lease);
    if (message.method === 'server/discover') {
      lease.release();
      const { initialize } = session;
      if (initialize === undefined) throw new ProxyError('internal', 'a bridged session was used before it was open');
      return jsonReply(responseText(message.idText ?? 'null', discoverResult(initialize)));
    }
    try {
      if (envelope.logLevel !== undefined) await session.logFrom(envelope.logLevel);
    } catch (error) {
      lease.release();
      throw error;
    }
    const conversation = new Conversation(message, lease);
    return answerRound({ ...this.#parts(exchange, message, envelope), conversation });
  }

  /** The client comes back with answers to the question that its request waits for. */
  async #retry(
    exchange: Exchange,
    message: Message,
    { envelope, state }: { readonly envelope: Envelope; readonly state: unknown },
  ): Promise<Reply> {
    const idText = message.idText ?? 'null';
    const credential = exchange.context.get(credentialSlot) ?? '';
    const held = typeof state === 'string' ? this.#held.take(state, credential) : undefined;
    if (held === undefined) {
      // A legacy server hands out no state: where it is not ours, it is that of a server which does.
      const sibling = this.#components.modernSibling?.();
      if (sibling !== undefined) return sibling(exchange);
      const text = 'the requestState is unknown or has expired; send the request again without it';
      return jsonReply(failureText(idText, { code: -32602, message: text }), { status: 400 });
    }
    const { conversation, question } = held;
    const key = questionKey(question);
    if (!conversation.isRepeatedBy(message)) {
      const reason = `the retry is not the ${conversation.method} request that was asked ${key}`;
      await conversation.giveUp(question, reason);
      return jsonReply(failureText(idText, { code: -32602, message: reason }), { status: 400 });
    }
    const answer = textAt(message.text, ['params', 'inputResponses', key]);
    if (answer === undefined) {
      const again = this.#held.hold(held);
      if (again !== undefined) return jsonReply(askingText(idText, question, again));
      await conversation.giveUp(question, 'too many questions wait for their clients already');
      throw new ProxyError('pool_exhausted', 'too many questions wait for their clients already');
    }
    conversation.lease.session.usedBy(exchange);
    try {
      await conversation.answer(answerTo(question, answer));
    } catch (error) {
      await conversation.cancel('the answer did not reach the server');
      throw error;
    }
    return answerRound({ ...this.#parts(exchange, message, envelope), conversation });
  }

  #parts(exchange: Exchange, request: Message, envelope: Envelope) {
    return { exchange, request, envelope, held: this.#held, clock: this.#components.clock };
  }

  #unserved({ method = '' }: Message): { code: number; message: string; data?: object } | undefined {
    if (!GONE.has(method) && !method.startsWith('tasks/')) return undefined;
    const why = method.startsWith('tasks/')
      ? `${this.#options.target} speaks a legacy revision of MCP, whose tasks differ: they are not bridged`
      : 'this revision of MCP does not have it';
    return { code: -32601, message: `${method}: ${why}` };
  }
}
