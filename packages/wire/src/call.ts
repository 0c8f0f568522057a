import type { Message } from './jsonrpc.js';

/** Legacy: 2025-11-25 and earlier. Modern: 2026-07-28. */
export type Era = 'legacy' | 'modern';

/**
 * What an HTTP exchange asks for, read once at the edge: a value, never a throw. `message` is the only message, or the
 * first request of a batch.
 */
export interface Call {
  readonly era: Era;
  /** `post` carries messages, `stream` is the standing GET stream, `end` is DELETE. */
  readonly verb: 'post' | 'stream' | 'end';
  /** All messages of the body, in order; one unless `batch`. Empty for `stream` and `end`. */
  readonly messages: readonly Message[];
  /** JSON-RPC batches exist in 2025-03-26 only. */
  readonly batch: boolean;
  /** The message that gives the exchange its name: the first request, else the first message. */
  readonly message: Message | undefined;
  /** `tools/call`, … or `(response)`, `(stream)`, `(end)`; what metrics and logs call this exchange. */
  readonly method: string;
  /** Tool or prompt name, or resource URI, where the method has one. */
  readonly target: string | undefined;
  /** From the header (legacy) or `_meta` (modern). */
  readonly protocolVersion: string | undefined;
  /** `Mcp-Session-Id` as the client sent it (legacy). */
  readonly sessionId: string | undefined;
  /** Whether an answer is owed: at least one message is a request. */
  readonly expectsAnswer: boolean;
}
