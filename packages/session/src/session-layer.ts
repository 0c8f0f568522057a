import {
  type Clock,
  type Exchange,
  type Handler,
  headerOf,
  type Layer,
  type Log,
  ProxyError,
  type Reply,
  type Timer,
  withHeaders,
  withReply,
} from '@shadowcat/kernel';
import {
  type Call,
  callSlot,
  credentialSlot,
  SESSION_HEADER,
  type SessionHandle,
  sessionSlot,
  targetSlot,
} from '@shadowcat/wire';
import { Adoptions, type Adopts } from './adoption.js';
import { learnFrom } from './learn.js';
import { remember } from './remember.js';
import { Session } from './session.js';
import { SessionBook } from './session-book.js';
import { END_REASONS, type EndReason, isIdle } from './state.js';
import type { SessionRecord, SessionStore } from './store.js';

/** Limits; all bounds of the sessions' memory. */
export interface SessionOptions {
  /** A session that nobody used for this long ends, in milliseconds. Default 30 minutes. */
  readonly idleMs?: number;
  /** Sessions at a time; the longest unused one makes room for the next. Default 10,000. */
  readonly max?: number;
  /** Sessions of one credential at a time; anonymous clients share `max` only. Default 100. */
  readonly perCredential?: number;
  /** The largest `initialize` request that is remembered, in UTF-16 units; a larger one is refused. Default 65,536. */
  readonly maxInitialize?: number;
}

export interface SessionComponents {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes a client-facing id: visible ASCII, unguessable. */
  readonly newId: () => string;
  /** Told of each session of an earlier run that is over before anybody came back to it; it has ended. */
  readonly expired?: ((session: SessionHandle) => void) | undefined;
  /** Decides whether another credential may go on with a session; without it, none may. */
  readonly adopts?: Adopts | undefined;
}

/** Counts since the start, and the present number of sessions. */
export interface SessionStats {
  readonly open: number;
  /** Sessions whose `initialize` is under way. */
  readonly opening: number;
  /** Open sessions with an exchange in flight, a standing stream included. */
  readonly active: number;
  readonly opened: number;
  /** Read back from the store. */
  readonly restored: number;
  readonly ended: Readonly<Record<EndReason, number>>;
}

/** The layer, and what its owner does with it. */
export type SessionLayer = Layer & {
  stats(): SessionStats;
  /** Ends idle sessions, stored ones too. Runs by itself while there are sessions in memory; never rejects. */
  sweep(): Promise<void>;
  /** Stops the timer and flushes what is written behind. Sessions stay valid; the store stays open. */
  close(): Promise<void>;
};

/**
 * Finds or makes the session of each legacy exchange, sets `sessionSlot`, and shows clients ids of the proxy's own only.
 * Modern exchanges pass untouched. Needs `callSlot`; reads `credentialSlot` (absent is anonymous) and `targetSlot`.
 * Throws `session_not_found` for ids that are unknown, over, or another credential's, and `session_limit` when there is no
 * room (MCP 2025-11-25, Streamable HTTP, "Session Management").
 */
export function sessionLayer(options: SessionOptions, components: SessionComponents): SessionLayer {
  const sessions = new Sessions(options, components);
  const layer: Layer = (next) => (exchange) => {
    const call = exchange.context.get(callSlot);
    if (call === undefined || call.era === 'modern') return next(exchange);
    if (call.method === 'initialize') return sessions.open(next, exchange, call);
    if (call.sessionId === undefined) return withoutSession(next, exchange);
    return sessions.serve(next, exchange, call);
  };
  return Object.assign(layer, {
    stats: () => sessions.stats(),
    sweep: () => sessions.sweep(),
    close: () => sessions.close(),
  });
}

class Sessions {
  readonly #store: SessionStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #newId: () => string;
  readonly #tellExpired: (session: SessionHandle) => void;
  readonly #idleMs: number;
  readonly #max: number;
  readonly #maxInitialize: number;
  /** The store hears of a session's use at most this often; so much later than `idleMs` are stored sessions pruned. */
  readonly #touchEvery: number;
  readonly #book: SessionBook;
  readonly #adoptions: Adoptions;
  readonly #loading = new Map<string, Promise<Session | undefined>>();
  readonly #ended = Object.fromEntries(END_REASONS.map((reason) => [reason, 0])) as Record<EndReason, number>;
  #opened = 0;
  #restored = 0;
  #sweeping: Promise<void> | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: SessionOptions, components: SessionComponents) {
    this.#store = components.store;
    this.#clock = components.clock;
    this.#log = components.log;
    this.#newId = components.newId;
    this.#tellExpired = components.expired ?? (() => {});
    this.#adoptions = new Adoptions(components.adopts);
    this.#idleMs = options.idleMs ?? 1_800_000;
    this.#max = options.max ?? 10_000;
    this.#maxInitialize = options.maxInitialize ?? 65_536;
    this.#touchEvery = Math.min(this.#idleMs / 60, 30_000);
    this.#book = new SessionBook({ max: this.#max, perCredential: options.perCredential ?? 100 }, (session, reason) =>
      this.#end(session, reason),
    );
  }

  /** `initialize`: a draft that becomes a session when the upstream's answer names one of its own. */
  async open(next: Handler, exchange: Exchange, call: Call): Promise<Reply> {
    const initializeText = call.message?.text ?? '';
    if (initializeText.length > this.#maxInitialize) throw tooLarge(this.#maxInitialize);
    const credential = exchange.context.get(credentialSlot) ?? '';
    const giveBack = this.#book.reserve(credential);
    if (giveBack === undefined) throw noRoom(this.#max);
    const session = Session.draft(
      { id: this.#newId(), credential, createdAt: this.#clock.wall(), initializeText, changed: this.#changed },
      this.#clock.now(),
    );
    exchange.context.set(sessionSlot, session);
    try {
      const answer = await next(exchange);
      return this.#opening(session, { exchange, call, answer });
    } catch (error) {
      this.#end(session, 'refused');
      throw error;
    } finally {
      giveBack();
    }
  }

  #opening(session: Session, asked: { exchange: Exchange; call: Call; answer: Reply }): Reply {
    const { exchange, call, answer } = asked;
    const { status, headers } = answer.head;
    const upstreamId = headerOf(headers, SESSION_HEADER);
    if (upstreamId === undefined || status < 200 || status > 299) {
      this.#end(session, 'refused');
      return upstreamId === undefined ? answer : withReply(answer, { head: named(answer, undefined) });
    }
    const bound = session.upstream;
    const target = bound?.target ?? exchange.context.get(targetSlot) ?? '';
    session.bind({ target, sessionId: bound?.sessionId ?? upstreamId });
    session.advance('accepted', this.#clock.now());
    this.#book.add(session);
    this.#opened += 1;
    this.#arm();
    const learn = learnFrom(call.message?.id, (outcome) => {
      if (outcome.kind === 'result') session.learn(outcome.protocolVersion, outcome.result);
      else this.#end(session, 'refused');
    });
    return withReply(answer, {
      head: named(answer, session.id),
      body: answer.body.with(learn),
      dispose: () => this.#settle(session),
    });
  }

  /** An exchange of a session that exists, or is said to. */
  async serve(next: Handler, exchange: Exchange, call: Call): Promise<Reply> {
    const id = call.sessionId ?? '';
    const session = this.#book.get(id) ?? (await this.#load(id));
    if (session === undefined || session.ended) throw notFound();
    if (session.credential !== (exchange.context.get(credentialSlot) ?? '')) await this.#adopt(session, exchange);
    const now = this.#clock.now();
    if (isIdle(session.state, now, this.#idleMs)) {
      this.#end(session, 'idle');
      throw notFound();
    }
    session.advance('used', now);
    if (now - session.touched >= this.#touchEvery) this.#touch(session, now);
    exchange.context.set(sessionSlot, session);
    let answer: Reply;
    try {
      answer = await next(exchange);
    } catch (error) {
      this.#settle(session);
      if (call.verb === 'end') this.#end(session, 'deleted');
      throw error;
    }
    return this.#answered(session, call, answer);
  }

  /** Binds a session to the credential of this exchange, or throws as for a session that is not there. */
  async #adopt(session: Session, exchange: Exchange): Promise<void> {
    const by = exchange.context.get(credentialSlot) ?? '';
    const { credential, refused } = session;
    const adopted = await this.#adoptions.verdict(by, { session, credential, refused, exchange });
    if (!adopted || session.ended) {
      this.#log.warn(
        { exchange: exchange.id },
        'a session was asked for with another credential than it is bound to: answered 404',
      );
      throw notFound();
    }
    // Others who waited for the same verdict may have been here.
    if (session.credential === by) return;
    this.#book.remove(session);
    session.adopt(by);
    this.#book.add(session);
    this.#log.info({ exchange: exchange.id }, 'a session goes on with another credential, which the upstream took');
  }

  #answered(session: Session, call: Call, answer: Reply): Reply {
    const { status, headers } = answer.head;
    // 405 says that this server does not let clients end sessions: the session goes on.
    if (call.verb === 'end' && status !== 405) this.#end(session, 'deleted');
    else if (status === 404) this.#end(session, 'lost');
    else if (status < 300) remember(session, call);
    else if (status === 401 || status === 403) session.refused = true;
    const shown = headers[SESSION_HEADER];
    const head = shown === undefined ? answer.head : named(answer, session.ended ? undefined : session.id);
    // What is not a stream is as good as sent: only streams keep the session in use beyond their head.
    if (answer.body.framing.name === 'sse') return withReply(answer, { head, dispose: () => this.#settle(session) });
    this.#settle(session);
    return shown === undefined ? answer : withReply(answer, { head });
  }

  stats(): SessionStats {
    let active = 0;
    for (const session of this.#book.values()) if (session.state.inFlight > 0) active += 1;
    return {
      open: this.#book.size,
      opening: this.#book.drafts,
      active,
      opened: this.#opened,
      restored: this.#restored,
      ended: { ...this.#ended },
    };
  }

  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweepOnce().finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  async #sweepOnce(): Promise<void> {
    try {
      const now = this.#clock.now();
      for (const session of [...this.#book.values()]) {
        if (session.state.inFlight > 0) this.#touch(session, now);
        else if (isIdle(session.state, now, this.#idleMs)) this.#end(session, 'idle');
      }
      const before = this.#clock.wall() - this.#idleMs - this.#touchEvery;
      for (const record of await this.#store.prune({ before, keep: this.#max })) {
        const session = this.#book.get(record.id);
        if (session === undefined) this.#expired(record);
        else if (session.state.inFlight > 0) this.#changed(session);
        else this.#end(session, 'evicted');
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'expired sessions could not be removed from the store; it will be tried again');
    }
    this.#arm();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#sweeping;
    try {
      await this.#store.flush();
    } catch (error) {
      this.#log.error(
        { err: error },
        'the last changes of sessions could not be stored: they are lost when the proxy ends',
      );
    }
  }

  readonly #changed = (session: Session): void => {
    session.touched = this.#clock.now();
    this.#store.put(session.record(this.#clock.wall()));
  };

  #touch(session: Session, now: number): void {
    session.touched = now;
    this.#book.renew(session);
    this.#store.touch(session.id, this.#clock.wall());
  }

  #settle(session: Session): void {
    session.advance('settled', this.#clock.now());
  }

  #end(session: Session, reason: EndReason): void {
    if (session.ended) return;
    if (session.state.phase === 'open') {
      this.#book.remove(session);
      this.#store.remove(session.id);
      this.#log.debug({ reason }, 'a session ended');
    }
    this.#ended[reason] += 1;
    for (const done of session.end(reason, this.#clock.now())) {
      try {
        done();
      } catch (error) {
        this.#log.error({ err: error, reason }, 'what belongs to a session could not be given up');
      }
    }
  }

  /** A session that this process has not seen: once from the store, then it is kept in memory. */
  #load(id: string): Promise<Session | undefined> {
    const under = this.#loading.get(id);
    if (under !== undefined) return under;
    const loading = this.#restore(id).finally(() => this.#loading.delete(id));
    this.#loading.set(id, loading);
    return loading;
  }

  async #restore(id: string): Promise<Session | undefined> {
    let record: SessionRecord | undefined;
    try {
      record = await this.#store.load(id);
    } catch (error) {
      this.#log.error({ err: error }, 'a session could not be read from the store: the client has to open a new one');
      return undefined;
    }
    if (record === undefined) return undefined;
    const unused = Math.max(0, this.#clock.wall() - record.touchedAt);
    if (unused > this.#idleMs + this.#touchEvery) {
      this.#store.remove(id);
      this.#expired(record);
      return undefined;
    }
    const giveBack = this.#book.reserve(record.credential);
    if (giveBack === undefined) throw noRoom(this.#max);
    giveBack();
    const now = this.#clock.now();
    // Used now, or it would be idle at once when it was stored a little before its time.
    const session = Session.restored(record, this.#changed, now);
    session.touched = now - unused;
    this.#book.add(session);
    this.#restored += 1;
    this.#arm();
    return session;
  }

  /** Over before it was read back. */
  #expired(record: SessionRecord): void {
    const now = this.#clock.now();
    const session = Session.restored(record, () => {}, now);
    session.end('idle', now);
    this.#tellExpired(session);
  }

  /** One timer, only while there are sessions in memory. */
  #arm(): void {
    if (this.#closed || this.#timer !== undefined || this.#book.size === 0) return;
    const every = Math.min(Math.max(this.#idleMs / 4, 1000), 60_000);
    this.#timer = this.#clock.timer(every, () => {
      this.#timer = undefined;
      void this.sweep();
    });
  }
}

/** A legacy exchange that names no session: the innermost handler decides, and no id of the upstream's is shown. */
async function withoutSession(next: Handler, exchange: Exchange): Promise<Reply> {
  const answer = await next(exchange);
  return answer.head.headers[SESSION_HEADER] === undefined
    ? answer
    : withReply(answer, { head: named(answer, undefined) });
}

/** The answer's head with this session id instead of the upstream's. */
function named(answer: Reply, id: string | undefined): Reply['head'] {
  return { status: answer.head.status, headers: withHeaders(answer.head.headers, { [SESSION_HEADER]: id }) };
}

function notFound(): ProxyError {
  return new ProxyError(
    'session_not_found',
    'Session not found: it ended or never was; open a new one with initialize',
  );
}

function noRoom(max: number): ProxyError {
  return new ProxyError('session_limit', `all ${max} sessions are in use; try again later`, { retryAfter: 5 });
}

function tooLarge(limit: number): ProxyError {
  return new ProxyError('body_too_large', `the initialize request is larger than ${limit} characters`);
}
