import { type Exchange, ProxyError } from '@shadowcat/kernel';
import { type Call, type JsonObject, type Message, sessionSlot } from '@shadowcat/wire';
import { LiveSession } from './live-session.js';
import type { Library, RecordedLane } from './recording.js';
import type { ReplayLedger } from './replay-summary.js';
import { canonicalParams } from './request-key.js';

/** A live session and the id that the replay gave it; none for traffic without a session. */
export interface Bound {
  readonly session: LiveSession;
  readonly id: string | undefined;
}

/**
 * Who is bound to which recorded session. Each `initialize` binds the unused one whose `initialize` is most alike; when all
 * are used they are used again from the first, each time with fresh state, so that a test run can connect again and again.
 */
export class LiveSessions {
  readonly #library: Library;
  readonly #ledger: ReplayLedger;
  readonly #newId: () => string;
  readonly #bound = new Map<string, LiveSession>();
  readonly #unused: Set<RecordedLane>;
  readonly #everUsed = new Set<RecordedLane>();
  /** Used again after all were. */
  readonly #reused = new Set<RecordedLane>();
  /** Canonical parameters of recorded openings. */
  readonly #asked = new WeakMap<Message, string>();
  /** Sessions whose client went while the tape still waited for it. */
  readonly #waiting: LiveSession[] = [];
  #sessionless: LiveSession;
  /** Earlier rounds of the traffic without sessions, as long as something of theirs is open. */
  #earlier: LiveSession[] = [];

  constructor(library: Library, ledger: ReplayLedger, newId: () => string) {
    this.#library = library;
    this.#ledger = ledger;
    this.#newId = newId;
    this.#unused = new Set(library.sessions.filter(hasOpening));
    this.#sessionless = new LiveSession(library.sessionless);
  }

  /** All that may still wait for something. */
  get all(): readonly LiveSession[] {
    return [...this.#bound.values(), this.#sessionless, ...this.#earlier, ...this.#waiting];
  }

  /** The session of an exchange that opens none. */
  of(exchange: Exchange, call: Call): LiveSession {
    const handle = exchange.context.get(sessionSlot);
    if (call.era === 'modern' || handle === undefined) {
      if (call.method === 'server/discover') this.#renewSessionless();
      return this.#sessionless;
    }
    const session = this.#bound.get(handle.upstream?.sessionId ?? '');
    if (session === undefined || session.closed) {
      throw new ProxyError(
        'session_not_found',
        'this replay does not know the session: open a new one with initialize',
      );
    }
    return session;
  }

  /** Binds a client that sends `initialize`. */
  open(exchange: Exchange, initialize: Message): Bound {
    const lane = this.#choose(initialize);
    if (lane === undefined) {
      this.#renewSessionless();
      return { session: this.#sessionless, id: undefined };
    }
    const session = new LiveSession(lane);
    const id = this.#newId();
    this.#bound.set(id, session);
    exchange.context.get(sessionSlot)?.onEnd(() => this.#drop(id, session));
    return { session, id };
  }

  end(session: LiveSession): void {
    for (const [id, bound] of this.#bound) if (bound === session) this.#drop(id, session);
  }

  /** The recorded session of `session`, which its client did not get, is the next one to be opened again. */
  takeBack({ lane }: LiveSession): void {
    if (!this.#everUsed.has(lane) || this.#unused.has(lane)) return;
    const unused = this.#library.sessions.filter((one) => one === lane || this.#unused.has(one));
    this.#unused.clear();
    for (const one of unused) this.#unused.add(one);
    if (!this.#reused.delete(lane)) this.#everUsed.delete(lane);
  }

  /** Nothing comes from any client any more. */
  hangUp(): void {
    for (const session of this.all) session.hangUp();
  }

  close(): void {
    for (const session of this.all) session.close();
  }

  #drop(id: string, session: LiveSession): void {
    if (session.pending.size > 0 && this.#bound.has(id) && this.#waiting.length < 100) this.#waiting.push(session);
    this.#bound.delete(id);
    session.close();
  }

  #choose(initialize: Message): RecordedLane | undefined {
    if (this.#unused.size === 0) {
      const all = this.#library.sessions.filter(hasOpening);
      if (all.length === 0) return undefined;
      for (const lane of all) this.#unused.add(lane);
    }
    let best: RecordedLane | undefined;
    let most = -1;
    const asked = canonicalParams(initialize);
    for (const lane of this.#unused) {
      const opening = openingOf(lane);
      const same = opening !== undefined && this.#askedBy(opening) === asked;
      const likeness = same ? SAME : likenessOf(initialize, opening);
      if (likeness <= most) continue;
      best = lane;
      most = likeness;
      if (same) break;
    }
    if (best !== undefined) this.#take(best);
    return best;
  }

  /** The parameters of a recorded `initialize`, read once. */
  #askedBy(opening: Message): string {
    let asked = this.#asked.get(opening);
    if (asked === undefined) {
      asked = canonicalParams(opening);
      this.#asked.set(opening, asked);
    }
    return asked;
  }

  #take(lane: RecordedLane): void {
    this.#unused.delete(lane);
    if (this.#everUsed.has(lane)) {
      this.#ledger.reused();
      this.#reused.add(lane);
    }
    this.#everUsed.add(lane);
  }

  /**
   * Traffic without sessions has no beginning but the request that clients open with: when that comes and everything was
   * served, it is served again from the start.
   */
  #renewSessionless(): void {
    const { lane, used, spent } = this.#sessionless;
    if (used.size === 0 || !spent || lane.recordings.length === 0) return;
    this.#earlier = [...this.#earlier, this.#sessionless].filter(({ plays }) => plays.size > 0);
    this.#sessionless = new LiveSession(lane);
    this.#ledger.reused();
  }
}

function openingOf(lane: RecordedLane): Message | undefined {
  return lane.recordings.find(({ method }) => method === 'initialize')?.message;
}

function hasOpening(lane: RecordedLane): boolean {
  return openingOf(lane) !== undefined;
}

/** How alike two clients are that sent the same `initialize`. */
const SAME = 3;

/** 2: the same client and revision; 1: the same client; 0: another. */
function likenessOf(live: Message, recorded: Message | undefined): number {
  if (recorded === undefined) return 0;
  const [a, b] = [paramsOf(live), paramsOf(recorded)];
  if (nameOf(a) !== nameOf(b)) return 0;
  return a['protocolVersion'] === b['protocolVersion'] ? 2 : 1;
}

function paramsOf(message: Message): JsonObject {
  const params = message.value['params'];
  return typeof params === 'object' && params !== null && !Array.isArray(params) ? (params as JsonObject) : {};
}

function nameOf(params: JsonObject): unknown {
  const info = params['clientInfo'];
  return typeof info === 'object' && info !== null && 'name' in info ? info.name : undefined;
}
