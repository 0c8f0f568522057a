import { Body, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import { FrameQueue } from './frame-queue.js';
import { SSE_HEADERS } from './line-flight.js';
import type { SessionHandle } from './session-handle.js';
import { sseFraming } from './sse-framing.js';

const QUEUE_LIMIT = 1024 * 1024;

export interface StandingStreamOptions {
  readonly session: SessionHandle;
  /** What may lie unread, in characters; then the client is dropped. Default 1 MiB. */
  readonly queueLimit?: number;
}

/**
 * A session's GET stream. It belongs to the client, not to a line: it stays open when the line behind it is lost, and is
 * attached to the next one ({@link LineClient.attach}).
 */
export class StandingStream {
  readonly session: SessionHandle;
  /** Given to the client once. Disposing it closes the stream. */
  readonly reply: Reply;
  readonly #queue: FrameQueue;
  #closed = false;
  #onClose: (() => void)[] = [];

  constructor(options: StandingStreamOptions) {
    this.session = options.session;
    const close = (): void => this.#close();
    this.#queue = new FrameQueue(options.queueLimit ?? QUEUE_LIMIT, close);
    this.reply = reply({ status: 200, headers: SSE_HEADERS }, Body.fromFrames(this.#queue, sseFraming), close);
  }

  get open(): boolean {
    return !this.#closed;
  }

  /** Whether the message was taken; `false` when the client does not read, or is gone. */
  push(text: string): boolean {
    return this.#queue.push(text);
  }

  /** Ends it: in good order, or by breaking off. */
  end(error?: ProxyError): void {
    if (error === undefined) this.#queue.end();
    else this.#queue.fail(error);
    this.#close();
  }

  /** Runs `done` when the stream closes, whoever closes it. Returns how to take that back. */
  onClose(done: () => void): () => void {
    if (this.#closed) done();
    else this.#onClose.push(done);
    return () => {
      this.#onClose = this.#onClose.filter((listener) => listener !== done);
    };
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.end();
    const listeners = this.#onClose;
    this.#onClose = [];
    for (const done of listeners) done();
  }
}

/** A session has one GET stream at a time: a second one would take messages away from the first, or get them twice. */
export function streamConflict(): ProxyError {
  return new ProxyError('stream_conflict', 'this session has an open GET stream already');
}
