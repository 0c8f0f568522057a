import { Frame } from '@shadowcat/kernel';
import { readMessage, SESSION_HEADER, sseBytes } from '@shadowcat/wire';
import { type HttpRecord, type MsgRecord, NO_SESSION, type SseRecord, type Tape, type TextRecord } from '../records.js';
import { queryOf } from '../url-query.js';
import { type ExportedTape, exportedTapes, laneTitle, sessionsOf } from './lane-names.js';
import { type TapeExchange, tapeExchanges } from './tape-exchanges.js';
import { instantText, type TapeTimes, timesOf } from './tape-times.js';

/** Where the requests of a tape went, which knows the path only: the proxy. */
const ORIGIN = 'http://localhost';
const DEFAULT_TARGET = '/mcp';
const JSON_TYPE = 'application/json';
const SSE_TYPE = 'text/event-stream';
/** What a client of Streamable HTTP sends, where the tape has no head. */
const DEFAULT_HEADERS = { 'content-type': JSON_TYPE, accept: `${JSON_TYPE}, ${SSE_TYPE}` };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Tapes as one HTTP Archive (HAR 1.2), in pieces of text: each exchange is an entry, each session a page. What HAR does not
 * know stands in members `_mcp`. Session ids are the names of the lanes, since no tape has the real ones.
 */
export function* harOf(tapes: readonly Tape[], options: { readonly version: string }): Generator<string> {
  const exported = exportedTapes(tapes);
  const creator = { name: 'shadowcat', version: options.version };
  const pages = exported.flatMap(pagesOf).map((page) => JSON.stringify(page));
  yield `{"log":{"version":"1.2","creator":${JSON.stringify(creator)},"pages":[${pages.join(',')}],"entries":[`;
  let separator = '\n';
  for (const { tape, laneName } of exported) {
    const times = timesOf(tape);
    for (const exchange of tapeExchanges(tape)) {
      yield `${separator}${JSON.stringify(entryOf(exchange, { tape, times, session: laneName(exchange.s) }))}`;
      separator = ',\n';
    }
  }
  yield '\n]}}\n';
}

function pagesOf({ tape, laneName }: ExportedTape): object[] {
  const times = timesOf(tape);
  const sessions = sessionsOf(tape);
  const lanes = new Map<string, number>();
  for (const { s, line } of tapeExchanges(tape)) if (!lanes.has(s)) lanes.set(s, line);
  return [...lanes].map(([s, line]) => ({
    startedDateTime: instantText(times.micros(line)),
    id: laneName(s),
    title: laneTitle(s, laneName(s), sessions.get(s)),
    pageTimings: {},
    _mcp: { tape: tape.name, era: sessions.get(s)?.era, version: sessions.get(s)?.version },
  }));
}

interface EntryContext {
  readonly tape: Tape;
  readonly times: TapeTimes;
  readonly session: string;
}

function entryOf(exchange: TapeExchange, context: EntryContext): object {
  const { times, session, tape } = context;
  const { s, x, line, exit, reply } = exchange;
  const lane = s === NO_SESSION ? undefined : session;
  const timings = timingsOf(exchange, times);
  return {
    pageref: session,
    startedDateTime: instantText(times.micros(line)),
    time: thousandths(timings.send + timings.wait + timings.receive),
    request: requestOf(exchange, lane),
    response: responseOf(exchange, lane),
    cache: {},
    timings,
    _mcp: {
      tape: tape.name,
      line,
      session,
      exchange: x,
      end: exit?.end,
      code: exit?.code,
      message: exit?.message,
      upstream: reply?.upstream,
      events: eventTimes(exchange, times),
    },
  };
}

/** Of a stream: milliseconds from the beginning of the entry to each event of it. */
function eventTimes(exchange: TapeExchange, times: TapeTimes): readonly number[] | undefined {
  if (!times.timed || !isStream(exchange)) return undefined;
  const start = times.micros(exchange.line);
  return exchange.received.map(({ line }) => Math.max(0, times.micros(line) - start) / 1000);
}

/** In milliseconds: the request, waiting for the first of the answer, the rest of it. */
function timingsOf(exchange: TapeExchange, { micros }: TapeTimes) {
  const { line, last, request, sent, reply, received } = exchange;
  const end = micros(last);
  const begun = micros(sent.at(-1)?.line ?? request?.line ?? line);
  const answered = micros(reply?.line ?? received[0]?.line ?? last);
  const between = (from: number, to: number): number => thousandths(Math.max(0, to - from) / 1000);
  return {
    send: between(micros(line), begun),
    wait: between(begun, answered),
    receive: between(answered, end),
  };
}

const thousandths = (ms: number): number => Math.round(ms * 1000) / 1000;

function requestOf({ request, sent }: TapeExchange, session: string | undefined): object {
  const url = urlOf(request?.target ?? DEFAULT_TARGET);
  const headers = headersOf(request?.headers ?? (sent.length > 0 ? DEFAULT_HEADERS : {}));
  if (session !== undefined && !sent.some(isInitialize)) headers.push({ name: SESSION_HEADER, value: session });
  const text = sent.length === 0 ? undefined : bodyOf(sent);
  const mimeType = request?.headers['content-type'] ?? JSON_TYPE;
  return {
    method: request?.method ?? 'POST',
    url: url.href,
    httpVersion: 'HTTP/1.1',
    cookies: [],
    headers,
    queryString: queryOf(url.search),
    ...(text === undefined ? {} : { postData: { mimeType, text } }),
    headersSize: -1,
    bodySize: text === undefined ? 0 : encoder.encode(text).length,
  };
}

function responseOf(exchange: TapeExchange, session: string | undefined): object {
  const { sent, reply, received, exit } = exchange;
  const stream = isStream(exchange);
  const text = stream ? received.map(eventText).join('') : bodyOf(received);
  const size = encoder.encode(text).length;
  const headers = headersOf(reply?.headers ?? {});
  if (session !== undefined && received.length > 0 && sent.some(isInitialize))
    headers.push({ name: SESSION_HEADER, value: session });
  const answered = reply !== undefined || received.length > 0 || exit?.end === 'answered';
  const inferred = stream ? SSE_TYPE : text === '' ? 'x-unknown' : JSON_TYPE;
  return {
    // Browsers write status 0 and `_error` for what was never answered.
    status: reply?.status ?? (received.length > 0 ? 200 : answered ? 202 : 0),
    statusText: '',
    httpVersion: 'HTTP/1.1',
    cookies: [],
    headers,
    content: { size, mimeType: reply?.headers['content-type'] ?? inferred, text },
    redirectURL: '',
    headersSize: -1,
    bodySize: answered ? size : -1,
    ...(answered ? {} : { _error: exit?.code ?? exit?.end ?? 'cut off' }),
  };
}

/** Whether the answer is a stream of events: its head says so, or, without a head, it is not just the response. */
function isStream({ reply, received }: TapeExchange): boolean {
  const type = reply?.headers['content-type'];
  if (type !== undefined) return type.startsWith(SSE_TYPE);
  const [first, ...rest] = received;
  if (first === undefined || reply !== undefined) return false;
  if (first.k === 'sse' || (first.k === 'msg' && first.sse !== undefined)) return true;
  if (first.k !== 'msg') return false;
  return readMessage(first.text)?.kind !== 'response' || (rest.length > 0 && first.batch !== true);
}

function eventText(record: MsgRecord | SseRecord | TextRecord): string {
  const text = record.k === 'sse' ? null : record.text;
  const sse = 'sse' in record ? record.sse : undefined;
  return decoder.decode(sseBytes(new Frame(sse === undefined ? { text } : { text, sse })));
}

/** A body of JSON: one message, or a batch; what is no JSON-RPC as it is. */
function bodyOf(records: readonly (MsgRecord | SseRecord | TextRecord)[]): string {
  const parts = records.flatMap((record) => (record.k === 'sse' ? [] : [record.text]));
  const [only] = parts;
  const batch = records.some((record) => record.k === 'msg' && record.batch === true);
  if (batch) return `[${parts.join(',')}]`;
  return parts.length === 1 && only !== undefined ? only : parts.join('\n');
}

function isInitialize(record: MsgRecord | TextRecord): boolean {
  return record.k === 'msg' && readMessage(record.text)?.method === 'initialize';
}

/** The session's is put in where it belongs; no tape has a real one, unless somebody wrote it by hand. */
function headersOf(headers: HttpRecord['headers']): { name: string; value: string }[] {
  return Object.entries(headers).flatMap(([name, value]) => (name === SESSION_HEADER ? [] : [{ name, value }]));
}

/** The target's URL at the proxy, whatever the target is. */
function urlOf(target: string): URL {
  const url = `${ORIGIN}${target.startsWith('/') ? '' : '/'}${target}`;
  return new URL(URL.canParse(url) ? url : ORIGIN);
}
