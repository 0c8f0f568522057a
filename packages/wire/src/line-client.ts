import { type Clock, type Connection, type Exchange, type Log, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import type { Call } from './call.js';
import { Correlator, type Flying, type Sender } from './correlator.js';
import type { Message } from './jsonrpc.js';
import { Flight } from './line-flight.js';
import { type Ask, type InboxStats, LineInbox, type Owner } from './line-inbox.js';
import { readMessage } from './read-messages.js';
import { callSlot, sessionSlot } from './slots.js';
import type { StandingStream } from './standing-stream.js';
import { notificationText } from './texts.js';
import { whenSent } from './when-sent.js';

export interface LineClientOptions {
  /** Whether clients that must not see each other's messages use this line. Default: it belongs to one session. */
  readonly shared?: boolean;
  /**
   * Without an answer for this long a reply becomes a stream. Default 15 s; 1 s for clients of 2025-11-25 or later, who can
   * come back to a stream that begins with an event id.
   */
  readonly commitAfterMs?: number;
  /** Requests in flight at the same time. Default 1000. */
  readonly maxInFlight?: number;
  /** What may lie unread on the stream of a reply, in characters. Default 1 MiB. */
  readonly streamQueue?: number;
  /** What the server may leave unread, in characters, before requests are refused. Default 16 MiB. */
  readonly maxUnsent?: number;
}

export interface LineClientComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Short and unique within this process. */
  readonly newId: () => string;
}

export interface LineStats extends InboxStats {
  readonly inFlight: number;
}

const COMMIT_AFTER_MS = 15_000;
const COMMIT_EARLY_MS = 1000;
const PRIMING_SINCE = '2025-11-25';
const MAX_IN_FLIGHT = 1000;
const STREAM_QUEUE = 1024 * 1024;
const MAX_UNSENT = 16 * 1024 * 1024;

/**
 * The client's end of a duplex line to a server: turns exchanges into messages and messages into replies. It owns the
 * connection, and starts to listen to it when it is made.
 */
export class LineClient implements AsyncDisposable {
  readonly name: string;
  readonly shared: boolean;
  readonly #connection: Connection;
  readonly #options: LineClientOptions;
  readonly #clock: Clock;
  readonly #correlator: Correlator<Owner>;
  readonly #inbox: LineInbox;
  #onClosed: ((reason: ProxyError) => void)[] = [];
  #over: ProxyError | undefined;
  #unsent = 0;

  constructor(connection: Connection, options: LineClientOptions, components: LineClientComponents) {
    const { name } = connection;
    this.name = name;
    this.shared = options.shared === true;
    this.#connection = connection;
    this.#options = options;
    this.#clock = components.clock;
    const maxInFlight = options.maxInFlight ?? MAX_IN_FLIGHT;
    this.#correlator = new Correlator({ prefix: components.newId(), maxInFlight, shared: this.shared });
    this.#inbox = new LineInbox({
      name,
      shared: this.shared,
      log: components.log,
      correlator: this.#correlator,
      answer: (text) => void this.#send(text).catch(ignore),
      abandon: (flight) => this.#abandon(flight),
    });
    connection.listen({
      message: (text) => {
        if (this.#over === undefined) this.#inbox.heard(text);
      },
      closed: (reason) => this.#closed(reason),
    });
  }

  /** Why the line is over, once it is. */
  get over(): ProxyError | undefined {
    return this.#over;
  }

  get stats(): LineStats {
    return { ...this.#inbox.stats, inFlight: this.#correlator.inFlight };
  }

  /** Runs `done` when the line is over, with what its requests were told. */
  onClosed(done: (reason: ProxyError) => void): void {
    if (this.#over === undefined) this.#onClosed.push(done);
    else done(this.#over);
  }

  /**
   * Sends what a POST holds ({@link callSlot}) and resolves when its reply can begin. Rejects when the line is over before
   * that, or carries too much already. The client's session ({@link sessionSlot}) keeps its messages apart from others'.
   */
  exchange(exchange: Exchange): Promise<Reply> {
    const call = exchange.context.get(callSlot);
    if (call === undefined) return Promise.reject(new ProxyError('internal', 'the exchange was not classified'));
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (this.#unsent > (this.#options.maxUnsent ?? MAX_UNSENT)) return Promise.reject(this.#choked());
    const scope = exchange.context.get(sessionSlot)?.id ?? exchange.id;
    return call.expectsAnswer ? this.#request(exchange, call, scope) : this.#tell(call.messages, scope);
  }

  /** Sends messages without another home over a session's GET stream, those that waited for one first. */
  attach(stream: StandingStream): void {
    if (this.#over === undefined) this.#inbox.attach(stream);
  }

  /** Whether this answer of a client is for a request that the server sent over this line. */
  expects(response: Message): boolean {
    return this.#correlator.asked(response.id) !== undefined;
  }

  /**
   * A request of the proxy itself; the id in `text` is replaced. Resolves with the answer, which may be an error; rejects when
   * the line is over, or with the signal's reason.
   */
  ask(text: string, signal?: AbortSignal): Promise<Message> {
    const request = readMessage(text);
    if (request?.kind !== 'request') return Promise.reject(new ProxyError('internal', 'the text is no request'));
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (signal?.aborted === true) return Promise.reject(ProxyError.from(signal.reason, 'cancelled'));
    const ask: Ask = { asked: Promise.withResolvers() };
    const { text: wire, entry } = this.#correlator.request(request, {
      owner: ask,
      scope: this.name,
      era: 'legacy',
      own: true,
    });
    const onAbort = (): void => {
      this.#correlator.abandon(entry);
      ask.asked.reject(ProxyError.from(signal?.reason, 'cancelled'));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#send(wire).catch(ask.asked.reject);
    return ask.asked.promise.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  /** A notification of the proxy itself. */
  notify(text: string): Promise<void> {
    return this.#send(text);
  }

  /** Ends the connection at once; what is in flight fails with `reason`. */
  destroy(reason: ProxyError): void {
    this.#connection.destroy(reason);
    this.#closed(reason);
  }

  /** Ends the connection gently; what is in flight when it is over fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
    this.#closed(undefined);
  }

  async #tell(messages: readonly Message[], scope: string): Promise<Reply> {
    for (const message of messages) {
      if (message.kind === 'response') await this.#respond(message, scope);
      else await this.#forward(message, scope);
    }
    return reply({ status: 202, headers: {} });
  }

  #respond(message: Message, scope: string): Promise<void> | undefined {
    const text = this.#correlator.response(message, scope);
    if (text !== undefined) return this.#send(text);
    this.#inbox.countUnknown();
    return undefined;
  }

  #forward(message: Message, scope: string): Promise<void> | undefined {
    const forwarded = this.#correlator.notification(message, scope);
    if (forwarded === undefined) {
      this.#inbox.countUnknown();
      return undefined;
    }
    const { text, cancels } = forwarded;
    const sent = this.#send(text);
    if (cancels !== undefined) {
      // A server does not answer what was cancelled, so nobody waits for that either.
      this.#correlator.givenUp(cancels);
      if (cancels.owner instanceof Flight) this.#drop(cancels.owner, cancels);
    }
    return sent;
  }

  #request(exchange: Exchange, call: Call, scope: string): Promise<Reply> {
    const { era } = call;
    if (era === 'modern' && exchange.signal.aborted) {
      return Promise.reject(ProxyError.from(exchange.signal.reason, 'cancelled'));
    }
    const flight = new Flight({
      exchange,
      era,
      scope,
      batch: call.batch,
      commitAfterMs: this.#options.commitAfterMs ?? commitAfter(exchange),
      queueLimit: this.#options.streamQueue ?? STREAM_QUEUE,
      clock: this.#clock,
      left: (gone) => this.#abandon(gone),
    });
    if (era === 'modern') this.#watch(flight, exchange.signal);
    for (const message of call.messages) {
      this.#sendFor(message, { owner: flight, scope, era })?.catch((thrown: unknown) => {
        const error = ProxyError.from(thrown, 'upstream_closed');
        // The others may have arrived.
        this.#fail(flight, call.messages.length > 1 ? whenSent(error) : error);
      });
    }
    if (call.method !== 'subscriptions/listen') this.#inbox.open(flight);
    return flight.reply;
  }

  /** Sends one message of a POST that has requests; `undefined` when there was nothing to send. */
  #sendFor(message: Message, sender: Sender<Owner> & { readonly owner: Flight }): Promise<void> | undefined {
    if (message.kind === 'response') return this.#respond(message, sender.scope);
    if (message.kind === 'notification') return this.#forward(message, sender.scope);
    try {
      const { text, entry } = this.#correlator.request(message, sender);
      sender.owner.add(entry);
      return this.#send(text);
    } catch (thrown) {
      return Promise.reject(thrown as Error);
    }
  }

  /** A modern client that leaves has cancelled its request (2026-07-28, Streamable HTTP, "Cancellation"). */
  #watch(flight: Flight, signal: AbortSignal): void {
    const onAbort = (): void => {
      this.#abandon(flight);
      flight.breakOff(ProxyError.from(signal.reason, 'cancelled'));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    flight.whenOver(() => signal.removeEventListener('abort', onAbort));
  }

  /** Nobody waits for this flight's answers any more. */
  #abandon(flight: Flight): void {
    this.#inbox.close(flight);
    for (const entry of flight.unanswered) {
      this.#correlator.abandon(entry as Flying<Owner>);
      // A legacy client that leaves has not cancelled; one that was kept waiting for too long is answered here.
      const late = flight.late && entry.method !== 'initialize';
      if (this.#over !== undefined || (entry.era === 'legacy' && !late)) continue;
      this.#correlator.givenUp(entry as Flying<Owner>);
      const reason = late ? 'it took too long' : 'the client has left';
      const params = `{"requestId":${entry.wireId},"reason":"${reason}"}`;
      this.#send(notificationText('notifications/cancelled', params)).catch(ignore);
    }
  }

  #drop(flight: Flight, entry: Flying<Owner>): void {
    flight.drop(entry);
    if (flight.over) this.#inbox.close(flight);
  }

  #fail(flight: Flight, error: ProxyError): void {
    for (const entry of flight.unanswered) this.#correlator.givenUp(entry as Flying<Owner>);
    this.#inbox.close(flight);
    flight.fail(error);
  }

  #send(text: string): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    this.#unsent += text.length;
    return this.#connection.send(text).finally(() => {
      this.#unsent -= text.length;
    });
  }

  #choked(): ProxyError {
    const message = `the server (${this.name}) does not read what it is sent; try again later`;
    return new ProxyError('pool_exhausted', message, { retryAfter: 1 });
  }

  #closed(reason: ProxyError | undefined): void {
    if (this.#over !== undefined) return;
    const error = reason ?? new ProxyError('upstream_closed', `the connection to the server (${this.name}) was closed`);
    this.#over = error;
    this.#inbox.detach();
    for (const { owner } of this.#correlator.clear()) {
      if (owner instanceof Flight) this.#fail(owner, whenSent(error));
      else owner.asked.reject(error);
    }
    const listeners = this.#onClosed;
    this.#onClosed = [];
    for (const done of listeners) done(error);
  }
}

function commitAfter({ context }: Exchange): number {
  const version = context.get(sessionSlot)?.protocolVersion ?? '';
  return version >= PRIMING_SINCE ? COMMIT_EARLY_MS : COMMIT_AFTER_MS;
}

function ignore(): void {
  // A line that cannot be sent on tells everybody by its end.
}
