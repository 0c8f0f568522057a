import {
  Body,
  type Clock,
  type Connection,
  Context,
  type Exchange,
  type Handler,
  type HeaderMap,
  type Log,
  ProxyError,
  type Reply,
  type RequestHead,
} from '@shadowcat/kernel';
import { claimedVersion, isModern } from './classify.js';
import { jsonFraming } from './json-framing.js';
import type { JsonObject, Message, RpcId } from './jsonrpc.js';
import { LineAnswers, unanswered } from './line-answers.js';
import { LineSession } from './line-session.js';
import { LineStream } from './line-stream.js';
import { ProgressPacer } from './progress-pacer.js';
import { SESSION_HEADER } from './protocol.js';
import { readLine } from './read-messages.js';
import { errorText, REPLIES } from './replies.js';
import { notificationText } from './texts.js';
import { disposeOnAbort, untilAborted } from './until-aborted.js';

export interface LineServerOptions {
  /** Of all requests that are made from the line. Default `/mcp`. */
  readonly target?: string;
  /** Added to all of them. Default: `host: localhost`. */
  readonly headers?: HeaderMap;
  /** What happens to requests in flight when the client's side of the line ends: stdin may end before stdout. Default `finish`. */
  readonly afterEnd?: 'finish' | 'abandon';
  /** Messages in flight; those beyond that wait for their turn. Default 1000. */
  readonly maxInFlight?: number;
  /** What may wait for its turn, in messages and in characters; a client that sends more is cut off. Default 10,000, 16 MiB. */
  readonly maxWaiting?: { readonly messages: number; readonly size: number };
}

export interface LineServerComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Ids of exchanges: short and unique within this process. */
  readonly newId: () => string;
  readonly options?: LineServerOptions;
}

/** A client that is served over a line. Disposing it ends it now: requests in flight are abandoned, its session is ended. */
export interface LineServer extends AsyncDisposable {
  /**
   * Refuses further requests, and resolves when those in flight have been answered; the client's own answers still pass.
   * Never rejects. Whoever does not want to wait that long disposes the line.
   */
  drain(): Promise<void>;
  /** Resolves when the line is over and everything that came of it, its session too, has ended. Never rejects. */
  readonly done: Promise<void>;
}

/**
 * Serves a client on a duplex line (our own stdin and stdout, a WebSocket) with the same stack that serves HTTP: each
 * message becomes a POST, with a session kept and a GET stream opened as a client of Streamable HTTP does. Owns the line.
 */
export function serveLine(connection: Connection, handler: Handler, components: LineServerComponents): LineServer {
  return new Serving(connection, handler, components);
}

const MAX_IN_FLIGHT = 1000;
const MAX_WAITING = { messages: 10_000, size: 16 * 1024 * 1024 };
/** How long ending the session may take. */
const END_MS = 2000;

const encoder = new TextEncoder();

interface Running {
  readonly requests: readonly Message[];
  readonly answers: LineAnswers;
  readonly abort: AbortController;
  readonly modern: boolean;
}

class Serving implements LineServer {
  readonly done: Promise<void>;
  readonly #connection: Connection;
  readonly #handler: Handler;
  readonly #components: LineServerComponents;
  readonly #options: LineServerOptions;
  readonly #session: LineSession;
  readonly #stream: LineStream;
  readonly #running = new Set<Running>();
  readonly #pacer: ProgressPacer;
  /** Messages are taken up in the order they came; what a later one depends on has happened by then. */
  #taken: Promise<void> = Promise.resolve();
  #waiting = { messages: 0, size: 0 };
  #draining = false;
  /** The client has left, or is left: what waits for its turn is not taken up any more. */
  #abandoned = false;
  /** Aborted when the client has left, or is left. */
  readonly #present = new AbortController();
  readonly #finished = Promise.withResolvers<void>();
  #finishing = false;
  #idle: PromiseWithResolvers<void> | undefined;
  #reopening: Promise<boolean> | undefined;

  constructor(connection: Connection, handler: Handler, components: LineServerComponents) {
    this.#connection = connection;
    this.#pacer = new ProgressPacer(components.clock);
    this.#handler = handler;
    this.#components = components;
    this.#options = components.options ?? {};
    this.done = this.#finished.promise;
    this.#session = new LineSession(this.#options.target ?? '/mcp', this.#options.headers ?? { host: 'localhost' });
    this.#stream = new LineStream({
      clock: components.clock,
      open: (lastEventId, signal) =>
        this.#handler(this.#exchange(this.#session.stream(lastEventId), undefined, signal)),
      send: (text) => this.#connection.send(text),
    });
    connection.listen({
      message: (text) => this.#enqueue(text),
      closed: (reason) => {
        if (reason !== undefined || this.#options.afterEnd === 'abandon') this.#abandon();
        void this.#finish();
      },
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#abandon();
    // Not last, as otherwise: a client that does not read would keep what is in flight from ending.
    void Promise.resolve(this.#connection[Symbol.asyncDispose]()).catch(ignore);
    void this.#finish();
    return this.done;
  }

  async drain(): Promise<void> {
    this.#draining = true;
    for (const { requests, abort } of this.#running) {
      // It has no end of its own.
      if (requests[0]?.method === 'subscriptions/listen') abort.abort(shuttingDown());
    }
    await this.#taken;
    while (this.#running.size > 0) await this.#anyEnds();
  }

  #enqueue(text: string): void {
    const { messages, size } = this.#waiting;
    const most = this.#options.maxWaiting ?? MAX_WAITING;
    if (messages >= most.messages || size > most.size) {
      const error = new ProxyError('rate_limited', 'the client sends faster than its messages can be taken up');
      this.#connection.destroy(error);
      return;
    }
    this.#waiting = { messages: messages + 1, size: size + text.length };
    this.#taken = this.#taken.then(() => this.#take(text));
  }

  /** Whether it is this message's turn at last; not when nobody is there for it any more. */
  async #turn(text: string): Promise<boolean> {
    while (!this.#abandoned && this.#running.size >= (this.#options.maxInFlight ?? MAX_IN_FLIGHT))
      await this.#anyEnds();
    await this.#reopening?.catch(ignore);
    const { messages, size } = this.#waiting;
    this.#waiting = { messages: messages - 1, size: size - text.length };
    return !this.#abandoned;
  }

  /** One line. Resolves when the next one may be taken up; never rejects. */
  async #take(text: string): Promise<void> {
    if (!(await this.#turn(text))) return;
    const messages = readLine(text);
    const [first] = messages;
    if (this.#draining && messages.some(({ kind }) => kind === 'request')) {
      await this.#refuse(messages);
      return;
    }
    if (messages.length === 1 && first?.method === 'notifications/cancelled' && this.#cancels(first)) return;
    // A client has one session at a time; the one before would stay for nobody.
    if (first?.method === 'initialize' && this.#session.id !== undefined) await this.#leaveSession();
    const requests = messages.filter((message) => message.kind === 'request');
    const version = claimedVersion(first);
    const running: Running = {
      requests,
      answers: new LineAnswers(requests),
      abort: new AbortController(),
      modern: version !== undefined && isModern(version),
    };
    this.#running.add(running);
    const began = Promise.withResolvers<void>();
    const over = this.#run(running, { text, messages, began: () => began.resolve() }).finally(() => {
      began.resolve();
      this.#running.delete(running);
      const idle = this.#idle;
      this.#idle = undefined;
      idle?.resolve();
    });
    // Later messages carry the session id that `initialize` brings; and notifications and answers stay in order.
    if (first?.method === 'initialize') await began.promise;
    else if (requests.length === 0 && messages.length > 0) await over;
    if (first?.method === 'notifications/initialized' && this.#session.id !== undefined) this.#stream.start();
  }

  /**
   * The client gives a request up, which is therefore owed no answer. A modern one is thereby over (`true`: on HTTP that is
   * done by leaving, and the notification exists on lines only); of a legacy one the server is told by a POST.
   */
  #cancels(message: Message): boolean {
    const id = (message.value['params'] as JsonObject | undefined)?.['requestId'];
    for (const { modern, requests, answers, abort } of this.#running) {
      if (!requests.some((request) => request.id === id)) continue;
      answers.forgive(id as RpcId);
      if (!modern) continue;
      abort.abort(new ProxyError('cancelled', 'the client cancelled the request'));
      return true;
    }
    return false;
  }

  async #run(running: Running, line: Line): Promise<void> {
    const { answers, abort } = running;
    try {
      const before = this.#session.id;
      const lost = await this.#attempt(running, line, true);
      if (!lost) return;
      if (this.#reopening !== undefined || this.#session.id === before) await this.#reopen();
      await this.#attempt(running, line, false);
    } catch (thrown) {
      const error = ProxyError.from(thrown);
      if (error.code === 'internal') this.#components.log.error({ err: thrown }, 'a message could not be served');
      if (abort.signal.aborted) return;
      const texts = line.messages.length === 0 ? [errorText(error, null)] : answers.failed(error);
      for (const text of texts) await this.#connection.send(text).catch(ignore);
    }
  }

  /** Posts a line and sends what comes of it. `true`: the session is unknown, and nothing was done, if that `mayBeLost`. */
  async #attempt(running: Running, line: Line, mayBeLost: boolean): Promise<boolean> {
    const { signal } = running.abort;
    const head = this.#session.post(line.messages);
    const opens = line.messages[0]?.method === 'initialize';
    await using answer = await untilAborted(this.#handler(this.#exchange(head, line.text, signal)), signal);
    if (opens) this.#session.opened(answer.head);
    line.began();
    const { status } = answer.head;
    const mayRecover = mayBeLost && status === 404 && head.headers[SESSION_HEADER] !== undefined;
    const forget = disposeOnAbort(answer, signal);
    try {
      const lost = await this.#forward(answer, running, { opens, mayRecover });
      if (lost) return true;
    } finally {
      forget();
    }
    if (running.answers.owed && !signal.aborted) throw unanswered(answer);
    return false;
  }

  /** Sends the messages of a reply. `true`: it says that the session is unknown. */
  async #forward(answer: Reply, running: Running, how: { opens: boolean; mayRecover: boolean }): Promise<boolean> {
    for await (const { text } of answer.body.frames()) {
      if (text === undefined || text === '' || running.abort.signal.aborted) continue;
      if (how.mayRecover && readLine(text).some(isSessionUnknown)) return true;
      const { texts, messages } = running.answers.take(text);
      if (how.opens) for (const message of messages) this.#session.negotiated(message);
      for (const one of texts) {
        const ms = this.#pacer.delayOf(one);
        // Others may overtake: JSON-RPC answers come in any order.
        if (ms > 0) await this.#pause(ms);
        await this.#connection.send(one);
      }
    }
    return false;
  }

  /** Opens the session again, once for all who lost it; that one of them is given up does not stop it. */
  async #reopen(): Promise<void> {
    this.#reopening ??= this.#initializeAgain(this.#present.signal).finally(() => {
      this.#reopening = undefined;
    });
    await this.#reopening;
  }

  /** With the client's own `initialize`, as a client of Streamable HTTP does; this one does not notice. */
  async #initializeAgain(signal: AbortSignal): Promise<boolean> {
    const text = this.#session.initializeText;
    if (text === undefined) return false;
    this.#components.log.warn({}, 'the session was lost and is opened again');
    const head = this.#session.post(readLine(text));
    const answer = await untilAborted(this.#handler(this.#exchange(head, text, signal)), signal);
    this.#session.opened(answer.head);
    await drain(answer, (message) => this.#session.negotiated(message));
    if (this.#session.id === undefined) return false;
    const initialized = notificationText('notifications/initialized');
    const next = this.#exchange(this.#session.post(readLine(initialized)), initialized, signal);
    await drain(await untilAborted(this.#handler(next), signal));
    this.#stream.start();
    return true;
  }

  #exchange(head: RequestHead, text: string | undefined, signal: AbortSignal): Exchange {
    return {
      id: this.#components.newId(),
      head,
      body: text === undefined ? Body.empty : Body.whole(encoder.encode(text), jsonFraming),
      signal,
      context: new Context(),
    };
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#components.clock.timer(ms, resolve));
  }

  #anyEnds(): Promise<void> {
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  async #refuse(messages: readonly Message[]): Promise<void> {
    for (const text of new LineAnswers(messages).failed(shuttingDown())) {
      await this.#connection.send(text).catch(ignore);
    }
  }

  #abandon(): void {
    const left = new ProxyError('cancelled', 'the client has left');
    this.#abandoned = true;
    this.#present.abort(left);
    for (const { abort } of this.#running) abort.abort(left);
  }

  /** After the last message: what is in flight, the standing stream, the session, the line, in this order. */
  async #finish(): Promise<void> {
    if (this.#finishing) return;
    this.#finishing = true;
    await this.#taken;
    while (this.#running.size > 0) await this.#anyEnds();
    await this.#stream.stop();
    if (this.#session.id !== undefined) await this.#endSession();
    await this.#connection[Symbol.asyncDispose]();
    this.#finished.resolve();
  }

  async #leaveSession(): Promise<void> {
    await this.#stream.pause();
    await this.#endSession();
  }

  async #endSession(): Promise<void> {
    const { clock, log } = this.#components;
    const abort = new AbortController();
    const late = clock.timer(END_MS, () =>
      abort.abort(new ProxyError('upstream_timeout', 'ending the session took too long')),
    );
    try {
      const ended = this.#handler(this.#exchange(this.#session.end(), undefined, abort.signal));
      await drain(await untilAborted(ended, abort.signal));
    } catch (thrown) {
      log.debug({ err: thrown }, 'the session could not be ended in order');
    } finally {
      late.cancel();
    }
  }
}

interface Line {
  readonly text: string;
  readonly messages: readonly Message[];
  /** The reply has begun: what it says about the session is known. */
  readonly began: () => void;
}

/** -32001 is what clients of Streamable HTTP open a new session for. */
function isSessionUnknown(message: Message): boolean {
  return (message.value['error'] as JsonObject | undefined)?.['code'] === REPLIES.session_not_found.rpc;
}

/** Reads a reply that is not for the client. */
async function drain(answer: Reply, each: (message: Message) => void = ignore): Promise<void> {
  await using owned = answer;
  for await (const { text } of owned.body.frames()) {
    if (text !== undefined) for (const message of readLine(text)) each(message);
  }
}

function shuttingDown(): ProxyError {
  return new ProxyError('draining', 'the proxy is shutting down; try again shortly', { retryAfter: 1 });
}

function ignore(): void {
  // Nothing to do: the end of the line, or of the session, tells.
}
