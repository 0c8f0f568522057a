import {
  BLAME,
  Body,
  type ErrorCode,
  type Exchange,
  Frame,
  type HeaderMap,
  opaqueFraming,
  ProxyError,
  type Reply,
  reply,
} from '@shadowcat/kernel';
import { type Call, errorText, jsonReply, type Message, sessionSlot, sseFraming } from '@shadowcat/wire';
import { type Cut, cutSlot } from './cut-layer.js';
import { type Disruption, type Disruptions, disrupted } from './disruptions.js';
import type { LiveSession, Match, Play } from './live-session.js';
import type { Matcher } from './matcher.js';
import { type FaultRule, isFor, type Overlay } from './overlay.js';
import { pauseBefore } from './pace.js';
import { type PlayParts, pause, playRequest, staysOpen, waiting } from './play.js';
import { placeText, type Recording, type Step } from './recording.js';
import type { ExchangeEnd } from './records.js';
import type { ReplayLedger } from './replay-summary.js';
import type { RequestShape } from './request-key.js';
import { isProgressOf, liveRequest, rewrittenAnswer } from './rewrite.js';

export const SSE_HEADERS: HeaderMap = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

export interface AnsweringParts extends PlayParts {
  readonly matcher: Matcher;
  readonly ledger: ReplayLedger;
  readonly disruptions: Disruptions;
  readonly overlay: Overlay;
  /** Whether clients that were cut find their streams again (legacy, over HTTP). */
  readonly resumable: boolean;
  /** Forgets a session, so that the client has to open another. */
  readonly lose: (session: LiveSession) => void;
  /** A client did not get the session that it opened: the recorded one is there for the next client. */
  readonly unopened: (session: LiveSession) => void;
}

/** One request, or a batch, and whom it is from. */
export interface Asked {
  readonly exchange: Exchange;
  readonly call: Call;
  readonly session: LiveSession;
  /** Of the reply. */
  readonly headers: HeaderMap;
}

/** A fault instead of an answer. */
type Refusal = { readonly text: string; readonly broken: boolean };

/** The revision whose clients come back to a stream that ended early (2025-11-25, Transports). */
const POLLING_SINCE = '2025-11-25';
const POLL_MS = 500;
const encoder = new TextEncoder();

/** Answers requests from their recordings, with what the overlay does to them. */
export class Answering {
  readonly #parts: AnsweringParts;

  constructor(parts: AnsweringParts) {
    this.#parts = parts;
  }

  /** Rejects with `replay_miss`, with the recorded error of the proxy's own, or with the overlay's fault. */
  async single(asked: Asked, message: Message): Promise<Reply> {
    const { exchange, call, session, headers } = asked;
    const found = this.#find(session, message, call);
    const { fault, delayMs } = found.disruption;
    if (fault !== undefined && isInstead(fault)) {
      await this.#wait(delayMs, session, exchange.signal);
      const opening = message.method === 'initialize';
      if (opening) {
        this.#parts.unopened(session);
        this.#parts.lose(session);
      }
      const { text, broken } = this.#refuse(fault, session, message);
      return broken ? textReply(text, 'application/json') : jsonReply(text, { headers: opening ? {} : headers });
    }
    const play = this.#serve(found, session, message);
    const whole = play.recording.streamed ? undefined : wholeOf(play);
    this.#cut(asked, { found, play, streamed: whole === undefined });
    if (whole !== undefined) {
      await this.#wait(delayMs + this.#pauses(play), session, exchange.signal);
      session.release(play);
      return jsonReply(rewrittenAnswer(whole, play), { status: play.recording.status, headers });
    }
    const { raw, status, answer } = play.recording;
    if (raw !== undefined && answer === undefined && !play.hold) {
      await this.#wait(delayMs, session, exchange.signal);
      session.release(play);
      return textReply(raw.text, raw.contentType, status);
    }
    if (play.recording.polled && fault === undefined) this.#poll(asked, play);
    return this.#streamed(exchange, [play], { headers });
  }

  /** A batch (2025-03-26): each request by itself; one array when all answers are there, a stream otherwise. */
  batch(asked: Asked, messages: readonly { readonly message: Message; readonly text: string | undefined }[]): Reply {
    const texts: string[] = [];
    const streamed: Play[] = [];
    for (const { message, text } of messages) {
      try {
        const answer = text ?? this.#inBatch(asked, message);
        if (typeof answer === 'string') texts.push(answer);
        else streamed.push(answer);
      } catch (error) {
        texts.push(errorText(ProxyError.from(error), message.idText ?? null));
      }
    }
    if (streamed.length === 0) return jsonReply(`[${texts.join(',')}]`, { headers: asked.headers });
    return this.#streamed(asked.exchange, streamed, { headers: asked.headers, first: texts });
  }

  #inBatch(asked: Asked, message: Message): string | Play {
    const { session, call } = asked;
    const found = this.#find(session, message, call);
    const { fault, delayMs } = found.disruption;
    if (fault !== undefined && isInstead(fault)) {
      const { text, broken } = this.#refuse(fault, session, message);
      if (broken) throw new ProxyError('upstream_protocol', `the answer is malformed, as ${fault.where} wants it`);
      return text;
    }
    const play = this.#serve(found, session, message);
    const whole = play.recording.streamed ? undefined : wholeOf(play);
    this.#cut(asked, { found, play, streamed: whole === undefined });
    if (whole === undefined || delayMs + this.#pauses(play) > 0) return play;
    session.release(play);
    return rewrittenAnswer(whole, play);
  }

  #find(session: LiveSession, message: Message, call: Call): Found {
    const { matcher, ledger, disruptions } = this.#parts;
    const shape = matcher.shape(message);
    ledger.asked(shape);
    const match = matcher.find(session, shape, call.era === 'modern');
    return { shape, match, disruption: disruptions.next(shape) };
  }

  #serve({ shape, match, disruption }: Found, session: LiveSession, message: Message): Play {
    const { matcher, overlay, disruptions } = this.#parts;
    const { recording } = match;
    const { fault, delayMs } = disruption;
    const hangs = fault?.fault === 'hang';
    const steps = hangs ? [] : disrupted(recording.steps, fault);
    if (steps !== recording.steps) disruptions.deal();
    // Of what hangs the client has had nothing: when it asks again, the recording is still there.
    if (hangs) {
      if (shape.method === 'initialize') this.#parts.unopened(session);
    } else {
      matcher.serve(session, shape, match);
      this.#remind(session, recording);
    }
    const error = errorOf(recording);
    // A stream that had begun has the error as its last message.
    if (error !== undefined && !recording.streamed && recording.steps.length === 0 && !hangs) throw error;
    const answerDropped = recording.answer !== undefined && !steps.includes(recording.answer);
    return {
      recording,
      session,
      live: liveRequest(message),
      steps,
      delayMs,
      hold: hangs || answerDropped || staysOpen(recording),
      error: hangs ? undefined : error,
      replace: overlay.replace.filter((rule) => isFor(rule, shape)),
      stopped: false,
    };
  }

  #refuse(fault: FaultRule, session: LiveSession, message: Message): Refusal {
    const { idText = 'null' } = message;
    this.#parts.disruptions.deal();
    switch (fault.fault) {
      case 'lost-session':
        this.#parts.lose(session);
        throw new ProxyError('session_not_found', `the session is lost, as ${fault.where} wants it`);
      case 'rate-limit':
        throw new ProxyError('rate_limited', `too many requests, as ${fault.where} wants it`, {
          retryAfter: Math.max(1, Math.ceil((fault.retryMs ?? 1000) / 1000)),
        });
      case 'malformed':
        return { text: `{"jsonrpc":"2.0","id":${idText},"result":{"content":[{"type":"te`, broken: true };
      default: {
        const { code = -32603, message: text = `an error, as ${fault.where} wants it` } = fault;
        return {
          text: `{"jsonrpc":"2.0","id":${idText},"error":{"code":${code},"message":${JSON.stringify(text)}}}`,
          broken: false,
        };
      }
    }
  }

  /** Marks where the connection of the answer ends. A client that cannot come back for the rest may ask again. */
  #cut(asked: Asked, about: { found: Found; play: Play; streamed: boolean }): void {
    const { found, play, streamed } = about;
    const { fault } = found.disruption;
    if (fault?.fault !== 'disconnect' && fault?.fault !== 'close') return;
    if (fault.event > messagesOf(play)) return;
    this.#parts.disruptions.deal();
    const how = fault.fault === 'close' ? 'close' : 'reset';
    const cut: Cut = { before: fault.event, how, retryMs: fault.retryMs ?? POLL_MS, where: fault.where };
    asked.exchange.context.set(cutSlot, cut);
    // Older clients are not primed: cut before the first message, they have no id to come back with.
    const since = asked.exchange.context.get(sessionSlot)?.protocolVersion ?? '';
    const primed = since >= POLLING_SINCE || fault.event > 1;
    if (streamed && primed && this.#comesBack(asked.exchange)) return;
    asked.session.giveBack(found.match);
    if (found.shape.method === 'initialize') this.#parts.unopened(asked.session);
  }

  /** The recorded server closed the stream and had its client come back for the answer. */
  #poll({ exchange }: Asked, { recording, live }: Play): void {
    const since = exchange.context.get(sessionSlot)?.protocolVersion ?? '';
    if (!this.#comesBack(exchange) || since < POLLING_SINCE) return;
    const sent = recording.steps.filter(
      (step) => step !== recording.answer && (live.progressToken !== undefined || !isProgressOf(step, recording)),
    );
    const cut: Cut = { before: sent.length + 1, how: 'close', retryMs: POLL_MS, where: 'the tape' };
    exchange.context.set(cutSlot, cut);
  }

  #comesBack(exchange: Exchange): boolean {
    return this.#parts.resumable && exchange.context.get(sessionSlot) !== undefined;
  }

  /** Input was asked for (2026-07-28): says so when the retry that brings it does not come. */
  #remind(session: LiveSession, { next, answer, method }: Recording): void {
    if (next === undefined || answer === undefined || session.used.has(next)) return;
    const { log } = this.#parts;
    const line = placeText(answer.place);
    const remind = (): void => log.warn({ line }, `replay waits for the client's retry of ${method} (${line})`);
    session.remind(next, waiting(this.#parts, remind));
  }

  /** Milliseconds that the tape's clock lets pass before an answer that is all there is. */
  #pauses({ steps }: Play): number {
    return steps.reduce((sum, step) => sum + pauseBefore(step, this.#parts.time), 0);
  }

  async #wait(ms: number, session: LiveSession, signal: AbortSignal): Promise<void> {
    if (ms <= 0) return;
    const wake = (): void => session.wake();
    const over = (): boolean => signal.aborted || session.closed;
    signal.addEventListener('abort', wake, { once: true });
    try {
      await pause(ms, { session, clock: this.#parts.clock, over });
    } finally {
      signal.removeEventListener('abort', wake);
    }
    if (signal.aborted) throw new ProxyError('cancelled', 'the client went before its answer was due');
  }

  #streamed(
    exchange: Exchange,
    plays: readonly Play[],
    extra: { readonly headers: HeaderMap; readonly first?: readonly string[] },
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
}

/** What a request was matched with, and what becomes of it. */
interface Found {
  readonly shape: RequestShape;
  readonly match: Match;
  readonly disruption: Disruption;
}

/** Faults that come instead of the answer. */
function isInstead({ fault }: FaultRule): boolean {
  return fault === 'error' || fault === 'malformed' || fault === 'lost-session' || fault === 'rate-limit';
}

/** The answer, when it is all there is to send, and nothing has to come before it. */
function wholeOf({ recording, steps, live, session, hold }: Play): Step | undefined {
  const { answer } = recording;
  if (hold || answer === undefined || !steps.includes(answer) || session.unanswered(answer).length > 0)
    return undefined;
  const silent = steps.every((step) => step === answer || isLeftOut(step, recording, live.progressToken));
  return silent ? answer : undefined;
}

/** How many messages will be sent, the answer included; a reply that is none counts as one. */
function messagesOf({ recording, steps, live }: Play): number {
  const sent = steps.filter((step) => !isLeftOut(step, recording, live.progressToken)).length;
  return recording.raw === undefined ? sent : Math.max(1, sent);
}

function isLeftOut(step: Step, recording: Recording, progressToken: string | undefined): boolean {
  return progressToken === undefined && isProgressOf(step, recording);
}

function textReply(text: string, contentType: string, status = 200): Reply {
  const headers: HeaderMap = contentType === '' ? {} : { 'content-type': contentType };
  return reply({ status, headers }, Body.whole(encoder.encode(text), opaqueFraming));
}

/** The proxy's own error that the recorded client got. */
function errorOf({ answer, raw, exit }: Recording): ProxyError | undefined {
  if (answer !== undefined || raw !== undefined || exit?.code === undefined) return undefined;
  return new ProxyError(codeOf(exit.code), exit.message ?? TOLD[exit.end] ?? TOLD.error);
}

/** What the client is told where the tape has no message. */
const TOLD: Readonly<Partial<Record<ExchangeEnd, string>> & { error: string }> = {
  reset: 'the connection of the server broke before it answered',
  'closed-by-server': 'the server ended its stream before it answered',
  error: 'the recorded exchange ended with an error',
};

function codeOf(code: string): ErrorCode {
  return Object.hasOwn(BLAME, code) ? (code as ErrorCode) : 'upstream_closed';
}
