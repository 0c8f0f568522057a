import { ProxyError } from '@shadowcat/kernel';
import type { Json, JsonObject, Message, MessageKind, RpcId } from './jsonrpc.js';
import { type JsonLimits, outlineJson, type Span } from './scan-json.js';
import { elementSpans, spanOf } from './splice.js';

/** Bounds on one request body's JSON; see {@link JsonLimits}. */
export interface ReadLimits extends JsonLimits {
  /** How many messages a batch may hold. Default 100. */
  readonly batch?: number;
}

/** What a body or a line holds. `batch` tells an array of one message from that message. */
export interface ReadMessages {
  readonly batch: boolean;
  readonly messages: Message[];
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The JSON-RPC messages of a body that comes from outside: strict UTF-8, checked JSON ({@link JsonLimits}), JSON-RPC 2.0
 * shape. Throws `ProxyError`: `parse_error` (no UTF-8, no JSON), `invalid_request` (over a limit, no JSON-RPC message).
 */
export function readMessages(bytes: Uint8Array, limits: ReadLimits = {}): ReadMessages {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new ProxyError('parse_error', 'the body is not valid UTF-8', { cause });
  }
  return parseMessages(text, limits);
}

/** {@link readMessages} for what is text already, such as a WebSocket message. */
export function parseMessages(text: string, limits: ReadLimits = {}): ReadMessages {
  const outline = outlineJson(text, limits);
  const value = JSON.parse(text) as Json;
  if (!Array.isArray(value)) {
    return { batch: false, messages: [checked(value, cut(text, outline), outline.id && cut(text, outline.id))] };
  }
  const most = limits.batch ?? 100;
  if (value.length === 0) throw invalid('the JSON-RPC batch is empty');
  if (value.length > most) throw invalid(`the JSON-RPC batch holds ${value.length} messages, more than ${most}`);
  const messages = outline.elements.map((element, index) =>
    checked(value[index] as Json, cut(text, element), element.id && cut(text, element.id)),
  );
  return { batch: true, messages };
}

/**
 * The message on a line that is trusted to send JSON-RPC (a child, an upstream's stream); `undefined` when there is none, or
 * several (see {@link readLine}). Never throws.
 */
export function readMessage(text: string): Message | undefined {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
  return trusted(value, text);
}

/** All messages of such a line: one, or those of a batch (2025-03-26); what is no message is left out. Never throws. */
export function readLine(text: string): readonly Message[] {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return [];
  }
  if (!Array.isArray(value)) {
    const only = trusted(value, text);
    return only === undefined ? [] : [only];
  }
  return elementSpans(text).flatMap((span, index) => trusted(value[index] as Json, cut(text, span)) ?? []);
}

function trusted(value: Json, text: string): Message | undefined {
  if (!isObject(value)) return undefined;
  const { kind } = shapeOf(value);
  if (kind === undefined) return undefined;
  const own = text.trim();
  const id = kind === 'notification' ? undefined : spanOf(own, ID_PATH);
  return message(kind, { value, text: own, idText: id && cut(own, id) });
}

function checked(value: Json, text: string, idText: string | undefined): Message {
  if (!isObject(value)) throw invalid('the body is no JSON-RPC message: it is not an object');
  const shape = shapeOf(value);
  if (shape.kind === undefined) throw invalid(`the body is no JSON-RPC message: ${shape.problem}`);
  return message(shape.kind, { value, text, idText });
}

const ID_PATH: readonly string[] = ['id'];

type Shape = { readonly kind: MessageKind } | { readonly kind: undefined; readonly problem: string };

const REQUEST: Shape = { kind: 'request' };
const NOTIFICATION: Shape = { kind: 'notification' };
const RESPONSE: Shape = { kind: 'response' };

/**
 * JSON-RPC 2.0, sections 4 and 5, as MCP narrows them: a request's id is never null. `params: null` passes, because clients
 * send it and servers take it; `error: null` beside a result is no error.
 */
function shapeOf(value: JsonObject): Shape {
  const { id, method } = value;
  if (value['jsonrpc'] !== '2.0') return problem('"jsonrpc" is not "2.0"');
  const answered = value['result'] !== undefined || (value['error'] !== undefined && value['error'] !== null);
  if (method !== undefined) {
    if (typeof method !== 'string') return problem('"method" is not a string');
    if (answered) return problem('it has both "method" and "result" or "error"');
    const { params } = value;
    if (params !== undefined && typeof params !== 'object')
      return problem('"params" is neither an object nor an array');
    if (id === undefined) return NOTIFICATION;
    return isId(id) ? REQUEST : problem('"id" is neither a string nor a number');
  }
  if (!answered) return problem('it has neither "method" nor "result" nor "error"');
  if (value['result'] !== undefined && isObject(value['error'])) return problem('it has both "result" and "error"');
  if (value['result'] === undefined && !isObject(value['error'])) return problem('"error" is not an object');
  if (value['result'] === undefined && (id === undefined || id === null)) return RESPONSE;
  return isId(id) ? RESPONSE : problem('"id" is neither a string nor a number');
}

function problem(text: string): Shape {
  return { kind: undefined, problem: text };
}

interface Parts {
  readonly value: JsonObject;
  readonly text: string;
  readonly idText: string | undefined;
}

/** One property order for each kind, so that messages of a kind share a shape in the engine. */
function message(kind: MessageKind, parts: Parts): Message {
  const { value, text, idText } = parts;
  const method = value['method'] as string;
  if (kind === 'notification') return { kind, text, value, method };
  const id = value['id'] as RpcId | undefined;
  if (id === undefined || idText === undefined) return { kind, text, value };
  return kind === 'request' ? { kind, text, value, id, idText, method } : { kind, text, value, id, idText };
}

function isId(value: Json | undefined): boolean {
  return typeof value === 'string' || typeof value === 'number';
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function cut(text: string, span: Span): string {
  return span.start === 0 && span.end === text.length ? text : text.slice(span.start, span.end);
}

function invalid(what: string): ProxyError {
  return new ProxyError('invalid_request', what);
}
