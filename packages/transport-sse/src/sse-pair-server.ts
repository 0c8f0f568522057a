import {
  Body,
  type ByteSource,
  type Clock,
  type Exchange,
  type Handler,
  type HeaderMap,
  headerOf,
  type Layer,
  type Log,
  opaqueFraming,
  ProxyError,
  type Reply,
  reply,
} from '@shadowcat/kernel';
import { credentialSlot, drainLines, type LineServer, readMessages, serveLine, sseFraming } from '@shadowcat/wire';
import { PairClient } from './pair-client.js';

export interface SsePairServerOptions {
  /** Default `/sse`. */
  readonly ssePath?: string;
  /** Default `/message`. */
  readonly messagePath?: string;
  /** The endpoint that the requests made from messages are for. Default `/mcp`. */
  readonly target?: string;
  /** Bytes that may wait to be sent to one client; then it is dropped. Default 1 MiB. */
  readonly queueLimit?: number;
  /** Of one message, in bytes. Default 4 MiB. */
  readonly maxBody?: number;
  /** Clients at the same time. Default 1000. */
  readonly maxClients?: number;
}

export interface SsePairServerComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Ids of exchanges. */
  readonly newId: () => string;
  /** Names a client's line, and is all that a POST needs to speak on it: unguessable. Default `crypto.randomUUID`. */
  readonly newSecret?: () => string;
}

export interface SsePairServer extends Layer {
  /** Clients that are connected. */
  clients(): number;
  /** Lets requests in flight finish for up to `drainMs` milliseconds (default 0), then ends all lines. Idempotent. */
  close(drainMs?: number): Promise<void>;
}

/**
 * Serves clients of revision 2024-11-05 (HTTP with SSE): `GET /sse` opens a client's line, `POST /message?sessionId=…` takes
 * what it says. Each message becomes an exchange for the handler inside, as on every other line. Other paths pass. Belongs
 * inside of whatever judges Host, Origin and credentials: the exchanges it makes carry the opening request's headers.
 */
export function ssePairServer(options: SsePairServerOptions, components: SsePairServerComponents): SsePairServer {
  const server = new PairServer(options, components);
  const layer: Layer = (next) => (exchange) => server.answer(exchange, next);
  return Object.assign(layer, {
    clients: () => server.clients,
    close: (drainMs?: number) => server.close(drainMs ?? 0),
  });
}

class PairServer {
  readonly #ssePath: string;
  readonly #messagePath: string;
  readonly #options: SsePairServerOptions;
  readonly #components: SsePairServerComponents;
  readonly #clients = new Map<string, { readonly client: PairClient; readonly credential: string }>();
  readonly #lines = new Set<LineServer>();
  #closed = false;

  constructor(options: SsePairServerOptions, components: SsePairServerComponents) {
    this.#ssePath = options.ssePath ?? '/sse';
    this.#messagePath = options.messagePath ?? '/message';
    this.#options = options;
    this.#components = components;
  }

  get clients(): number {
    return this.#clients.size;
  }

  async close(drainMs: number): Promise<void> {
    this.#closed = true;
    const lines = [...this.#lines];
    if (drainMs > 0) await drainLines(lines, drainMs, this.#components.clock);
    const reason = new ProxyError('draining', 'the proxy is shutting down');
    for (const { client } of [...this.#clients.values()]) client.destroy(reason);
    await Promise.all(lines.map(({ done }) => done));
  }

  async answer(exchange: Exchange, next: Handler): Promise<Reply> {
    const { method, target } = exchange.head;
    const query = target.indexOf('?');
    const path = query < 0 ? target : target.slice(0, query);
    if (path === this.#ssePath) {
      if (method !== 'GET') throw new ProxyError('method_not_allowed', `${path} takes GET, not ${method}`);
      return this.#open(exchange, next);
    }
    if (path !== this.#messagePath) return next(exchange);
    if (method !== 'POST') throw new ProxyError('method_not_allowed', `${path} takes POST, not ${method}`);
    return this.#take(exchange, new URLSearchParams(query < 0 ? '' : target.slice(query)).get('sessionId'));
  }

  #open(exchange: Exchange, next: Handler): Reply {
    const { clock, log, newId } = this.#components;
    if (this.#closed) throw new ProxyError('draining', 'the proxy is shutting down; try again shortly');
    if (this.#clients.size >= (this.#options.maxClients ?? 1_000)) {
      throw new ProxyError('session_limit', 'too many clients of the legacy transport are connected; try again later');
    }
    const secret = (this.#components.newSecret ?? (() => crypto.randomUUID()))();
    const client = new PairClient(exchange.id, {
      endpoint: `${this.#messagePath}?sessionId=${encodeURIComponent(secret)}`,
      queueLimit: this.#options.queueLimit ?? 1024 * 1024,
      ended: () => this.#clients.delete(secret),
    });
    this.#clients.set(secret, { client, credential: exchange.context.get(credentialSlot) ?? '' });
    const line = serveLine(client, next, {
      clock,
      log,
      newId,
      options: {
        target: this.#options.target ?? '/mcp',
        headers: headersOfLine(exchange.head.headers),
        afterEnd: 'abandon',
      },
    });
    this.#lines.add(line);
    void line.done.then(() => this.#lines.delete(line));
    const headers = { 'content-type': 'text/event-stream' };
    const source: ByteSource = { [Symbol.asyncIterator]: () => client.bytes() };
    return reply({ status: 200, headers }, Body.stream(source, sseFraming), () => client.left());
  }

  async #take(exchange: Exchange, secret: string | null): Promise<Reply> {
    const opened = secret === null ? undefined : this.#clients.get(secret);
    // Another credential than opened the stream is told what a stranger is told.
    if (opened === undefined || opened.credential !== (exchange.context.get(credentialSlot) ?? '')) {
      throw new ProxyError(
        'session_not_found',
        `no event stream belongs to this message; open one with GET ${this.#ssePath}`,
      );
    }
    const bytes = await exchange.body.collect(this.#options.maxBody ?? 4 * 1024 * 1024);
    // What is no message is refused here, where the sender sees it; on the line nobody would know whose it was.
    readMessages(bytes);
    opened.client.heard(decoder.decode(bytes));
    return reply({ status: 202, headers: { 'content-type': 'text/plain' } }, Body.whole(ACCEPTED, opaqueFraming));
  }
}

const ACCEPTED = new TextEncoder().encode('Accepted');

const decoder = new TextDecoder();

/** What layers inside may want to know of the client; what belongs to one request only stays behind. */
function headersOfLine(headers: HeaderMap): HeaderMap {
  const kept: Record<string, string> = {};
  for (const name of ['host', 'origin', 'authorization', 'user-agent', 'traceparent', 'tracestate']) {
    const value = headerOf(headers, name);
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
