import {
  BLAME,
  Body,
  type Clock,
  type ErrorCode,
  type Exchange,
  Frame,
  type Handler,
  type HeaderMap,
  type Log,
  opaqueFraming,
  ProxyError,
  type Reply,
  reply,
} from '@shadowcat/kernel';
import { type Call, callSlot, errorText, jsonReply, type Message, SESSION_HEADER, sseFraming } from '@shadowcat/wire';
import { canonicalOf } from './canonical.js';
import { jsonTree, memberOf } from './json-tree.js';
import { libraryOf } from './library.js';
import type { LiveSession, Play } from './live-session.js';
import { LiveSessions } from './live-sessions.js';
import { cutOff, type Miss, missError, missOf } from './miss.js';
import { type PlayParts, playRequest, playStream } from './play.js';
import { type Library, placeText, type Step } from './recording.js';
import type { Tape } from './records.js';
import type { Redactor } from './redact.js';
import { ReplayLedger, type ReplaySummary } from './replay-summary.js';
import { shapeOf } from './request-key.js';
import { isProgressOf, liveRequest, rewritten } from './rewrite.js';

export interface ReplayOptions {
  /** Whether recordings that nobody asked for are a failure. */
  readonly allUsed?: boolean;
  /** `exact`: retries (2026-07-28) have to bring the recorded answers. Default: any answers to the same questions. */
  readonly maxRung?: 'exact' | 'retry';
}

export interface ReplayComponents {
  /** The recording's own: live requests are redacted before they are compared. */
  readonly redactor: Redactor;
  readonly keyId: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes the ids by which the session layer finds sessions again. */
  readonly newId: () => string;
}

/** The handler, and what its owner does with it. */
export type Replay = Handler & {
  summary(): ReplaySummary;
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
  return Object.assign(handler, { summary: () => player.summary(), close: () => player.close() });
}

const encoder = new TextEncoder();
const SSE_HEADERS: HeaderMap = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

class Player {
  readonly #library: Library;
  readonly #options: ReplayOptions;
  readonly #components: ReplayComponents;
  readonly #ledger = new ReplayLedger();
  readonly #sessions: LiveSessions;
  readonly #parts: PlayParts;

  constructor(library: Library, options: ReplayOptions, components: ReplayComponents) {
    this.#library = library;
    this.#options = options;
    this.#components = components;
    this.#sessions = new LiveSessions(library, this.#ledger, components.newId);
    this.#parts = components;
  }

  answer(exchange: Exchange): Reply {
    const call = exchange.context.get(callSlot);
    if (call === undefined) throw new ProxyError('internal', 'the exchange was not classified');
    if (call.verb === 'stream') return this.#stream(exchange, call);
    if (call.verb === 'end') return this.#end(exchange, call);
    return this.#post(exchange, call);
  }

  summary(): ReplaySummary {
    return this.#ledger.summary(this.#library, this.#sessions.all, this.#options.allUsed ?? false);
  }

  close(): void {
    this.#sessions.close();
  }

  #post(exchange: Exchange, call: Call): Reply {
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
    if (call.batch) return this.#batch({ exchange, call, session, requests, headers });
    return this.#single({ exchange, call, session, message: only, headers });
  }

  #single(asked: {
    exchange: Exchange;
    call: Call;
    session: LiveSession;
    message: Message;
    headers: HeaderMap;
  }): Reply {
    const { exchange, call, session, message, headers } = asked;
    const special = this.#unrecorded(session, message);
    if (special !== undefined) return jsonReply(special.text, { status: special.status, headers });
    const served = this.#serve(session, message, call);
    const whole = this.#whole(served);
    if (whole !== undefined) return jsonReply(whole, { status: served.recording.status, headers });
    const { raw, status } = served.recording;
    if (raw !== undefined && served.recording.answer === undefined) {
      this.#settle(served);
      return rawReply(raw, status);
    }
    return this.#streamed(exchange, [served], { headers });
  }

  /** A batch (2025-03-26): each request by itself; one array when all answers are there, a stream otherwise. */
  #batch(asked: {
    exchange: Exchange;
    call: Call;
    session: LiveSession;
    requests: readonly Message[];
    headers: HeaderMap;
  }): Reply {
    const texts: string[] = [];
    const streamed: Play[] = [];
    for (const message of asked.requests) {
      const special = this.#unrecorded(asked.session, message);
      if (special !== undefined) {
        texts.push(special.text);
        continue;
      }
      try {
        const served = this.#serve(asked.session, message, asked.call);
        const whole = this.#whole(served);
        if (whole === undefined) streamed.push(served);
        else texts.push(whole);
      } catch (error) {
        texts.push(errorText(ProxyError.from(error), message.idText ?? null));
      }
    }
    if (streamed.length === 0) return jsonReply(`[${texts.join(',')}]`, { headers: asked.headers });
    return this.#streamed(asked.exchange, streamed, { headers: asked.headers, first: texts });
  }

  /** Answers that need no recording: `ping`, and a question about the newer era that the tapes know nothing of. */
  #unrecorded(session: LiveSession, message: Message): { text: string; status: number } | undefined {
    const { method, idText = 'null' } = message;
    const { recordings, methods } = session.lane;
    if (method !== undefined && methods.has(method)) return undefined;
    if (method === 'ping') return { text: `{"jsonrpc":"2.0","id":${idText},"result":{}}`, status: 200 };
    const legacyOnly = this.#library.sessions.length > 0 && recordings.every(({ modern }) => !modern);
    if (method !== 'server/discover' || !legacyOnly) return undefined;
    // What a server of the legacy era says: clients that try the newer era first then open a session.
    return {
      text: `{"jsonrpc":"2.0","id":${idText},"error":{"code":-32601,"message":"Method not found"}}`,
      status: 404,
    };
  }

  #serve(session: LiveSession, message: Message, call: Call): Play {
    const method = message.method ?? '';
    const shape = shapeOf(method, this.#components.redactor.json(message.text));
    const match = session.take(shape);
    if (match === undefined || (match.rung === 'retry' && this.#options.maxRung === 'exact')) {
      const { keyId } = this.#components;
      throw this.#miss(missOf(shape, { library: this.#library, session, modern: call.era === 'modern', keyId }));
    }
    const { recording } = match;
    if (match.rung === 'retry') this.#warn(`the client answered ${method} otherwise than recorded`, recording.place);
    const { exit } = recording;
    if (recording.answer === undefined && recording.raw === undefined) {
      if (exit === undefined || exit.end === 'open-at-end') throw this.#miss(cutOff(recording));
      if (exit.end === 'error' && exit.code !== undefined) {
        this.#ledger.served(recording);
        throw new ProxyError(codeOf(exit.code), exit.message ?? 'the recorded exchange ended with an error');
      }
    }
    this.#ledger.served(recording);
    return { recording, live: liveRequest(message), session, stopped: false };
  }

  #miss(miss: Miss): ProxyError {
    const line = miss.place === undefined ? undefined : placeText(miss.place);
    this.#ledger.missed({ method: miss.method, reason: miss.reason, line, message: miss.message });
    this.#components.log.warn({ reason: miss.reason, line }, miss.message);
    return missError(miss);
  }

  /** The answer when it is all there is to send, and nothing has to come before it. */
  #whole(served: Play): string | undefined {
    const { recording, live, session } = served;
    const { answer } = recording;
    if (answer === undefined || session.unanswered(answer).length > 0) return undefined;
    const silent = (step: Step): boolean =>
      step === answer || (live.progressToken === undefined && isProgressOf(step, recording));
    if (!recording.steps.every(silent)) return undefined;
    this.#settle(served);
    return rewritten(answer, served);
  }

  #settle(play: Play): void {
    play.session.release(play);
  }

  #streamed(
    exchange: Exchange,
    plays: readonly Play[],
    extra: { headers: HeaderMap; first?: readonly string[] },
  ): Reply {
    const { headers, first = [] } = extra;
    const parts = this.#parts;
    const stop = (): void => {
      for (const play of plays) play.session.stop(play);
    };
    for (const play of plays) play.session.plays.add(play);
    exchange.signal.addEventListener('abort', stop, { once: true });
    if (exchange.signal.aborted) stop();
    async function* frames(): AsyncGenerator<Frame, void, undefined> {
      for (const text of first) yield new Frame({ text });
      for (const play of plays) yield* playRequest(play, parts);
    }
    return reply(
      { status: 200, headers: { ...SSE_HEADERS, ...headers } },
      Body.fromFrames(frames(), sseFraming),
      () => {
        exchange.signal.removeEventListener('abort', stop);
        for (const play of plays) play.session.release(play);
      },
    );
  }

  #stream(exchange: Exchange, call: Call): Reply {
    const session = this.#sessions.of(exchange, call);
    const status = session.lane.streamStatus ?? 200;
    if (status >= 400) throw new ProxyError('method_not_allowed', 'the recorded server offered no stream (GET)');
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
    this.#warn(`the client answered ${asked.method ?? ''} otherwise than recorded`, asked.answer.place);
  }

  #warn(what: string, place: { file: string; line: number }): void {
    const message = `${what} (${placeText(place)})`;
    this.#ledger.warned(message);
    this.#components.log.warn({ line: placeText(place) }, message);
  }
}

function rawReply(raw: { text: string; contentType: string }, status: number): Reply {
  const headers: HeaderMap = raw.contentType === '' ? {} : { 'content-type': raw.contentType };
  return reply({ status, headers }, Body.whole(encoder.encode(raw.text), opaqueFraming));
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

function codeOf(code: string): ErrorCode {
  return Object.hasOwn(BLAME, code) ? (code as ErrorCode) : 'upstream_closed';
}
