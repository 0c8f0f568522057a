import { readMessage } from '@shadowcat/wire';
import { libraryOf } from '../library.js';
import type { Tape } from '../records.js';
import type { NewDigest } from '../seal.js';
import { type ExportedTape, exportedTapes, sessionsOf } from './lane-names.js';
import { type ClientNotification, type LaneParts, laneSpans, notificationSpan } from './otlp-lane.js';
import { attributesJson, type SpanParts, spanJson } from './otlp-span.js';
import { type TapeExchange, tapeExchanges } from './tape-exchanges.js';
import { NO_TIME, timesOf } from './tape-times.js';

export interface OtlpOptions {
  readonly version: string;
  readonly newDigest: NewDigest;
}

/**
 * Tapes as traces in the JSON of OTLP, in pieces of text: a session is a trace, unless its requests say which they belong to,
 * and each request a span, with the attributes of OpenTelemetry's conventions for MCP. Ids are made of what the tape holds, so the same
 * tape gives the same traces. Each tape is a resource.
 */
export function* otlpOf(tapes: readonly Tape[], options: OtlpOptions): Generator<string> {
  const scope = { name: 'shadowcat', version: options.version };
  yield '{"resourceSpans":[';
  for (const [index, exported] of exportedTapes(tapes).entries()) {
    const { name, head } = exported.tape;
    const attributes = attributesJson({
      'service.name': 'shadowcat',
      'service.version': options.version,
      'shadowcat.tape.name': name,
      'shadowcat.tape.form': head.form,
    });
    yield `${index === 0 ? '' : ','}{"resource":${JSON.stringify({ attributes })},"scopeSpans":[{"scope":${JSON.stringify(scope)},"spans":[`;
    let separator = '\n';
    for (const span of spansOf(exported, options.newDigest)) {
      yield `${separator}${JSON.stringify(spanJson(span))}`;
      separator = ',\n';
    }
    yield '\n]}]}';
  }
  yield ']}\n';
}

function* spansOf({ tape, laneName }: ExportedTape, newDigest: NewDigest): Generator<SpanParts> {
  const times = timesOf(tape);
  const byLine = exchangesByLine(tape);
  const sessions = sessionsOf(tape);
  const lines = laneLines(tape);
  const identity = identityOf(tape);
  const notifications = notificationsOf(tape);
  const library = libraryOf([tape]);
  for (const lane of [library.sessionless, ...library.sessions]) {
    const parts: LaneParts = {
      lane,
      session: laneName(lane.name),
      about: sessions.get(lane.name),
      exchangeAt: (line) => byLine.get(line),
      // Viewers sort by time: without a clock a microsecond a line keeps the order, and says nothing else.
      micros: times.timed ? times.micros : (line) => NO_TIME + line,
      lines: lines.get(lane.name) ?? [1, 1],
      id: (text, digits) => {
        const digest = newDigest();
        digest.update(`${identity}\n`);
        return digest.with(text).slice(0, digits);
      },
      ownTraces: tape.head.form === 'capture',
    };
    yield* laneSpans(parts);
    for (const notification of notifications.get(lane.name) ?? []) yield notificationSpan(notification, parts);
  }
}

/** What clients sent that nobody answers, by lane. */
function notificationsOf(tape: Tape): ReadonlyMap<string, readonly ClientNotification[]> {
  const found = tape.records.flatMap((record) => {
    if (record.k !== 'msg' || record.from !== 'client') return [];
    const message = readMessage(record.text);
    if (message?.kind !== 'notification') return [];
    const { method = '', value } = message;
    return [{ s: record.s, line: record.line, method, value }];
  });
  return Map.groupBy(found, ({ s }) => s);
}

function exchangesByLine(tape: Tape): ReadonlyMap<number, TapeExchange> {
  const exchanges = tapeExchanges(tape);
  const lines = new Map<number, TapeExchange>();
  for (const exchange of exchanges) for (const { line } of exchange.sent) lines.set(line, exchange);
  return lines;
}

function laneLines(tape: Tape): ReadonlyMap<string, readonly [number, number]> {
  const lines = new Map<string, readonly [number, number]>();
  for (const record of tape.records) {
    if ('s' in record) lines.set(record.s, [lines.get(record.s)?.[0] ?? record.line, record.line]);
  }
  return lines;
}

/** What a tape's ids are made of: its digest, which no other tape has. */
const identityOf = ({ end, name }: Tape): string => end?.sha ?? name;
