import { claimedVersion } from './classify.js';
import { asObject, objectAt } from './json-object.js';
import type { Message } from './jsonrpc.js';
import { LEVELS } from './log-levels.js';
import { META_CLIENT_CAPABILITIES, META_LOG_LEVEL, META_VERSION, MODERN } from './protocol.js';
import type { Failure } from './texts.js';

/** Why a modern request's `_meta` cannot be served (2026-07-28, "Request Metadata"); `undefined` when it can. */
export function envelopeProblem(message: Message): Failure | undefined {
  const version = claimedVersion(message);
  const meta = objectAt(objectAt(message.value, 'params'), '_meta');
  if (version === undefined || asObject(meta?.[META_CLIENT_CAPABILITIES]) === undefined) {
    return { code: -32602, message: `params._meta needs ${META_VERSION} and ${META_CLIENT_CAPABILITIES}` };
  }
  const level = meta?.[META_LOG_LEVEL];
  if (level !== undefined && !LEVELS.includes(level as string)) {
    return { code: -32602, message: `params._meta["${META_LOG_LEVEL}"] is no log level` };
  }
  if (version === MODERN) return undefined;
  const data = { supported: [MODERN], requested: version };
  return { code: -32022, message: `Unsupported protocol version: ${version}`, data };
}
