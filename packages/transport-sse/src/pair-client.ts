import { type Connection, type ConnectionSink, ProxyError } from '@shadowcat/kernel';

export interface PairClientOptions {
  /** Where the client is to send its messages. */
  readonly endpoint: string;
  /** Bytes that may wait to be sent. */
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
  #over: ProxyError | undefined;
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
    if (!this.#ended) this.#sink?.message(text);
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
    this.#sink = sink;
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
