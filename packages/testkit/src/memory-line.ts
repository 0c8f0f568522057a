import { type Connection, type ConnectionSink, ProxyError } from '@shadowcat/kernel';

/** One end of a {@link memoryLine}. */
export interface MemoryConnection extends Connection {
  /** Every text this end sent, in order. */
  readonly sent: readonly string[];
  /** Whether this end is over, for whatever reason. */
  readonly ended: boolean;
  /** Stops taking what the other end sends, like a peer that does not read. */
  pause(): void;
  resume(): void;
}

export interface MemoryLineOptions {
  readonly names?: readonly [near: string, far: string];
  /** How many messages may lie between the ends before `send` makes its caller wait. Default 16. */
  readonly capacity?: number;
}

/**
 * Two connected {@link Connection}s: what one sends, the other's sink gets, in order and never in the same turn.
 * Disposing an end closes both in good order after what was sent has arrived; destroying one tells its own sink the reason
 * and the other's `upstream_closed`, at once.
 */
export function memoryLine(options: MemoryLineOptions = {}): { near: MemoryConnection; far: MemoryConnection } {
  const [nearName, farName] = options.names ?? ['near', 'far'];
  const capacity = options.capacity ?? 16;
  const near = new End(nearName, capacity);
  const far = new End(farName, capacity);
  near.peer = far;
  far.peer = near;
  return { near, far };
}

class End implements MemoryConnection {
  readonly name: string;
  readonly sent: string[] = [];
  peer: End | undefined;
  ended = false;
  readonly #capacity: number;
  #sink: ConnectionSink | undefined;
  #inbox: string[] = [];
  #waiting: (() => void)[] = [];
  #paused = false;
  #scheduled = false;
  #closing: Promise<void> | undefined;
  #closed: (() => void) | undefined;
  #reason: ProxyError | undefined;

  constructor(name: string, capacity: number) {
    this.name = name;
    this.#capacity = capacity;
  }

  async send(text: string): Promise<void> {
    const peer = this.peer;
    if (peer === undefined || this.ended || this.#closing !== undefined) {
      throw this.#reason ?? new ProxyError('upstream_closed', `${this.name}: the line is closed`);
    }
    this.sent.push(text);
    await peer.#take(text);
  }

  listen(sink: ConnectionSink): void {
    if (this.#sink !== undefined) throw new Error(`${this.name}: listen was called twice`);
    this.#sink = sink;
    this.#schedule();
  }

  destroy(reason: ProxyError): void {
    if (this.ended) return;
    this.#inbox = [];
    this.#end(reason);
    const peer = this.peer;
    if (peer !== undefined && !peer.ended) {
      peer.#inbox = [];
      peer.#end(new ProxyError('upstream_closed', `${peer.name}: the other end closed the line`));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    const peer = this.peer;
    if (this.ended || peer === undefined) return Promise.resolve();
    this.#closing ??= new Promise((resolve) => {
      this.#closed = resolve;
      peer.#closing ??= Promise.resolve();
      peer.#schedule();
      this.#schedule();
    });
    return this.#closing;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  #take(text: string): Promise<void> | undefined {
    this.#inbox.push(text);
    this.#schedule();
    if (this.#inbox.length <= this.#capacity) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    while (!this.#paused && this.#sink !== undefined && !this.ended) {
      const text = this.#inbox.shift();
      if (text === undefined) break;
      this.#sink.message(text);
      if (this.#inbox.length <= this.#capacity) this.#release();
    }
    if (this.ended) {
      this.#tellClosed();
    } else if (this.#closing !== undefined && (this.#inbox.length === 0 || this.#sink === undefined)) {
      this.#end(undefined);
    }
  }

  #end(reason: ProxyError | undefined): void {
    this.ended = true;
    this.#reason = reason;
    this.#release();
    this.#closed?.();
    this.#schedule();
  }

  #tellClosed(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#told) return;
    this.#told = true;
    sink.closed(this.#reason);
  }
  #told = false;

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
