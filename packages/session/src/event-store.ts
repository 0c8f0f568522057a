/** What is kept of a stream besides its events. Immutable. */
export interface StreamRecord {
  /** Unique; part of the ids of its events. */
  readonly id: string;
  /** The client-facing id of the session it belongs to. */
  readonly session: string;
  /** A session's GET stream, as opposed to the answer of a POST. */
  readonly standing: boolean;
  /** The JSON texts of the ids of the requests whose answer is not among the events. */
  readonly owed: readonly string[];
  /** The upstream's own id of the last event. */
  readonly upstreamId?: string;
  /** The number of the first event that is kept, and of the next one to come. */
  readonly first: number;
  readonly next: number;
  /** The number of the first event that no client was sent. */
  readonly unsent: number;
  /** When its last event came, in milliseconds since the epoch; absent while there may be more. */
  readonly endedAt?: number;
}

export interface StoredEvent {
  readonly stream: string;
  readonly seq: number;
  /** As it is sent, its id included. */
  readonly bytes: Uint8Array;
}

/** Changes of several streams, to be made all at once. */
export interface EventBatch {
  /** Added or replaced. Events below `first` are dropped. */
  readonly streams: readonly StreamRecord[];
  /** New events, in order. */
  readonly events: readonly StoredEvent[];
  /** Streams that are forgotten, with their events. */
  readonly removed: readonly string[];
}

/** Where kept streams outlive the process. Whatever removes a session from the store removes its streams as well. */
export interface EventStore {
  /** The streams of a session with their events in order. Rejects when the store cannot be read. */
  load(session: string): Promise<readonly { readonly stream: StreamRecord; readonly events: readonly StoredEvent[] }[]>;
  /** All of it or nothing. */
  write(batch: EventBatch): Promise<void>;
}
