import { type Layer, ProxyError } from '@shadowcat/kernel';
import type { JsonObject } from './jsonrpc.js';
import { errorReply } from './replies.js';
import { seenResult } from './seen-result.js';
import { callSlot } from './slots.js';

/**
 * Refuses modern requests of a revision that the server did not name in its answer to `server/discover`
 * (`unsupported_version`), in front of a server on a line: some judge a line's first message only, and take what follows for
 * what they know. Before such an answer has passed everything is the server's to judge. Needs `callSlot`.
 */
export function knownRevisions(): Layer {
  let known: readonly unknown[] | undefined;
  const learn = ({ supportedVersions }: JsonObject): void => {
    if (Array.isArray(supportedVersions) && supportedVersions.length > 0) known = supportedVersions;
  };
  return (next) => (exchange) => {
    const call = exchange.context.get(callSlot);
    if (call?.era !== 'modern') return next(exchange);
    const { protocolVersion: requested, message } = call;
    if (known !== undefined && requested !== undefined && message?.kind === 'request' && !known.includes(requested)) {
      const refusal = new ProxyError('unsupported_version', `Unsupported protocol version: ${requested}`, {
        data: { supported: known, requested },
      });
      return Promise.resolve(errorReply(refusal, { idTexts: [message.idText ?? 'null'] }));
    }
    if (call.method !== 'server/discover') return next(exchange);
    return next(exchange).then((reply) => seenResult(reply, learn));
  };
}
