import { type Exchange, type Handler, InFlight, type Layer, type Reply } from '@shadowcat/kernel';
import { type Call, callSlot, type JsonObject, type Message, objectAt, sessionSlot } from '@shadowcat/wire';
import { isAnswered } from './answer-in.js';
import { Asides } from './asides.js';
import type { MirrorComponents, MirrorOptions, MirrorStats, SkipReason, Subject } from './contract.js';
import { Flight, type FlightEnd, type FlightParts } from './flight.js';
import { ignoring } from './ignored.js';
import { ShadowSessions } from './shadow-sessions.js';
import { watchedReply } from './watched-reply.js';

export interface Mirror {
  /** Around the handler that answers clients. */
  readonly layer: Layer;
  stats(): MirrorStats;
  /** Gives up what is under way and ends the sessions at the shadow. Idempotent; never rejects. */
  close(): Promise<void>;
}

const TIMEOUT_MS = 30_000;
const MAX_IN_FLIGHT = 50;
/** How long closing waits for a shadow that does not let go. */
const LAST_MS = 1_000;

/**
 * Asks a second server, the shadow, what clients ask, and compares the answers. Clients have their answers as if there were no
 * shadow: it is asked once the answer has begun, in a turn of its own, and nothing of it is waited for. Only requests that read,
 * and tools that say so, unless `effects` is set. The shadow's questions are refused and what it announces is nobody's.
 */
export function mirror(options: MirrorOptions, components: MirrorComponents): Mirror {
  const mirroring = new Mirroring(options, components);
  return {
    layer: (next) => (exchange) => mirroring.handle(exchange, next),
    stats: () => mirroring.stats(),
    close: () => mirroring.close(),
  };
}

class Mirroring {
  readonly #options: MirrorOptions;
  readonly #components: MirrorComponents;
  readonly #methods: ReadonlySet<string>;
  readonly #sessions: ShadowSessions;
  readonly #asides: Asides;
  readonly #parts: FlightParts;
  readonly #flights = new InFlight<Flight>();
  /** What is not over at the shadow. */
  readonly #underWay = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  constructor(options: MirrorOptions, components: MirrorComponents) {
    const { shadow, clock, log } = components;
    const { timeoutMs = TIMEOUT_MS } = options;
    this.#options = options;
    this.#components = components;
    this.#methods = new Set<string>(options.methods);
    this.#sessions = new ShadowSessions({ shadow, clock, log, timeoutMs });
    this.#asides = new Asides(shadow, clock);
    this.#parts = {
      shadow,
      clock,
      timeoutMs,
      sessions: this.#sessions,
      asides: this.#asides,
      ignored: ignoring(options.ignore ?? []),
      ended: (flight, end) => this.#ended(flight, end),
    };
  }

  handle(exchange: Exchange, next: Handler): Promise<Reply> {
    const call = exchange.context.get(callSlot);
    if (call === undefined || call.verb !== 'post' || call.batch) return next(exchange);
    const { message, method } = call;
    if (message?.kind === 'request') {
      const wanted = this.#mayBeMirrored(call, message) && this.#components.random() < this.#options.share;
      return wanted || method === 'tools/list'
        ? this.#followed({ exchange, call, message, wanted }, next)
        : next(exchange);
    }
    if (method === 'notifications/cancelled' && this.#flights.size > 0) this.#cancel(exchange, message?.value);
    return next(exchange);
  }

  stats(): MirrorStats {
    return { inFlight: this.#flights.size, sessions: this.#sessions.size };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const flight of this.#flights.all()) flight.cancel();
    this.#sessions.close();
    const late = Promise.withResolvers<void>();
    const timer = this.#components.clock.timer(LAST_MS, late.resolve);
    await Promise.race([Promise.all([...this.#underWay, this.#asides.close()]), late.promise]);
    timer.cancel();
  }

  /** What refers to something that only the mirrored server knows, or becomes a task there, means nothing to the shadow. */
  #mayBeMirrored({ method, target }: Call, { value }: Message): boolean {
    if (!this.#methods.has(method)) return false;
    const params = objectAt(value, 'params');
    if (params !== undefined && REFERENCES.some((key) => params[key] !== undefined)) return false;
    if (method !== 'tools/call' || this.#options.effects === true) return true;
    return target !== undefined && this.#components.tools.readOnly(target);
  }

  async #followed(asked: Asked, next: Handler): Promise<Reply> {
    const { call, wanted, exchange } = asked;
    let reply = await next(exchange);
    if (call.method === 'tools/list') reply = this.#components.tools.watch(call, reply);
    return wanted ? this.#mirrored(asked, reply) : reply;
  }

  #mirrored({ exchange, call, message }: Asked, reply: Reply): Reply {
    if (this.#closing !== undefined) return reply;
    const { status } = reply.head;
    const { name } = reply.body.framing;
    if (!isAnswered(status) || (name !== 'json' && name !== 'sse')) {
      return this.#skipped(call, 'unanswered', reply);
    }
    const { maxInFlight = MAX_IN_FLIGHT } = this.#options;
    const underWay = Math.max(this.#flights.size, this.#underWay.size);
    if (underWay >= maxInFlight) return this.#skipped(call, 'busy', reply);
    const flight = new Flight({ exchange, call, message }, this.#parts);
    this.#flights.add(flight);
    const passed =
      reply.body.ready === undefined
        ? watchedReply(reply, message.id ?? null, (answer) => flight.answered(answer))
        : reply;
    flight.start(reply.body, (done) => this.#own(done));
    return passed;
  }

  #own(done: Promise<void>): void {
    this.#underWay.add(done);
    void done.finally(() => this.#underWay.delete(done));
  }

  #cancel({ context }: Exchange, notice: JsonObject | undefined): void {
    const id = objectAt(notice, 'params')?.['requestId'];
    const session = context.get(sessionSlot);
    for (const flight of this.#flights.all()) if (flight.isOf(session, id)) flight.cancel();
  }

  #skipped(call: Call, reason: SkipReason, reply: Reply): Reply {
    this.#components.ended({ ...subjectOf(call), outcome: 'skipped', reason, differences: [] });
    return reply;
  }

  #ended(flight: Flight, { error, ...end }: FlightEnd): void {
    this.#flights.delete(flight);
    const subject = subjectOf(flight.call);
    if (error !== undefined) this.#components.log.debug({ ...subject, err: error }, 'the shadow gave no answer');
    this.#components.ended({ ...subject, ...end });
  }
}

interface Asked {
  readonly exchange: Exchange;
  readonly call: Call;
  readonly message: Message;
  /** Whether it is to be mirrored. */
  readonly wanted: boolean;
}

/** A page of a list, an answer to a question, a state, a task: each server has its own. */
const REFERENCES = ['cursor', 'inputResponses', 'requestState', 'task'] as const;

/** Clients choose names, and each is kept in several places. */
const MAX_NAME = 128;

/** Names of tools and prompts are few; URIs are not. */
function subjectOf({ method, target = '' }: Call): Subject {
  const named = method === 'tools/call' || method === 'prompts/get';
  if (!named) return { method, tool: '' };
  return { method, tool: target.length > MAX_NAME ? `${target.slice(0, MAX_NAME)}…` : target };
}
