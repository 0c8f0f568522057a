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
    this.head = { method: request.method ?? 'GET', target: request.url ?? '/', headers };
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
