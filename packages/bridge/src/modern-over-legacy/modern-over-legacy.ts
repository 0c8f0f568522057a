import { type Exchange, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import { type Call, callSlot, credentialSlot, type Message, responseText } from '@shadowcat/wire';
import { failureText, handedOn, jsonReply, statusOf } from '../answers.js';
import type { BridgeComponents, BridgeOptions } from '../contract.js';
import { memberText, objectOf } from '../object-text.js';
import { Conversation } from './conversation.js';
import { type Envelope, envelopeOf, envelopeProblem } from './envelope.js';
import { HeldQuestions } from './held.js';
import { answerTo } from './legacy-session.js';
import { discoverResult } from './results.js';
import { answerRound, questionKey } from './round.js';
import { type Lease, LegacySessions } from './sessions.js';
import { listen } from './subscription.js';

const IDLE_MS = 300_000;
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
  stats(): { readonly sessions: number; readonly held: number };
  close(): Promise<void>;
}

/**
 * Serves modern clients from a server that only knows legacy revisions: the bridge is that server's client, with sessions of
 * its own. Throws what keeps the upstream from answering.
 */
export function modernOverLegacy(
  options: BridgeOptions,
  components: BridgeComponents & { readonly held?: HeldQuestions },
): ModernOverLegacy {
  return new Serving(options, components);
}

class Serving implements ModernOverLegacy {
  readonly #options: BridgeOptions;
  readonly #components: BridgeComponents;
  readonly #sessions: LegacySessions;
  readonly #held: HeldQuestions;

  constructor(options: BridgeOptions, components: BridgeComponents & { readonly held?: HeldQuestions }) {
    this.#options = options;
    this.#components = components;
    this.#held = components.held ?? new HeldQuestions({ holdMs: options.holdMs, max: options.maxHeld }, components);
    const { target, idleMs = IDLE_MS } = options;
    this.#sessions = new LegacySessions({ target, idleMs, max: MAX_SESSIONS }, components);
  }

  stats(): { readonly sessions: number; readonly held: number } {
    return { sessions: this.#sessions.open, held: this.#held.size };
  }

  async close(): Promise<void> {
    await this.#held.clear(() => true);
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
    if (problem !== undefined) return jsonReply(failureText(idText, problem), statusOf(problem.code));
    const envelope = envelopeOf(message);
    const state = objectOf(message.value['params'])?.['requestState'];
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
      const text = 'the requestState is unknown or has expired; send the request again without it';
      return jsonReply(failureText(idText, { code: -32602, message: text }), 400);
    }
    const { conversation, question } = held;
    const key = questionKey(question);
    const answer = memberText(message.text, ['params', 'inputResponses', key]);
    if (message.method !== conversation.method || answer === undefined) {
      const reason = `the retry of ${conversation.method} does not answer ${key}`;
      await conversation.giveUp(question, reason);
      return jsonReply(failureText(idText, { code: -32602, message: reason }), 400);
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
