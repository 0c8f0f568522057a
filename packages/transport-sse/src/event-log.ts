import { type Clock, type Log, ProxyError, type Timer } from '@shadowcat/kernel';
import type { EventStore } from '@shadowcat/session';
import type { Message, SessionHandle } from '@shadowcat/wire';
import { Budget, type Entry } from './event-log-budget.js';
import { EventWriter } from './event-log-writer.js';
import { KeptStream, type StreamKeeper } from './resumption-stream.js';

export interface EventLogOptions {
  /** Events kept for a session. Default 1,000. */
  readonly events?: number;
  /** Bytes kept for a session, what keeping them costs included. Default 8 MiB. */
  readonly bytes?: number;
  /** Bytes kept for all sessions together. Default 256 MiB. */
  readonly totalBytes?: number;
  /** Streams that an upstream still feeds after their clients have left: of one session, and of all. Default 100 and 1,000. */
  readonly detached?: number;
  readonly totalDetached?: number;
  /** How long a stream that is over can still be asked for, in milliseconds. Default 5 minutes. */
  readonly keepMs?: number;
}

export interface EventLogComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** A name for a stream: letters and digits, not to be met twice within a session, also not across restarts. */
  readonly newId: () => string;
  /** Where streams outlive the process; without it they do not. */
  readonly store?: EventStore | undefined;
}

/** What is kept at this moment. */
export interface EventLogStats {
  readonly sessions: number;
  readonly streams: number;
  /** Streams that an upstream still feeds while no client reads them. */
  readonly detached: number;
  readonly events: number;
  readonly bytes: number;
  /** Events that had to make room before their time, since the start. */
  readonly evicted: number;
}

/** The streams of one session. */
class SessionStreams {
  readonly session: string;
  readonly handle: SessionHandle;
  readonly budget: Budget;
  readonly streams = new Map<string, KeptStream>();
  /** The look into the store, under way or done. */
  loading: Promise<void> | undefined;
  loaded = false;
  forgetEnd = (): void => {};

  constructor(handle: SessionHandle, budget: Budget) {
    this.session = handle.id;
    this.handle = handle;
    this.budget = budget;
  }
}

const SWEEP_MS = 30_000;

/** All kept streams of a process, by session: bounded, expiring, written behind. */
export class EventLog {
  readonly #options: Required<EventLogOptions>;
  readonly #components: EventLogComponents;
  readonly #sessions = new Map<string, SessionStreams>();
  readonly #total: Budget;
  readonly #writer: EventWriter | undefined;
  /** Streams whose clients have left before the end, in that order; perhaps they have come back since, or it has ended. */
  readonly #detached = new Set<KeptStream>();
  #evicted = 0;
  #sweep: Timer | undefined;
  #closed = false;

  constructor(options: EventLogOptions, components: EventLogComponents) {
    this.#options = {
      events: options.events ?? 1000,
      bytes: options.bytes ?? 8 * 1024 * 1024,
      totalBytes: options.totalBytes ?? 256 * 1024 * 1024,
      keepMs: options.keepMs ?? 300_000,
      detached: options.detached ?? 100,
      totalDetached: options.totalDetached ?? 1000,
    };
    this.#components = components;
    this.#total = new Budget({ events: Number.POSITIVE_INFINITY, bytes: this.#options.totalBytes });
    const { store } = components;
    this.#writer = store === undefined ? undefined : new EventWriter({ ...components, store });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether what is kept outlives the process. */
  get durable(): boolean {
    return this.#writer !== undefined;
  }

  stats(): EventLogStats {
    let streams = 0;
    let detached = 0;
    for (const { streams: all } of this.#sessions.values()) {
      streams += all.size;
      for (const stream of all.values()) if (stream.live && !stream.attached) detached += 1;
    }
    const { events, bytes } = this.#total;
    return { sessions: this.#sessions.size, streams, detached, events, bytes, evicted: this.#evicted };
  }

  /** A new stream for the answer to `messages`, or a standing one. The session has not ended. */
  open(
    session: SessionHandle,
    what: { readonly standing: boolean; readonly messages: readonly Message[] },
  ): KeptStream {
    const owed = what.messages.flatMap(({ kind, idText }) =>
      kind === 'request' && idText !== undefined ? [idText] : [],
    );
    const record = { session: session.id, standing: what.standing, owed, first: 0, next: 0, unsent: 0 };
    const home = this.#home(session);
    const stream = new KeptStream({ ...record, id: this.#components.newId() }, this.#keeper(home));
    home.streams.set(stream.id, stream);
    return stream;
  }

  /** A stream by its name, also one that the store has. */
  async find(session: SessionHandle, id: string): Promise<KeptStream | undefined> {
    const known = this.#sessions.get(session.id)?.streams.get(id);
    if (known !== undefined) return known;
    await this.#load(session);
    return this.#sessions.get(session.id)?.streams.get(id);
  }

  /** The GET stream that the session has, or had when the proxy ended. */
  async standing(session: SessionHandle): Promise<KeptStream | undefined> {
    const known = this.#standing(session);
    if (known !== undefined) return known;
    await this.#load(session);
    return this.#standing(session);
  }

  /** Gives up all upstreams without a word on the streams, and writes what is to be stored. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#sweep?.cancel();
    for (const home of this.#sessions.values()) for (const stream of home.streams.values()) stream.stop();
    await this.#writer?.close();
    for (const home of this.#sessions.values()) home.forgetEnd();
  }

  #standing(session: SessionHandle): KeptStream | undefined {
    for (const stream of this.#sessions.get(session.id)?.streams.values() ?? []) if (stream.standing) return stream;
    return undefined;
  }

  #home(session: SessionHandle): SessionStreams {
    let home = this.#sessions.get(session.id);
    if (home === undefined) {
      const { events, bytes } = this.#options;
      home = new SessionStreams(session, new Budget({ events, bytes }));
      this.#sessions.set(session.id, home);
      const mine = home;
      home.forgetEnd = session.onEnd(() => this.#sessionEnded(mine));
    }
    return home;
  }

  #load(session: SessionHandle): Promise<void> {
    if (this.#writer === undefined || session.ended || this.#closed) return Promise.resolve();
    const home = this.#home(session);
    home.loading ??= this.#fill(session, home).finally(() => {
      home.loaded = true;
      this.#forgetIfEmpty(home);
    });
    return home.loading;
  }

  async #fill(session: SessionHandle, home: SessionStreams): Promise<void> {
    const { store, clock, log } = this.#components;
    let stored: Awaited<ReturnType<EventStore['load']>> = [];
    try {
      stored = (await store?.load(session.id)) ?? [];
    } catch (error) {
      // Whoever asks for one of these events is told that they are not there.
      log.error({ err: error }, 'kept events could not be read from the store');
    }
    if (session.ended) return;
    for (const { stream: record, events } of stored) {
      if (home.streams.has(record.id) || this.#writer?.forgets(record.id) === true) continue;
      if (record.endedAt !== undefined && record.endedAt + this.#options.keepMs < clock.wall()) {
        this.#writer?.forget(record.id);
        continue;
      }
      const stream = new KeptStream(record, this.#keeper(home));
      stream.stored = true;
      home.streams.set(record.id, stream);
      for (const event of events) stream.restore(event);
      this.#arm();
    }
  }

  #keeper(home: SessionStreams): StreamKeeper {
    const { clock, log } = this.#components;
    return {
      clock,
      log,
      upstreamSession: () => home.handle.upstream?.sessionId,
      kept: (entry) => this.#kept(home, entry),
      dropped: (entry) => {
        home.budget.remove(entry);
        this.#total.remove(entry);
      },
      changed: (stream) => this.#changed(stream),
      left: (stream) => this.#left(home, stream),
    };
  }

  #kept(home: SessionStreams, entry: Entry): void {
    home.budget.add(entry);
    this.#total.add(entry);
    const before = this.#total.events;
    home.budget.enforce();
    this.#total.enforce();
    this.#evicted += before - this.#total.events;
  }

  #changed(stream: KeptStream): void {
    if (this.#sessions.get(stream.session)?.streams.get(stream.id) !== stream) return;
    if (stream.endedAt !== undefined) this.#arm();
    this.#writer?.changed(stream);
  }

  #left(home: SessionStreams, stream: KeptStream): void {
    // Its session was over already: it lived only for its client.
    if (this.#sessions.get(stream.session) !== home) stream.clear();
    else if (isDetached(stream)) this.#boundDetached(stream);
  }

  /** Each holds a connection or a line to its upstream: those that were left first make room. */
  #boundDetached(newest: KeptStream): void {
    this.#detached.delete(newest);
    this.#detached.add(newest);
    const { detached, totalDetached } = this.#options;
    if (this.#detached.size <= Math.min(detached, totalDetached)) return;
    for (const stream of this.#detached) if (!isDetached(stream)) this.#detached.delete(stream);
    const own = [...this.#detached].filter(({ session }) => session === newest.session);
    const tooMany = own.length > detached ? own[0] : undefined;
    const [oldest] = this.#detached;
    const given = tooMany ?? (this.#detached.size > totalDetached ? oldest : undefined);
    if (given === undefined) return;
    this.#detached.delete(given);
    given.giveUp(new ProxyError('pool_exhausted', 'too many requests were left by their clients; this one made room'));
  }

  #sessionEnded(home: SessionStreams): void {
    this.#sessions.delete(home.session);
    for (const stream of home.streams.values()) {
      this.#writer?.remove(stream);
      // A client that still reads may read what its upstream has to say to the end of the session.
      if (!stream.attached) stream.clear();
    }
  }

  #forgetIfEmpty(home: SessionStreams): void {
    const loading = home.loading !== undefined && !home.loaded;
    if (loading || home.streams.size > 0 || this.#sessions.get(home.session) !== home) return;
    home.forgetEnd();
    this.#sessions.delete(home.session);
  }

  /** One timer, only while there are streams that are over. */
  #arm(): void {
    if (this.#closed || this.#sweep !== undefined) return;
    this.#sweep = this.#components.clock.timer(Math.min(SWEEP_MS, this.#options.keepMs), () => {
      this.#sweep = undefined;
      this.#expire();
    });
  }

  #expire(): void {
    const before = this.#components.clock.wall() - this.#options.keepMs;
    let waiting = false;
    for (const home of this.#sessions.values()) {
      for (const stream of home.streams.values()) {
        const { endedAt } = stream;
        if (endedAt === undefined) continue;
        if (endedAt > before || stream.attached) waiting = true;
        else {
          home.streams.delete(stream.id);
          this.#writer?.remove(stream);
          stream.clear();
        }
      }
      this.#forgetIfEmpty(home);
    }
    if (waiting) this.#arm();
  }
}

/** Whether an upstream works for a client that is away. A GET stream is one for a session, and bounded with it. */
function isDetached({ live, attached, standing }: KeptStream): boolean {
  return live && !attached && !standing;
}
