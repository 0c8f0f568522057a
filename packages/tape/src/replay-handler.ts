import {
  Body,
  type Clock,
  type Exchange,
  type Handler,
  type HeaderMap,
  headerOf,
  type Log,
  ProxyError,
  type Reply,
  reply,
} from '@shadowcat/kernel';
import { type Call, callSlot, jsonReply, type Message, SESSION_HEADER, sseFraming } from '@shadowcat/wire';
import { Answering, SSE_HEADERS } from './answering.js';
import { canonicalOf } from './canonical.js';
import { Disruptions } from './disruptions.js';
import { GivenAnswers } from './given.js';
import { jsonTree, memberOf } from './json-tree.js';
import { Ladder } from './ladder.js';
import { libraryOf } from './library.js';
import type { LiveSession } from './live-session.js';
import { LiveSessions } from './live-sessions.js';
import { Matcher } from './matcher.js';
import { NO_OVERLAY, type Overlay, type Rung } from './overlay.js';
import type { ReplayTime } from './pace.js';
import { type GiveUp, type PlayParts, playStream } from './play.js';
import type { Library } from './recording.js';
import type { Tape } from './records.js';
import type { Redactor } from './redact.js';
import { ReplayLedger, type ReplaySummary } from './replay-summary.js';

export interface ReplayOptions {
  /** Whether recordings that nobody asked for are a failure. */
  readonly allUsed?: boolean;
  /** The loosest rung by which a request may be matched. Default `rule`. */
  readonly maxRung?: Rung;
  /** What a test changes. Default: nothing. */
  readonly overlay?: Overlay;
  /** Default `instant`. */
  readonly time?: ReplayTime;
  /** Whether streams are kept for clients that come back (`resumption` of transport-sse, {@link cutLayer}). Default no. */
  readonly resumable?: boolean;
}

export interface ReplayComponents {
  /** The recording's own: live requests are redacted before they are compared. */
  readonly redactor: Redactor;
  readonly keyId: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes the ids by which the session layer finds sessions again. */
  readonly newId: () => string;
  /** What to do when a client has left what the tape waits for undone for so long. Default: to wait on. */
  readonly giveUp?: GiveUp;
}

/** The handler, and what its owner does with it. */
export type Replay = Handler & {
  summary(): ReplaySummary;
  /** Nothing comes from the client any more: ends what waits for it, and lets everything else be sent. */
  hangUp(): void;
  /** Ends what is open. Idempotent. */
  close(): void;
};

/**
 * Tapes as an innermost handler: answers from the recordings and from nothing else. Needs `callSlot`, and `sessionSlot` for
 * sessions: `initialize` is answered with an `mcp-session-id` that the session layer binds. Rejects with `replay_miss` for
 * what is not on the tapes, `session_not_found` for a session that it did not open.
 */
export function replayHandler(tapes: readonly Tape[], options: ReplayOptions, components: ReplayComponents): Replay {
  const player = new Player(libraryOf(tapes), options, components);
  const handler: Handler = async (exchange) => player.answer(exchange);
  const { summary, hangUp, close } = player;
  return Object.assign(handler, { summary, hangUp, close });
}

class Player {
  readonly #library: Library;
  readonly #options: ReplayOptions;
  readonly #components: ReplayComponents;
  readonly #ledger: ReplayLedger;
  readonly #sessions: LiveSessions;
  readonly #disruptions: Disruptions;
  readonly #matcher: Matcher;
  readonly #parts: PlayParts;
  readonly #answering: Answering;

  constructor(library: Library, options: ReplayOptions, components: ReplayComponents) {
    const { overlay = NO_OVERLAY, maxRung = 'rule', time = 'instant', resumable = false } = options;
    const { clock, log, redactor, keyId, giveUp } = components;
    this.#library = library;
    this.#options = options;
    this.#components = components;
    this.#ledger = new ReplayLedger(overlay);
    this.#sessions = new LiveSessions(library, this.#ledger, components.newId);
    this.#disruptions = new Disruptions(overlay);
    const ladder = new Ladder(overlay, maxRung);
    for (const lane of [...library.sessions, library.sessionless]) ladder.prepare(lane);
    this.#matcher = new Matcher({
      library,
      ladder,
      given: new GivenAnswers(overlay),
      ledger: this.#ledger,
      redactor,
      keyId,
      log,
    });
    this.#parts = { clock, log, time, ...(giveUp === undefined ? {} : { giveUp }) };
    this.#answering = new Answering({
      ...this.#parts,
      matcher: this.#matcher,
      ledger: this.#ledger,
      disruptions: this.#disruptions,
      overlay,
      resumable,
      lose: (session) => this.#sessions.end(session),
      unopened: (session) => this.#sessions.takeBack(session),
    });
    if (time !== 'instant' && !library.timed) {
      this.#ledger.warned('the tapes have no clock (golden form): everything is answered at once');
    }
  }

  answer(exchange: Exchange): Reply | Promise<Reply> {
    const call = exchange.context.get(callSlot);
    if (call === undefined) throw new ProxyError('internal', 'the exchange was not classified');
    if (call.verb === 'stream') return this.#stream(exchange, call);
    if (call.verb === 'end') return this.#end(exchange, call);
    return this.#post(exchange, call);
  }

  readonly summary = (): ReplaySummary => {
    const { allUsed = false } = this.#options;
    return this.#ledger.summary(this.#library, this.#sessions.all, { allUsed, faults: this.#disruptions.dealt });
  };

  readonly hangUp = (): void => this.#sessions.hangUp();

  readonly close = (): void => this.#sessions.close();

  #post(exchange: Exchange, call: Call): Reply | Promise<Reply> {
    const opening = call.method === 'initialize' ? call.message : undefined;
    const bound =
      opening === undefined
        ? { session: this.#sessions.of(exchange, call), id: undefined }
        : this.#sessions.open(exchange, opening);
    const { session, id } = bound;
    const requests: Message[] = [];
    for (const message of call.messages) {
      if (message.kind === 'request') requests.push(message);
      else this.#take(session, message);
    }
    const headers: HeaderMap = id === undefined ? {} : { [SESSION_HEADER]: id };
    const [only] = requests;
    if (only === undefined) return reply({ status: 202, headers });
    const asked = { exchange, call, session, headers };
    if (call.batch) {
      const messages = requests.map((message) => ({ message, text: this.#unrecorded(session, message)?.text }));
      return this.#answering.batch(asked, messages);
    }
    const special = this.#unrecorded(session, only);
    if (special !== undefined) return jsonReply(special.text, { status: special.status, headers });
    return this.#answering.single(asked, only);
  }

  /** Answers that need no recording: `ping`, and a question about the newer era that the tapes know nothing of. */
  #unrecorded(session: LiveSession, message: Message): { text: string; status: number } | undefined {
    const { method, idText = 'null' } = message;
    const { recordings, methods } = session.lane;
    const recorded = method !== undefined && methods.has(method);
    if (method === 'ping') {
      if (recorded && this.#matcher.has(session, this.#matcher.shape(message))) return undefined;
      this.#ledger.asked({ method, target: undefined });
      return { text: `{"jsonrpc":"2.0","id":${idText},"result":{}}`, status: 200 };
    }
    if (recorded) return undefined;
    const legacyOnly = this.#library.sessions.length > 0 && recordings.every(({ modern }) => !modern);
    if (method !== 'server/discover' || !legacyOnly) return undefined;
    this.#ledger.asked({ method, target: undefined });
    // What a server of the legacy era says: clients that try the newer era first then open a session.
    return {
      text: `{"jsonrpc":"2.0","id":${idText},"error":{"code":-32601,"message":"Method not found"}}`,
      status: 404,
    };
  }

  #stream(exchange: Exchange, call: Call): Reply {
    const session = this.#sessions.of(exchange, call);
    const status = session.lane.streamStatus ?? 200;
    if (status >= 400) throw new ProxyError('method_not_allowed', 'the recorded server offered no stream (GET)');
    // What is kept is found further out: this id is of a stream that nobody knows, and a new stream would be a silent gap.
    if (headerOf(exchange.head.headers, 'last-event-id') !== undefined) {
      throw new ProxyError(
        'events_expired',
        'this replay does not know the Last-Event-ID: open a new stream without one',
      );
    }
    const number = session.openStream();
    let gone = false;
    const leave = (): void => {
      gone = true;
      session.closeStream(number);
      session.wake();
    };
    exchange.signal.addEventListener('abort', leave, { once: true });
    if (exchange.signal.aborted) leave();
    const frames = playStream(session, { number, gone: () => gone }, this.#parts);
    return reply({ status: 200, headers: SSE_HEADERS }, Body.fromFrames(frames, sseFraming), () => {
      exchange.signal.removeEventListener('abort', leave);
      leave();
    });
  }

  #end(exchange: Exchange, call: Call): Reply {
    this.#sessions.end(this.#sessions.of(exchange, call));
    return reply({ status: 200, headers: {} });
  }

  /** A notification or an answer of the client's. */
  #take(session: LiveSession, message: Message): void {
    if (message.kind === 'notification') {
      session.notice(message.method ?? '');
      if (message.method === 'notifications/cancelled') session.cancel(requestIdOf(message));
      return;
    }
    const asked = session.answer(message.idText);
    if (asked?.answer === undefined) return;
    if (outcomeOf(this.#components.redactor.json(message.text)) === outcomeOf(asked.answer.text)) return;
    this.#matcher.warn(`the client answered ${asked.method ?? ''} otherwise than recorded`, asked.answer.place);
  }
}

function requestIdOf(message: Message): string {
  const params = message.value['params'];
  const id = typeof params === 'object' && params !== null && 'requestId' in params ? params.requestId : undefined;
  return JSON.stringify(id ?? null);
}

/** What an answer says, apart from its id. */
function outcomeOf(text: string): string {
  const node = jsonTree(text);
  const outcome = memberOf(node, 'result') ?? memberOf(node, 'error');
  return outcome === undefined ? '' : canonicalOf(text, outcome);
}
