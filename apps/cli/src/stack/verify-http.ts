import { type Exchange, type Handler, type HeaderMap, headerOf, ProxyError, type ReplyHead } from '@shadowcat/kernel';
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
import { type ClientExchangeParts, clientExchange } from './client-exchange.js';

const BASE: HeaderMap = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const STREAM: HeaderMap = { accept: 'text/event-stream' };

/** Clients of a Streamable HTTP server behind `handler`, each with a session of its own where the server gives one. */
export function httpConnect(handler: Handler): Connect {
  return async (ear) => new HttpLine(handler, ear);
}

/** How long a server may take to end a session. */
const FAREWELL_MS = 5000;

interface Hearing {
  readonly began?: (head: ReplyHead) => void;
  readonly heard?: (message: Message) => void;
}

type Posting = Pick<ClientExchangeParts, 'message' | 'headers' | 'signal'> & { readonly opening: boolean };

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
    const own = claimedVersion(message) === undefined ? this.#legacy() : modernHeaders(message);
    return this.#post({ message, opening: message.method === 'initialize', headers: { ...BASE, ...own }, signal });
  }

  async sendBatch(message: readonly Message[], signal: AbortSignal): Promise<Sent> {
    return this.#post({ message, opening: false, headers: { ...BASE, ...this.#legacy() }, signal });
  }

  async #post({ opening, ...body }: Posting): Promise<Sent> {
    let heard = 0;
    const status = await this.#exchange(clientExchange({ id: 'verify', method: 'POST', ...body }), {
      began: ({ headers: answered }) => {
        if (opening) this.#session = headerOf(answered, SESSION_HEADER) ?? this.#session;
      },
      heard: (came) => {
        heard += 1;
        if (opening) this.#revision ??= revisionIn(came);
        this.#ear.message(came);
      },
    });
    return { over: true, ...(status >= 400 && heard === 0 ? { problem: problemOf(status) } : {}) };
  }

  /** For sessions only: a server without them has nobody to speak to. */
  listen(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#session === undefined || this.#stream !== undefined) resolve();
    else this.#stream = this.#listen(resolve).finally(resolve);
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new ProxyError('cancelled', 'the tape is played'));
    await this.#stream;
    if (this.#session === undefined) return;
    const headers = { ...BASE, ...this.#legacy() };
    const signal = AbortSignal.timeout(FAREWELL_MS);
    try {
      await this.#exchange(clientExchange({ id: 'verify', method: 'DELETE', headers, message: undefined, signal }));
    } catch {
      // A server that does not let its sessions end ends them itself.
    }
  }

  async #listen(began: () => void): Promise<void> {
    const { signal } = this.#over;
    const headers = { ...STREAM, ...this.#legacy() };
    try {
      await this.#exchange(clientExchange({ id: 'verify', method: 'GET', headers, message: undefined, signal }), {
        began,
        heard: (message) => this.#ear.message(message),
      });
    } catch {
      // Servers need not offer this stream; what does not come on it is missed where it was recorded.
    }
  }

  /** Sends and reads to the end, or until the exchange's signal fires. Resolves with the status. */
  async #exchange(exchange: Exchange, { began, heard }: Hearing = {}): Promise<number> {
    const { signal } = exchange;
    await using reply = await this.#handler(exchange);
    // A stream that breaks is taken up again by what is below, unless its reader leaves.
    const leave = (): void => void reply[Symbol.asyncDispose]();
    signal.addEventListener('abort', leave, { once: true });
    try {
      began?.(reply.head);
      for await (const { text = '' } of reply.body.frames()) for (const message of readLine(text)) heard?.(message);
    } finally {
      signal.removeEventListener('abort', leave);
    }
    return reply.head.status;
  }

  #legacy(): HeaderMap {
    return { [SESSION_HEADER]: this.#session, [VERSION_HEADER]: this.#revision };
  }
}

function problemOf(status: number): string {
  const refused = status === 401 || status === 403;
  return refused ? `HTTP ${status}: it wants credentials, which --header can bring` : `HTTP ${status}`;
}

function revisionIn({ value }: Message): string | undefined {
  const revision = asObject(value['result'])?.['protocolVersion'];
  return typeof revision === 'string' ? revision : undefined;
}
