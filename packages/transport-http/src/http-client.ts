import type { IncomingHttpHeaders } from 'node:http';
import { Body, type HeaderMap, InFlight, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import { framingOf } from '@shadowcat/wire';
import { ClientCall } from './client-call.js';
import { KeptConnections } from './kept-connections.js';

export interface HttpClientOptions {
  /** `http:` or `https:`; a user and password in it become `Authorization: Basic`. */
  readonly url: URL;
  /** Milliseconds until a connection must stand. */
  readonly connectTimeout: number;
}

export interface ClientRequest {
  readonly method: string;
  /** Path and query; those of the client's URL when absent. */
  readonly path?: string;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds from the request sent to the head of its answer; 0: no limit. */
  readonly firstByteTimeout: number;
}

/**
 * Asks one HTTP server, over pooled connections of its own. Standing streams (GET) have a pool to themselves, so that
 * thousands of them are not in the way when a free connection is looked for. HTTP/1.1 only: with HTTP/2 the end of one
 * connection is the end of all exchanges on it.
 */
export class HttpClient {
  /** For messages: neither credentials nor query. */
  readonly name: string;
  readonly #path: string;
  readonly #authorization: readonly string[];
  readonly #exchanges: KeptConnections;
  readonly #streams: KeptConnections;
  readonly #calls = new InFlight<ClientCall>();

  constructor({ url, connectTimeout }: HttpClientOptions) {
    this.name = url.origin + url.pathname;
    this.#path = url.pathname + url.search;
    this.#authorization = basicAuthorization(url);
    // A body may pause as long as it likes: an SSE stream that is idle is not broken.
    const options = { connectTimeout, bodyTimeout: 0, allowH2: false };
    this.#exchanges = new KeptConnections(url.origin, options);
    this.#streams = new KeptConnections(url.origin, options);
  }

  /** Requests that have not been answered to the end, and the connections that are open for them or kept for reuse. */
  stats(): { readonly inFlight: number; readonly connections: number } {
    return {
      inFlight: this.#calls.size,
      connections: this.#exchanges.connected + this.#streams.connected,
    };
  }

  /**
   * Resolves with the head of the answer, whatever its status, except for answers that cannot be passed on. Disposing the
   * reply, leaving its body or firing the signal closes the connection unless the answer has ended.
   */
  async send(request: ClientRequest): Promise<Reply> {
    const { signal, firstByteTimeout } = request;
    if (signal?.aborted) throw cancelled(signal);
    const abort = (): void => call.cancel(cancelled(signal));
    const connections = request.method === 'GET' ? this.#streams : this.#exchanges;
    const call: ClientCall = new ClientCall({ name: this.name, firstByteTimeout }, () => {
      this.#calls.delete(call);
      signal?.removeEventListener('abort', abort);
      if (call.broken) connections.renew();
    });
    this.#calls.add(call);
    signal?.addEventListener('abort', abort);
    const headers = this.#authorization.length === 0 ? request.headers : [...request.headers, ...this.#authorization];
    connections.current.dispatch(
      {
        method: request.method,
        path: request.path ?? this.#path,
        headers,
        body: request.body ?? null,
        headersTimeout: firstByteTimeout,
      },
      call,
    );
    await call.head;
    return this.#replyOf(call);
  }

  /** Ends every exchange with an error and closes all connections. */
  async close(): Promise<void> {
    const error = new ProxyError('draining', 'the proxy is shutting down');
    for (const call of this.#calls.all()) call.cancel(error);
    await Promise.all([this.#exchanges.destroy(error), this.#streams.destroy(error)]);
  }

  #replyOf(call: ClientCall): Reply {
    const { status, headers } = call;
    const refused = this.#refused(status, headers);
    if (refused !== undefined) {
      call.cancel(refused);
      throw refused;
    }
    const framing = framingOf(headers['content-type']);
    const fields = fieldsToPassOn(headers);
    // The whole of a small answer often came with its head, in the same turn of the event loop.
    const whole = call.takeWhole();
    if (whole === undefined) {
      return reply({ status, headers: fields }, Body.stream(call, framing), () => call.leave());
    }
    fields['content-length'] = String(whole.length);
    return reply({ status, headers: fields }, Body.whole(whole, framing));
  }

  #refused(status: number, headers: IncomingHttpHeaders): ProxyError | undefined {
    if (status >= 300 && status < 400) {
      const to = placeOf(headers.location, this.name);
      return new ProxyError(
        'upstream_protocol',
        `${this.name} redirects ${to} (HTTP ${status}); redirects are not followed, use the final address as the upstream`,
      );
    }
    const improper = improperIn(status, headers);
    if (improper !== undefined) return new ProxyError('upstream_protocol', `${this.name} answered with ${improper}`);
    const encoding = headers['content-encoding'];
    if (encoding === undefined || /^identity$/i.test(encoding)) return undefined;
    return new ProxyError(
      'upstream_protocol',
      `${this.name} answered with content-encoding ${encoding} although it was asked for none; turn compression off there`,
    );
  }
}

/** What the parser lets through and nobody could pass on as it was meant. Fields that came twice are lists. */
function improperIn(status: number, headers: IncomingHttpHeaders): string | undefined {
  if (status > 599) return `HTTP status ${status}, which does not exist`;
  const type: string | string[] | undefined = headers['content-type'];
  if (Array.isArray(type)) return 'more than one Content-Type';
  const coding: string | string[] | undefined = headers['transfer-encoding'];
  if (coding === undefined || coding === 'chunked' || /^chunked$/i.test(String(coding))) return undefined;
  return `the transfer coding ${String(coding)} although it was asked for none`;
}

/**
 * The fields of an answer that are the client's business. Connection fields end at each hop (RFC 9110, 7.6.1), cookies
 * never pass, and Alt-Svc would lead the client past the proxy.
 */
function fieldsToPassOn(headers: IncomingHttpHeaders): Record<string, HeaderMap[string]> {
  const fields: Record<string, HeaderMap[string]> = {};
  const named: string | string[] | undefined = headers.connection;
  for (const name in headers) {
    if (!KEPT_BACK.has(name)) fields[name] = headers[name];
  }
  if (named === undefined || named === 'keep-alive' || named === 'close') return fields;
  for (const name of String(named).toLowerCase().split(',')) delete fields[name.trim()];
  return fields;
}

const KEPT_BACK: ReadonlySet<string> = new Set([
  'alt-svc',
  'connection',
  'content-encoding',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

function basicAuthorization(url: URL): readonly string[] {
  if (url.username === '' && url.password === '') return [];
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return ['authorization', `Basic ${Buffer.from(pair).toString('base64')}`];
}

function cancelled(signal: AbortSignal | undefined): ProxyError {
  return ProxyError.from(signal?.reason, 'cancelled');
}

/** Where a redirect leads, without the query: what is in it may be a secret, and this reaches clients and tapes. */
function placeOf(location: string | undefined, base: string): string {
  if (location === undefined || !URL.canParse(location, base)) return 'elsewhere';
  const { origin, pathname } = new URL(location, base);
  return `to ${origin}${pathname}`;
}
