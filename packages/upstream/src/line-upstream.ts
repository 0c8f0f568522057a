import {
  type Clock,
  type Exchange,
  type Handler,
  headerOf,
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
  credentialSlot,
  errorReply,
  jsonReply,
  LAST_EVENT_ID,
  LEGACY_VERSIONS,
  type LineClient,
  META_VERSION,
  type OnRecovery,
  type RecoveryOutcome,
  readMessage,
  responseText,
  SESSION_HEADER,
  type SessionHandle,
  sessionSlot,
  spanOf,
} from '@shadowcat/wire';
import { type Deadline, expectLife, InitializeRefused, openShared, reopen } from './line-handshake.js';
import { LineStreams } from './line-streams.js';
import { SharedSessions } from './shared-sessions.js';
import { SingleLines } from './single-lines.js';

/** How lines are shared: one a session, one for everybody, or one for each exchange. */
export type Isolation = 'session' | 'shared' | 'request';

/** The right to use a line until it is given back; what `@shadowcat/pool` calls a lease fits. */
export interface LineLease {
  readonly value: LineClient;
  release(): void;
  /** Lets the line be closed when its place is needed, while `dispensable` says so and nobody else leases it. */
  loosen?(dispensable: () => boolean): void;
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
  /**
   * A line for this key, opened when there is none. Lines of keys for which {@link isSharedKey} is true are shared ones; others
   * count for `group`, what stands for the client's credential, where it has one.
   */
  acquire(key: string, waiting: { readonly signal?: AbortSignal }, group?: string): Promise<LineLease>;
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
  readonly #shared: SharedSessions;
  /** Sessions whose end is watched. */
  readonly #watched = new WeakSet<SessionHandle>();
  readonly #singles: SingleLines;

  constructor(options: LineUpstreamOptions, components: LineUpstreamComponents) {
    this.#options = options;
    this.#components = components;
    this.#deadline = { clock: components.clock, handshakeMs: options.handshakeMs ?? HANDSHAKE_MS };
    this.#shared = new SharedSessions(this.#deadline);
    this.#singles = new SingleLines({
      leased: (key, exchange, ask) => this.#leased(key, exchange, ask),
      evict: (key) => this.#evict(key),
      deadline: this.#deadline,
    });
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
    // Whoever refused to open a session serves none: the line would be idle for as long as the client's session lasts.
    if (this.#options.isolation === 'session' && isError(answer)) void this.#evict(key);
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
      if (this.#isLost(line, session)) return lost(call);
      await this.#use(line, session);
      if (this.#options.isolation === 'shared' && (await this.#shared.settles(call, session, line)))
        return emptyResult(call);
      // A line that was just opened again has heard that from the proxy.
      if (fresh && call.method === 'notifications/initialized') return reply(ACCEPTED);
      return line.exchange(exchange);
    });
  }

  async #stream(exchange: Exchange, session: SessionHandle): Promise<Reply> {
    // A line keeps no events: whoever has seen some of another stream is told rather than given what is left.
    if (headerOf(exchange.head.headers, LAST_EVENT_ID) !== undefined) throw eventsGone();
    this.#watch(session);
    const stream = this.#streams.open(session);
    try {
      const key = this.#keyOf(session);
      const lease = await this.#components.acquire(key, exchange, groupOf(key, exchange));
      try {
        if (this.#isLost(lease.value, session)) throw lostError();
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
    const answer = await this.#singles.serve(exchange, call, session);
    return call.method === 'initialize' && call.expectsAnswer ? named(answer) : answer;
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
    const lease = await this.#components.acquire(key, exchange, groupOf(key, exchange));
    try {
      const answer = await ask(lease.value);
      return withReply(answer, { dispose: () => lease.release() });
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  /** Whether a session that is not opened again lived here and does not any more. */
  #isLost(line: LineClient, session: SessionHandle): boolean {
    const { onLoss, target } = this.#options;
    return onLoss === 'fail' && session.upstream?.target === target && !this.#knows(line, session);
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
    // Opened here for the first time: nothing was lost.
    const open = (): Promise<void> => reopen(line, session, this.#deadline);
    await (session.upstream === undefined ? open() : this.#reported(line, [session], open));
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
    const before = lost.find(({ upstream }) => upstream?.target !== target)?.upstream?.target;
    const loss =
      before === undefined
        ? `${target} had lost a session with its line`
        : `a session moves from ${before} to ${target}`;
    const tell = (outcome: RecoveryOutcome, text: string): void => {
      this.#components.log.warn({ target, line: line.name, outcome, sessions: sessions.length }, text);
      this.#components.recovered?.({ target, outcome, sessions, text });
    };
    try {
      const result = await recover();
      tell('ok', `${loss}; it was opened again on a fresh one`);
      return result;
    } catch (error) {
      const why = ProxyError.from(error, 'upstream_closed').message;
      const text = `${loss}; it could not be opened again: ${why}`;
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

/** Whom a line counts for: anonymous clients, and all those that share one, for nobody in particular. */
function groupOf(key: string, { context }: Exchange): string | undefined {
  return isSharedKey(key) ? undefined : context.get(credentialSlot) || undefined;
}

function emptyResult(call: Call): Reply {
  return jsonReply(responseText(call.message?.idText ?? 'null', '{}'));
}

/** Whether a whole answer is a JSON-RPC error. */
function isError({ body }: Reply): boolean {
  const { ready } = body;
  return ready !== undefined && readMessage(new TextDecoder().decode(ready))?.value['error'] !== undefined;
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

function eventsGone(): ProxyError {
  return new ProxyError('events_expired', 'this server keeps no events; open a new stream without Last-Event-ID');
}
