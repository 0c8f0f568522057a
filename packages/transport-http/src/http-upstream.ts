import {
  type Clock,
  type Context,
  type Exchange,
  type Handler,
  type HeaderMap,
  headerOf,
  type Log,
  ProxyError,
  type Reply,
  reply as replyWith,
  withReply,
} from '@shadowcat/kernel';
import { type BackoffOptions, type Resumption, resumable } from '@shadowcat/transport-sse';
import {
  callSlot,
  failureSlot,
  LAST_EVENT_ID,
  type OnRecovery,
  resumableSlot,
  SESSION_HEADER,
  type SessionHandle,
  sessionSlot,
  trialSlot,
  VERSION_HEADER,
} from '@shadowcat/wire';
import { answersAnother } from './answer-id.js';
import { Farewells } from './farewells.js';
import { HttpClient } from './http-client.js';
import { lostSession } from './lost-session.js';
import { SessionRecovery } from './session-recovery.js';
import { StreamOpenings } from './stream-openings.js';
import { type HeaderRules, UpstreamHeaders } from './upstream-headers.js';

export interface HttpUpstreamOptions extends HeaderRules {
  /** The target's name, as in the configuration; sessions are bound to it. */
  readonly target: string;
  /** The endpoint, `http:` or `https:`. */
  readonly url: string;
  /** Milliseconds until a connection must stand. Default 5 s. */
  readonly connectTimeout?: number | undefined;
  /** Milliseconds from a request sent to the head of its answer; standing streams wait forever. Default 60 s; 0: no limit. */
  readonly firstByteTimeout?: number | undefined;
  /** What happens to a session that the upstream does not know any more. Default `recover`. */
  readonly onUpstreamLoss?: 'recover' | 'fail' | undefined;
  /** How streams that broke are taken up again. */
  readonly backoff?: Partial<BackoffOptions> | undefined;
}

export interface HttpUpstreamComponents {
  readonly log: Log;
  readonly clock: Clock;
  /** 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
  /** Told when a session that the upstream lost was opened again, or could not be. */
  readonly recovered?: OnRecovery | undefined;
  /** Told how each interruption of a stream ended. */
  readonly resumed?: ((outcome: Resumption) => void) | undefined;
}

export interface HttpUpstreamStats {
  readonly inFlight: number;
  readonly connections: number;
  /** Answers that came for another request than the one they were sent to; none of them reached a client. */
  readonly foreign: number;
}

export interface HttpUpstream extends Handler {
  stats(): HttpUpstreamStats;
  /** Ends upstream what is left of a session that ended before this process served it. */
  farewell(session: SessionHandle): void;
  /** Ends what is in flight with an error and closes all connections; upstream sessions stay. Idempotent. */
  close(): Promise<void>;
}

/** The innermost handler for one Streamable HTTP server, for both eras. Rejects with what kept it from answering. */
export function httpUpstream(options: HttpUpstreamOptions, components: HttpUpstreamComponents): HttpUpstream {
  const upstream = new Upstream(options, components);
  return Object.assign((exchange: Exchange) => upstream.handle(exchange), {
    stats: () => upstream.stats(),
    farewell: (session: SessionHandle) => upstream.farewell(session),
    close: () => upstream.close(),
  });
}

interface Asked {
  readonly method: string;
  readonly headers: HeaderMap;
  readonly changes?: HeaderMap;
  readonly body?: Uint8Array | undefined;
  readonly signal: AbortSignal;
  readonly session: SessionHandle | undefined;
  /** Whether the session is left alone when it seems to be lost. */
  readonly trial?: boolean;
}

class Upstream {
  readonly #options: HttpUpstreamOptions;
  readonly #components: HttpUpstreamComponents;
  readonly #client: HttpClient;
  readonly #headers: UpstreamHeaders;
  readonly #firstByteTimeout: number;
  readonly #recovery: SessionRecovery;
  readonly #farewells: Farewells;
  readonly #openings: StreamOpenings;
  #foreign = 0;
  /** From how many foreign answers on that is said again. */
  #sayNext = 1;
  /** Sessions that the upstream was asked to end, or has lost for good: there is nothing to open again, and nothing to end. */
  readonly #over = new WeakSet<SessionHandle>();

  constructor(options: HttpUpstreamOptions, components: HttpUpstreamComponents) {
    this.#options = options;
    this.#components = components;
    this.#firstByteTimeout = options.firstByteTimeout ?? 60_000;
    this.#client = new HttpClient({ url: new URL(options.url), connectTimeout: options.connectTimeout ?? 5_000 });
    this.#headers = new UpstreamHeaders(options);
    this.#openings = new StreamOpenings(components.clock);
    const deadline = this.#firstByteTimeout === 0 ? 60_000 : this.#firstByteTimeout;
    this.#recovery = new SessionRecovery(
      { target: options.target, name: this.#client.name, deadline },
      {
        ...components,
        post: ({ body, client, sessionId, signal, changes }) =>
          this.#client.send({
            method: 'POST',
            headers: this.#headers.from(client, sessionId, changes),
            body,
            signal,
            firstByteTimeout: this.#firstByteTimeout,
          }),
      },
    );
    this.#farewells = new Farewells(
      {
        end: (session, client, signal) => {
          const changes = { [VERSION_HEADER]: session.protocolVersion };
          return this.#send({ method: 'DELETE', headers: client, changes, session, signal });
        },
        wanted: (session) => session.upstream?.target === options.target && !this.#over.has(session),
        keepsHeaders: options.forwardAuthorization === true || (options.forwardHeaders ?? []).length > 0,
      },
      components,
    );
  }

  stats(): HttpUpstreamStats {
    return { ...this.#client.stats(), foreign: this.#foreign };
  }

  /** Nothing is known of what its client sent: the upstream gets what the configuration says. */
  farewell(session: SessionHandle): void {
    this.#farewells.watch(session, {});
  }

  async close(): Promise<void> {
    await this.#farewells.close();
    await this.#client.close();
  }

  async handle(exchange: Exchange): Promise<Reply> {
    const { head, context } = exchange;
    // The edge bounds what a client may send; here it is only put together.
    const body = exchange.body.ready ?? (await exchange.body.collect(Number.MAX_SAFE_INTEGER));
    const asked: Asked = {
      method: head.method,
      headers: head.headers,
      body,
      signal: exchange.signal,
      session: context.get(sessionSlot),
      trial: context.get(trialSlot) === true,
    };
    if (asked.session !== undefined) this.#farewells.watch(asked.session, asked.headers);
    const call = context.get(callSlot);
    // Until it is opened it is nowhere; a session that lives elsewhere is opened here as one that was lost.
    const mayBeElsewhere = call !== undefined && call.method !== 'initialize';
    const reply = await (asked.session === undefined ? this.#send(asked) : this.#ask(asked, mayBeElsewhere));
    const instead = call?.expectsAnswer === true ? insteadOfAnswer(reply) : undefined;
    if (instead !== undefined) {
      await reply[Symbol.asyncDispose]();
      throw new ProxyError('upstream_protocol', `${this.#client.name} answered with ${instead}, not with a message`);
    }
    if (reply.head.status !== 200) return reply;
    if (reply.body.framing.name === 'sse') return this.#supervised(reply, asked, context);
    const whole = reply.body.ready;
    if (call === undefined || whole === undefined || !answersAnother(call, whole)) return reply;
    this.#countForeign();
    await reply[Symbol.asyncDispose]();
    throw new ProxyError('upstream_protocol', `${this.#client.name} sent the answer to another request`);
  }

  /** One that mixes up all its answers would fill the log: it is said at the first, the tenth, the hundredth, … */
  #countForeign(): void {
    this.#foreign += 1;
    if (this.#foreign < this.#sayNext) return;
    this.#sayNext = this.#foreign * 10;
    const details = { upstream: this.#options.target, answers: this.#foreign };
    this.#components.log.warn(details, `${this.#client.name} sent an answer to another request; it was dropped`);
  }

  /** Asks; when the session turns out to be lost upstream, opens it again and asks once more (nothing was done there). */
  async #ask(first: Asked, mayBeElsewhere = false): Promise<Reply> {
    const { session } = first;
    let asked = first;
    if (session !== undefined && this.#recovery.busy) {
      const before = session.upstream?.sessionId;
      await this.#recovery.settled(session);
      if (session.upstream?.sessionId !== before) asked = fromNoEventOn(first);
    }
    if (session !== undefined && asked.method === 'DELETE') return this.#end(session, asked);
    if (session !== undefined && mayBeElsewhere && session.upstream?.target !== this.#options.target) {
      await this.#recovery.recover(session, { lost: session.upstream?.sessionId, client: asked.headers });
      asked = fromNoEventOn(first);
    }
    const used = session?.upstream?.sessionId;
    const stands = session !== undefined && asked.method === 'GET';
    if (session !== undefined && !stands && this.#openings.any) await this.#openings.settled(session);
    const reply = await (stands ? this.#openings.watch(session, this.#send(asked)) : this.#send(asked));
    if (session === undefined || used === undefined || reply.head.status < 400) return reply;
    const { lost, answer } = await lostSession(reply);
    if (!lost || asked.trial === true || session.ended || this.#over.has(session)) return answer;
    if (this.#options.onUpstreamLoss === 'fail') {
      this.#over.add(session);
      return answer;
    }
    await answer[Symbol.asyncDispose]();
    await this.#recovery.recover(session, { lost: used, client: asked.headers });
    return this.#send(fromNoEventOn(asked));
  }

  #send({ method, headers, changes, body, signal, session }: Asked): Promise<Reply> {
    const sessionId = session === undefined ? headerOf(headers, SESSION_HEADER) : session.upstream?.sessionId;
    return this.#client.send({
      method,
      headers: this.#headers.from(headers, sessionId, changes),
      body,
      signal,
      firstByteTimeout: method === 'GET' ? 0 : this.#firstByteTimeout,
    });
  }

  /** An SSE answer that is taken up again when it breaks (legacy), and ends with an error where an answer is missing. */
  #supervised(reply: Reply, asked: Asked, context: Context): Reply {
    const call = context.get(callSlot);
    const standing = asked.method === 'GET';
    const messages = call?.messages ?? [];
    if (!standing && !call?.expectsAnswer) return reply;
    const modern = call?.era === 'modern';
    const options = {
      name: this.#client.name,
      messages,
      standing,
      lastEventId: standing ? headerOf(asked.headers, LAST_EVENT_ID) : undefined,
      silent: context.get(resumableSlot)?.standing,
      ...(this.#options.backoff === undefined ? {} : { backoff: this.#options.backoff }),
    };
    const { session } = asked;
    const used = session?.upstream?.sessionId;
    const open = async (lastEventId: string | undefined, signal: AbortSignal): Promise<Reply> => {
      const changes = { accept: 'text/event-stream', 'content-type': undefined, [LAST_EVENT_ID]: lastEventId };
      const again: Asked = { ...asked, method: 'GET', body: undefined, changes, signal };
      // The id that the session has elsewhere is nothing for this upstream, and must not take it back.
      const moved = session?.upstream !== undefined && session.upstream.target !== this.#options.target;
      if (moved) return replyWith({ status: 404, headers: {} });
      if (standing) return this.#ask(again);
      // The rest of an answer was lost with the session that it is of.
      return session?.upstream?.sessionId === used ? this.#send(again) : replyWith({ status: 404, headers: {} });
    };
    const renewable = standing && session !== undefined;
    const stream = resumable(reply, options, {
      ...this.#components,
      open: modern ? undefined : open,
      onRenewal: renewable ? (renew) => this.#recovery.onReopened(session, renew) : undefined,
      foreign: () => this.#countForeign(),
      // The stream is a good one as far as those outside can see, so they are told.
      gaveUp: (reason) => context.set(failureSlot, reason),
    });
    if (!renewable) return stream;
    // The stream of a session that is over has nothing to wait for, whether the upstream closes it or not.
    return withReply(stream, { dispose: session.onEnd(() => void stream[Symbol.asyncDispose]()) });
  }

  /** Ends the upstream's session; while it does, the session is not opened again for what else fails by it. */
  async #end(session: SessionHandle, asked: Asked): Promise<Reply> {
    this.#over.add(session);
    try {
      const reply = await this.#send(asked);
      if (reply.head.status === 405) this.#over.delete(session);
      return reply;
    } catch (error) {
      this.#over.delete(session);
      throw error;
    }
  }
}

/** Event ids of a lost session mean nothing to the one that replaced it. */
function fromNoEventOn(asked: Asked): Asked {
  return { ...asked, changes: { ...asked.changes, [LAST_EVENT_ID]: undefined } };
}

/** What a success holds where a request's answer should be; clients would wait for the answer, or not understand it. */
function insteadOfAnswer({ head, body }: Reply): string | undefined {
  const { status, headers } = head;
  if (status < 200 || status > 299 || body.framing.name !== 'opaque') return undefined;
  const type = headerOf(headers, 'content-type');
  return `HTTP ${status} and ${type === undefined ? 'no Content-Type' : `Content-Type ${type}`}`;
}
