import type { ProxyError } from '@shadowcat/kernel';
import { errorText, type Message, readMessage, spliceMessage } from '@shadowcat/wire';

/** Why a message does not pass. */
export interface Refusal {
  readonly error: ProxyError;
  /** The JSON-RPC code that the interceptor wants, instead of the error table's. */
  readonly code: number | undefined;
}

/** The error that stands for a blocked message that somebody waits for; none when it has no id. */
export function refusalOf(message: Message, refusal: Refusal): Message[] {
  if (message.idText === undefined) return [];
  const error = readMessage(refusalText(refusal, message.idText));
  return error === undefined ? [] : [error];
}

/** The JSON-RPC error of a blocked message, with the interceptor's own code if it gave one. */
export function refusalText({ error, code }: Refusal, idText: string): string {
  const text = errorText(error, idText);
  return code === undefined ? text : spliceMessage(text, [{ path: ['error', 'code'], json: String(code) }]);
}
