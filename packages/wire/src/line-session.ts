import { type HeaderMap, headerOf, type ReplyHead, type RequestHead } from '@shadowcat/kernel';
import { claimedVersion, isModern } from './classify.js';
import type { Json, Message } from './jsonrpc.js';
import { modernHeaders } from './modern-headers.js';
import { LAST_EVENT_ID, SESSION_HEADER, VERSION_HEADER } from './protocol.js';

const ACCEPT_POST = 'application/json, text/event-stream';

/**
 * What a client of Streamable HTTP remembers between its requests, for a client that speaks over a line and knows nothing of
 * HTTP: the session id and the revision, and the heads that follow from them.
 */
export class LineSession {
  readonly #target: string;
  readonly #headers: HeaderMap;
  /** The client's `initialize`, to open the session again. */
  #initializeText: string | undefined;
  #id: string | undefined;
  #version: string | undefined;
  /** The revision of the last modern request: its notifications may name none. */
  #modern: string | undefined;

  constructor(target: string, headers: HeaderMap) {
    this.#target = target;
    this.#headers = headers;
  }

  get id(): string | undefined {
    return this.#id;
  }

  get initializeText(): string | undefined {
    return this.#initializeText;
  }

  /** The head of the POST for these messages of one line. */
  post(messages: readonly Message[]): RequestHead {
    const [message] = messages;
    const headers = { ...this.#headers, 'content-type': 'application/json', accept: ACCEPT_POST };
    const claimed = claimedVersion(message);
    if (message !== undefined && claimed !== undefined && isModern(claimed)) {
      this.#modern = claimed;
      return this.#head('POST', { ...headers, ...modernHeaders(message) });
    }
    if (message?.method === 'initialize') {
      this.#initializeText = message.text;
      this.#id = undefined;
      this.#version = undefined;
      return this.#head('POST', headers);
    }
    if (this.#initializeText === undefined && this.#modern !== undefined && message !== undefined) {
      return this.#head('POST', { ...headers, ...modernHeaders(message), [VERSION_HEADER]: this.#modern });
    }
    return this.#head('POST', { ...headers, ...this.#ofSession() });
  }

  /** The head of the GET that opens the standing stream, or goes on after `lastEventId`. */
  stream(lastEventId: string | undefined): RequestHead {
    const resume = lastEventId === undefined ? {} : { [LAST_EVENT_ID]: lastEventId };
    return this.#head('GET', { ...this.#headers, accept: 'text/event-stream', ...this.#ofSession(), ...resume });
  }

  /** The head of the DELETE that ends the session. */
  end(): RequestHead {
    return this.#head('DELETE', { ...this.#headers, ...this.#ofSession() });
  }

  /** The head of the answer to `initialize`. */
  opened(head: ReplyHead): void {
    if (head.status >= 200 && head.status < 300) this.#id = headerOf(head.headers, SESSION_HEADER);
  }

  /** The answer to `initialize`. */
  negotiated(answer: Message): void {
    const result = answer.value['result'] as { readonly [key: string]: Json } | null | undefined;
    const version = result?.['protocolVersion'];
    if (typeof version === 'string') this.#version = version;
  }

  #ofSession(): HeaderMap {
    return {
      ...(this.#id === undefined ? {} : { [SESSION_HEADER]: this.#id }),
      ...(this.#version === undefined ? {} : { [VERSION_HEADER]: this.#version }),
    };
  }

  #head(method: string, headers: HeaderMap): RequestHead {
    return { method, target: this.#target, headers };
  }
}
