import { Body, type Exchange, type HeaderMap, withExchange, withHeaders } from '@shadowcat/kernel';
import {
  type Call,
  callSlot,
  claimedVersion,
  classify,
  jsonFraming,
  type Message,
  modernHeaders,
  VERSION_HEADER,
} from '@shadowcat/wire';
import type { Interceptor } from './interceptor.js';
import { circumstancesOf, concerns, type JudgeComponents, judge } from './judge.js';
import { paramHeaders } from './param-headers.js';
import { type Refusal, refusalOf } from './refusal.js';

const encoder = new TextEncoder();

/** What a client's POST became: it goes on, perhaps changed; a request in it is refused; or nothing of it is left. */
export type Upward =
  | { readonly kind: 'forward'; readonly exchange: Exchange }
  | { readonly kind: 'refuse'; readonly refusal: Refusal }
  | { readonly kind: 'drop' };

/**
 * Judges what a client sent, message by message. A blocked request refuses all of its batch; a blocked notification is left
 * out; a blocked answer becomes an error, because the server waits for one.
 */
export async function judgeUpward(
  interceptors: readonly Interceptor[],
  asked: { readonly exchange: Exchange; readonly call: Call },
  components: JudgeComponents,
): Promise<Upward> {
  const { exchange, call } = asked;
  const passed: Message[] = [];
  for (const message of call.messages) {
    const method = message.method ?? '(response)';
    if (!interceptors.some((interceptor) => concerns(interceptor, 'client-to-server', method))) {
      passed.push(message);
      continue;
    }
    const circumstances = circumstancesOf(exchange, call, {
      direction: 'client-to-server',
      kind: message.kind,
      method,
    });
    const judgement = await judge(interceptors, { message, circumstances }, components);
    if (judgement.passes) passed.push(judgement.message);
    else if (message.kind === 'request') return { kind: 'refuse', refusal: judgement };
    else if (message.kind === 'response') passed.push(...refusalOf(message, judgement));
  }
  if (passed.length === 0) return { kind: 'drop' };
  const changed = passed.length !== call.messages.length || passed.some((message, at) => message !== call.messages[at]);
  return { kind: 'forward', exchange: changed ? carrying(exchange, call, passed) : exchange };
}

/** The exchange with these messages instead; what depends on them follows. */
function carrying(exchange: Exchange, call: Call, messages: readonly Message[]): Exchange {
  const texts = messages.map(({ text }) => text);
  const bytes = encoder.encode(call.batch ? `[${texts.join(',')}]` : texts[0]);
  const head = {
    ...exchange.head,
    headers: headersFor(exchange.head.headers, { call, messages, length: bytes.length }),
  };
  exchange.context.set(callSlot, classify(head, messages, call.batch));
  return withExchange(exchange, { head, body: Body.whole(bytes, jsonFraming) });
}

function headersFor(
  headers: HeaderMap,
  changed: { readonly call: Call; readonly messages: readonly Message[]; readonly length: number },
): HeaderMap {
  const { call, messages, length } = changed;
  const [before, after] = [call.messages[0], messages[0]];
  const sized =
    headers['content-length'] === undefined ? headers : withHeaders(headers, { 'content-length': `${length}` });
  if (call.era === 'legacy' || before === undefined || after === undefined) return sized;
  // Some name their revision in the header only.
  const version = claimedVersion(after) ?? headers[VERSION_HEADER];
  const repeated = { ...modernHeaders(after), [VERSION_HEADER]: version, ...paramHeaders(sized, before, after) };
  return withHeaders(sized, repeated);
}
