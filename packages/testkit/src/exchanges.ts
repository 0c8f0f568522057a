import {
  Body,
  Context,
  type Exchange,
  type Frame,
  type Handler,
  type HeaderMap,
  type Reply,
  reply,
} from '@shadowcat/kernel';
import { callSlot, classify, framingOf, type JsonObject, jsonFraming, readMessages, sseFraming } from '@shadowcat/wire';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What an exchange is made from. A body that is neither text, bytes nor a `Body` is sent as its JSON. */
export interface ExchangeParts {
  readonly id?: string;
  /** Default: `POST` with a body, `GET` without. */
  readonly method?: string;
  /** Default `/mcp`. */
  readonly target?: string;
  /** Added to those a client of Streamable HTTP always sends. */
  readonly headers?: HeaderMap;
  readonly body?: Body | Uint8Array | string | object;
  readonly signal?: AbortSignal;
  readonly context?: Context;
}

let made = 0;

/** An exchange as a listener makes it: nothing classified, the body unread. */
export function exchangeOf(parts: ExchangeParts = {}): Exchange {
  const method = parts.method ?? (parts.body === undefined ? 'GET' : 'POST');
  const headers: HeaderMap = {
    host: '127.0.0.1:8787',
    accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
    ...(parts.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...parts.headers,
  };
  made += 1;
  return {
    id: parts.id ?? `x${made}`,
    head: { method, target: parts.target ?? '/mcp', headers },
    body: bodyOf(parts.body),
    signal: parts.signal ?? new AbortController().signal,
    context: parts.context ?? new Context(),
  };
}

/** The same, as the classify layer leaves it: `callSlot` set from the head and the body. */
export function classifiedExchange(parts: ExchangeParts & { readonly body?: Uint8Array | string | object }): Exchange {
  const exchange = exchangeOf(parts);
  const bytes = exchange.body.ready;
  const read = bytes === undefined || bytes.length === 0 ? { messages: [], batch: false } : readMessages(bytes);
  exchange.context.set(callSlot, classify(exchange.head, read.messages, read.batch));
  return exchange;
}

function bodyOf(body: ExchangeParts['body']): Body {
  if (body === undefined) return Body.empty;
  if (body instanceof Body) return body;
  if (body instanceof Uint8Array) return Body.whole(body, jsonFraming);
  return Body.whole(encoder.encode(typeof body === 'string' ? body : JSON.stringify(body)), jsonFraming);
}

/** A reply, read to its end. `frames` are the messages and events in it by its own framing. */
export interface ReadReply {
  readonly status: number;
  readonly headers: HeaderMap;
  readonly text: string;
  readonly frames: readonly Frame[];
  /** The parsed messages of `frames`, those without one left out. */
  readonly messages: readonly JsonObject[];
}

/** Reads a reply as a listener would, and disposes it, also when its body fails. */
export async function readReply(answer: Reply): Promise<ReadReply> {
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body.bytes()) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const reader = answer.body.framing.decoder();
    const frames = [...(bytes.length === 0 ? [] : reader.push(bytes)), ...reader.end()];
    return {
      status: answer.head.status,
      headers: answer.head.headers,
      text: decoder.decode(bytes),
      frames,
      messages: frames.flatMap((frame) => (frame.message === undefined ? [] : [frame.message as JsonObject])),
    };
  } finally {
    await answer[Symbol.asyncDispose]();
  }
}

/** A JSON reply; `value` as text is taken verbatim. */
export function jsonReply(value: string | object, head: { status?: number; headers?: HeaderMap } = {}): Reply {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const bytes = encoder.encode(text);
  return reply(
    { status: head.status ?? 200, headers: { 'content-type': 'application/json', ...head.headers } },
    Body.whole(bytes, jsonFraming),
  );
}

/** A reply that streams `chunks` as they come; framing by its content type (default: SSE). */
export function streamReply(
  chunks: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
  head: { status?: number; headers?: HeaderMap; dispose?: () => void | Promise<void> } = {},
): Reply {
  const headers: HeaderMap = { 'content-type': 'text/event-stream', ...head.headers };
  const type = headers['content-type'];
  async function* source(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) yield typeof chunk === 'string' ? encoder.encode(chunk) : chunk;
  }
  const framing = typeof type === 'string' ? framingOf(type) : sseFraming;
  return reply({ status: head.status ?? 200, headers }, Body.stream(source(), framing), head.dispose);
}

/** A handler that keeps what it was asked. */
export type HandlerDouble = Handler & { readonly exchanges: readonly Exchange[] };

/** A handler from a function; an object or text that it returns becomes a JSON reply. */
export function handlerOf(
  answer: (exchange: Exchange) => Reply | object | string | Promise<Reply | object | string>,
): HandlerDouble {
  const exchanges: Exchange[] = [];
  const handler: Handler = async (exchange) => {
    exchanges.push(exchange);
    const result = await answer(exchange);
    return isReply(result) ? result : jsonReply(result);
  };
  return Object.assign(handler, { exchanges });
}

function isReply(value: object | string): value is Reply {
  return typeof value === 'object' && Symbol.asyncDispose in value && 'head' in value && 'body' in value;
}
