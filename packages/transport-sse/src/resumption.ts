import {
  type Exchange,
  type Handler,
  headerOf,
  type Layer,
  ProxyError,
  type Reply,
  withHeaders,
} from '@shadowcat/kernel';
import {
  type Call,
  callSlot,
  LAST_EVENT_ID,
  resumableSlot,
  type SessionHandle,
  sessionSlot,
  streamConflict,
} from '@shadowcat/wire';
import { EventLog, type EventLogComponents, type EventLogOptions, type EventLogStats } from './event-log.js';
import { readEventId } from './resumption-event.js';
import { LooseExchange } from './resumption-exchange.js';
import { eventsExpired } from './resumption-reader.js';
import type { KeptStream } from './resumption-stream.js';

export interface ResumptionStats extends EventLogStats {
  /** Streams that a client took up again, and event ids that were too old for it, since the start. */
  readonly resumed: number;
  readonly expired: number;
}

/** The layer, and what its owner does with it. */
export type ResumptionLayer = Layer & {
  stats(): ResumptionStats;
  /**
   * Gives up what upstreams still send and stores what is kept. To be called before the upstreams are closed: how they end
   * then is no news to the clients, who come back when the proxy does. Never rejects.
   */
  close(): Promise<void>;
};

/** The revision whose clients know events without data (2025-11-25, Transports). */
const PRIMING_SINCE = '2025-11-25';

/**
 * Keeps the event streams of legacy sessions, so that GET with `Last-Event-ID` works in front of every upstream, after a cut
 * and after a restart of the proxy. Belongs just inside the session layer: what is kept is what the client was sent, under
 * ids of the proxy's own. A client that leaves leaves its stream behind: it is read on into the log until its answers came or
 * the session ends. Throws `stream_conflict` for a second GET stream, and `events_expired` for ids of events that are gone.
 */
export function resumption(options: EventLogOptions, components: EventLogComponents): ResumptionLayer {
  const log = new EventLog(options, components);
  const kept = new Resumption(log);
  const layer: Layer = (next) => (exchange) => {
    const session = exchange.context.get(sessionSlot);
    const call = exchange.context.get(callSlot);
    if (session === undefined || call === undefined || log.closed) return next(exchange);
    if (call.verb === 'stream') return kept.stream(next, exchange, session);
    // The answer to `initialize` makes the session: there is none to come back to before it.
    if (!call.expectsAnswer || call.method === 'initialize') return next(exchange);
    return kept.post(next, exchange, { session, call });
  };
  return Object.assign(layer, { stats: () => kept.stats(), close: () => log.close() });
}

class Resumption {
  readonly #log: EventLog;
  /** Sessions whose GET stream is being opened. */
  readonly #opening = new Set<string>();
  readonly #reopening = new Map<KeptStream, Promise<Reply | undefined>>();
  #resumed = 0;
  #expired = 0;

  constructor(log: EventLog) {
    this.#log = log;
  }

  stats(): ResumptionStats {
    return { ...this.#log.stats(), resumed: this.#resumed, expired: this.#expired };
  }

  async post(
    next: Handler,
    exchange: Exchange,
    { session, call }: { readonly session: SessionHandle; readonly call: Call },
  ): Promise<Reply> {
    const loose = new LooseExchange(exchange);
    const answer = await next(loose);
    // What is there as a whole has nothing left to be cut from.
    if (!isStream(answer) || answer.body.ready !== undefined || session.ended || this.#log.closed) return answer;
    loose.loosen();
    return this.#keep(answer, { next, exchange, session }, { standing: false, messages: call.messages });
  }

  async stream(next: Handler, exchange: Exchange, session: SessionHandle): Promise<Reply> {
    const lastEventId = headerOf(exchange.head.headers, LAST_EVENT_ID);
    if (lastEventId === undefined || lastEventId === '') return this.#standing(next, exchange, session);
    const asked = { next, exchange, session };
    const place = readEventId(lastEventId);
    // Not of our making: the upstream may know it.
    if (place === undefined) return this.#passOn(lastEventId, asked);
    const stream = await this.#log.find(session, place.stream);
    if (stream === undefined && place.upstreamId !== undefined) return this.#forgotten(place.upstreamId, asked);
    if (stream?.mayHaveForgotten(place) === true) stream.goOnAfter(place);
    if (stream === undefined || !stream.keeps(place.seq)) throw this.#eventsExpired();
    return this.#resume(stream, place.seq + 1, asked);
  }

  /** Asks the upstream for the rest of a stream of which we know nothing but an id that was ours. */
  async #forgotten(upstreamId: string, asked: Asked): Promise<Reply> {
    const answer = await this.#passOn(upstreamId, asked);
    if (!GONE.has(answer.head.status)) return answer;
    await answer[Symbol.asyncDispose]();
    throw this.#eventsExpired();
  }

  /** Asks for the rest of a stream that is the upstream's: its events bear its own ids, and it keeps them. */
  async #passOn(upstreamId: string, { next, exchange, session }: Asked): Promise<Reply> {
    const { head } = exchange;
    const headers = withHeaders(head.headers, { [LAST_EVENT_ID]: upstreamId });
    const before = session.upstream?.sessionId;
    const answer = await next(new LooseExchange(exchange, { ...head, headers }));
    if (session.upstream?.sessionId === before) return answer;
    // A session that was opened anew has no events of the one before.
    await answer[Symbol.asyncDispose]();
    throw this.#eventsExpired();
  }

  #eventsExpired(): ProxyError {
    this.#expired += 1;
    return eventsExpired();
  }

  /** A GET that names no event: the session's stream, a new one or the one that its client has left. */
  async #standing(next: Handler, exchange: Exchange, session: SessionHandle): Promise<Reply> {
    if (this.#opening.has(session.id)) throw streamConflict();
    this.#opening.add(session.id);
    try {
      const left = await this.#log.standing(session);
      if (left?.attached === true) throw streamConflict();
      if (left !== undefined) return await this.#resume(left, left.unsent, { next, exchange, session });
      const loose = new LooseExchange(exchange);
      const answer = await next(loose);
      if (!isStream(answer) || session.ended || this.#log.closed) return answer;
      loose.loosen();
      return this.#keep(answer, { next, exchange, session }, { standing: true, messages: [] });
    } finally {
      this.#opening.delete(session.id);
    }
  }

  #keep(answer: Reply, { exchange, session }: Asked, what: { standing: boolean; messages: Call['messages'] }): Reply {
    const stream = this.#log.open(session, what);
    const returns = (session.protocolVersion ?? '') >= PRIMING_SINCE;
    if (returns) stream.prime();
    this.#show(stream, exchange, returns);
    const reply = stream.attach(0, answer.head.headers);
    stream.start(answer, false);
    return reply;
  }

  /** Lets the listener know what it has to end. `returns`: the client is one that comes back to streams. */
  #show(stream: KeptStream, { context }: Exchange, returns: boolean): void {
    const { standing, requests } = stream;
    const durable = returns && this.#log.durable;
    context.set(resumableSlot, {
      standing,
      requests,
      get outlivesProxy() {
        return durable && stream.outlivesProxy;
      },
    });
  }

  async #resume(stream: KeptStream, from: number, asked: Asked): Promise<Reply> {
    this.#show(stream, asked.exchange, true);
    if (!stream.live && stream.endedAt === undefined && !this.#log.closed) {
      let reopening = this.#reopening.get(stream);
      if (reopening === undefined) {
        const idle = from >= stream.next;
        reopening = reopen(stream, { ...asked, idle }).finally(() => this.#reopening.delete(stream));
        this.#reopening.set(stream, reopening);
      }
      const refusal = await reopening;
      if (refusal !== undefined) return refusal;
    }
    this.#resumed += 1;
    return stream.attach(from);
  }
}

/** What an upstream says that does not know an event id (any more). */
const GONE: ReadonlySet<number> = new Set([400, 405, 410]);

/** A GET of a session, and who answers it behind us. */
interface Asked {
  readonly next: Handler;
  readonly exchange: Exchange;
  readonly session: SessionHandle;
}

interface Reopening extends Asked {
  /** Whether there is nothing to send again: then the upstream's refusal can be passed on. */
  readonly idle: boolean;
}

/** Asks the upstream for the rest of a stream that lost its source. Resolves with what is to be answered instead, if anything. */
async function reopen(stream: KeptStream, { next, exchange, session, idle }: Reopening): Promise<Reply | undefined> {
  const { upstreamId, standing } = stream;
  if (!standing && upstreamId === undefined) {
    stream.fail(new ProxyError('upstream_closed', 'the proxy was started again before the upstream answered'));
    return undefined;
  }
  const { head } = exchange;
  const loose = new LooseExchange(exchange, {
    ...head,
    headers: withHeaders(head.headers, { [LAST_EVENT_ID]: standing && stream.moved ? undefined : upstreamId }),
  });
  // Others may wait for the same.
  loose.loosen();
  const before = session.upstream?.sessionId;
  let answer: Reply;
  try {
    answer = await next(loose);
  } catch (error) {
    // The client gets what there is, and may come back for the rest.
    if (idle) throw error;
    return undefined;
  }
  // In a session that was opened anew there is no rest of an answer.
  const lost = !standing && session.upstream?.sessionId !== before;
  if (isStream(answer) && !lost && !session.ended) {
    stream.start(answer, true);
    return undefined;
  }
  const final = !standing && (lost || answer.head.status < 500);
  if (!final && idle) return answer;
  await answer[Symbol.asyncDispose]();
  if (final) {
    stream.fail(
      new ProxyError('upstream_closed', `the upstream does not go on with its stream (HTTP ${answer.head.status})`),
    );
  }
  return undefined;
}

function isStream({ head, body }: Reply): boolean {
  return head.status === 200 && body.framing.name === 'sse';
}
