import {
  META_CLIENT_CAPABILITIES,
  META_CLIENT_INFO,
  META_SUBSCRIPTION,
  META_VERSION,
  type Message,
} from '@shadowcat/wire';
import { canonicalOf, withMember, without } from './canonical.js';
import { type JsonNode, jsonTree, memberOf, stringOf } from './json-tree.js';

/** Members of `_meta` that differ between two runs of the same client: tokens, trace context, who the client is. */
const VOLATILE_META = new Set([
  'progressToken',
  'traceparent',
  'tracestate',
  'baggage',
  META_VERSION,
  META_SUBSCRIPTION,
  META_CLIENT_INFO,
  META_CLIENT_CAPABILITIES,
]);

/** What is compared of a request. */
export interface RequestShape {
  readonly method: string;
  readonly target: string | undefined;
  /** The parameters without what is volatile; `undefined` when nothing is left. */
  readonly params: JsonNode | undefined;
  /** The text that the spans of `params` lie in. */
  readonly text: string;
  readonly key: string;
}

/** Reads a request's text, redacted as the tape is. */
export function shapeOf(method: string, text: string): RequestShape {
  const params = memberOf(jsonTree(text), 'params');
  const meta = without(memberOf(params, '_meta'), (key) => VOLATILE_META.has(key));
  const kept = without(withMember(params, '_meta', meta), () => false);
  const target = targetOf(method, text, params);
  // Who opens a session is looked at when it is bound to a recorded one; the answer is the same for everyone.
  const compared = method === 'initialize' || kept === undefined ? '' : canonicalOf(text, kept);
  return { method, target, params: kept, text, key: keyOf(method, target, compared) };
}

/** The key of a retry without the answers it brings: method, target, the rest of the parameters, and which were answered. */
export function retryKey(shape: RequestShape): string | undefined {
  const responses = memberOf(shape.params, 'inputResponses');
  if (responses?.kind !== 'object') return undefined;
  const rest = withMember(shape.params, 'inputResponses', undefined);
  const answered = responses.members.map(({ key }) => key).sort();
  const canonical = rest === undefined ? '' : canonicalOf(shape.text, rest);
  return `${keyOf(shape.method, shape.target, canonical)}\n${JSON.stringify(answered)}`;
}

/** The parameters of a message as one canonical text. */
export function canonicalParams(message: Message): string {
  const params = memberOf(jsonTree(message.text), 'params');
  return params === undefined ? '' : canonicalOf(message.text, params);
}

function keyOf(method: string, target: string | undefined, params: string): string {
  return `${method}\n${JSON.stringify(target ?? null)}\n${params}`;
}

function targetOf(method: string, text: string, params: JsonNode | undefined): string | undefined {
  if (method === 'tools/call' || method === 'prompts/get') return stringAt(text, memberOf(params, 'name'));
  if (method.startsWith('resources/')) return stringAt(text, memberOf(params, 'uri'));
  if (method === 'completion/complete') {
    const ref = memberOf(params, 'ref');
    return ref === undefined ? undefined : canonicalOf(text, ref);
  }
  return undefined;
}

function stringAt(text: string, node: JsonNode | undefined): string | undefined {
  return node?.kind === 'string' ? stringOf(text, node) : undefined;
}
