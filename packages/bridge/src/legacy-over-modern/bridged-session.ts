import { type Clock, type Exchange, type Handler, type Log, ProxyError, type Reply } from '@shadowcat/kernel';
import {
  ask,
  asObject,
  type JsonObject,
  type Message,
  modernExchange,
  objectAt,
  ParamHeaders,
  type RpcId,
  readMessage,
  requestText,
  type SessionHandle,
  StandingStream,
  streamConflict,
} from '@shadowcat/wire';
import { type ClientFacts, clientFacts } from './client-facts.js';
import { filterOf, Listening } from './listening.js';
import { modernText, withId } from './modern-request.js';
import { wrappedTools } from './object-schemas.js';
import type { Questions } from './questions.js';
import { RunningCall } from './running-call.js';

export interface SessionParts {
  readonly upstream: Handler;
  readonly questions: Questions;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly nextId: () => string;
  readonly random: () => number;
}

/** What clients that never set a level get: the proxy decides, as a server of theirs would (2025-11-25, "Logging"). */
const DEFAULT_LEVEL = 'info';
/** URIs that one session may subscribe to. */
const MAX_SUBSCRIPTIONS = 1000;
/** Pages of a tool list that are read to learn which arguments go into headers. */
const MAX_PAGES = 20;

/**
 * A legacy client's session with a modern server, which knows of none: everything that the server would have remembered. It can
 * be made again from the session's handle at any time.
 */
export class BridgedSession {
  readonly handle: SessionHandle;
  readonly client: ClientFacts;
  readonly #parts: SessionParts;
  readonly #calls = new Set<RunningCall>();
  readonly #headers = new ParamHeaders();
  /** Tools whose structured content the client expects in an object. */
  readonly #wrapped = new Set<string>();
  readonly #subscriptions: Set<string>;
  #logLevel: string | undefined;
  #stream: { readonly standing: StandingStream; readonly listening: Listening } | undefined;

  constructor(handle: SessionHandle, parts: SessionParts) {
    this.handle = handle;
    this.client = clientFacts(handle.initializeText);
    this.#parts = parts;
    this.#subscriptions = new Set(handle.restore.subscriptions);
  }

  /** The server's capabilities, as far as they are known. */
  get offers(): JsonObject | undefined {
    return objectAt(this.handle.initializeResult, 'capabilities');
  }

  set logLevel(level: string) {
    this.#logLevel = level;
  }

  /** A request of the client, ready to be started. Tell the session when it is {@link over}. */
  call(message: Message, exchange: Exchange): RunningCall {
    const { upstream, questions, clock, newId, nextId } = this.#parts;
    const params = objectAt(message.value, 'params');
    const logLevel = this.#logLevel ?? this.handle.restore.logLevel ?? DEFAULT_LEVEL;
    const call: RunningCall = new RunningCall({
      message,
      text: modernText(message, { client: this.client, logLevel }),
      exchange,
      session: this.handle.id,
      client: this.client,
      upstream,
      questions,
      clock,
      newId,
      nextId,
      headers: () => (message.method === 'tools/call' ? this.#headers.of(params) : {}),
      learnHeaders: (signal) => this.#learnHeaders(exchange, signal),
      passing: (method, answer) => this.#passing(method, answer),
      wrapped: () => this.#wrapped.has(String(params?.['name'])),
    });
    this.#calls.add(call);
    return call;
  }

  over(call: RunningCall): void {
    this.#calls.delete(call);
  }

  /** The client's `notifications/cancelled`. Of two requests with the same id, which a careless client can make, the newer one. */
  cancel(id: RpcId | undefined): void {
    let found: RunningCall | undefined;
    for (const call of this.#calls) if (call.id === id && !call.cancelled) found = call;
    found?.cancel();
  }

  /** The client's GET stream. Throws `stream_conflict` while there is one. */
  async open(exchange: Exchange): Promise<Reply> {
    if (this.#stream?.standing.open === true) throw streamConflict();
    const standing = new StandingStream({ session: this.handle });
    const listening = new Listening({
      ...this.#parts,
      open: (filterText, signal) => this.#listen(exchange, filterText, signal),
      push: (text) => this.#push(standing, text),
    });
    const stream = { standing, listening };
    this.#stream = stream;
    standing.onClose(() => {
      if (this.#stream === stream) this.#stream = undefined;
      void listening.close();
    });
    await listening.keep(this.#filter());
    return standing.reply;
  }

  /** Resolves when the server announces changes of this resource, or will as soon as the client opens its GET stream. */
  async subscribe(uri: string): Promise<void> {
    if (this.#subscriptions.has(uri)) return;
    if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS) {
      throw new ProxyError('pool_exhausted', `a session may subscribe to ${MAX_SUBSCRIPTIONS} resources`);
    }
    this.#subscriptions.add(uri);
    try {
      await this.#stream?.listening.change(this.#filter());
    } catch (error) {
      this.#subscriptions.delete(uri);
      throw error;
    }
  }

  async unsubscribe(uri: string): Promise<void> {
    if (!this.#subscriptions.delete(uri)) return;
    // What the server still says about it goes no further, so there is nothing to fail for.
    await this.#stream?.listening.keep(this.#filter());
  }

  /** Everything of the session ends. Resolves when the server has been told; never rejects. */
  async close(reason: ProxyError): Promise<void> {
    for (const call of this.#calls) call.stop(reason);
    const stream = this.#stream;
    stream?.standing.end();
    await stream?.listening.close();
  }

  #filter(): string | undefined {
    return filterOf(this.offers, this.#subscriptions);
  }

  #push(standing: StandingStream, text: string): void {
    const message = readMessage(text);
    const uri = objectAt(message?.value, 'params')?.['uri'];
    if (message?.method === 'notifications/resources/updated' && !this.#subscriptions.has(String(uri))) return;
    if (standing.push(text) || !standing.open) return;
    this.#parts.log.warn(
      { session: this.handle.upstream?.target },
      'a client does not read its stream and was dropped',
    );
    standing.end(new ProxyError('slow_client', 'the client did not read its stream'));
  }

  #listen(exchange: Exchange, filterText: string, signal: AbortSignal): Promise<Reply> {
    const text = this.#request('subscriptions/listen', `{"notifications":${filterText}}`);
    return this.#parts.upstream(modernExchange({ text, client: exchange, signal }));
  }

  async #learnHeaders(exchange: Exchange, signal: AbortSignal): Promise<void> {
    let cursor: unknown;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const params = cursor === undefined ? '{}' : JSON.stringify({ cursor });
      const text = this.#request('tools/list', params);
      const posted = await ask(this.#parts.upstream, modernExchange({ text, client: exchange, signal }));
      if (posted.kind === 'refused') return posted.reply[Symbol.asyncDispose]() as Promise<void>;
      const result = objectAt(posted.message.value, 'result');
      this.#headers.learn(result);
      cursor = result?.['nextCursor'];
      if (typeof cursor !== 'string') return;
    }
  }

  /** A request of the bridge's own, in the client's name. */
  #request(method: string, paramsText: string): string {
    const idText = this.#parts.nextId();
    const message = readMessage(requestText(idText, method, paramsText));
    if (message === undefined) throw new ProxyError('internal', 'the bridge made a request that is none');
    return withId(modernText(message, { client: this.client, logLevel: undefined }), idText);
  }

  #passing(method: string, answer: Message): void {
    if (method !== 'tools/list') return;
    const result = asObject(answer.value['result']);
    this.#headers.learn(result);
    for (const name of wrappedTools(result)) if (this.#wrapped.size < MAX_SUBSCRIPTIONS) this.#wrapped.add(name);
  }
}
