import {
  META_CLIENT_CAPABILITIES,
  META_CLIENT_INFO,
  META_LOG_LEVEL,
  META_VERSION,
  type Message,
  MODERN,
  objectAt,
  spliceMessage,
  withMembers,
} from '@shadowcat/wire';
import type { ClientFacts } from './client-facts.js';

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
