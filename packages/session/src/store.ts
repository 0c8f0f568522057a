import type { Json, UpstreamBinding } from '@shadowcat/wire';

/** What is kept of a session, so that it stays valid when the proxy starts again. Immutable. Holds no credentials. */
export interface SessionRecord {
  /** The client-facing id. */
  readonly id: string;
  /** A hash of the credential that made the session; empty for anonymous. */
  readonly credential: string;
  /** Milliseconds since the epoch, as is `touchedAt`. */
  readonly createdAt: number;
  readonly touchedAt: number;
  /** The client's `initialize` request, verbatim. */
  readonly initializeText: string;
  readonly initializeResult?: Json;
  readonly protocolVersion?: string;
  readonly upstream?: UpstreamBinding;
  readonly logLevel?: string;
  readonly subscriptions: readonly string[];
}

/**
 * Where sessions are kept beyond the memory of the session layer. `put`, `touch` and `remove` are written behind: they
 * return at once and never throw; what they said is visible to `load` at once, and safe after `flush`.
 * `@shadowcat/testkit` has a suite that every store must pass.
 */
export interface SessionStore {
  /** Rejects when the store cannot be read. */
  load(id: string): Promise<SessionRecord | undefined>;
  /** Adds or replaces the record with this id. */
  put(record: SessionRecord): void;
  /** The session was used at `at` (epoch milliseconds). Does nothing for an id that is not stored. */
  touch(id: string, at: number): void;
  remove(id: string): void;
  /**
   * Removes the sessions that were last used before `before` (epoch milliseconds), and then the longest unused ones until
   * `keep` are left. Resolves to all that were removed.
   */
  prune(limits: { readonly before: number; readonly keep: number }): Promise<readonly SessionRecord[]>;
  /** Resolves when everything said so far is written; rejects when that failed (it is kept, and tried again later). */
  flush(): Promise<void>;
  /** Flushes and lets go of the store. A second call returns the first promise. */
  close(): Promise<void>;
}
