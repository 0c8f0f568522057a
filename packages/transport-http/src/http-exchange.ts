import type { IncomingMessage } from 'node:http';
import { Body, Context, type Exchange, type ProxyError, type RequestHead } from '@shadowcat/kernel';
import { framingOf, peerSlot } from '@shadowcat/wire';
import { RequestBody } from './request-body.js';

/** An exchange that came over HTTP. Its signal is made on first use: most exchanges end before anybody asks for it. */
export class HttpExchange implements Exchange {
  readonly id: string;
  readonly head: RequestHead;
  readonly body: Body;
  readonly context = new Context();
  readonly #source: RequestBody | undefined;
  #controller: AbortController | undefined;
  #abandoned: ProxyError | undefined;

  constructor(id: string, request: IncomingMessage, bodyLimit: number) {
    const { headers } = request;
    this.id = id;
    const peer = request.socket.remoteAddress;
    if (peer !== undefined) this.context.set(peerSlot, peer);
    this.head = headOf(request);
    const declared = headers['content-length'];
    if ((declared === undefined || declared === '0') && headers['transfer-encoding'] === undefined) {
      this.body = Body.empty;
    } else {
      this.#source = new RequestBody(request, bodyLimit);
      this.body = Body.stream(this.#source, framingOf(headers['content-type']));
    }
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abandoned !== undefined) this.#controller.abort(this.#abandoned);
    }
    return this.#controller.signal;
  }

  /** Nobody waits for the answer any more: fires the signal, and fails the body if it is still being read. */
  abandon(reason: ProxyError): void {
    if (this.#abandoned !== undefined) return;
    this.#abandoned = reason;
    this.#source?.fail(reason);
    this.#controller?.abort(reason);
  }
}

function headOf({ method = 'GET', url = '/', headers }: IncomingMessage): RequestHead {
  if (url.startsWith('/')) return { method, target: url, headers };
  // A client that takes us for its proxy names the authority in the target; Host is to be ignored (RFC 9112, 3.2.2).
  const [, authority, target = ''] = ABSOLUTE.exec(url) ?? [];
  if (authority === undefined) return { method, target: url, headers };
  return { method, target: target.startsWith('/') ? target : `/${target}`, headers: { ...headers, host: authority } };
}

/** `http://authority/path?query`; what names a user has no place there (RFC 9110, 4.2.4) and stays what it is. */
const ABSOLUTE = /^https?:\/\/([^/?#@]+)([/?].*)?$/i;
