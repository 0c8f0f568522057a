import { Body, type Exchange, type RequestHead, withHeaders } from '@shadowcat/kernel';
import {
  callSlot,
  classify,
  conversationSlot,
  credentialSlot,
  jsonFraming,
  type Message,
  peerSlot,
  sessionSlot,
  VERSION_HEADER,
} from '@shadowcat/wire';
import type { ShadowSession } from './shadow-session.js';

const encoder = new TextEncoder();

export interface ShadowExchange {
  readonly id: string;
  /** On whose behalf. */
  readonly client: Exchange;
  readonly message: Message;
  readonly session: ShadowSession | undefined;
  readonly signal: AbortSignal;
}

/** A request to the shadow, as it looks inside of the classify and session layers. Shares nothing with the client's own. */
export function shadowExchange({ id, client, message, session, signal }: ShadowExchange): Exchange {
  const { head, body } = client;
  const own = client.context.get(callSlot)?.message === message;
  const bytes = own ? body.ready : undefined;
  const sent = bytes ?? encoder.encode(message.text);
  const context = client.context.pick([credentialSlot, conversationSlot, peerSlot]);
  const ownHead: RequestHead = { ...head, headers: withHeaders(head.headers, changes(client, sent, session)) };
  context.set(callSlot, classify(ownHead, [message], false));
  if (session !== undefined) context.set(sessionSlot, session);
  return { id, head: ownHead, body: Body.whole(sent, jsonFraming), signal, context };
}

/** What the client agreed upon with its server is not what was agreed upon with the shadow. */
function changes({ head }: Exchange, sent: Uint8Array, session: ShadowSession | undefined): RequestHead['headers'] {
  const length = head.headers['content-length'] === undefined ? {} : { 'content-length': `${sent.length}` };
  return session === undefined ? length : { ...length, [VERSION_HEADER]: session.protocolVersion };
}
