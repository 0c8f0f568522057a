import { type Handler, type HeaderMap, headerOf, ProxyError, type Reply } from '@shadowcat/kernel';
import type { Connect, Sent, ServerEar, ServerLine } from '@shadowcat/tape';
import {
  asObject,
  claimedVersion,
  type Message,
  modernHeaders,
  readLine,
  SESSION_HEADER,
  VERSION_HEADER,
} from '@shadowcat/wire';
import { clientExchange } from './client-exchange.js';

const BASE: HeaderMap = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const STREAM: HeaderMap = { accept: 'text/event-stream' };

/** Clients of a Streamable HTTP server behind `handler`, each with a session of its own where the server gives one. */
export function httpConnect(handler: Handler): Connect {
  return async (ear) => new HttpLine(handler, ear);
}

class HttpLine implements ServerLine {
  readonly #handler: Handler;
  readonly #ear: ServerEar;
  readonly #over = new AbortController();
  #session: string | undefined;
  #revision: string | undefined;
  #stream: Promise<void> | undefined;

  constructor(handler: Handler, ear: ServerEar) {
    this.#handler = handler;
    this.#ear = ear;
  }

  get secrets(): readonly string[] {
    return this.#session === undefined ? [] : [this.#session];
  }

  async send(message: Message, signal: AbortSignal): Promise<Sent> {
    await using reply = await this.#post(message, signal);
    const { status, headers } = reply.head;
    if (message.method === 'initialize') this.#session = headerOf(headers, SESSION_HEADER) ?? this.#session;
    let heard = 0;
    for await (const frame of reply.body.frames()) {
      for (const came of readLine(frame.text ?? '')) {
        heard += 1;
        if (message.method === 'initialize') this.#revision ??= revisionIn(came);
        this.#ear.message(came);
      }
    }
    return { over: true, ...(status >= 400 && heard === 0 ? { problem: `HTTP ${status}` } : {}) };
  }

  /** For sessions only: a server without them has nobody to speak to. */
  listen(): void {
    if (this.#session !== undefined) this.#stream ??= this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new ProxyError('cancelled', 'the tape is played'));
    await this.#stream;
    if (this.#session === undefined) return;
    const headers = { ...BASE, ...this.#legacy() };
    const { signal } = new AbortController();
    try {
      const exchange = clientExchange({ id: 'verify', method: 'DELETE', headers, message: undefined, signal });
      await using _reply = await this.#handler(exchange);
    } catch {
      // A server that does not let its sessions end ends them itself.
    }
  }

  #post(message: Message, signal: AbortSignal): Promise<Reply> {
    const own = claimedVersion(message) === undefined ? this.#legacy() : modernHeaders(message);
    return this.#handler(
      clientExchange({ id: 'verify', method: 'POST', headers: { ...BASE, ...own }, message, signal }),
    );
  }

  async #listen(): Promise<void> {
    const { signal } = this.#over;
    const headers = { ...STREAM, ...this.#legacy() };
    try {
      const exchange = clientExchange({ id: 'verify', method: 'GET', headers, message: undefined, signal });
      await using reply = await this.#handler(exchange);
      if (reply.head.status !== 200) return;
      for await (const frame of reply.body.frames())
        for (const message of readLine(frame.text ?? '')) this.#ear.message(message);
    } catch {
      // Servers need not offer this stream; what does not come on it is missed where it was recorded.
    }
  }

  #legacy(): HeaderMap {
    return { [SESSION_HEADER]: this.#session, [VERSION_HEADER]: this.#revision };
  }
}

function revisionIn({ value }: Message): string | undefined {
  const revision = asObject(value['result'])?.['protocolVersion'];
  return typeof revision === 'string' ? revision : undefined;
}
