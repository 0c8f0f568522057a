import { Body, type HeaderMap, type Reply, reply } from '@shadowcat/kernel';
import {
  asObject,
  failureText,
  jsonFraming,
  type Message,
  type RpcId,
  readMessage,
  spliceMessage,
} from '@shadowcat/wire';

/** The most that is read of an answer to a request of the bridge's own, in bytes. */
const MOST_READ = 4 * 1024 * 1024;
const encoder = new TextEncoder();

/** What came back for a request of the bridge's own. */
export interface Answer {
  readonly status: number;
  readonly headers: HeaderMap;
  /** The JSON-RPC answer, where there was one. */
  readonly message: Message | undefined;
}

/** Reads a reply up to the answer with this id (or an error that names none) and disposes it; `signal` ends that. */
export async function readAnswer(from: Reply, id: RpcId, signal?: AbortSignal): Promise<Answer> {
  const { status, headers } = from.head;
  const stop = (): void => void Promise.resolve(from[Symbol.asyncDispose]()).catch(() => undefined);
  if (signal?.aborted === true) stop();
  else signal?.addEventListener('abort', stop, { once: true });
  try {
    let size = 0;
    for await (const frame of from.body.frames()) {
      size += frame.bytes?.length ?? frame.text?.length ?? 0;
      if (size > MOST_READ) break;
      const message = frame.text === undefined || frame.text === '' ? undefined : readMessage(frame.text);
      if (message !== undefined && answers(message, id)) return { status, headers, message };
    }
    return { status, headers, message: undefined };
  } finally {
    signal?.removeEventListener('abort', stop);
    await from[Symbol.asyncDispose]();
  }
}

/** Whether a message is the answer to the request with this id, or an error of its whole HTTP request. */
export function answers(message: Message, id: RpcId): boolean {
  if (message.kind !== 'response') return false;
  return message.id === id || (message.value['error'] !== undefined && (message.value['id'] ?? null) === null);
}

/** A refusal handed on to whoever asked: status and headers as they came, the error with the client's own id. */
export function handedOn({ status, headers, message }: Answer, idText: string): Reply {
  const kept: Record<string, HeaderMap[string]> = { 'content-type': 'application/json' };
  for (const name of ['www-authenticate', 'retry-after', 'allow'])
    if (headers[name] !== undefined) kept[name] = headers[name];
  const text =
    message === undefined
      ? failureText(idText, { code: -32603, message: `the upstream answered HTTP ${status}` })
      : withId(message, idText);
  return reply({ status, headers: kept }, Body.whole(encoder.encode(text), jsonFraming));
}

/** The message with another id. */
export function withId(message: Message, idText: string): string {
  if (message.idText !== undefined) return spliceMessage(message.text, [{ path: ['id'], json: idText }]);
  return `{"jsonrpc":"2.0","id":${idText},"error":${JSON.stringify(message.value['error'])}}`;
}

/** The HTTP status that the modern revision has for an error (2026-07-28, Streamable HTTP, "Error Handling"). */
export function statusOf(code: unknown): number {
  if (code === -32601) return 404;
  return code === -32602 || code === -32022 || code === -32600 ? 400 : 200;
}

/** The error object of an answer, if it is one. */
export function errorOf(
  message: Message | undefined,
): { readonly code?: unknown; readonly message?: unknown; readonly data?: unknown } | undefined {
  return message === undefined ? undefined : asObject(message.value['error']);
}
