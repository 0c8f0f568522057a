import type { EventStore, SessionStore } from '@shadowcat/session';

/** What the store has to say for itself. */
export interface StoreHealth {
  /** Whether the last write worked; written anew for the question when that was a while ago. */
  readonly ok: boolean;
  readonly kind: 'memory' | 'sqlite';
  /** The file, or the empty string. */
  readonly where: string;
  /** How many sessions have changes that are not written. */
  readonly pending: number;
  /** One plain line, when not `ok`. */
  readonly problem?: string;
}

/** A session store that was opened by its URL. */
export interface Store extends SessionStore {
  /** Where kept events go; absent where nothing outlives the process. */
  readonly events?: EventStore;
  /** Never rejects. */
  health(): Promise<StoreHealth>;
}
