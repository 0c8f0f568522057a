import { Body, Context, type Exchange, type HeaderMap, ProxyError } from '@shadowcat/kernel';
import { classify } from './classify.js';
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
      ...clientHeaders(client.head.headers),
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...modernHeaders(message),
      ...parts.headers,
    },
  };
  const context = new Context();
  context.set(callSlot, classify(head, [message], false));
  for (const key of [credentialSlot, peerSlot]) {
    const value = client.context.get(key);
    if (value !== undefined) context.set(key, value);
  }
  const conversation = client.context.get(sessionSlot) ?? client.context.get(conversationSlot);
  if (conversation !== undefined) context.set(conversationSlot, conversation);
  // Lines keep the messages of exchanges apart by their id.
  const id = `${client.id}.${message.idText}`;
  return { id, head, body: Body.whole(encoder.encode(text), jsonFraming), signal, context };
}

/** The client's headers without those that speak of its own message, session and stream. */
function clientHeaders(headers: HeaderMap): HeaderMap {
  const kept: Record<string, HeaderMap[string]> = {};
  for (const name in headers) if (!name.startsWith('mcp-') && !OWN.has(name)) kept[name] = headers[name];
  return kept;
}

const OWN: ReadonlySet<string> = new Set([
  'accept',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'last-event-id',
]);
