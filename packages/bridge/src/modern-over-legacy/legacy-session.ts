import { type Clock, type Exchange, type Handler, headerOf, type Log, ProxyError, type Reply } from '@shadowcat/kernel';
import {
  asObject,
  failureText,
  type Json,
  LEGACY_VERSIONS,
  LEVELS,
  type Message,
  notificationText,
  type RpcId,
  readMessage,
  requestText,
  responseText,
  SESSION_HEADER,
  type SessionHandle,
  targetSlot,
  textAt,
  type UpstreamBinding,
  VERSION_HEADER,
} from '@shadowcat/wire';
import { type Answer, errorOf, readAnswer } from '../answers.js';
import { ownExchange, standIn } from '../own-exchange.js';
import type { QuestionRoom } from '../question-room.js';
import type { Envelope } from './envelope.js';
import { ResourceSubscriptions } from './resource-subscriptions.js';
import { StandingReader } from './standing-reader.js';

export interface LegacySessionComponents {
  readonly upstream: Handler;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  /** Milliseconds that the server may take for what the bridge itself asks; 0: as long as it likes. */
  readonly answerMs: number;
  /** Where questions wait that were put to a client. */
  readonly room: QuestionRoom;
}

/** What the server asks that a modern client can be asked: embedded in the result of a call. */
export const QUESTIONS: ReadonlySet<string> = new Set(['sampling/createMessage', 'elicitation/create', 'roots/list']);

/** A call in flight, as the session sees it: where what the server says outside of its stream may belong. */
export interface InFlight {
  /** The id of the call upstream, which is its progress token too. */
  readonly id: string;
  /** Whether its answer may be a question (tools/call, prompts/get, resources/read). */
  readonly asks: boolean;
  /** False: too much waits already. */
  inject(message: Message): boolean;
  /** Forgets a question of the server's that has not been put yet. */
  retract(id: RpcId): void;
}

/** Questions that wait for a call to be put with; more are refused. */
const MAX_STRAYS = 20;
/** How long a server may take to set its log level, which no call depends on. */
const LEVEL_MS = 5000;
/** How long the end of a session may take upstream. */
const FAREWELL_MS = 5000;

/** One legacy session that the bridge opened at the upstream for modern clients. Ended once, by {@link LegacySession.end}. */
export class LegacySession implements SessionHandle {
  readonly id: string;
  readonly initializeText: string;
  /** Questions of the server that came outside of any call. */
  readonly strays: Message[] = [];
  readonly calls = new Set<InFlight>();
  readonly listeners = new Set<(message: Message) => void>();
  readonly standing: StandingReader;
  readonly subscriptions: ResourceSubscriptions;
  /** Who uses it at the moment. */
  users = 0;
  initialize: Message | undefined;
  #client: Exchange;
  readonly #target: string;
  readonly #components: LegacySessionComponents;
  readonly #controller = new AbortController();
  readonly #ends = new Set<() => void>();
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
    this.#client = standIn(parts.client);
    this.#target = parts.client.context.get(targetSlot) ?? parts.target;
    this.#components = components;
    this.standing = new StandingReader({
      open: (signal) => this.#send('GET', undefined, signal),
      take: (message) => this.take(message),
      signal: this.#controller.signal,
      target: this.#target,
      clock: components.clock,
      log: components.log,
    });
    this.subscriptions = new ResourceSubscriptions({
      ask: async (method, uri) => {
        const { message } = await this.ask(method, JSON.stringify({ uri }));
        return message !== undefined && errorOf(message) === undefined;
      },
      ended: () => this.#ended,
    });
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
    return { logLevel: this.#logLevel, subscriptions: this.subscriptions.uris };
  }
  get ended(): boolean {
    return this.#ended;
  }
  /** The server's capabilities. */
  get capabilities(): { readonly [name: string]: Json } {
    return asObject(asObject(this.initializeResult)?.['capabilities']) ?? {};
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
    const answer = await this.#answer(this.initializeText, { id: 'initialize', ms: this.#components.answerMs });
    const { message } = answer;
    if (message === undefined || errorOf(message) !== undefined || answer.status >= 300) return answer;
    const sessionId = headerOf(answer.headers, SESSION_HEADER);
    this.bind(sessionId === undefined ? { target: this.#target } : { target: this.#target, sessionId });
    this.initialize = message;
    const version = asObject(message.value['result'])?.['protocolVersion'];
    if (typeof version !== 'string' || !LEGACY_VERSIONS.includes(version)) {
      const said = JSON.stringify(version ?? null).slice(0, 100);
      throw new ProxyError('upstream_protocol', `${this.#target} opened a session of an unknown revision: ${said}`);
    }
    this.#version = version;
    await this.tell(notificationText('notifications/initialized'));
    void this.standing.open();
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
    this.#client = standIn(client);
  }

  /** Sends what expects no answer. */
  async tell(text: string): Promise<void> {
    const reply = await this.post(text);
    await reply[Symbol.asyncDispose]();
  }

  /** Asks something of the bridge's own; `ms`: how long the server may take. */
  async ask(method: string, params: string, ms = this.#components.answerMs): Promise<Answer> {
    const id = this.nextId();
    return this.#answer(requestText(JSON.stringify(id), method, params), { id, ms });
  }

  /**
   * Makes the server log from this level on, if it logs at all. While others use the session it is never made to say less.
   * Without effect where the server fails at it: no call depends on it.
   */
  async logFrom(level: string): Promise<void> {
    const current = this.#logLevel === undefined ? LEVELS.length : LEVELS.indexOf(this.#logLevel);
    const wanted = LEVELS.indexOf(level);
    if (wanted === current || (wanted > current && this.calls.size > 0)) return;
    if (this.capabilities['logging'] === undefined) return;
    this.#logLevel = level;
    try {
      await this.ask('logging/setLevel', JSON.stringify({ level }), LEVEL_MS);
    } catch (error) {
      this.#components.log.debug({ err: error, target: this.#target }, 'a log level could not be set');
    }
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
        await this.#inTime(FAREWELL_MS, async (signal) => {
          const reply = await this.#send('DELETE', undefined, signal);
          await reply[Symbol.asyncDispose]();
        });
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
    if (call?.inject(message) === true) return;
    if (call === undefined && this.strays.length < MAX_STRAYS) this.strays.push(message);
    else {
      this.#components.room.lose('full');
      void this.respond(
        failureText(idText, { code: -32603, message: 'too many questions wait for the client already' }),
      );
    }
  }

  #notification(message: Message): void {
    const params = asObject(message.value['params']);
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
      const id = params?.['requestId'];
      const at = this.strays.findIndex((stray) => stray.id === id);
      if (at >= 0) this.strays.splice(at, 1);
      for (const call of this.calls) call.retract(id as RpcId);
      return;
    }
    for (const listener of this.listeners) listener(message);
  }

  /** Sends a request of the bridge's own and reads its answer. */
  #answer(text: string, { id, ms }: { readonly id: string; readonly ms: number }): Promise<Answer> {
    return this.#inTime(ms, async (signal) => readAnswer(await this.post(text, signal), id, signal));
  }

  async #inTime<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const reason = new ProxyError('upstream_timeout', `${this.#target} did not answer the bridge in time`);
    const timer = ms === 0 ? undefined : this.#components.clock.timer(ms, () => late.abort(reason));
    try {
      return await work(AbortSignal.any([late.signal, this.#controller.signal]));
    } catch (error) {
      throw late.signal.aborted ? reason : error;
    } finally {
      timer?.cancel();
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
  return textAt(message.text, ['params']) ?? '{}';
}
