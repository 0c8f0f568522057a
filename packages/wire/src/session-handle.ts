import type { Json } from './jsonrpc.js';

/** Where a session lives upstream. `sessionId` is the upstream's own, never shown to a client. */
export interface UpstreamBinding {
  /** The target's name, as in the configuration. */
  readonly target: string;
  readonly sessionId?: string;
}

/**
 * One client's session, as the handlers inside the session layer see it. Made by the session layer for eras that have
 * sessions; found in an exchange's {@link sessionSlot}.
 */
export interface SessionHandle {
  /** The client-facing id: the proxy's own, visible ASCII, unguessable. */
  readonly id: string;
  /** The client's `initialize` request, verbatim, to open the session again when the upstream lost it. */
  readonly initializeText: string;
  /** The result of `initialize` as the client got it, once known. */
  readonly initializeResult: Json | undefined;
  /** The revision that was negotiated, once known. */
  readonly protocolVersion: string | undefined;
  readonly upstream: UpstreamBinding | undefined;
  /** Binds the session to an upstream session; remembered across restarts. */
  bind(upstream: UpstreamBinding): void;
  /** The level of the last `logging/setLevel` and the subscribed URIs: what a recovery has to restore. */
  readonly restore: { readonly logLevel: string | undefined; readonly subscriptions: readonly string[] };
  /** Whether an answer to its client is under way, or its client listens. Absent: not known. */
  readonly inUse?: boolean;
  /** Runs `done` each time the session is in use no longer. Returns how to take that back. */
  onUnused?(done: () => void): () => void;
  /** Whether the session has ended (deleted, expired, or its opening failed). */
  readonly ended: boolean;
  /** Runs `done` when the session ends, at once if it has. Returns how to take that back. */
  onEnd(done: () => void): () => void;
}
