import { type Clock, type Exchange, type Handler, headerOf, type Log, ProxyError, type Reply } from '@shadowcat/kernel';
import {
  type Json,
  LEGACY_VERSIONS,
  type Message,
  notificationText,
  readMessage,
  requestText,
  responseText,
  SESSION_HEADER,
  type SessionHandle,
  targetSlot,
  type UpstreamBinding,
  VERSION_HEADER,
} from '@shadowcat/wire';
import { type Answer, errorOf, failureText, readAnswer } from '../answers.js';
import { memberText, objectOf } from '../object-text.js';
import { ownExchange } from '../own-exchange.js';
import type { Envelope } from './envelope.js';

export interface LegacySessionComponents {
  readonly upstream: Handler;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
}

/** What the server asks that a modern client can be asked: embedded in the result of a call. */
export const QUESTIONS: ReadonlySet<string> = new Set(['sampling/createMessage', 'elicitation/create', 'roots/list']);

/** A call in flight, as the session sees it: where what the server says outside of its stream may belong. */
export interface InFlight {
  /** The id of the call upstream, which is its progress token too. */
  readonly id: string;
  /** Whether its answer may be a question (tools/call, prompts/get, resources/read). */
  readonly asks: boolean;
  inject(message: Message): void;
}

/** Questions that wait for a call to be put with; more are refused. */
const MAX_STRAYS = 20;

/** One legacy session that the bridge opened at the upstream for modern clients. Ended once, by {@link LegacySession.end}. */
export class LegacySession implements SessionHandle {
  readonly id: string;
  readonly initializeText: string;
  /** Questions of the server that came outside of any call. */
  readonly strays: Message[] = [];
  readonly calls = new Set<InFlight>();
  readonly listeners = new Set<(message: Message) => void>();
  /** Who uses it at the moment. */
  users = 0;
  initialize: Message | undefined;
  #client: Exchange;
  readonly #target: string;
  readonly #components: LegacySessionComponents;
  readonly #controller = new AbortController();
  readonly #ends = new Set<() => void>();
  readonly #subscriptions = new Map<string, number>();
  #upstream: UpstreamBinding | undefined;
  #version: string | undefined;
  #logLevel: string | undefined;
  #ended = false;
  #count = 0;

  constructor(
    parts: { readonly envelope: Envelope; readonly client: Exchange; readonly target: string },
    components: LegacySessionComponents,
  ) {
    const { clientInfo, capabilities } = parts.envelope;
    const version = JSON.stringify(LEGACY_VERSIONS[0]);
    const params = `{"protocolVersion":${version},"capabilities":${capabilities},"clientInfo":${clientInfo}}`;
    this.id = components.newId();
    this.initializeText = requestText('"initialize"', 'initialize', params);
    this.#client = parts.client;
    this.#target = parts.client.context.get(targetSlot) ?? parts.target;
    this.#components = components;
  }

  get initializeResult(): Json | undefined {
    return this.initialize?.value['result'];
  }
  get protocolVersion(): string | undefined {
    return this.#version;
  }
  get upstream(): UpstreamBinding | undefined {
    return this.#upstream;
  }
  get restore(): SessionHandle['restore'] {
    return { logLevel: this.#logLevel, subscriptions: [...this.#subscriptions.keys()] };
  }
  get ended(): boolean {
    return this.#ended;
  }
  /** The server's capabilities. */
  get capabilities(): { readonly [name: string]: Json } {
    return objectOf(objectOf(this.initializeResult)?.['capabilities']) ?? {};
  }

  bind(upstream: UpstreamBinding): void {
    this.#upstream = upstream;
  }

  onEnd(done: () => void): () => void {
    if (this.#ended) {
      done();
      return () => {};
    }
    const entry = () => done();
    this.#ends.add(entry);
    return () => void this.#ends.delete(entry);
  }

  /** Opens it upstream. Resolves with the refusal if there is one; rejects with what kept the server from answering. */
  async open(): Promise<Answer | undefined> {
    const reply = await this.#send('POST', readMessage(this.initializeText));
    const sessionId = headerOf(reply.head.headers, SESSION_HEADER);
    const answer = await readAnswer(reply, 'initialize');
    const { message } = answer;
    if (message === undefined || errorOf(message) !== undefined || answer.status >= 300) return answer;
    this.bind(sessionId === undefined ? { target: this.#target } : { target: this.#target, sessionId });
    this.initialize = message;
    const version = objectOf(message.value['result'])?.['protocolVersion'];
    this.#version = typeof version === 'string' ? version : LEGACY_VERSIONS[0];
    await this.tell(notificationText('notifications/initialized'));
    void this.#listen();
    return undefined;
  }

  /** An id for a request on this session. */
  nextId(): string {
    this.#count += 1;
    return `b${this.#count}`;
  }

  /** Sends a message on behalf of a client; default: of the one that used the session last. */
  post(text: string, signal?: AbortSignal): Promise<Reply> {
    return this.#send('POST', readMessage(text), signal);
  }

  /** Later exchanges are made with this client's header fields. */
  usedBy(client: Exchange): void {
    this.#client = client;
  }

  /** Sends what expects no answer. */
  async tell(text: string): Promise<void> {
    const reply = await this.post(text);
    await reply[Symbol.asyncDispose]();
  }

  async ask(method: string, params: string): Promise<Answer> {
    const id = this.nextId();
    return readAnswer(await this.post(requestText(JSON.stringify(id), method, params)), id);
  }

  /** Makes the server log from this level on, if it logs at all. */
  async logFrom(level: string): Promise<void> {
    if (level === this.#logLevel || this.capabilities['logging'] === undefined) return;
    this.#logLevel = level;
    await this.ask('logging/setLevel', JSON.stringify({ level }));
  }

  /** Subscribes to a resource, once for all who want it. False: the server refused. */
  async subscribe(uri: string): Promise<boolean> {
    const count = this.#subscriptions.get(uri) ?? 0;
    this.#subscriptions.set(uri, count + 1);
    if (count > 0) return true;
    const { message } = await this.ask('resources/subscribe', JSON.stringify({ uri }));
    if (message !== undefined && errorOf(message) === undefined) return true;
    await this.unsubscribe(uri, false);
    return false;
  }

  async unsubscribe(uri: string, tell = true): Promise<void> {
    const count = this.#subscriptions.get(uri) ?? 0;
    if (count > 1) {
      this.#subscriptions.set(uri, count - 1);
      return;
    }
    this.#subscriptions.delete(uri);
    if (tell && !this.#ended) await this.ask('resources/unsubscribe', JSON.stringify({ uri }));
  }

  /**
   * Takes what the server says outside of a call's own stream, or what does not belong to the call on whose stream it came.
   * Never throws.
   */
  take(message: Message): void {
    if (message.kind === 'request') this.#question(message);
    else if (message.kind === 'notification') this.#notification(message);
  }

  /** Answers a request of the server's; failures are the server's to notice. */
  respond(text: string): Promise<void> {
    return this.tell(text).catch((error: unknown) => {
      this.#components.log.debug({ err: error, target: this.#target }, 'an answer did not reach the upstream');
    });
  }

  /** Ends it, upstream too unless it is lost there. Idempotent; never rejects. */
  async end(lost = false): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      if (!lost && this.initialize !== undefined) {
        const reply = await this.#send('DELETE', undefined, new AbortController().signal);
        await reply[Symbol.asyncDispose]();
      }
    } catch (error) {
      this.#components.log.debug({ err: error, target: this.#target }, 'a bridged session could not be ended upstream');
    } finally {
      this.#controller.abort(new ProxyError('cancelled', 'the session is over'));
      for (const done of [...this.#ends]) done();
      this.#ends.clear();
    }
  }

  #question(message: Message): void {
    const idText = message.idText ?? 'null';
    if (message.method === 'ping') {
      void this.respond(responseText(idText, '{}'));
      return;
    }
    if (!QUESTIONS.has(message.method ?? '')) {
      void this.respond(
        failureText(idText, { code: -32601, message: `a client of this revision cannot be asked ${message.method}` }),
      );
      return;
    }
    const call = [...this.calls].find(({ asks }) => asks);
    if (call !== undefined) call.inject(message);
    else if (this.strays.length < MAX_STRAYS) this.strays.push(message);
    else
      void this.respond(
        failureText(idText, { code: -32603, message: 'too many questions wait for the client already' }),
      );
  }

  #notification(message: Message): void {
    const params = objectOf(message.value['params']);
    if (message.method === 'notifications/progress') {
      const token = params?.['progressToken'];
      for (const call of this.calls) if (call.id === token) call.inject(message);
      return;
    }
    if (message.method === 'notifications/message') {
      const [only, other] = this.calls;
      if (other === undefined) only?.inject(message);
      return;
    }
    if (message.method === 'notifications/cancelled') {
      const at = this.strays.findIndex(({ id }) => id === params?.['requestId']);
      if (at >= 0) this.strays.splice(at, 1);
      return;
    }
    for (const listener of this.listeners) listener(message);
  }

  /** The standing stream, where the server has one. */
  async #listen(): Promise<void> {
    const { signal } = this.#controller;
    try {
      const reply = await this.#send('GET', undefined);
      const stop = (): void => void Promise.resolve(reply[Symbol.asyncDispose]()).catch(() => undefined);
      signal.addEventListener('abort', stop, { once: true });
      try {
        if (signal.aborted || reply.head.status !== 200) return;
        for await (const frame of reply.body.frames()) {
          const message = frame.text === undefined || frame.text === '' ? undefined : readMessage(frame.text);
          if (message !== undefined) this.take(message);
        }
      } finally {
        signal.removeEventListener('abort', stop);
        await reply[Symbol.asyncDispose]();
      }
    } catch (error) {
      if (!signal.aborted)
        this.#components.log.debug({ err: error, target: this.#target }, 'a bridged session has no standing stream');
    }
  }

  #send(method: 'POST' | 'GET' | 'DELETE', message: Message | undefined, signal?: AbortSignal): Promise<Reply> {
    const version = this.#version;
    const exchange = ownExchange({
      id: `${this.#client.id}.b`,
      client: this.#client,
      method,
      ...(message === undefined ? {} : { message }),
      headers: version === undefined ? {} : { [VERSION_HEADER]: version },
      session: this,
      signal: signal ?? this.#controller.signal,
    });
    return this.#components.upstream(exchange);
  }
}

/** The id of a server's request as text, for its answer. */
export function answerTo(question: Message, resultJson: string): string {
  return responseText(question.idText ?? 'null', resultJson);
}

/** The text of the params of a notification. */
export function paramsText(message: Message): string {
  return memberText(message.text, ['params']) ?? '{}';
}
