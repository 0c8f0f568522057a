import { headerOf, type RequestHead } from '@shadowcat/kernel';
import type { Call, Era } from './call.js';
import type { JsonObject, Message } from './jsonrpc.js';
import { LEGACY_VERSIONS, META_VERSION, MODERN, SESSION_HEADER, VERSION_HEADER } from './protocol.js';

/**
 * What an HTTP exchange asks for. Never throws: what does not fit is passed on for others to judge.
 *
 * A POST is modern when a message of it claims a revision in `_meta` that is none of the legacy ones, or when the
 * `MCP-Protocol-Version` header names a modern one; `initialize` without a modern claim is legacy whatever the header says
 * (2026-07-28, Versioning, "Backward Compatibility with Initialization-Based Versions").
 */
export function classify(head: RequestHead, messages: readonly Message[], batch: boolean): Call {
  const verb = head.method === 'GET' ? 'stream' : head.method === 'DELETE' ? 'end' : 'post';
  const version = headerOf(head.headers, VERSION_HEADER)?.trim();
  const message = batch ? (messages.find(isRequest) ?? messages[0]) : messages[0];
  const claim = batch ? firstModernClaim(messages) : claimedVersion(message);
  const era = eraOf(message, claim, version);
  return {
    era,
    verb,
    messages,
    batch,
    message,
    method: methodOf(verb, message),
    target: message === undefined ? undefined : targetOf(message),
    protocolVersion: era === 'modern' ? (claim ?? version) : version,
    sessionId: era === 'modern' ? undefined : headerOf(head.headers, SESSION_HEADER),
    expectsAnswer: batch ? messages.some(isRequest) : message?.kind === 'request',
  };
}

/** The revision that a message names in its own `_meta`, as modern ones do. */
export function claimedVersion(message: Message | undefined): string | undefined {
  const claim = objectAt(paramsOf(message), '_meta')?.[META_VERSION];
  return typeof claim === 'string' ? claim : undefined;
}

/** Whether a revision is 2026-07-28 or a later one; revisions are dates, and unknown names count as later ones. */
export function isModern(version: string): boolean {
  return version >= MODERN;
}

/**
 * Which member of `params` names what a method is about. `Mcp-Name` repeats the first three (2026-07-28, "Standard Request
 * Headers") and, for the tasks extension, the task's id.
 */
const TARGET_MEMBERS: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['resources/subscribe', 'uri'],
  ['resources/unsubscribe', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
  ['tasks/result', 'taskId'],
]);

/** Tool or prompt name, resource URI or task id; for completions the name or URI of what is completed. */
export function targetOf(message: Message): string | undefined {
  if (message.method === undefined) return undefined;
  const params = paramsOf(message);
  if (message.method === 'completion/complete') {
    const reference = objectAt(params, 'ref');
    return textAt(reference, 'name') ?? textAt(reference, 'uri');
  }
  const member = TARGET_MEMBERS.get(message.method);
  return member === undefined ? undefined : textAt(params, member);
}

function eraOf(message: Message | undefined, claim: string | undefined, version: string | undefined): Era {
  if (claim !== undefined) return LEGACY_VERSIONS.includes(claim) ? 'legacy' : 'modern';
  if (message?.method === 'initialize') return 'legacy';
  return version !== undefined && isModern(version) ? 'modern' : 'legacy';
}

/** Batches are legacy; one modern message in it makes the whole thing modern, to be refused as such. */
function firstModernClaim(messages: readonly Message[]): string | undefined {
  for (const message of messages) {
    const claim = claimedVersion(message);
    if (claim !== undefined && !LEGACY_VERSIONS.includes(claim)) return claim;
  }
  return undefined;
}

function methodOf(verb: Call['verb'], message: Message | undefined): string {
  if (verb !== 'post') return verb === 'stream' ? '(stream)' : '(end)';
  if (message === undefined) return '(none)';
  return message.method ?? '(response)';
}

function isRequest(message: Message): boolean {
  return message.kind === 'request';
}

function paramsOf(message: Message | undefined): JsonObject | undefined {
  return message === undefined ? undefined : objectAt(message.value, 'params');
}

function objectAt(value: JsonObject | undefined, key: string): JsonObject | undefined {
  const inner = value?.[key];
  return typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as JsonObject) : undefined;
}

function textAt(value: JsonObject | undefined, key: string): string | undefined {
  const inner = value?.[key];
  return typeof inner === 'string' ? inner : undefined;
}
