import { type Connection, type ConnectionSink, ProxyError } from '@shadowcat/kernel';

/** One end of a {@link memoryLine}. */
export interface MemoryConnection extends Connection {
  /** Every text that this end sent, in order. */
  readonly sent: readonly string[];
  /** Whether the line is over, for whatever reason; what was sent before may still be on its way. */
  readonly ended: boolean;
  /** Stops taking what the other end sends, like a peer that does not read. */
  pause(): void;
  resume(): void;
}

export interface MemoryLineOptions {
  readonly names?: readonly [near: string, far: string];
  /** How many messages may wait for one end before `send` makes the other wait. Default 16. */
  readonly capacity?: number;
}

/**
 * Two connected {@link Connection}s: what one sends, the other's sink gets, in order and never in the same turn.
 * Disposing an end closes both in good order once what was sent has arrived; destroying one drops what was under way,
 * tells its own sink the reason and the other's `upstream_closed`.
 */
export function memoryLine(options: MemoryLineOptions = {}): { near: MemoryConnection; far: MemoryConnection } {
  const [nearName, farName] = options.names ?? ['near', 'far'];
  const capacity = options.capacity ?? 16;
  const near = new End(nearName, capacity);
  const far = new End(farName, capacity);
  near.connect(far);
  far.connect(near);
  return { near, far };
}

class End implements MemoryConnection {
  readonly name: string;
  readonly sent: string[] = [];
  readonly #capacity: number;
  #peer: End = this;
  #sink: ConnectionSink | undefined;
  /** What the other end sent and the sink has not got yet. */
  #inbox: string[] = [];
  /** Senders that wait for room, and ends that wait for the inbox to be empty. */
  #waiting: (() => void)[] = [];
  #paused = false;
  #scheduled = false;
  #over: { readonly reason: ProxyError | undefined } | undefined;
  #told = false;

  constructor(name: string, capacity: number) {
    this.name = name;
    this.#capacity = capacity;
  }

  connect(peer: End): void {
    this.#peer = peer;
  }

  get ended(): boolean {
    return this.#over !== undefined;
  }

  async send(text: string): Promise<void> {
    if (this.#over !== undefined) {
      throw this.#over.reason ?? new ProxyError('upstream_closed', `${this.name}: the line is closed`);
    }
    this.sent.push(text);
    const peer = this.#peer;
    peer.#inbox.push(text);
    peer.#schedule();
    while (peer.#inbox.length > peer.#capacity && !this.ended) await peer.#progress();
  }

  listen(sink: ConnectionSink): void {
    if (this.#sink !== undefined) throw new Error(`${this.name}: listen was called twice`);
    this.#sink = sink;
    this.#schedule();
  }

  destroy(reason: ProxyError): void {
    this.#drop(reason);
    this.#peer.#drop(new ProxyError('upstream_closed', `${this.#peer.name}: the other end closed the line`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const peer = this.#peer;
    for (const end of [this, peer]) {
      end.#over ??= { reason: undefined };
      end.#schedule();
    }
    while (peer.#inbox.length > 0 && peer.#sink !== undefined) await peer.#progress();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  #drop(reason: ProxyError): void {
    this.#inbox = [];
    this.#over ??= { reason };
    this.#schedule();
  }

  /** Resolves when the inbox has changed. */
  #progress(): Promise<void> {
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
    const sink = this.#sink;
    while (sink !== undefined && !this.#paused) {
      const text = this.#inbox.shift();
      if (text === undefined) break;
      sink.message(text);
    }
    if (sink !== undefined && this.#over !== undefined && this.#inbox.length === 0 && !this.#told) {
      this.#told = true;
      sink.closed(this.#over.reason);
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
