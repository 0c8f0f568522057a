import { Body, Context, type Exchange, type HeaderMap, ProxyError } from '@shadowcat/kernel';
import {
  callSlot,
  classify,
  credentialSlot,
  jsonFraming,
  META_CLIENT_CAPABILITIES,
  META_CLIENT_INFO,
  META_LOG_LEVEL,
  META_VERSION,
  type Message,
  MODERN,
  modernHeaders,
  peerSlot,
  readMessage,
  spliceMessage,
  withMembers,
} from '@shadowcat/wire';
import { type ClientFacts, objectAt } from './client-facts.js';

/** What every modern request says in its `_meta` (2026-07-28, "Request Metadata"). */
export interface Envelope {
  readonly client: ClientFacts;
  /** From which level on the server may send log messages on the stream of this request; `undefined`: none. */
  readonly logLevel: string | undefined;
}

/** A legacy request's text with the envelope of a modern one. Everything else stays as the client wrote it. */
export function modernText(message: Message, envelope: Envelope): string {
  const { client, logLevel } = envelope;
  const params = objectAt(message.value, 'params');
  const withParams = params === undefined ? withMembers(message.text, [], { params: '{}' }) : message.text;
  const hasMeta = objectAt(params, '_meta') !== undefined;
  const withMeta = hasMeta ? withParams : withMembers(withParams, ['params'], { _meta: '{}' });
  return withMembers(withMeta, ['params', '_meta'], {
    [META_VERSION]: JSON.stringify(MODERN),
    [META_CLIENT_INFO]: client.clientInfoText,
    [META_CLIENT_CAPABILITIES]: client.capabilitiesText,
    [META_LOG_LEVEL]: logLevel === undefined ? undefined : JSON.stringify(logLevel),
  });
}

export function withId(text: string, idText: string): string {
  return spliceMessage(text, [{ path: ['id'], json: idText }]);
}

export interface ModernExchangeParts {
  /** The modern request. */
  readonly text: string;
  /** The legacy exchange that it is made for: who asks, and with which headers. */
  readonly client: Exchange;
  /** Ends the request. Never the client's own signal: a legacy client that leaves has not cancelled. */
  readonly signal: AbortSignal;
  /** `Mcp-Param-*`. */
  readonly headers?: HeaderMap;
}

const encoder = new TextEncoder();

/** A modern exchange as the classify layer would leave it, without a session. */
export function modernExchange(parts: ModernExchangeParts): Exchange {
  const { text, client, signal } = parts;
  const message = readMessage(text);
  if (message?.idText === undefined) throw new ProxyError('internal', 'the bridge made a request that is none');
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
