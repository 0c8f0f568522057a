import {
  Body,
  Context,
  type Exchange,
  Frame,
  type FrameTransform,
  type Handler,
  type HeaderMap,
} from '@shadowcat/kernel';
import {
  type Call,
  callSlot,
  classify,
  credentialSlot,
  jsonFraming,
  type Message,
  readLine,
  SESSION_HEADER,
  sessionSlot,
  targetSlot,
  VERSION_HEADER,
} from '@shadowcat/wire';
import type { Interceptor } from './interceptor.js';
import { circumstancesOf, concerns, type JudgeComponents, judge } from './judge.js';
import { BOTH_TYPES } from './media.js';
import { type Refusal, refusalOf, refusalText } from './refusal.js';

const encoder = new TextEncoder();

export interface Downward {
  readonly exchange: Exchange;
  readonly call: Call;
  /** Takes the errors that the server gets for its blocked requests. */
  readonly next: Handler;
}

/**
 * Judges what a client gets, message by message; the stream waits meanwhile, so that nothing overtakes. A blocked answer
 * becomes an error with its id; a blocked notification is left out; a blocked request is left out, and its server gets an
 * error as if the client had answered so.
 */
export function judgeDownward(
  interceptors: readonly Interceptor[],
  asked: Downward,
  components: JudgeComponents,
): FrameTransform {
  const { exchange, call } = asked;
  return {
    transforms: true,
    async frame(frame) {
      const messages = frame.text === undefined ? [] : readLine(frame.text);
      if (messages.length === 0) return frame;
      const passed: Message[] = [];
      for (const message of messages) {
        const method = message.method ?? answeredMethod(call, message);
        if (!interceptors.some((interceptor) => concerns(interceptor, 'server-to-client', method))) {
          passed.push(message);
          continue;
        }
        const about = circumstancesOf(exchange, call, { direction: 'server-to-client', kind: message.kind, method });
        const circumstances = message.kind === 'response' ? about : { ...about, target: undefined };
        const judgement = await judge(interceptors, { message, circumstances }, components);
        if (judgement.passes) passed.push(judgement.message);
        else if (message.kind === 'response') passed.push(...refusalOf(message, judgement));
        else if (message.kind === 'request') await refuse(asked, { message, refusal: judgement }, components);
      }
      return reframed(frame, messages, passed);
    },
  };
}

function reframed(frame: Frame, before: readonly Message[], after: readonly Message[]): Frame | undefined {
  if (after.length === before.length && after.every((message, at) => message === before[at])) return frame;
  const texts = after.map(({ text }) => text);
  if (texts.length === 0) {
    // The event's id still counts for a client that resumes: it stays, as an event without a message.
    return frame.sse?.id === undefined ? undefined : new Frame({ text: null, sse: { id: frame.sse.id } });
  }
  const batch = before.length > 1 || frame.text?.trimStart().startsWith('[') === true;
  return frame.replace(batch ? `[${texts.join(',')}]` : (texts[0] ?? ''));
}

/** The method of the request in this exchange that a response answers. */
function answeredMethod(call: Call, response: Message): string {
  const request = call.messages.find(({ kind, idText }) => kind === 'request' && idText === response.idText);
  return request?.method ?? '(response)';
}

/** Answers a server's request in the client's place, by the way the client's own answer would go. */
async function refuse(
  asked: Downward,
  blocked: { readonly message: Message; readonly refusal: Refusal },
  components: JudgeComponents,
): Promise<void> {
  const { exchange, next } = asked;
  const { message, refusal } = blocked;
  if (message.idText === undefined) return;
  try {
    const answer = await next(answering(exchange, refusalText(refusal, message.idText)));
    await answer[Symbol.asyncDispose]();
  } catch (error) {
    const details = { exchange: exchange.id, method: message.method, err: error };
    components.log.warn(details, 'a server could not be told that its request to the client was blocked');
  }
}

function answering(exchange: Exchange, text: string): Exchange {
  const headers: Record<string, HeaderMap[string]> = { 'content-type': 'application/json', accept: BOTH_TYPES };
  for (const name of ['host', 'authorization', SESSION_HEADER, VERSION_HEADER]) {
    const value = exchange.head.headers[name];
    if (value !== undefined) headers[name] = value;
  }
  const head = { method: 'POST', target: exchange.head.target, headers };
  const context = new Context();
  context.set(callSlot, classify(head, readLine(text), false));
  for (const slot of [credentialSlot, targetSlot]) {
    const value = exchange.context.get(slot);
    if (value !== undefined) context.set(slot, value);
  }
  const session = exchange.context.get(sessionSlot);
  if (session !== undefined) context.set(sessionSlot, session);
  return {
    id: `${exchange.id}.refusal`,
    head,
    body: Body.whole(encoder.encode(text), jsonFraming),
    get signal() {
      return exchange.signal;
    },
    context,
  };
}
