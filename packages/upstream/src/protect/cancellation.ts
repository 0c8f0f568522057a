import { Body, Context, type Exchange, type Handler, type Slot, withHeaders } from '@shadowcat/kernel';
import {
  type Call,
  callSlot,
  classify,
  credentialSlot,
  jsonFraming,
  notificationText,
  peerSlot,
  readMessage,
  sessionSlot,
} from '@shadowcat/wire';

const encoder = new TextEncoder();

/**
 * Tells a server that nobody waits for these requests any more (2025-11-25, Lifecycle, "Timeouts"). Modern servers know it by the
 * end of the connection, and `initialize` must not be cancelled. What becomes of the notice is nobody's business.
 */
export function cancelRequests(exchange: Exchange, call: Call, handler: Handler): void {
  if (call.era !== 'legacy' || call.method === 'initialize') return;
  for (const { kind, idText } of call.messages) {
    if (kind !== 'request' || idText === undefined) continue;
    const params = `{"requestId":${idText},"reason":"it took too long"}`;
    const notice = noticeOf(exchange, notificationText('notifications/cancelled', params));
    handler(notice)
      .then((answer) => answer[Symbol.asyncDispose]())
      .catch(() => {});
  }
}

function noticeOf(exchange: Exchange, text: string): Exchange {
  const message = readMessage(text);
  const headers = withHeaders(exchange.head.headers, { 'content-length': undefined });
  const head = { ...exchange.head, headers };
  const context = new Context();
  const copy = <T>(slot: Slot<T>): void => {
    const value = exchange.context.get(slot);
    if (value !== undefined) context.set(slot, value);
  };
  copy(sessionSlot);
  copy(credentialSlot);
  copy(peerSlot);
  context.set(callSlot, classify(head, message === undefined ? [] : [message], false));
  const body = Body.whole(encoder.encode(text), jsonFraming);
  return { id: `${exchange.id}-cancel`, head, body, signal: new AbortController().signal, context };
}
