import { type Frame, type Reply, withReply } from '@shadowcat/kernel';
import { objectAt } from './json-object.js';
import type { JsonObject } from './jsonrpc.js';
import { readMessage } from './read-messages.js';

/** The same reply, whose result is shown to `see` as it passes. An error is not shown. */
export function seenResult(reply: Reply, see: (result: JsonObject) => void): Reply {
  const frame = ({ text }: Frame): void => {
    const message = text === undefined || text === '' ? undefined : readMessage(text);
    const result = message?.kind === 'response' ? objectAt(message.value, 'result') : undefined;
    if (result !== undefined) see(result);
  };
  return withReply(reply, { body: reply.body.with({ transforms: false, frame }) });
}
