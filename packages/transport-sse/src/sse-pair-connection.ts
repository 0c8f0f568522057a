import {
  type Clock,
  type Connection,
  type ConnectionSink,
  type Frame,
  type HeaderMap,
  type Log,
  ProxyError,
  type Reply,
} from '@shadowcat/kernel';

/** One HTTP request to the server of a pair. */
export interface PairRequest {
  readonly method: 'GET' | 'POST';
  /** Path and query. */
  readonly path: string;
  readonly headers: HeaderMap;
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
}

export interface SsePairOptions {
  /** Of the event stream, such as `http://host/sse`. */
  readonly url: string;
  /** Milliseconds until the server must have named its endpoint. Default 5 s. */
  readonly openTimeout?: number;
}

export interface SsePairComponents {
  /** Asks the pair's server; rejects with a `ProxyError` when it cannot be asked. */
  readonly http: (request: PairRequest) => Promise<Reply>;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once, when nothing more will be asked. */
  readonly ended?: () => void;
}

/** How long a message waits for the one before it to be taken, milliseconds. Some servers answer a POST late. */
const ORDER_MS = 1_000;

const encoder = new TextEncoder();

/**
 * Opens the transport of revision 2024-11-05 (HTTP with SSE): a GET stream whose first event names the endpoint that takes
 * messages by POST. The endpoint must be on the stream's own origin. Rejects as {@link SsePairComponents.http} does, with
 * `upstream_protocol` when the server speaks something else, with `upstream_timeout` when it names no endpoint in time.
 * `signal` ends the opening only. The caller owns the line.
 */
export async function ssePairConnection(
  options: SsePairOptions,
  components: SsePairComponents,
  signal?: AbortSignal,
): Promise<Connection> {
  const url = new URL(options.url);
  const name = `sse+${url.origin}${url.pathname}`;
  const controller = new AbortController();
  const openTimeout = options.openTimeout ?? 5_000;
  const late = new ProxyError('upstream_timeout', `${name} named no endpoint within ${openTimeout / 1000} s`);
  const timer = components.clock.timer(openTimeout, () => controller.abort(late));
  const abort = (): void => controller.abort(signal?.reason);
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort);
  let stream: Reply | undefined;
  try {
    const headers = { accept: 'text/event-stream', 'cache-control': 'no-cache' };
    stream = await components.http({
      method: 'GET',
      path: url.pathname + url.search,
      headers,
      signal: controller.signal,
    });
    const { status } = stream.head;
    if (status !== 200 || stream.body.framing.name !== 'sse')
      throw noPair(name, `HTTP ${status} without an event stream`);
    const frames = stream.body.frames();
    const endpoint = endpointIn(await firstEndpoint(frames, controller.signal), url, name);
    return new SsePairConnection({ name, endpoint, stream, frames, controller }, components);
  } catch (error) {
    await stream?.[Symbol.asyncDispose]();
    components.ended?.();
    throw controller.signal.aborted ? ProxyError.from(controller.signal.reason, 'cancelled') : error;
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', abort);
  }
}

interface PairParts {
  readonly name: string;
  readonly endpoint: string;
  readonly stream: Reply;
  readonly frames: AsyncIterator<Frame, void>;
  readonly controller: AbortController;
}

class SsePairConnection implements Connection {
  readonly name: string;
  readonly #parts: PairParts;
  readonly #components: SsePairComponents;
  #sink: ConnectionSink | undefined;
  /** Settles when the last message was taken by the server. */
  #taken: Promise<void> = Promise.resolve();
  #over: ProxyError | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: PairParts, components: SsePairComponents) {
    this.name = parts.name;
    this.#parts = parts;
    this.#components = components;
  }

  listen(sink: ConnectionSink): void {
    if (this.#sink !== undefined) throw new ProxyError('internal', `${this.name} is listened to already`);
    this.#sink = sink;
    if (this.#over === undefined) void this.#pump(sink);
    else sink.closed(this.#over);
  }

  /** Messages are taken in order; one that is taken slowly holds the next one back for a moment only. */
  send(text: string): Promise<void> {
    if (this.#over !== undefined || this.#closing !== undefined) return Promise.reject(this.#over ?? this.#gone());
    const before = this.#taken;
    const sent = this.#inTurn(before).then(() => this.#post(text));
    this.#taken = sent.catch(ignore);
    return sent;
  }

  destroy(reason: ProxyError): void {
    this.#end(reason, reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#inTurn(this.#taken).then(() => this.#end(this.#gone(), undefined));
    return this.#closing;
  }

  /** Reads from the time of {@link listen} on: what comes earlier waits in the socket. */
  async #pump(sink: ConnectionSink): Promise<void> {
    try {
      for (;;) {
        const { done, value: frame } = await this.#parts.frames.next();
        if (this.#over !== undefined) return;
        if (done === true) break;
        if (frame.text !== undefined && (frame.sse?.event ?? 'message') === 'message') sink.message(frame.text);
      }
      this.destroy(new ProxyError('upstream_closed', `${this.name} ended its event stream`));
    } catch (error) {
      this.destroy(ProxyError.from(error, 'upstream_closed'));
    }
  }

  #inTurn(before: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#components.clock.timer(ORDER_MS, resolve);
      void before.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  async #post(text: string): Promise<void> {
    if (this.#over !== undefined) throw this.#over;
    const { endpoint, controller } = this.#parts;
    const headers = { 'content-type': 'application/json' };
    const body = encoder.encode(text);
    const reply = await this.#components.http({
      method: 'POST',
      path: endpoint,
      headers,
      body,
      signal: controller.signal,
    });
    const { status } = reply.head;
    await reply[Symbol.asyncDispose]();
    if (status < 300) return;
    const refused = new ProxyError('upstream_protocol', `${this.name} refused a message (HTTP ${status})`);
    // It does not know the line any more: whatever is still awaited will not come.
    if (status === 404 || status === 410)
      this.destroy(new ProxyError('upstream_closed', `${this.name} forgot the line`));
    throw refused;
  }

  #end(over: ProxyError, told: ProxyError | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = over;
    this.#parts.controller.abort(over);
    void this.#leave();
    this.#sink?.closed(told);
    this.#components.ended?.();
  }

  async #leave(): Promise<void> {
    try {
      await this.#parts.stream[Symbol.asyncDispose]();
    } catch (error) {
      this.#components.log.debug({ err: error }, `leaving the stream of ${this.name} failed`);
    }
  }

  #gone(): ProxyError {
    return new ProxyError('upstream_closed', `${this.name}: the line is closed`);
  }
}

/** The data of the first `endpoint` event. */
async function firstEndpoint(frames: AsyncIterator<Frame, void>, signal: AbortSignal): Promise<string | undefined> {
  for (;;) {
    signal.throwIfAborted();
    const { done, value: frame } = await frames.next();
    if (done === true) return undefined;
    if (frame.sse?.event === 'endpoint') return frame.text;
  }
}

function endpointIn(data: string | undefined, stream: URL, name: string): string {
  if (data === undefined) throw noPair(name, 'it ended its stream without naming an endpoint');
  if (!URL.canParse(data, stream.href)) throw noPair(name, `it named ${JSON.stringify(data)} as its endpoint`);
  const url = new URL(data, stream.href);
  if (url.origin === stream.origin) return url.pathname + url.search;
  throw noPair(name, `it named an endpoint on another origin (${url.origin}), which is not followed`);
}

function noPair(name: string, why: string): ProxyError {
  return new ProxyError('upstream_protocol', `${name} does not speak the legacy HTTP+SSE transport: ${why}`);
}

function ignore(): void {}
