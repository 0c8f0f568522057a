import type { Log, ProxyError } from '@shadowcat/kernel';
import { type Message, textAt } from '@shadowcat/wire';
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

  /** Throws `replay_miss`. `modern`: whether the request is of 2026-07-28. */
  find(session: LiveSession, shape: RequestShape, modern: boolean): Match {
    const { library, ladder, keyId } = this.#parts;
    const match = session.find(shape, ladder);
    if (match === undefined) throw this.#miss(missOf(shape, { library, session, modern, keyId, ladder }));
    const { recording } = match;
    const { exit, previous } = recording;
    if (previous !== undefined && !session.used.has(previous)) throw this.#miss(outOfOrder(recording, previous));
    const silent = recording.answer === undefined && recording.raw === undefined;
    if (silent && (exit === undefined || exit.end === 'open-at-end')) throw this.#miss(cutOff(recording));
    return match;
  }

  /** The match counts: its recording is served. */
  serve(session: LiveSession, shape: RequestShape, match: Match): void {
    const { ladder, ledger, log } = this.#parts;
    const { recording, rung, otherAnswers } = match;
    session.use(recording);
    ladder.capture(recording, shape, session.bindings);
    ledger.served(recording, rung);
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
