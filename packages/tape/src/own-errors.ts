import type { Context, ProxyError } from '@shadowcat/kernel';
import { type Call, errorText, failureSlot } from '@shadowcat/wire';
import type { ExchangeEnd } from './records.js';

/**
 * The proxy's own error that `text` is, if it is one: parts behind the recorder tell clients in a message that an answer will not come,
 * and set `failureSlot` before. What they say is none of the server's words.
 */
export function ownError(text: string, call: Call, context: Context | undefined): ProxyError | undefined {
  const failure = context?.get(failureSlot);
  if (failure === undefined) return undefined;
  const isOwn = call.messages.some(({ idText }) => idText !== undefined && text === errorText(failure, idText));
  return isOwn ? failure : undefined;
}

/** How an exchange ended whose client was told this instead of an answer: what the server did, where it did something. */
export function endOf({ code, cause }: ProxyError): ExchangeEnd {
  if (code !== 'upstream_closed') return 'error';
  // Where something broke there is a cause; a stream that was ended in good order has none.
  return cause === undefined ? 'closed-by-server' : 'reset';
}
