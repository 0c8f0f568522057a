import type { ProxyError } from '@shadowcat/kernel';
import type { Message } from '@shadowcat/wire';

/** A live server, seen from the client that is played: messages out, messages in. */
export interface ServerLine extends AsyncDisposable {
  /**
   * Sends one message. Resolves when nothing more comes of it by itself: over HTTP when its reply has ended, on other lines when
   * it was sent. Rejects when the server cannot be reached, or the signal fired.
   */
  send(message: Message, signal: AbortSignal): Promise<Sent>;
  /** {@link send} for the messages of one batch (2025-03-26), in one body. There is at least one. */
  sendBatch(messages: readonly Message[], signal: AbortSignal): Promise<Sent>;
  /**
   * Opens the stream that the server speaks on of its own accord, where the transport has one. Resolves when it is open, or
   * when there is none.
   */
  listen(): Promise<void>;
  /** Values that are the session's own and must not be shown: its id. */
  readonly secrets: readonly string[];
}

export interface Sent {
  /** No answer comes any more, if none has come. */
  readonly over: boolean;
  /** What came instead of messages, such as `HTTP 401`. */
  readonly problem?: string;
}

/** Who hears what a server says. Neither method may throw. */
export interface ServerEar {
  message(message: Message): void;
  /** Nothing can be sent or heard any more. */
  lost(reason: ProxyError): void;
}

/** Opens the line of one client. Rejects when the server cannot be reached or started. */
export type Connect = (ear: ServerEar) => Promise<ServerLine>;
