import { Body, type Clock, type Exchange, Frame, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import {
  asObject,
  credentialSlot,
  errorText,
  failureSlot,
  failureText,
  jsonReply,
  LEVELS,
  type Message,
  responseText,
  spliceMessage,
  sseFraming,
  textAt,
} from '@shadowcat/wire';
import { errorOf, handedOn, statusOf } from '../answers.js';
import { cannotAsk } from '../askable.js';
import type { Conversation, Turn } from './conversation.js';
import type { Envelope } from './envelope.js';
import type { HeldQuestions } from './held.js';
import { inputRequest, modernAnswer } from './results.js';

/** An answer that has not begun after this long becomes a stream, so that its client sees that it is waited for. */
const PATIENCE_MS = 15_000;

export interface RoundParts {
  readonly conversation: Conversation;
  readonly exchange: Exchange;
  /** The request of this round: the first one, or the client's retry. */
  readonly request: Message;
  readonly envelope: Envelope;
  readonly held: HeldQuestions;
  readonly clock: Clock;
}

/** One message to the client. The last one of a round is an answer, a question or an error. */
interface Out {
  readonly text: string;
  readonly last: boolean;
  readonly status?: number;
}

/**
 * One round-trip of a conversation: from the client's request, or its retry, to an answer or the server's next question. The
 * reply is JSON where the last message comes first, else a stream. The client leaving cancels the call (2026-07-28,
 * "Cancellation").
 */
export async function answerRound(parts: RoundParts): Promise<Reply> {
  const round = new Round(parts);
  const { signal } = parts.exchange;
  const onAbort = (): void => void round.leave();
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  round.onOver(() => signal.removeEventListener('abort', onAbort));
  const first = round.next();
  const begun = await beforeLong(first, parts.clock);
  if (begun !== undefined && 'refused' in begun) return begun.refused;
  if (begun?.last === true) return jsonReply(begun.text, { status: begun.status });
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' };
  const body = Body.fromFrames(framesOf(round, first, parts), sseFraming);
  return reply({ status: 200, headers }, body, () => round.leave());
}

async function beforeLong<T>(first: Promise<T>, clock: Clock): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = clock.timer(PATIENCE_MS, () => resolve(undefined));
  try {
    return await Promise.race([first, promise]);
  } finally {
    timer.cancel();
  }
}

async function* framesOf(
  round: Round,
  first: Promise<Out | { readonly refused: Reply }>,
  { request, exchange }: Pick<RoundParts, 'request' | 'exchange'>,
): AsyncGenerator<Frame, void, undefined> {
  const idText = request.idText ?? 'null';
  try {
    for (let next = first; ; next = round.next()) {
      const out = await next;
      if ('refused' in out) {
        await out.refused[Symbol.asyncDispose]();
        yield new Frame({
          text: failureText(idText, { code: -32603, message: `the upstream answered HTTP ${out.refused.head.status}` }),
        });
        return;
      }
      yield new Frame({ text: out.text });
      if (out.last) return;
    }
  } catch (error) {
    const failure = ProxyError.from(error);
    exchange.context.set(failureSlot, failure);
    yield new Frame({ text: errorText(failure, idText) });
  } finally {
    await round.leave();
  }
}

class Round {
  readonly #parts: RoundParts;
  #over = false;
  #whenOver: (() => void) | undefined;

  constructor(parts: RoundParts) {
    this.#parts = parts;
  }

  onOver(done: () => void): void {
    this.#whenOver = done;
    if (this.#over) done();
  }

  /** The client is gone, or has all that it gets; in the first case the call is cancelled. */
  async leave(): Promise<void> {
    if (this.#settle()) await this.#parts.conversation.cancel('the client left');
  }

  async next(): Promise<Out | { readonly refused: Reply }> {
    const { conversation } = this.#parts;
    try {
      for (;;) {
        const turn = await conversation.next();
        const out = await this.#outOf(turn);
        if (out !== undefined) return out;
      }
    } catch (error) {
      this.#settle();
      await conversation.cancel('the proxy could not go on');
      throw error;
    }
  }

  /** True for the first who says so. */
  #settle(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#whenOver?.();
    return true;
  }

  async #outOf(turn: Turn): Promise<Out | { readonly refused: Reply } | undefined> {
    const { conversation, request } = this.#parts;
    const idText = request.idText ?? 'null';
    if (turn.kind === 'message') return this.#notification(turn.message);
    if (turn.kind === 'question') return this.#question(turn.message, idText);
    this.#settle();
    await conversation.finish();
    if (turn.kind === 'refused') return { refused: handedOn(turn.answer, idText) };
    const status = statusOf(errorOf(turn.message)?.code);
    return { text: modernAnswer(turn.message, conversation.method, idText), last: true, status };
  }

  #notification(message: Message): Out | undefined {
    const { progressToken, logLevel } = this.#parts.envelope;
    const params = asObject(message.value['params']);
    if (message.method === 'notifications/progress') {
      if (progressToken === undefined || params?.['progressToken'] !== this.#parts.conversation.id) return undefined;
      const text = spliceMessage(message.text, [{ path: ['params', 'progressToken'], json: progressToken }]);
      return { text, last: false };
    }
    if (logLevel === undefined) return undefined;
    const level = LEVELS.indexOf(String(params?.['level']));
    return level < LEVELS.indexOf(logLevel) ? undefined : { text: message.text, last: false };
  }

  async #question(question: Message, idText: string): Promise<Out | undefined> {
    const { conversation, envelope, exchange, held } = this.#parts;
    const credential = exchange.context.get(credentialSlot) ?? '';
    const refusal = cannotAsk(
      { method: question.method ?? '', paramsText: textAt(question.text, ['params']) },
      envelope.declared,
    );
    if (refusal !== undefined) {
      held.room.lose('incapable');
      await conversation.lease.session.respond(
        failureText(question.idText ?? 'null', { code: -32601, message: refusal }),
      );
      return undefined;
    }
    // A client that left is not coming back for it.
    const state = this.#over ? undefined : held.hold({ conversation, question, credential });
    if (state === undefined) {
      const reason = 'too many questions wait for their clients already';
      await conversation.answer(failureText(question.idText ?? 'null', { code: -32603, message: reason }));
      return undefined;
    }
    this.#settle();
    return { text: askingText(idText, question, state), last: true };
  }
}

/** The answer that asks the client a question (2026-07-28, "Multi Round-Trip Requests"). */
export function askingText(idText: string, question: Message, state: string): string {
  const requests = `{${JSON.stringify(questionKey(question))}:${inputRequest(question)}}`;
  const result = `{"resultType":"input_required","inputRequests":${requests},"requestState":${JSON.stringify(state)}}`;
  return responseText(idText, result);
}

/** What the client calls a question in its answer. */
export function questionKey(question: Message): string {
  return `q-${String(question.id)}`;
}
