import type { ProxyError } from './errors.js';

/** Who listens to a {@link Connection}. Neither method may throw. */
export interface ConnectionSink {
  /** One message's JSON text, as it came. */
  message(text: string): void;
  /** The line is over, once, after the last message. `undefined`: it ended in good order. */
  closed(reason: ProxyError | undefined): void;
}

/**
 * A duplex line that carries whole JSON-RPC messages both ways: a child's stdin and stdout, our own, a WebSocket, a legacy
 * HTTP+SSE pair. Messages are texts; framing is the transport's business.
 */
export interface Connection extends AsyncDisposable {
  /** For logs, such as `pid 4711` or `ws://host/mcp`. */
  readonly name: string;
  /**
   * Sends one message. Resolves when the line can take more (backpressure); rejects with `upstream_closed` or
   * `child_exited` when the line is over.
   */
  send(text: string): Promise<void>;
  /** Starts delivery; called once, before anything is delivered (what came earlier is kept, bounded). */
  listen(sink: ConnectionSink): void;
  /** Stop now, with a reason. Idempotent. `Symbol.asyncDispose` finishes gently. */
  destroy(reason: ProxyError): void;
}
