import type { Log, ProxyError } from '@shadowcat/kernel';
import { type Message, textAt } from '@shadowcat/wire';
import type { GivenAnswers } from './given.js';
import type { Ladder } from './ladder.js';
import type { LiveSession, Match } from './live-session.js';
import { cutOff, type Miss, missError, missOf, outOfOrder } from './miss.js';
import { selectorText } from './overlay.js';
import { type Library, placeText } from './recording.js';
import type { Redactor } from './redact.js';
import type { ReplayLedger } from './replay-summary.js';
import { type RequestShape, shapeOf } from './request-key.js';

export interface MatcherParts {
  readonly library: Library;
  readonly ladder: Ladder;
  readonly given: GivenAnswers;
  readonly ledger: ReplayLedger;
  readonly redactor: Redactor;
  /** Fingerprint of the key that redacts live requests. */
  readonly keyId: string;
  readonly log: Log;
}

/** Finds the recording that answers a live request, or says why there is none. */
export class Matcher {
  readonly #parts: MatcherParts;

  constructor(parts: MatcherParts) {
    this.#parts = parts;
  }

  /** What is compared of a live request: redacted as the tape is. */
  shape(message: Message): RequestShape {
    const text = this.#parts.redactor.json(message.text);
    if (text === message.text) return shapeOf(message.method ?? '', text);
    // A secret in the name of a method is not on the tape either.
    const method: unknown = JSON.parse(textAt(text, ['method']) ?? '""');
    return shapeOf(String(method), text);
  }

  /** Whether a tape has the answer. */
  has(session: LiveSession, shape: RequestShape): boolean {
    const match = session.find(shape, this.#parts.ladder);
    return match !== undefined && unservable(match, session) === undefined;
  }

  /** Throws `replay_miss`. `modern`: whether the request is of 2026-07-28. */
  find(session: LiveSession, shape: RequestShape, modern: boolean): Match {
    const { library, ladder, given, keyId } = this.#parts;
    const match = session.find(shape, ladder);
    const useless = match && unservable(match, session);
    if (match !== undefined && useless === undefined) return match;
    const own = ladder.allows('rule') ? given.for(shape) : undefined;
    if (own !== undefined) return { recording: own, rung: 'rule', otherAnswers: false, given: true };
    throw this.#miss(useless ?? missOf(shape, { library, session, modern, keyId, ladder }));
  }

  /** The match counts: its recording is served. */
  serve(session: LiveSession, shape: RequestShape, match: Match): void {
    const { ladder, ledger, log } = this.#parts;
    const { recording, rung, otherAnswers } = match;
    session.use(match);
    ladder.capture(recording, shape, session.bindings);
    if (match.given === true) ledger.gave();
    else ledger.served(recording, rung);
    const line = placeText(recording.place);
    const what = selectorText({
      method: recording.method,
      ...(recording.target === undefined ? {} : { target: recording.target }),
    });
    if (rung === 'exact') log.debug({ line, rung }, `${what} is answered from ${line} (${rung})`);
    else log.info({ line, rung }, `${what} is answered from ${line} (${rung})`);
    if (otherAnswers) this.warn(`the client answered ${recording.method} otherwise than recorded`, recording.place);
  }

  warn(what: string, place: { file: string; line: number }): void {
    const { ledger, log } = this.#parts;
    ledger.warned(what, place);
    log.warn({ line: placeText(place) }, `${what} (${placeText(place)})`);
  }

  #miss(miss: Miss): ProxyError {
    const { ledger, log } = this.#parts;
    ledger.missed(miss);
    const line = miss.place === undefined ? undefined : placeText(miss.place);
    log.warn({ reason: miss.reason, line }, miss.message);
    return missError(miss);
  }
}

/** Why a recording cannot be served although it is what was asked for. */
function unservable({ recording }: Match, session: LiveSession): Miss | undefined {
  const { answer, raw, exit, previous } = recording;
  if (previous !== undefined && !session.used.has(previous)) return outOfOrder(recording, previous);
  const silent = answer === undefined && raw === undefined;
  return silent && (exit === undefined || exit.end === 'open-at-end') ? cutOff(recording) : undefined;
}
