import { type Connection, type ConnectionSink, ProxyError } from '@shadowcat/kernel';

/**
 * The client's end of a line within this process: what `connect` of the official TypeScript clients takes (`Transport` of
 * `@modelcontextprotocol/sdk` and of `@modelcontextprotocol/client`), without depending on either.
 */
export interface TapeTransport {
  /** Begins delivery; called by `connect`. */
  start(): Promise<void>;
  /** Sends one JSON-RPC message. Rejects when the line is over. */
  send(message: unknown, options?: unknown): Promise<void>;
  /** Ends the line. Idempotent. */
  close(): Promise<void>;
  /** The line is over, for whatever reason. Called once. */
  onclose?: (() => void) | undefined;
  /** Something went wrong that ends nothing, or the line that is about to end. */
  onerror?: ((error: Error) => void) | undefined;
  /** One JSON-RPC message. */
  onmessage?: ((message: unknown) => void) | undefined;
}

/** The two ends of a line. `serve` is called when the client starts it; the server's end is to be served and owned there. */
export function clientTransport(serve: (connection: Connection) => void): TapeTransport {
  return new ClientEnd(serve);
}

class ClientEnd implements TapeTransport {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: ((message: unknown) => void) | undefined;
  readonly #serve: (connection: Connection) => void;
  #server: ServerEnd | undefined;

  constructor(serve: (connection: Connection) => void) {
    this.#serve = serve;
  }

  async start(): Promise<void> {
    if (this.#server !== undefined) throw new Error('this transport was started already: each client needs its own');
    this.#server = new ServerEnd(
      (text) => this.#take(text),
      (reason) => this.#closed(reason),
    );
    this.#serve(this.#server);
  }

  async send(message: unknown): Promise<void> {
    if (this.#server === undefined) throw new Error('this transport was not started: give it to connect()');
    this.#server.deliver(JSON.stringify(message));
  }

  async close(): Promise<void> {
    this.#server?.hangUp();
  }

  #take(text: string): void {
    try {
      this.onmessage?.(JSON.parse(text));
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #closed(reason: ProxyError | undefined): void {
    if (reason !== undefined) this.onerror?.(reason);
    this.onclose?.();
  }
}

/** What the stack sees of it: a duplex line of messages. Nothing is delivered in the turn in which it was sent. */
class ServerEnd implements Connection {
  readonly name = 'a client in this process';
  readonly #toClient: (text: string) => void;
  readonly #tellClient: (reason: ProxyError | undefined) => void;
  #sink: ConnectionSink | undefined;
  #over = false;

  constructor(toClient: (text: string) => void, tellClient: (reason: ProxyError | undefined) => void) {
    this.#toClient = toClient;
    this.#tellClient = tellClient;
  }

  listen(sink: ConnectionSink): void {
    if (this.#sink !== undefined) throw new Error('listen was called twice');
    this.#sink = sink;
  }

  send(text: string): Promise<void> {
    if (this.#over) return Promise.reject(closedError());
    queueMicrotask(() => this.#toClient(text));
    return Promise.resolve();
  }

  destroy(reason: ProxyError): void {
    this.#end(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(undefined);
  }

  /** A message of the client's. */
  deliver(text: string): void {
    if (this.#over) throw closedError();
    queueMicrotask(() => this.#sink?.message(text));
  }

  /** The client has left: what it sent before is still taken. */
  hangUp(): void {
    this.#end(undefined);
  }

  #end(reason: ProxyError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    queueMicrotask(() => {
      this.#sink?.closed(reason);
      this.#tellClient(reason);
    });
  }
}

function closedError(): ProxyError {
  return new ProxyError('upstream_closed', 'the line to the tape was closed');
}
