import { Body, Context, type Exchange, type HeaderMap } from '@shadowcat/kernel';
import { callSlot, classify, jsonFraming, type Message } from '@shadowcat/wire';

/** What a client of ours sends over HTTP. */
export interface ClientExchangeParts {
  /** For logs. */
  readonly id: string;
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly headers: HeaderMap;
  /** The body of a POST. */
  readonly message: Message | undefined;
  readonly signal: AbortSignal;
}

const encoder = new TextEncoder();

/** An exchange that no client of the proxy's asked for, as the classify layer would leave it. */
export function clientExchange({ id, method, headers, message, signal }: ClientExchangeParts): Exchange {
  const head = { method, target: '/', headers };
  const context = new Context();
  context.set(callSlot, classify(head, message === undefined ? [] : [message], false));
  const body = message === undefined ? Body.empty : Body.whole(encoder.encode(message.text), jsonFraming);
  return { id, head, body, signal, context };
}
