import { ProxyError } from '@shadowcat/kernel';
import type { Json, JsonObject, Message, MessageKind, RpcId } from './jsonrpc.js';
import { type JsonLimits, outlineJson } from './scan-json.js';
import { elementSpans, spanOf } from './splice.js';

/** Bounds on one request body's JSON; see {@link JsonLimits}. */
export interface ReadLimits extends JsonLimits {
  /** How many messages a batch may hold. Default 100. */
  readonly batch?: number;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The JSON-RPC messages of a body that comes from outside: strict UTF-8, checked JSON ({@link JsonLimits}), JSON-RPC 2.0
 * shape. Throws `ProxyError`: `parse_error` (no UTF-8, no JSON), `invalid_request` (over a limit, no JSON-RPC message).
 */
export function readMessages(bytes: Uint8Array, limits: ReadLimits = {}): { batch: boolean; messages: Message[] } {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new ProxyError('parse_error', 'the body is not valid UTF-8', { cause });
  }
  return parseMessages(text, limits);
}

/** {@link readMessages} for what is text already, such as a WebSocket message. */
export function parseMessages(text: string, limits: ReadLimits = {}): { batch: boolean; messages: Message[] } {
  const outline = outlineJson(text, limits);
  const value = JSON.parse(text) as Json;
  if (!Array.isArray(value)) return { batch: false, messages: [checked(text, value, outline)] };
  const most = limits.batch ?? 100;
  if (value.length === 0) throw new ProxyError('invalid_request', 'the JSON-RPC batch is empty');
  if (value.length > most) {
    throw new ProxyError('invalid_request', `the JSON-RPC batch holds ${value.length} messages, more than ${most}`);
  }
  const messages = outline.elements.map((element, index) => checked(text, value[index] as Json, element));
  return { batch: true, messages };
}

/**
 * The message on a line that is trusted to send JSON-RPC (a child, an upstream's stream), or `undefined` when there is none.
 * Never throws; a batch is none (see {@link readLine}).
 */
export function readMessage(text: string): Message | undefined {
  const value = parsed(text);
  const kind = isObject(value) ? kindOf(value) : undefined;
  return kind === undefined || isProblem(kind) ? undefined : message(kind, value as JsonObject, trimmed(text));
}

/** All messages on such a line: one, or those of a 2025-03-26 batch; what is no message is left out. Never throws. */
export function readLine(text: string): readonly Message[] {
  const value = parsed(text);
  if (!Array.isArray(value)) {
    const only = value === undefined ? undefined : readMessage(text);
    return only === undefined ? [] : [only];
  }
  const spans = elementSpans(text);
  return spans.flatMap((span) => readMessage(text.slice(span.start, span.end)) ?? []);
}
