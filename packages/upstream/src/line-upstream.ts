import {
  Body,
  type Clock,
  type Exchange,
  type Handler,
  type Log,
  ProxyError,
  type Reply,
  reply,
  withHeaders,
  withReply,
} from '@shadowcat/kernel';
import {
  type Call,
  callSlot,
  claimedVersion,
  errorReply,
  jsonFraming,
  LEGACY_VERSIONS,
  type LineClient,
  META_VERSION,
  type OnRecovery,
  type RecoveryOutcome,
  responseText,
  SESSION_HEADER,
  type SessionHandle,
  sessionSlot,
  spanOf,
} from '@shadowcat/wire';
import { type Deadline, expectLife, goesOn, InitializeRefused, openShared, reopen } from './line-handshake.js';
import { LineStreams } from './line-streams.js';
import { SharedSessions } from './shared-sessions.js';

/** How lines are shared: one a session, one for everybody, or one for each exchange. */
export type Isolation = 'session' | 'shared' | 'request';

/** The right to use a line until it is given back; what `@shadowcat/pool` calls a lease fits. */
export interface LineLease {
  readonly value: LineClient;
  release(): void;
}

export interface LineUpstreamOptions {
  /** The target's name; sessions are bound to it. */
  readonly target: string;
  readonly isolation: Isolation;
  /** What becomes of a session whose line is lost: opened again on a fresh one (default), or 404. */
  readonly onLoss?: 'recover' | 'fail';
  /** Milliseconds that a server may take to answer `initialize`. Default 60 s; 0: as long as it likes. */
  readonly handshakeMs?: number;
}

export interface LineUpstreamComponents {
  /** A line for this key, opened when there is none. Lines of keys for which {@link isSharedKey} is true are shared ones. */
  acquire(key: string, waiting: { readonly signal?: AbortSignal }): Promise<LineLease>;
  /** Closes what is open for this key. */
  evict(key: string, reason: ProxyError): Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when sessions that had lost their line were opened again on a fresh one, or could not be. */
  readonly recovered?: OnRecovery | undefined;
}

const HANDSHAKE_MS = 60_000;

const MODERN_KEY = 'all:modern';
const SHARED_KEY = 'all:legacy';
const SESSION_PREFIX = 'session:';
const REQUEST_PREFIX = 'request:';

/** Whether clients that must not see each other's messages use the line of this key. */
export const isSharedKey = (key: string): boolean => key === MODERN_KEY || key === SHARED_KEY;

/** The session whose line this key is for. */
export const sessionOfKey = (key: string): string | undefined =>
  key.startsWith(SESSION_PREFIX) ? key.slice(SESSION_PREFIX.length) : undefined;

/**
 * The header that made the request modern does not travel on a line. A server that speaks both eras would take what is left for
 * a legacy request, and serve that era on the line from then on (2026-07-28, stdio, "Versioning").
 */
function checkClaim({ message }: Call): void {
  if (message?.kind !== 'request' || claimedVersion(message) !== undefined) return;
  throw new ProxyError('invalid_params', `params._meta["${META_VERSION}"] is missing: each request names its revision`);
}

const encoder = new TextEncoder();
const ACCEPTED = { status: 202, headers: {} } as const;

/**
 * The innermost handler for servers at the end of a line: commands, WebSockets, legacy HTTP+SSE pairs. A session's line is
 * opened with its `initialize`, lives as long as the session, and when it dies the next request opens another one, which is
 * initialised again before it is used. Modern requests are multiplexed over one line, which needs no opening.
 */
export function lineUpstream(options: LineUpstreamOptions, components: LineUpstreamComponents): Handler {
  const upstream = new Upstream(options, components);
  return (exchange) => upstream.handle(exchange);
}

class Upstream {
  readonly #options: LineUpstreamOptions;
  readonly #components: LineUpstreamComponents;
  readonly #deadline: Deadline;
  readonly #streams: LineStreams;
  /** Lines that are initialised, or about to be. A shared line's promise has the result that its clients are given. */
  readonly #opened = new WeakMap<LineClient, Promise<string | undefined>>();
  readonly #shared = new SharedSessions();
  /** Sessions whose end is watched. */
  readonly #watched = new WeakSet<SessionHandle>();
  /** Lines of exchanges in flight by session, where each exchange has its own. */
  readonly #singles = new Map<string, Set<LineClient>>();
  /** Whether the command ends after one answer, once that is known. */
  #singleShot: boolean | undefined;
  #requests = 0;

  constructor(options: LineUpstreamOptions, components: LineUpstreamComponents) {
    this.#options = options;
    this.#components = components;
    this.#deadline = { clock: components.clock, handshakeMs: options.handshakeMs ?? HANDSHAKE_MS };
    this.#streams = new LineStreams({
      acquire: (session) => components.acquire(this.#keyOf(session), {}),
      endWithLine: options.onLoss === 'fail',
    });
  }

  async handle(exchange: Exchange): Promise<Reply> {
    const call = exchange.context.get(callSlot);
    if (call === undefined) throw new ProxyError('internal', 'the exchange was not classified');
    if (call.era === 'modern') {
      checkClaim(call);
      return this.#leased(MODERN_KEY, exchange, (line) => line.exchange(exchange));
    }
    const session = exchange.context.get(sessionSlot);
    if (session === undefined) return this.#withoutSession(exchange, call);
    if (call.verb === 'end') return this.#end(session);
    if (this.#options.isolation === 'request') return this.#single(exchange, call, session);
    if (call.method === 'initialize') return this.#initialize(exchange, call, session);
    if (call.verb === 'stream') return this.#stream(exchange, session);
    return this.#pass(exchange, call, session);
  }

  async #initialize(exchange: Exchange, call: Call, session: SessionHandle): Promise<Reply> {
    this.#watch(session);
    const key = this.#keyOf(session);
    const answer = await this.#leased(key, exchange, async (line) => {
      if (this.#options.isolation === 'shared') return this.#sharedResult(line, call, session);
      const stop = expectLife(line, this.#deadline);
      const opening = line.exchange(exchange).finally(() => {
        // A reply that began without an answer is still waited for.
        if (line.stats.received > 0) stop();
      });
      const opened = opening.then(() => undefined);
      // Whoever waits for it hears of a failure; that nobody does is no reason to end the process.
      opened.catch(() => {});
      this.#opened.set(line, opened);
      return opening;
    });
    return named(answer);
  }

  /** A line of many sessions is initialised once, by the proxy; its clients get the remembered result. */
  async #sharedResult(line: LineClient, call: Call, session: SessionHandle): Promise<Reply> {
    const result = (await this.#open(line, undefined)) ?? '{}';
    this.#shared.opened(session, line);
    return jsonReply(responseText(call.message?.idText ?? 'null', inVersion(result, call)));
  }

  async #pass(exchange: Exchange, call: Call, session: SessionHandle): Promise<Reply> {
    // Every session of a shared line says that it is initialised; the server has heard it from the proxy.
    if (this.#options.isolation === 'shared' && call.method === 'notifications/initialized') return reply(ACCEPTED);
    this.#watch(session);
    return this.#leased(this.#keyOf(session), exchange, async (line) => {
      const fresh = !this.#opened.has(line);
      if (this.#options.onLoss === 'fail' && !this.#knows(line, session)) return lost(call);
      await this.#use(line, session);
      if (this.#keepsSubscription(call, session)) return emptyResult(call);
      // A line that was just opened again has heard that from the proxy.
      if (fresh && call.method === 'notifications/initialized') return reply(ACCEPTED);
      return line.exchange(exchange);
    });
  }

  async #stream(exchange: Exchange, session: SessionHandle): Promise<Reply> {
    this.#watch(session);
    const stream = this.#streams.open(session);
    try {
      const lease = await this.#components.acquire(this.#keyOf(session), exchange);
      try {
        if (this.#options.onLoss === 'fail' && !this.#knows(lease.value, session)) throw lostError();
        await this.#use(lease.value, session);
      } finally {
        lease.release();
      }
    } catch (error) {
      stream.end();
      throw error;
    }
    return stream.reply;
  }

  /** One line for one exchange. */
  async #single(exchange: Exchange, call: Call, session: SessionHandle | undefined): Promise<Reply> {
    if (call.verb === 'stream') throw noStream();
    if (!call.expectsAnswer) return session === undefined ? reply(ACCEPTED) : this.#tellSingle(exchange, call, session);
    const answer = await this.#ownLine(exchange, session, async (line) => {
      if (call.method === 'initialize' || this.#singleShot === true) return line.exchange(exchange);
      if (await this.#outlivesHandshake(line, session)) return line.exchange(exchange);
      // A command that ends after its first answer can only be asked without a handshake, and only a fresh one.
      return this.#ownLine(exchange, session, (fresh) => fresh.exchange(exchange));
    });
    return call.method === 'initialize' ? named(answer) : answer;
  }

  /** Initialises a line of one exchange. False when the command turns out to end after one answer; learnt once. */
  async #outlivesHandshake(line: LineClient, session: SessionHandle | undefined): Promise<boolean> {
    try {
      await (session === undefined ? openShared(line, this.#deadline) : reopen(line, session, this.#deadline));
      if (this.#singleShot === undefined) await goesOn(line, this.#deadline);
    } catch (error) {
      if (this.#singleShot === false || !endedAfterAnAnswer(line)) throw error;
      this.#singleShot = true;
      return false;
    }
    this.#singleShot = false;
    return true;
  }

  /** A line that lives as long as the answer of this exchange. */
  async #ownLine(
    exchange: Exchange,
    session: SessionHandle | undefined,
    ask: (line: LineClient) => Promise<Reply>,
  ): Promise<Reply> {
    const key = `${REQUEST_PREFIX}${this.#requests++}`;
    let forget = (): void => {};
    const end = (): Promise<void> => {
      forget();
      return this.#evict(key);
    };
    try {
      const answer = await this.#leased(key, exchange, (line) => {
        if (session !== undefined) forget = this.#keepSingle(session.id, line);
        return ask(line);
      });
      return withReply(answer, { dispose: end });
    } catch (error) {
      await end();
      throw error;
    }
  }

  /** Returns how to forget it. */
  #keepSingle(session: string, line: LineClient): () => void {
    const lines = this.#singles.get(session) ?? new Set();
    this.#singles.set(session, lines.add(line));
    return () => {
      lines.delete(line);
      if (lines.size === 0 && this.#singles.get(session) === lines) this.#singles.delete(session);
    };
  }

  /** What expects no answer concerns a request in flight, on the line that carries it, or nothing. */
  #tellSingle(exchange: Exchange, call: Call, session: SessionHandle): Promise<Reply> {
    const { message } = call;
    const lines = [...(this.#singles.get(session.id) ?? [])];
    const line = message?.kind === 'response' ? lines.find((candidate) => candidate.expects(message)) : undefined;
    if (line !== undefined) return line.exchange(exchange);
    if (message?.method !== 'notifications/cancelled') return Promise.resolve(reply(ACCEPTED));
    return Promise.all(lines.map((candidate) => candidate.exchange(exchange))).then(() => reply(ACCEPTED));
  }

  async #withoutSession(exchange: Exchange, call: Call): Promise<Reply> {
    if (this.#options.isolation === 'session' || call.verb !== 'post') {
      const message = 'this request needs a session: send initialize first, then its Mcp-Session-Id with every request';
      throw new ProxyError('session_required', message);
    }
    if (this.#options.isolation === 'request') return this.#single(exchange, call, undefined);
    if (!call.expectsAnswer) return reply(ACCEPTED);
    return this.#leased(SHARED_KEY, exchange, async (line) => {
      await this.#open(line, undefined);
      return line.exchange(exchange);
    });
  }

  async #end(session: SessionHandle): Promise<Reply> {
    this.#streams.close(session);
    this.#shared.remove(session);
    if (this.#options.isolation === 'session') void this.#evict(this.#keyOf(session));
    return reply({ status: 200, headers: {} });
  }

  /** Leases a line for as long as the answer borrows it. */
  async #leased(key: string, exchange: Exchange, ask: (line: LineClient) => Promise<Reply>): Promise<Reply> {
    const lease = await this.#components.acquire(key, exchange);
    try {
      const answer = await ask(lease.value);
      return withReply(answer, { dispose: () => lease.release() });
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  /** Whether the server at the end of this line knows the session. */
  #knows(line: LineClient, session: SessionHandle): boolean {
    return this.#options.isolation === 'shared' ? this.#shared.joined(session, line) : this.#opened.has(line);
  }

  /** Makes sure that the line can be used for the session, whose stream listens to it from now on. */
  async #use(line: LineClient, session: SessionHandle): Promise<void> {
    await this.#open(line, session);
    // A session that was read from the store, on a line that was there before it.
    if (this.#options.isolation === 'shared' && !this.#shared.joined(session, line))
      await this.#shared.join(line, [session]);
    await this.#streams.attach(session, line);
  }

  /** Whether a resource is to be unsubscribed from on a line where somebody else still wants to hear of it. */
  #keepsSubscription(call: Call, session: SessionHandle): boolean {
    if (call.method !== 'resources/unsubscribe' || this.#options.isolation !== 'shared' || call.batch) return false;
    const params = call.message?.value['params'] as { readonly uri?: unknown } | undefined;
    return this.#shared.isWanted(params?.uri, session);
  }

  /** Makes sure that a line is initialised, once; whoever comes meanwhile waits for the same. */
  #open(line: LineClient, session: SessionHandle | undefined): Promise<string | undefined> {
    const opened = this.#opened.get(line);
    if (opened !== undefined) return opened;
    const { log } = this.#components;
    const shared = this.#options.isolation === 'shared' || session === undefined;
    const opening = shared ? this.#openShared(line) : this.#recover(line, session);
    this.#opened.set(line, opening);
    opening.catch((error: unknown) => {
      this.#opened.delete(line);
      log.warn({ target: this.#options.target, line: line.name }, `a line could not be initialised: ${String(error)}`);
      line.destroy(ProxyError.from(error, 'upstream_protocol'));
    });
    return opening;
  }

  async #recover(line: LineClient, session: SessionHandle): Promise<undefined> {
    await this.#reported(line, [session], () => reopen(line, session, this.#deadline));
  }

  /** Opens a line for all; those who used the one before find on it what they had asked for. */
  async #openShared(line: LineClient): Promise<string> {
    const orphans = this.#options.onLoss === 'fail' ? [] : this.#shared.orphans(line);
    if (orphans.length === 0) return openShared(line, this.#deadline);
    const join = (signal: AbortSignal): Promise<void> => this.#shared.join(line, orphans, signal);
    const result = await this.#reported(line, orphans, () => openShared(line, this.#deadline, join));
    for (const session of orphans) await this.#streams.attach(session, line);
    return result;
  }

  /** Says how a recovery went to whoever wants to know. */
  async #reported<T>(line: LineClient, lost: readonly SessionHandle[], recover: () => Promise<T>): Promise<T> {
    const { target } = this.#options;
    const sessions = lost.map(({ id }) => id);
    const tell = (outcome: RecoveryOutcome, text: string): void => {
      this.#components.log.warn({ target, line: line.name, outcome, sessions: sessions.length }, text);
      this.#components.recovered?.({ target, outcome, sessions, text });
    };
    try {
      const result = await recover();
      tell('ok', `${target} had lost a session with its line; it was opened again on a fresh one`);
      return result;
    } catch (error) {
      const why = ProxyError.from(error, 'upstream_closed').message;
      const text = `${target} had lost a session with its line; it could not be opened again: ${why}`;
      tell(error instanceof InitializeRefused ? 'refused' : 'failed', text);
      throw error;
    }
  }

  #watch(session: SessionHandle): void {
    if (this.#watched.has(session)) return;
    this.#watched.add(session);
    if (this.#options.isolation === 'shared') this.#shared.add(session);
    session.onEnd(() => void this.#end(session));
  }

  #keyOf(session: SessionHandle): string {
    return this.#options.isolation === 'shared' ? SHARED_KEY : `${SESSION_PREFIX}${session.id}`;
  }

  async #evict(key: string): Promise<void> {
    try {
      await this.#components.evict(key, new ProxyError('upstream_closed', 'the session ended'));
    } catch (error) {
      this.#components.log.warn({ err: error }, 'a line could not be closed in good order');
    }
  }
}

function emptyResult(call: Call): Reply {
  return jsonReply(responseText(call.message?.idText ?? 'null', '{}'));
}

function jsonReply(text: string): Reply {
  const bytes = encoder.encode(text);
  const headers = { 'content-type': 'application/json', 'content-length': String(bytes.length) };
  return reply({ status: 200, headers }, Body.whole(bytes, jsonFraming));
}

/** Says to the session layer that there is a session behind this answer; clients see the layer's own id instead. */
function named(answer: Reply): Reply {
  const { status, headers } = answer.head;
  return withReply(answer, { head: { status, headers: withHeaders(headers, { [SESSION_HEADER]: 'line' }) } });
}

/** The revision that the client asked for, where the server speaks a later one: legacy revisions are said to be supersets. */
function inVersion(result: string, call: Call): string {
  const params = call.message?.value['params'] as { protocolVersion?: unknown } | undefined;
  const asked = params?.protocolVersion;
  const span = spanOf(result, ['protocolVersion']);
  if (typeof asked !== 'string' || span === undefined || !LEGACY_VERSIONS.includes(asked)) return result;
  const offered = result.slice(span.start + 1, span.end - 1);
  return asked < offered ? `${result.slice(0, span.start)}"${asked}"${result.slice(span.end)}` : result;
}

/** As an upstream says it that has lost a session, so that the session layer ends it. */
function lost(call: Call): Reply {
  const idText = call.message?.kind === 'request' ? call.message.idText : undefined;
  return errorReply(lostError(), { idTexts: idText === undefined ? [] : [idText], era: call.era });
}

function lostError(): ProxyError {
  return new ProxyError('session_not_found', 'the server process of this session has ended; initialize again');
}

/** A good end after it had said something: no crash. */
function endedAfterAnAnswer({ over, stats }: LineClient): boolean {
  const { exitCode = 0, signal } = (over?.data ?? {}) as { exitCode?: number; signal?: string };
  return over !== undefined && stats.received > 0 && exitCode === 0 && signal === undefined;
}

function noStream(): ProxyError {
  const message = 'a command that is started for each request has no stream of its own';
  return new ProxyError('method_not_allowed', message, { data: { allow: ['POST', 'DELETE'] } });
}
