import type { Json, SessionHandle, UpstreamBinding } from '@shadowcat/wire';
import { advance, type EndReason, opening, reopened, type SessionEvent, type SessionState } from './state.js';
import type { SessionRecord } from './store.js';

/** How many subscribed URIs a session remembers for its recovery; those beyond are still forwarded. */
const MAX_SUBSCRIPTIONS = 1000;

/** What a session is made from, new or read back. */
export interface SessionParts {
  readonly id: string;
  readonly credential: string;
  readonly createdAt: number;
  readonly initializeText: string;
  /** Called after each change of what is stored, while the session is open. */
  readonly changed: (session: Session) => void;
}

/** One client's session: its state, what it remembers, and who wants to know when it ends. */
export class Session implements SessionHandle {
  readonly id: string;
  readonly createdAt: number;
  readonly initializeText: string;
  /** Whether the upstream has refused the credential since the session was bound to it. */
  refused = false;
  /** When the store was last told that the session is in use; monotonic milliseconds. */
  touched: number;
  readonly #changed: (session: Session) => void;
  readonly #ends = new Set<() => void>();
  readonly #unused = new Set<() => void>();
  #credential: string;
  #state: SessionState;
  #result: Json | undefined;
  #protocolVersion: string | undefined;
  #upstream: UpstreamBinding | undefined;
  #logLevel: string | undefined;
  #subscriptions: readonly string[] = [];

  private constructor(parts: SessionParts, state: SessionState) {
    this.id = parts.id;
    this.#credential = parts.credential;
    this.createdAt = parts.createdAt;
    this.initializeText = parts.initializeText;
    this.#changed = parts.changed;
    this.#state = state;
    this.touched = state.lastUsed;
  }

  /** A session whose `initialize` was read and not answered. */
  static draft(parts: SessionParts, now: number): Session {
    return new Session(parts, opening(now));
  }

  /** A session as it was stored; `lastUsed` in monotonic milliseconds. */
  static restored(record: SessionRecord, changed: SessionParts['changed'], lastUsed: number): Session {
    const session = new Session({ ...record, changed }, reopened(lastUsed));
    session.#result = record.initializeResult;
    session.#protocolVersion = record.protocolVersion;
    session.#upstream = record.upstream;
    session.#logLevel = record.logLevel;
    session.#subscriptions = record.subscriptions;
    return session;
  }

  get credential(): string {
    return this.#credential;
  }
  get state(): SessionState {
    return this.#state;
  }
  get initializeResult(): Json | undefined {
    return this.#result;
  }
  get protocolVersion(): string | undefined {
    return this.#protocolVersion;
  }
  get upstream(): UpstreamBinding | undefined {
    return this.#upstream;
  }
  get restore(): SessionHandle['restore'] {
    return { logLevel: this.#logLevel, subscriptions: this.#subscriptions };
  }
  get inUse(): boolean {
    return this.#state.inFlight > 0;
  }
  get ended(): boolean {
    return this.#state.phase === 'ended';
  }

  /** One step of the state table; `end` is the way to end it. */
  advance(event: Exclude<SessionEvent, EndReason>, now: number): void {
    this.#state = advance(this.#state, event, now);
    if (event === 'accepted') this.#tell();
    if (event === 'settled' && this.#unused.size > 0 && !this.inUse) for (const done of [...this.#unused]) done();
  }

  /** Ends the session. Returns what has to be run now, in order: those who asked for it by `onEnd`. */
  end(reason: EndReason, now: number): readonly (() => void)[] {
    this.#state = advance(this.#state, reason, now);
    const ends = [...this.#ends];
    this.#ends.clear();
    return ends;
  }

  onEnd(done: () => void): () => void {
    if (this.ended) {
      done();
      return () => {};
    }
    // Wrapped, so that one function given twice is two entries.
    const entry = () => done();
    this.#ends.add(entry);
    return () => void this.#ends.delete(entry);
  }

  onUnused(done: () => void): () => void {
    const entry = () => done();
    this.#unused.add(entry);
    return () => void this.#unused.delete(entry);
  }

  bind(upstream: UpstreamBinding): void {
    if (upstream.target === this.#upstream?.target && upstream.sessionId === this.#upstream.sessionId) return;
    this.#upstream = upstream;
    this.#tell();
  }

  /** Binds the session to another credential, and no longer to the one before. */
  adopt(credential: string): void {
    this.#credential = credential;
    this.refused = false;
    this.#tell();
  }

  /** What `initialize` resulted in. `result` is left out when it is too large to be remembered. */
  learn(protocolVersion: string | undefined, result: Json | undefined): void {
    this.#protocolVersion = protocolVersion;
    this.#result = result;
    this.#tell();
  }

  setLogLevel(level: string): void {
    if (level === this.#logLevel) return;
    this.#logLevel = level;
    this.#tell();
  }

  subscribe(uri: string): void {
    if (this.#subscriptions.length >= MAX_SUBSCRIPTIONS || this.#subscriptions.includes(uri)) return;
    this.#subscriptions = [...this.#subscriptions, uri];
    this.#tell();
  }

  unsubscribe(uri: string): void {
    if (!this.#subscriptions.includes(uri)) return;
    this.#subscriptions = this.#subscriptions.filter((other) => other !== uri);
    this.#tell();
  }

  /** What to store; `touchedAt` in epoch milliseconds. */
  record(touchedAt: number): SessionRecord {
    return {
      id: this.id,
      credential: this.credential,
      createdAt: this.createdAt,
      touchedAt,
      initializeText: this.initializeText,
      subscriptions: this.#subscriptions,
      ...(this.#result === undefined ? {} : { initializeResult: this.#result }),
      ...(this.#protocolVersion === undefined ? {} : { protocolVersion: this.#protocolVersion }),
      ...(this.#upstream === undefined ? {} : { upstream: this.#upstream }),
      ...(this.#logLevel === undefined ? {} : { logLevel: this.#logLevel }),
    };
  }

  #tell(): void {
    if (this.#state.phase === 'open') this.#changed(this);
  }
}
