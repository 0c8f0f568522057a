import { type Connection, type ConnectionSink, ProxyError } from '@shadowcat/kernel';

export interface PairClientOptions {
  /** Where the client is to send its messages. */
  readonly endpoint: string;
  /** Bytes that may wait to be sent, and characters of the client that may wait to be listened to. */
  readonly queueLimit: number;
  readonly ended: () => void;
}

/** Bytes waiting beyond which senders wait, too. */
const HIGH_WATER = 64 * 1024;

const encoder = new TextEncoder();

/** A client of the legacy pair as a line: its event stream is one direction, its POSTs are the other. */
export class PairClient implements Connection {
  readonly name: string;
  readonly #options: PairClientOptions;
  readonly #queue: Uint8Array[] = [];
  #size = 0;
  #sink: ConnectionSink | undefined;
  /** What the client said before anybody listened. */
  #early: string[] = [];
  #earlySize = 0;
  /** Why nothing can be sent any more. */
  #over: ProxyError | undefined;
  /** What `closed` is told. */
  #told: ProxyError | undefined;
  /** Ended in good order: what waits is still sent. */
  #ending = false;
  #more: (() => void) | undefined;
  #room: (() => void)[] = [];

  constructor(id: string, options: PairClientOptions) {
    this.name = `sse client ${id}`;
    this.#options = options;
    this.#push(encoder.encode(`event: endpoint\ndata: ${options.endpoint}\n\n`));
  }

  /** The client said something. */
  heard(text: string): void {
    if (this.#ended) return;
    if (this.#sink !== undefined) {
      this.#sink.message(text);
      return;
    }
    if (this.#earlySize > this.#options.queueLimit) {
      this.destroy(new ProxyError('body_too_large', `${this.name} said too much before it was listened to`));
      return;
    }
    this.#early.push(text);
    this.#earlySize += text.length;
  }

  /** The event stream, to be read once. */
  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        this.#size -= chunk.length;
        if (this.#size < HIGH_WATER) this.#makeRoom();
        yield chunk;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#more = resolve;
        });
      }
    }
  }

  /** Nobody reads the event stream any more. */
  left(): void {
    this.#end(new ProxyError('cancelled', 'the client closed its event stream'), undefined);
  }

  async send(text: string): Promise<void> {
    if (this.#ended) throw this.#over ?? closed(this.name);
    // Judged by what waits already: one large message is no sign of a client that does not read.
    if (this.#size > this.#options.queueLimit) {
      const slow = new ProxyError('slow_client', `${this.name} reads too slowly; its stream was closed`);
      this.destroy(slow);
      throw slow;
    }
    // A message may contain line ends outside of its strings; JSON does not mind other white space there.
    this.#push(encoder.encode(`event: message\ndata: ${text.replace(/[\r\n]+/g, ' ')}\n\n`));
    if (this.#size >= HIGH_WATER) await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  listen(sink: ConnectionSink): void {
    if (this.#sink !== undefined) throw new ProxyError('internal', `${this.name} is listened to already`);
    this.#sink = sink;
    for (const text of this.#early.splice(0)) sink.message(text);
    if (this.#ended) sink.closed(this.#told);
  }

  destroy(reason: ProxyError): void {
    this.#end(reason, reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    this.#end(closed(this.name), undefined);
  }

  get #ended(): boolean {
    return this.#over !== undefined;
  }

  #push(chunk: Uint8Array): void {
    this.#queue.push(chunk);
    this.#size += chunk.length;
    this.#more?.();
    this.#more = undefined;
  }

  #end(over: ProxyError, told: ProxyError | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = over;
    this.#told = told;
    if (!this.#ending) this.#queue.length = 0;
    this.#more?.();
    this.#makeRoom();
    this.#sink?.closed(told);
    this.#options.ended();
  }

  #makeRoom(): void {
    for (const resolve of this.#room.splice(0)) resolve();
  }
}

function closed(name: string): ProxyError {
  return new ProxyError('upstream_closed', `${name}: the line is closed`);
}
