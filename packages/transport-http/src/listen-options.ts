/** Bounds on what clients may send and hold. Sizes in bytes, times in milliseconds. */
export interface ListenLimits {
  /** A request's body; more is refused with 413 before it is read. */
  readonly body: number;
  /** All header fields of one request together. */
  readonly headerSize: number;
  /** How many header fields one request may have. */
  readonly headerCount: number;
  /** For a request's head to arrive. */
  readonly headersTimeout: number;
  /** For a whole request to arrive, body included. */
  readonly requestTimeout: number;
  /** How long a connection without a request stays open. */
  readonly idleTimeout: number;
  /** Connections open at the same time; more are closed as they come. */
  readonly connections: number;
}

export const DEFAULT_LISTEN_LIMITS: ListenLimits = {
  body: 4 * 1024 * 1024,
  headerSize: 16 * 1024,
  headerCount: 100,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  idleTimeout: 65_000,
  connections: 10_000,
};

export interface ListenOptions {
  /** A name or an address; an IPv6 address without brackets. */
  readonly host: string;
  /** 0: the system picks one. */
  readonly port: number;
  readonly limits?: Partial<ListenLimits>;
  /** Milliseconds after which an idle SSE stream gets a comment. Default 15 s; 0: never. */
  readonly keepAlive?: number;
  /** Milliseconds after which clients whose streams are ended at shutdown are told to come back. Default 1 s. */
  readonly retryHint?: number;
}

/** What a listener has to say for itself, for metrics and health. */
export interface ListenerStats {
  /** Open connections, upgraded ones included. */
  readonly connections: number;
  /** Exchanges whose reply has not been written to its end. */
  readonly exchanges: number;
  /** Those of them that are open SSE streams. */
  readonly streams: number;
  /** Connections closed at once because there were too many. */
  readonly dropped: number;
  /** Requests refused because they are no proper HTTP. */
  readonly malformed: number;
}
