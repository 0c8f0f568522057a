import { Body, Context, type Exchange, type HeaderMap } from '@shadowcat/kernel';
import { callSlot, classify, jsonFraming, type Message } from '@shadowcat/wire';

/** What a client of ours sends over HTTP. */
export interface ClientExchangeParts {
  /** For logs. */
  readonly id: string;
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly headers: HeaderMap;
  /** The body of a POST; a list is a batch (2025-03-26). */
  readonly message: Message | readonly Message[] | undefined;
  readonly signal: AbortSignal;
}

const encoder = new TextEncoder();

/** An exchange that no client of the proxy's asked for, as the classify layer would leave it. */
export function clientExchange({ id, method, headers, message, signal }: ClientExchangeParts): Exchange {
  const head = { method, target: '/', headers };
  const context = new Context();
  const batch = Array.isArray(message);
  const messages: readonly Message[] = message === undefined ? [] : 'text' in message ? [message] : message;
  context.set(callSlot, classify(head, messages, batch));
  const text = batch ? batchText(messages) : (messages[0]?.text ?? '');
  const body = message === undefined ? Body.empty : Body.whole(encoder.encode(text), jsonFraming);
  return { id, head, body, signal, context };
}

/** Messages as one body or line. */
export function batchText(messages: readonly Message[]): string {
  return `[${messages.map(({ text }) => text).join(',')}]`;
}
