import { Body, type Exchange, type HeaderMap, ProxyError } from '@shadowcat/kernel';
import { classify } from './classify.js';
import { clientFields } from './client-fields.js';
import { jsonFraming } from './json-framing.js';
import { modernHeaders } from './modern-headers.js';
import { readMessage } from './read-messages.js';
import { callSlot, conversationSlot, credentialSlot, peerSlot, sessionSlot } from './slots.js';

export interface ModernExchangeParts {
  /** The modern request. */
  readonly text: string;
  /** The exchange that it is made for: who asks, and with which headers. */
  readonly client: Exchange;
  /** Ends the request. Not a legacy client's own signal: one that leaves has not cancelled. */
  readonly signal: AbortSignal;
  /** `Mcp-Param-*`. */
  readonly headers?: HeaderMap;
}

const encoder = new TextEncoder();

/** A modern exchange of a layer's own, as the classify layer would leave it: without a session, but tied to the client's. */
export function modernExchange(parts: ModernExchangeParts): Exchange {
  const { text, client, signal } = parts;
  const message = readMessage(text);
  if (message?.idText === undefined) throw new ProxyError('internal', 'a layer made a request that is none');
  const head = {
    method: 'POST',
    target: client.head.target,
    headers: {
      ...clientFields(client.head.headers),
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...modernHeaders(message),
      ...parts.headers,
    },
  };
  const context = client.context.pick([credentialSlot, peerSlot]);
  context.set(callSlot, classify(head, [message], false));
  const conversation = client.context.get(sessionSlot) ?? client.context.get(conversationSlot);
  if (conversation !== undefined) context.set(conversationSlot, conversation);
  // Lines keep the messages of exchanges apart by their id.
  const id = `${client.id}.${message.idText}`;
  return { id, head, body: Body.whole(encoder.encode(text), jsonFraming), signal, context };
}
