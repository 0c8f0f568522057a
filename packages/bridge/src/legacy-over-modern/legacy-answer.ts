import { asObject, type Json, META_SERVER_INFO, type Message, objectAt, withMembers } from '@shadowcat/wire';
import { withId } from './modern-request.js';
import { unwrapped, wrapSchemas, wrapStructured } from './object-schemas.js';

/** The request that is answered. */
export interface Asked {
  readonly method: string;
  /** The id that the client gave it. */
  readonly idText: string;
  /** Whether the client was told that the structured content of this tool is an object with a `result`. */
  readonly wrapped: boolean;
}

/** Methods whose modern results carry cache hints (2026-07-28, "Caching"), which no legacy revision has. */
const CACHED: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
]);

/** A modern server's final answer as a legacy one would have given it. */
export function legacyAnswer(answer: Message, asked: Asked): string {
  const own = withId(answer.text, asked.idText);
  return answer.value['result'] === undefined ? legacyError(own, answer, asked) : legacyResult(own, answer, asked);
}

function legacyResult(text: string, answer: Message, asked: Asked): string {
  const result = objectAt(answer.value, 'result');
  const hints = CACHED.has(asked.method) ? { ttlMs: undefined, cacheScope: undefined } : {};
  const plain = withMembers(withoutServerInfo(text, result?.['_meta']), ['result'], {
    resultType: undefined,
    ...hints,
  });
  if (asked.method === 'tools/list') return wrapSchemas(plain, result);
  if (asked.method === 'tools/call' && (asked.wrapped || unwrapped(result))) return wrapStructured(plain, result);
  return plain;
}

/** Modern servers say who they are in each result; legacy ones in `initialize` only. */
function withoutServerInfo(text: string, meta: Json | undefined): string {
  const members = Object.keys(asObject(meta) ?? {});
  if (!members.includes(META_SERVER_INFO)) return text;
  return members.length === 1
    ? withMembers(text, ['result'], { _meta: undefined })
    : withMembers(text, ['result', '_meta'], { [META_SERVER_INFO]: undefined });
}

/**
 * Codes whose meaning belongs to the modern transport (header mismatch, missing client capability, unsupported version) are
 * plain errors to a legacy client. The message and the data stay.
 */
const CODES: ReadonlyMap<Json, string> = new Map([
  [-32020, '-32603'],
  [-32021, '-32602'],
  [-32022, '-32603'],
]);

function legacyError(text: string, answer: Message, { method }: Asked): string {
  const error = objectAt(answer.value, 'error');
  const code = error?.['code'];
  // A resource that is not there: -32602 with its URI since 2026-07-28, -32002 before ("Resources", Error Handling).
  const missing =
    method === 'resources/read' && code === -32602 && typeof objectAt(error, 'data')?.['uri'] === 'string';
  const other = missing ? '-32002' : code === undefined ? undefined : CODES.get(code);
  return other === undefined ? text : withMembers(text, ['error'], { code: other });
}

/** A notification of a subscription as legacy servers send it: without the id of the subscription. */
export function untagged(message: Message, tag: string): string {
  const meta = objectAt(objectAt(message.value, 'params'), '_meta');
  if (meta === undefined || !(tag in meta)) return message.text;
  return Object.keys(meta).length === 1
    ? withMembers(message.text, ['params'], { _meta: undefined })
    : withMembers(message.text, ['params', '_meta'], { [tag]: undefined });
}
