import { META_VERSION, type Message, readMessage, spanOf } from '@shadowcat/wire';
import { Causes } from './causes.js';
import { Legs } from './legs.js';
import type { ClientNotice, Library, Place, RecordedLane, Recording, Step } from './recording.js';
import {
  type HttpRecord,
  type MsgRecord,
  NO_SESSION,
  type SessRecord,
  type SseRecord,
  type Tape,
  type TapeRecord,
} from './records.js';
import { retryKey, shapeOf } from './request-key.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Draft = Mutable<Omit<Recording, 'steps'>> & { steps: Step[]; at: number };

/** An exchange while its records are read. */
interface OpenExchange {
  readonly recordings: Draft[];
  stream: boolean;
  status: number;
  contentType: string;
  retryMs: number | undefined;
  /** The order of the first message of the body, when that is a batch. */
  batch: number | undefined;
}

/** Before its head is read; of traffic that has none, all there is. */
const openExchange = (): OpenExchange => ({
  recordings: [],
  stream: false,
  status: 200,
  contentType: '',
  retryMs: undefined,
  batch: undefined,
});

/** Reads tapes into lanes that can be served. The lanes without a session of all tapes become one. */
export function libraryOf(tapes: readonly Tape[]): Library {
  const sessions: LaneBuilder[] = [];
  const sessionless = new LaneBuilder(NO_SESSION, tapes[0]?.name ?? '');
  const keyIds = new Set<string>();
  let timed = false;
  for (const tape of tapes) {
    let now = 0;
    const lanes = new Map<string, LaneBuilder>([[NO_SESSION, sessionless]]);
    const truncated = tape.end === undefined || tape.end.recovered === true;
    if (tape.head.redaction?.key !== undefined) keyIds.add(tape.head.redaction.key);
    sessionless.begin(tape.name, truncated);
    for (const record of tape.records) {
      now += (record.t ?? 0) / 1000;
      timed ||= record.t !== undefined;
      const name = 's' in record ? record.s : undefined;
      if (name === undefined) continue;
      let lane = lanes.get(name);
      if (lane === undefined) {
        lane = new LaneBuilder(name, tape.name);
        lane.begin(tape.name, truncated);
        lanes.set(name, lane);
        sessions.push(lane);
      }
      lane.add(record, now);
    }
  }
  return { sessions: sessions.map((lane) => lane.lane()), sessionless: sessionless.lane(), keyIds, timed };
}

function isEvents({ contentType }: OpenExchange): boolean {
  return contentType.startsWith('text/event-stream');
}

/** What a message came after. */
interface After {
  readonly after?: readonly number[];
  readonly awaits?: readonly Step[];
  /** When what was right before it happened, in milliseconds. */
  readonly since: number;
}

/** Of the answers that a message came after, so many count: what came before it waited for the older ones. */
const MAX_AWAITED = 50;

/** A request of the server's. */
interface Question {
  readonly step: Step;
  /** Whether it came on a standing stream. */
  readonly stream: boolean;
  /** The request that waits for the answer. */
  readonly during: Draft | undefined;
}

/** A client message that can have caused something. */
interface Cause {
  readonly order: number;
  readonly at: number;
  readonly recording?: Draft;
}

/** Reads the records of one lane, in order. */
class LaneBuilder {
  readonly #name: string;
  #file: string;
  #truncated = false;
  #order = 0;
  readonly #recordings: Draft[] = [];
  readonly #notices: ClientNotice[] = [];
  readonly #stream: Step[] = [];
  readonly #changes: Step[] = [];
  readonly #exchanges = new Map<string, OpenExchange>();
  /** Requests of the server's that nobody has answered, newest last, by id: what a client's answer belongs to. */
  readonly #asked = new Map<string | undefined, Question[]>();
  /** Those that were answered, by what goes on because of it: the newest of them. */
  readonly #answered = new Map<Draft | 'streams', Step[]>();
  /** Requests without an answer or an end, subscriptions apart. */
  readonly #open = new Set<Draft>();
  readonly #legs = new Legs<Draft>();
  /** When this record was made, and when the one before on the standing stream: milliseconds. */
  #now = 0;
  #streamed = 0;
  #streamStatus: number | undefined;
  #streamRetryMs: number | undefined;
  readonly #causes = new Causes<Cause>();

  constructor(name: string, file: string) {
    this.#name = name;
    this.#file = file;
  }

  /** The records that follow are of this file; names of exchanges begin anew. */
  begin(file: string, truncated: boolean): void {
    this.#file = file;
    this.#truncated ||= truncated;
    this.#exchanges.clear();
  }

  /** `now`: milliseconds since the beginning of the tape. */
  add(record: TapeRecord, now: number): void {
    this.#now = now;
    switch (record.k) {
      case 'http':
        this.#http(record);
        break;
      case 'msg':
        this.#message(record);
        break;
      case 'sess':
        this.#session(record);
        break;
      case 'sse':
        this.#event(record);
        return;
      case 'raw':
        if (record.x !== undefined && record.from === 'server') this.#raw(record.x, record.text);
        return;
      case 'x-':
        for (const recording of this.#exchange(record.x).recordings) {
          const { end, code, message } = record;
          this.#open.delete(recording);
          recording.exit = {
            end,
            ...(code === undefined ? {} : { code }),
            ...(message === undefined ? {} : { message }),
          };
        }
        return;
      default:
        return;
    }
  }

  lane(): RecordedLane {
    const byKey = new Map<string, Recording[]>();
    for (const recording of this.#recordings) {
      const same = byKey.get(recording.key);
      if (same === undefined) byKey.set(recording.key, [recording]);
      else same.push(recording);
    }
    return {
      name: this.#name,
      file: this.#file,
      recordings: this.#recordings,
      byKey,
      methods: new Set(this.#recordings.map(({ method }) => method)),
      notices: Map.groupBy(this.#notices, ({ method }) => method),
      stream: this.#stream,
      streamStatus: this.#streamStatus,
      streamRetryMs: this.#streamRetryMs,
      changes: this.#changes,
      truncated: this.#truncated,
    };
  }

  #exchange(x: string): OpenExchange {
    let exchange = this.#exchanges.get(x);
    if (exchange === undefined) {
      exchange = openExchange();
      this.#exchanges.set(x, exchange);
    }
    return exchange;
  }

  #http(record: HttpRecord): void {
    const exchange = this.#exchange(record.x);
    if (record.from === 'client') {
      exchange.stream = record.method === 'GET';
      return;
    }
    exchange.status = record.status ?? 200;
    exchange.contentType = record.headers['content-type'] ?? '';
    if (exchange.stream) this.#streamStatus = Math.min(this.#streamStatus ?? exchange.status, exchange.status);
    for (const recording of exchange.recordings) {
      recording.status = exchange.status;
      recording.streamed = isEvents(exchange);
    }
  }

  /** An event without a message: of what it says, when to come back is for every client. */
  #event({ x, sse: { retry } }: SseRecord): void {
    if (retry === undefined) return;
    const exchange = this.#exchange(x);
    exchange.retryMs ??= retry;
    if (exchange.stream) this.#streamRetryMs ??= retry;
    for (const recording of exchange.recordings) recording.retryMs ??= retry;
  }

  #session(record: SessRecord): void {
    if (record.resumed !== true || record.result === undefined) return;
    // The session was opened before the recording began: its opening is made from what the recorder was told.
    const place = { file: this.#file, line: record.line };
    const request = readMessage('{"jsonrpc":"2.0","id":0,"method":"initialize"}');
    const answer = readMessage(`{"jsonrpc":"2.0","id":0,"result":${JSON.stringify(record.result)}}`);
    if (request === undefined || answer === undefined) return;
    const recording = this.#request(request, openExchange(), place);
    this.#respond(recording, this.#step(answer, place, { since: this.#now }));
    recording.exit = { end: 'answered' };
  }

  #raw(x: string, text: string): void {
    const { recordings, contentType } = this.#exchange(x);
    for (const recording of recordings) recording.raw ??= { text, contentType };
  }

  #message(record: MsgRecord): void {
    const message = readMessage(record.text);
    if (message === undefined) return;
    const place = { file: this.#file, line: record.line };
    this.#order += 1;
    const exchange = this.#exchange(record.x);
    if (record.from === 'client' && record.batch === true) exchange.batch ??= this.#order;
    if (record.from === 'client') this.#fromClient(message, exchange, place);
    else this.#fromServer(message, exchange, place);
  }

  #fromClient(message: Message, exchange: OpenExchange, place: Place): void {
    if (message.kind === 'response') {
      const asked = this.#asked.get(message.idText)?.pop();
      if (asked === undefined) return;
      asked.step.answer = { text: message.text, place, order: this.#order, at: this.#now };
      if (asked.stream) this.#goesOn('streams', asked.step);
      if (asked.during !== undefined) this.#goesOn(asked.during, asked.step);
      return;
    }
    const method = message.method ?? '';
    const recording = message.kind === 'request' ? this.#request(message, exchange, place) : undefined;
    if (recording === undefined)
      this.#notices.push({ method, order: this.#order, text: message.text, batch: exchange.batch });
    const cause = { order: this.#order, at: this.#now };
    this.#causes.sent(method, recording === undefined ? cause : { ...cause, recording });
  }

  #request(message: Message, exchange: OpenExchange, place: Place): Draft {
    const method = message.method ?? '';
    const shape = shapeOf(method, message.text);
    const token = spanOf(message.text, ['params', '_meta', 'progressToken']);
    const recording: Draft = {
      method,
      target: shape.target,
      key: shape.key,
      retryKey: retryKey(shape),
      message,
      progressToken: token && message.text.slice(token.start, token.end),
      modern: spanOf(message.text, ['params', '_meta', META_VERSION]) !== undefined,
      place,
      order: this.#order,
      batch: exchange.batch,
      steps: [],
      answer: undefined,
      status: exchange.status,
      streamed: isEvents(exchange),
      retryMs: exchange.retryMs,
      raw: undefined,
      exit: undefined,
      polled: false,
      previous: undefined,
      next: undefined,
      at: this.#now,
    };
    this.#legs.retried(recording);
    if (method !== 'subscriptions/listen') this.#open.add(recording);
    exchange.recordings.push(recording);
    this.#recordings.push(recording);
    return recording;
  }

  #fromServer(message: Message, exchange: OpenExchange, place: Place): void {
    if (message.kind === 'response') {
      const recording = this.#asker(message, exchange);
      if (recording === undefined) return;
      const awaits = this.#answered.get(recording) ?? [];
      const cause = this.#causes.of('response', () => true);
      recording.polled = !exchange.recordings.includes(recording) && recording.exit?.end === 'closed-by-server';
      this.#respond(recording, this.#step(message, place, { awaits, since: sinceIn(recording, cause) }));
      return;
    }
    const owner = this.#ownerOf(message, exchange);
    const standing = owner === undefined || owner.method === 'subscriptions/listen';
    const cause = this.#causes.of(message.kind, ({ recording }) => recording?.answer !== undefined);
    const step = this.#step(message, place, {
      after: standing ? ordersOf(cause, owner) : [],
      awaits: this.#answered.get(owner ?? 'streams') ?? [],
      since: owner === undefined ? Math.max(this.#streamed, cause?.at ?? 0) : sinceIn(owner, cause),
    });
    (owner?.steps ?? this.#stream).push(step);
    if (owner === undefined) this.#streamed = this.#now;
    else owner.at = this.#now;
    if (message.kind === 'request') this.#ask(step, owner);
    if (step.method?.endsWith('/list_changed') === true) this.#changes.push(step);
  }

  /** A request on a standing stream while exactly one request was in flight: most likely that one's doing. */
  #ask(step: Step, owner: Draft | undefined): void {
    const [only] = this.#open.size === 1 ? this.#open : [];
    const asked = { step, stream: owner === undefined, during: owner ?? only };
    const same = this.#asked.get(step.idText);
    if (same === undefined) this.#asked.set(step.idText, [asked]);
    else same.push(asked);
  }

  #goesOn(what: Draft | 'streams', answered: Step): void {
    const steps = this.#answered.get(what) ?? [];
    this.#answered.set(what, [...steps.slice(1 - MAX_AWAITED), answered]);
  }

  #step(message: Message, place: Place, causes: After): Step {
    const { kind, text, value, method, idText } = message;
    const { after = [], since } = causes;
    const awaits = causes.awaits ?? [];
    const began = awaits.reduce((latest, asked) => Math.max(latest, asked.answer?.at ?? 0), since);
    const gapMs = Math.max(0, this.#now - began);
    return { kind, text, value, method, idText, place, order: this.#order, after, awaits, gapMs, answer: undefined };
  }

  #respond(recording: Draft, step: Step): void {
    recording.steps.push(step);
    recording.answer = step;
    this.#open.delete(recording);
    recording.at = this.#now;
    this.#legs.answered(recording);
  }

  /** Which request a response answers: one of its exchange; on a standing stream, one that is still open. */
  #asker(message: Message, exchange: OpenExchange): Draft | undefined {
    const unanswered = (recordings: readonly Draft[]): Draft | undefined =>
      recordings.find(({ answer, message: asked }) => answer === undefined && asked.idText === message.idText);
    const own = unanswered(exchange.recordings);
    if (own !== undefined || exchange.recordings.length > 0) {
      return own ?? (message.idText === undefined || message.idText === 'null' ? exchange.recordings[0] : undefined);
    }
    return exchange.stream ? unanswered(this.#recordings) : undefined;
  }

  /** Which request a notification or server request belongs to; none on a standing stream. */
  #ownerOf(message: Message, exchange: OpenExchange): Draft | undefined {
    if (message.method === 'notifications/progress') {
      const span = spanOf(message.text, ['params', 'progressToken']);
      const token = span && message.text.slice(span.start, span.end);
      const candidates = exchange.recordings.length > 0 ? exchange.recordings : this.#recordings;
      const asked = candidates.findLast(({ progressToken, answer }) => progressToken === token && answer === undefined);
      if (token !== undefined && asked !== undefined) return asked;
    }
    return exchange.recordings.find(({ answer }) => answer === undefined) ?? exchange.recordings.at(-1);
  }
}

/** The client message before, and its answer when that had come too. */
function ordersOf(cause: Cause | undefined, owner: Draft | undefined): readonly number[] {
  if (cause === undefined || (owner !== undefined && cause.recording === owner)) return [];
  const answer = cause.recording?.answer?.order;
  return answer === undefined ? [cause.order] : [cause.order, answer];
}

/** When what came before on the same exchange happened, the request itself at first. */
function sinceIn(recording: Draft, cause: Cause | undefined): number {
  // A message on a subscription follows what the client did last, if that is later.
  const listens = recording.method === 'subscriptions/listen';
  return listens && cause !== undefined ? Math.max(recording.at, cause.at) : recording.at;
}
