import { Body, type Exchange, type HeaderMap } from '@shadowcat/kernel';
import {
  callSlot,
  classify,
  clientFields,
  conversationSlot,
  credentialSlot,
  jsonFraming,
  type Message,
  peerSlot,
  type SessionHandle,
  sessionSlot,
  targetSlot,
} from '@shadowcat/wire';

const encoder = new TextEncoder();

export interface OwnExchange {
  readonly id: string;
  /** On whose behalf: target, credential and those header fields that are not about one message. */
  readonly client: Exchange;
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly message?: Message;
  /** Header fields of MCP that this exchange has. */
  readonly headers: HeaderMap;
  readonly session?: SessionHandle;
  readonly signal: AbortSignal;
}

const OF_THE_CLIENT = [credentialSlot, conversationSlot, peerSlot, targetSlot] as const;

/** What has to be kept of a client's exchange to make others on its behalf later: who it is, without what it said. */
export function standIn({ id, head, signal, context }: Exchange): Exchange {
  return { id, head, signal, body: Body.empty, context: context.pick(OF_THE_CLIENT) };
}

/** An exchange of the bridge's own, made on behalf of a client, as it looks inside of the classify and session layers. */
export function ownExchange({ id, client, method, message, headers, session, signal }: OwnExchange): Exchange {
  const fields = clientFields(client.head.headers);
  fields['accept'] = method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream';
  if (message !== undefined) fields['content-type'] = 'application/json';
  Object.assign(fields, headers);
  const head = { method, target: client.head.target, headers: fields };
  const context = client.context.pick(OF_THE_CLIENT);
  context.set(callSlot, classify(head, message === undefined ? [] : [message], false));
  if (session !== undefined) context.set(sessionSlot, session);
  const body = message === undefined ? Body.empty : Body.whole(encoder.encode(message.text), jsonFraming);
  return { id, head, body, signal, context };
}
