import { type Clock, type HeaderMap, type Log, ProxyError, type Reply, type Timer } from '@shadowcat/kernel';
import type { SessionHandle } from '@shadowcat/wire';

/** Requests at a time: many sessions may end together, when all of them were idle for as long. */
const AT_A_TIME = 16;
/** Sessions that may wait for their turn; those beyond are left to the upstream's own limits. */
const MAX_WAITING = 10_000;
/** Milliseconds that an upstream may take to end one session. */
const DEADLINE_MS = 5_000;
/** Milliseconds that requests under way may still take when the proxy ends. */
const LAST_MS = 1_000;

export interface FarewellRules {
  /** Asks the upstream to end the session; `client` are the header fields to forward from. */
  readonly end: (session: SessionHandle, client: HeaderMap, signal: AbortSignal) => Promise<Reply>;
  /** Whether there is anything to end. */
  readonly wanted: (session: SessionHandle) => boolean;
  /** Whether the client's own fields have to be there, because some are forwarded. */
  readonly keepsHeaders: boolean;
}

interface Watched {
  client: HeaderMap;
}

/**
 * Ends sessions upstream that ended here by themselves: idle, evicted, refused. Servers keep what nobody ends, some for ever.
 * No client waits for it, and it is tried once. Sessions that outlive the proxy are in the store and stay.
 */
export class Farewells {
  readonly #rules: FarewellRules;
  readonly #components: { readonly clock: Clock; readonly log: Log };
  readonly #watched = new WeakMap<SessionHandle, Watched>();
  readonly #waiting: { readonly session: SessionHandle; readonly client: HeaderMap }[] = [];
  readonly #running = new Map<AbortController, Promise<void>>();
  #closed = false;

  constructor(rules: FarewellRules, components: { readonly clock: Clock; readonly log: Log }) {
    this.#rules = rules;
    this.#components = components;
  }

  /** Called with each request of a session. */
  watch(session: SessionHandle, client: HeaderMap): void {
    const watched = this.#watched.get(session);
    if (watched !== undefined) {
      // The newest: credentials are renewed from time to time.
      if (this.#rules.keepsHeaders) watched.client = client;
      return;
    }
    const made: Watched = { client: this.#rules.keepsHeaders ? client : {} };
    this.#watched.set(session, made);
    session.onEnd(() => this.#ended(session, made));
  }

  /** Lets those under way finish for a moment, then cuts them off. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.length = 0;
    const cut = (): void => {
      for (const controller of this.#running.keys()) controller.abort(tooLate());
    };
    const timer = this.#running.size === 0 ? undefined : this.#components.clock.timer(LAST_MS, cut);
    await Promise.all(this.#running.values());
    timer?.cancel();
  }

  #ended(session: SessionHandle, { client }: Watched): void {
    if (this.#closed || this.#waiting.length >= MAX_WAITING || !this.#rules.wanted(session)) return;
    this.#waiting.push({ session, client: ofNoRequest(client) });
    this.#next();
  }

  #next(): void {
    while (this.#running.size < AT_A_TIME) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const controller = new AbortController();
      const done = this.#end(next.session, next.client, controller).finally(() => {
        this.#running.delete(controller);
        this.#next();
      });
      this.#running.set(controller, done);
    }
  }

  async #end(session: SessionHandle, client: HeaderMap, controller: AbortController): Promise<void> {
    const { clock, log } = this.#components;
    const timer: Timer = clock.timer(DEADLINE_MS, () => controller.abort(tooLate()));
    try {
      const answer = await this.#rules.end(session, client, controller.signal);
      await answer[Symbol.asyncDispose]();
    } catch (thrown) {
      log.debug({ err: thrown }, 'an upstream session could not be ended; it is left to the upstream');
    } finally {
      timer.cancel();
    }
  }
}

/** The fields that may go with any request of the session. */
function ofNoRequest(client: HeaderMap): HeaderMap {
  const fields: Record<string, HeaderMap[string]> = {};
  for (const name in client) if (!OF_ONE_REQUEST.has(name) && !name.startsWith('mcp-')) fields[name] = client[name];
  return fields;
}

const OF_ONE_REQUEST: ReadonlySet<string> = new Set([
  'accept',
  'content-type',
  'last-event-id',
  'traceparent',
  'tracestate',
  'x-request-id',
]);

function tooLate(): ProxyError {
  return new ProxyError('upstream_timeout', 'ending the session took too long');
}
