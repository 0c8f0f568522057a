/* What the event log of `@shadowcat/transport-sse` asks of its store, by shape: I/O packages do not import each other. */

/** A stream without its events. Times are epoch milliseconds. */
export interface StoredStream {
  readonly id: string;
  readonly session: string;
  readonly standing: boolean;
  readonly owed: readonly string[];
  readonly upstreamId?: string;
  readonly first: number;
  readonly next: number;
  readonly unsent: number;
  readonly endedAt?: number;
}

export interface StreamEvent {
  readonly stream: string;
  readonly seq: number;
  readonly bytes: Uint8Array;
}

export interface StreamWithEvents {
  readonly stream: StoredStream;
  readonly events: readonly StreamEvent[];
}

/** Keeps streams of events for sessions; what removes a session removes its streams. */
export interface Events {
  /** The streams of a session, events in order. Rejects with `ProxyError('store_failed')`. */
  load(session: string): Promise<readonly StreamWithEvents[]>;
  /** Adds, replaces and removes, all of it or nothing; drops events below a stream's `first`. Rejects like `load`. */
  write(batch: {
    readonly streams: readonly StoredStream[];
    readonly events: readonly StreamEvent[];
    readonly removed: readonly string[];
  }): Promise<void>;
}
