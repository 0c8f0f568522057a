import type { Exchange, Handler, Reply } from '@shadowcat/kernel';
import { type Call, callSlot, sessionSlot, unlessAborted } from '@shadowcat/wire';
import { errorOf, handedOn } from './answers.js';
import type { BridgeComponents, BridgeOptions } from './contract.js';
import { EraFacts, evidenceOf, isModernOnly, isRefusal, type Known } from './era-facts.js';
import { BRIDGED_PREFIX, legacyOverModern } from './legacy-over-modern/legacy-over-modern.js';
import { requestStateOf } from './modern-over-legacy/envelope.js';
import type { HeldQuestions } from './modern-over-legacy/held.js';
import { type ModernOverLegacy, modernOverLegacy } from './modern-over-legacy/modern-over-legacy.js';
import { peekAnswer } from './peek-answer.js';

export interface BridgeStats {
  /** Whether the target speaks the modern revision. */
  readonly modern: Known;
  /** Sessions that the bridge has open at the upstream for modern clients. */
  readonly sessions: number;
  /** Requests that found no room for another one. */
  readonly refused: number;
}

export interface Bridge extends Handler {
  stats(): BridgeStats;
  /** Ends all that the bridge has open at the upstream. Idempotent. */
  close(): Promise<void>;
}

/**
 * One target, for clients of both eras. What the target speaks itself passes as it is; what it does not is translated. Needs
 * `callSlot`, and `sessionSlot` for legacy exchanges.
 */
export function bridge(
  options: BridgeOptions,
  components: BridgeComponents & { readonly held: HeldQuestions },
): Bridge {
  const eras = new Eras(options, components);
  return Object.assign((exchange: Exchange) => eras.handle(exchange), {
    stats: () => eras.stats(),
    close: () => eras.close(),
  });
}

class Eras {
  readonly #upstream: Handler;
  readonly #facts: EraFacts;
  readonly #held: HeldQuestions;
  readonly #modern: ModernOverLegacy;
  readonly #legacy: Handler & { close(): Promise<void> };
  #closing: Promise<void> | undefined;

  constructor(options: BridgeOptions, components: BridgeComponents & { readonly held: HeldQuestions }) {
    this.#upstream = components.upstream;
    this.#facts = new EraFacts(options.target, components);
    this.#modern = modernOverLegacy(options, components);
    this.#held = components.held;
    this.#legacy = legacyOverModern(options, { ...components, room: components.held.room });
  }

  stats(): BridgeStats {
    return { modern: this.#facts.modern, ...this.#modern.stats() };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  handle(exchange: Exchange): Promise<Reply> {
    const call = exchange.context.get(callSlot);
    if (call === undefined) return this.#upstream(exchange);
    if (call.era === 'modern') return this.#handleModern(exchange, call);
    if (call.method === 'initialize') return this.#initialize(exchange, call);
    const bound = exchange.context.get(sessionSlot)?.upstream?.sessionId;
    return bound?.startsWith(BRIDGED_PREFIX) === true ? this.#legacy(exchange) : this.#upstream(exchange);
  }

  async #close(): Promise<void> {
    this.#facts.close();
    await Promise.all([this.#modern.close(), this.#legacy.close()]);
  }

  async #handleModern(exchange: Exchange, call: Call): Promise<Reply> {
    const facts = this.#facts;
    // Whoever asked, at this target or at another one, waits here for the answer.
    if (this.#held.size > 0 && this.#held.has(requestStateOf(call.message))) return this.#modern.handle(exchange);
    if (facts.modern === 'yes') return this.#passModern(exchange);
    if (facts.modern === 'no') {
      if (facts.stale) facts.refresh(exchange);
      return this.#modern.handle(exchange);
    }
    if (call.method === 'server/discover') return this.#discover(exchange, call);
    const noEvidence = await unlessAborted(facts.find(exchange), exchange.signal);
    if (noEvidence !== undefined) return handedOn(noEvidence, call.message?.idText ?? 'null');
    return this.#handleModern(exchange, call);
  }

  /** A target that was replaced by a legacy one answers with these; what is known is then doubted, though not at once again. */
  async #passModern(exchange: Exchange): Promise<Reply> {
    const reply = await this.#upstream(exchange);
    const { status } = reply.head;
    if ((status === 400 || status === 404 || status === 405) && this.#facts.stale) this.#facts.refresh(exchange);
    return reply;
  }

  /**
   * The client asks itself what the proxy would have to find out. Its question may be malformed: a refusal is evidence only when
   * the proxy's own question is refused too.
   */
  async #discover(exchange: Exchange, call: Call): Promise<Reply> {
    let refused: Reply;
    try {
      const { reply, answer } = await peekAnswer(await this.#upstream(exchange), call.message?.id ?? null);
      const known = evidenceOf(answer);
      if (known === 'yes') this.#facts.learn('yes');
      if (known !== 'no') return reply;
      refused = reply;
    } catch (error) {
      if (!isRefusal(error) || (await this.#speaks(exchange)) !== 'no') throw error;
      return this.#modern.handle(exchange);
    }
    if ((await this.#speaks(exchange)) !== 'no') return refused;
    await refused[Symbol.asyncDispose]();
    return this.#modern.handle(exchange);
  }

  async #initialize(exchange: Exchange, call: Call): Promise<Reply> {
    let refused: Reply;
    try {
      const { reply, answer } = await peekAnswer(await this.#upstream(exchange), call.message?.id ?? null);
      const { status, message } = answer;
      const refusal = errorOf(message) !== undefined || status === 400 || status === 404 || status === 405;
      if (!refusal) return reply;
      if (isModernOnly(message)) this.#facts.learn('yes');
      refused = reply;
    } catch (error) {
      if (!isRefusal(error) || (await this.#speaks(exchange)) !== 'yes') throw error;
      return this.#legacy(exchange);
    }
    if ((await this.#speaks(exchange)) !== 'yes') return refused;
    await refused[Symbol.asyncDispose]();
    return this.#legacy(exchange);
  }

  /** After a refusal: what was found out, or is now. That the target cannot be asked leaves it at the refusal. */
  async #speaks(exchange: Exchange): Promise<Known> {
    await this.#facts.find(exchange).catch(() => undefined);
    return this.#facts.modern;
  }
}
