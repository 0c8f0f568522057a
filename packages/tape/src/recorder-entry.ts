import {
  type BodyEnd,
  type Context,
  type Exchange,
  type Frame,
  type FrameObserver,
  headerOf,
  ProxyError,
  type Reply,
} from '@shadowcat/kernel';
import {
  type Call,
  type Message,
  type Outline,
  outlineJson,
  readMessages,
  SESSION_HEADER,
  type SessionHandle,
  targetSlot,
} from '@shadowcat/wire';
import { exitFields, replyFields, requestFields, sseFields, textFields } from './lines.js';
import { endOf, ownError } from './own-errors.js';
import { withoutHiddenParams } from './param-headers.js';
import { MESSAGE_LIMITS } from './parse-record.js';
import type { Lane, Lanes, LateRecord } from './recorder-lanes.js';
import { type MessageAbout, messageRecord, redactedOr } from './recorder-messages.js';
import type { ExchangeEnd, Sender, TextRecord } from './records.js';
import type { Redactor } from './redact.js';

/** What entries share. */
export interface EntryParts {
  readonly lanes: Lanes;
  readonly redactor: Redactor;
  readonly redactLater?: (text: string) => Promise<string> | undefined;
  readonly allowedHeaders: ReadonlySet<string>;
  readonly now: () => number;
}

interface Held {
  readonly kind: string;
  readonly fields: string;
  readonly at: number;
  readonly ofExchange: boolean;
  /** Instead of `kind` and `fields`, which are empty then. */
  readonly late?: LateRecord;
}

/** The longest body that is no message and is kept as text, in bytes. */
const MAX_RAW = 65_536;
const COMPLETE: BodyEnd = { kind: 'complete' };
const FROM_CLIENT: MessageAbout = { from: 'client' };
const IN_BATCH: MessageAbout = { from: 'client', batch: true };
const PLAIN: Readonly<Record<Sender, MessageAbout>> = { client: FROM_CLIENT, server: { from: 'server' } };
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * One exchange on its way to the tape. The records of an `initialize` are held until the head of its answer, because only
 * that tells whether there is a session, and so which lane and tape they belong to.
 */
export class RecorderEntry {
  readonly #parts: EntryParts;
  readonly #call: Call;
  readonly #session: SessionHandle | undefined;
  #lane: Lane | undefined;
  #x = '';
  #held: Held[] | undefined;
  /** When what is recorded next happened. */
  #at: number;
  #owed = 0;
  #answers = 0;
  #context: Context | undefined;
  /** What the proxy itself told the client in place of an answer. */
  #told: ProxyError | undefined;
  #cancelled = false;
  #ended = false;
  #status = 0;
  #raw: Uint8Array[] | undefined;
  #rawSize = 0;

  /** `at`: when the exchange began. */
  constructor(
    parts: EntryParts,
    call: Call,
    about: { readonly session: SessionHandle | undefined; readonly at: number },
  ) {
    const { session, at } = about;
    this.#parts = parts;
    this.#call = call;
    this.#session = session;
    this.#at = at;
    for (const { kind } of call.messages) if (kind === 'request') this.#owed += 1;
    if (call.method !== 'initialize') this.#place(this.#laneOf(session));
    else if (session === undefined) this.#place(parts.lanes.sessionless(at));
  }

  /** When the tape's queue is full: to be awaited before traffic goes on. */
  room(): Promise<void> | undefined {
    return this.#lane?.deck.room();
  }

  /** When its records are on the tape, or cannot be. */
  settled(): Promise<void> | undefined {
    return this.#lane?.deck.writer.settled?.();
  }

  /** Records the head, and the messages unless they are to be seen as they leave. */
  begin(exchange: Exchange, withMessages: boolean): void {
    const { redactor, allowedHeaders } = this.#parts;
    const { messages, batch } = this.#call;
    const { method, target, headers: all } = exchange.head;
    const headers = withoutHiddenParams(all, () =>
      messages.map(({ text }) => ({ passed: text, recorded: redactedOr(text, redactor) ?? '' })),
    );
    this.#put('http', requestFields({ method, target, headers }, redactor, allowedHeaders));
    if (!withMessages) return;
    for (const message of messages) this.#message(message.text, batch ? IN_BATCH : FROM_CLIENT);
    this.#followCancellations(messages);
  }

  /** Sees the messages of a body that a layer changes on the way. */
  outgoing(): FrameObserver {
    return {
      transforms: false,
      frame: (frame) => {
        this.#at = this.#parts.now();
        if (frame.text !== undefined && frame.text !== '') this.#frame(frame, 'client');
        return this.room();
      },
    };
  }

  /** Sees the messages and events of the reply. */
  incoming(): FrameObserver {
    return {
      transforms: false,
      frame: (frame) => {
        this.#at = this.#parts.now();
        this.#incoming(frame);
        return this.room();
      },
      end: (end) => {
        this.bodyEnded(end);
        return this.room();
      },
    };
  }

  /** Records the head of the reply that came `at` that time, and all of it when it is there. True when its body has to be observed. */
  answered(exchange: Exchange, reply: Reply, at: number): boolean {
    const { head, body } = reply;
    this.#at = at;
    this.#context = exchange.context;
    this.#status = head.status;
    if (this.#lane === undefined) this.#decide(headerOf(head.headers, SESSION_HEADER));
    const upstream = exchange.context.get(targetSlot);
    const { status, headers } = head;
    this.#put('http', replyFields({ status, headers, upstream }, this.#parts.redactor, this.#parts.allowedHeaders));
    if (this.#call.verb === 'end' && head.status < 300 && this.#lane !== undefined) this.#lane.endedBy = 'client';
    const bytes = body.ready;
    if (bytes === undefined) return true;
    if (bytes.length > 0) {
      const reader = body.framing.decoder();
      for (const frame of reader.push(bytes)) this.#incoming(frame);
      for (const frame of reader.end()) this.#incoming(frame);
    }
    this.#bodyEnded(COMPLETE);
    return false;
  }

  /** The handler gave an error instead of a reply. */
  failed(thrown: unknown, at: number): void {
    this.#at = at;
    const error = ProxyError.from(thrown);
    if (error.code === 'cancelled') this.#finish(this.#left());
    else this.#finish('error', error);
  }

  bodyEnded(end: BodyEnd): void {
    this.#at = this.#parts.now();
    this.#bodyEnded(end);
  }

  #bodyEnded(end: BodyEnd): void {
    if (this.#rawSize > 0) this.#putRaw();
    const outcome = this.#outcome(end);
    const isTold = this.#told !== undefined && this.#told.code !== 'cancelled' && outcome !== 'answered';
    this.#finish(outcome, isTold ? this.#told : undefined);
  }

  /** The recording ends while the exchange has not. */
  leaveOpen(): void {
    this.#at = this.#parts.now();
    this.#finish(this.#cancelled ? 'cancelled-by-client' : 'open-at-end');
  }

  /** The client does not want the answer to the request with this id any more. False when it is not one of these. */
  cancel(idText: string): boolean {
    if (!this.#call.messages.some((message) => message.kind === 'request' && message.idText === idText)) return false;
    this.#cancelled = true;
    return true;
  }

  /** Text beside the messages that came before the session's lane was known. */
  note(kind: TextRecord['k'], text: string): void {
    this.#at = this.#parts.now();
    this.#putAs(kind, textFields(text), false);
  }

  #laneOf(session: SessionHandle | undefined): Lane {
    const { lanes } = this.#parts;
    if (session === undefined) return lanes.sessionless(this.#at);
    const lane = lanes.find(session.id);
    if (lane !== undefined) {
      lane.learnIds(session);
      return lane;
    }
    const added = lanes.add(session, this, this.#at);
    added.put('sess', this.#resumedFields(session), this.#at);
    return added;
  }

  /** The answer to `initialize` has come, or will not: with an id there is a session. */
  #decide(upstreamId: string | undefined): void {
    const session = this.#session;
    const began = this.#held?.[0]?.at;
    if (session === undefined || upstreamId === undefined || this.#status > 299) {
      this.#place(this.#parts.lanes.sessionless(began));
      return;
    }
    const lane = this.#parts.lanes.add(session, this, began);
    lane.learnIds(session, upstreamId);
    this.#place(lane);
  }

  #place(lane: Lane): void {
    this.#lane = lane;
    this.#x = lane.deck.exchangeName();
    lane.entries.add(this);
    if (this.#call.era === 'modern' && !lane.modern) {
      lane.modern = true;
      const version = this.#call.protocolVersion;
      lane.put(
        'sess',
        `"era":"modern"${version === undefined ? '' : `,"version":${JSON.stringify(version)}`}`,
        this.#at,
      );
    }
    for (const held of this.#held ?? []) this.#write(lane, held);
    this.#held = undefined;
  }

  #incoming(frame: Frame): void {
    const text = frame.text;
    if (text !== undefined && text !== '') {
      this.#frame(frame, 'server');
      return;
    }
    const sse = sseFields(frame.sse, this.#parts.redactor);
    if (sse !== '') this.#put('sse', sse.slice(1));
    else if (frame.sse === undefined && frame.bytes !== undefined) this.#keepRaw(frame.bytes);
  }

  #frame(frame: Frame, from: Sender): void {
    const text = frame.text ?? '';
    const outline = outlineOr(text);
    if (typeof outline === 'string') {
      this.#put('raw', textFields(this.#parts.redactor.text(text), { from, why: outline }));
    } else if (text[outline.start] === '[') {
      this.#batch(text, from);
    } else if (from === 'client' || !outline.keys.includes('error') || !this.#isOwn(text)) {
      this.#message(text, frame.sse === undefined ? PLAIN[from] : { from, sse: frame.sse });
      if (from === 'server') this.#look(outline.keys, () => frame.message);
    }
  }

  #batch(text: string, from: Sender): void {
    const { messages } = readMessages(encoder.encode(text), { ...MESSAGE_LIMITS, batch: 10_000 });
    for (const message of messages) {
      if (from === 'server' && this.#isOwn(message.text)) continue;
      this.#message(message.text, { from, batch: true });
      if (from === 'server') this.#look(Object.keys(message.value), () => message.value);
    }
  }

  #isOwn(text: string): boolean {
    const error = ownError(text, this.#call, this.#context);
    this.#told ??= error;
    return error !== undefined;
  }

  /** What a message from the server means for the recording. */
  #look(keys: readonly string[], message: () => unknown): void {
    if (keys.includes('method') || !(keys.includes('result') || keys.includes('error'))) return;
    this.#answers += 1;
    if (this.#call.method === 'initialize') this.#learn((message() as { result?: unknown }).result);
  }

  #learn(result: unknown): void {
    if (typeof result !== 'object' || result === null) return;
    const { protocolVersion, serverInfo } = result as { protocolVersion?: unknown; serverInfo?: unknown };
    const version = typeof protocolVersion === 'string' ? `,"version":${JSON.stringify(protocolVersion)}` : '';
    const client = this.#infoFields('client', clientInfoOf(this.#call.message));
    this.#lane?.put('sess', `"era":"legacy"${version}${client}${this.#infoFields('server', serverInfo)}`, this.#at);
  }

  #resumedFields(session: SessionHandle): string {
    const version =
      session.protocolVersion === undefined ? '' : `,"version":${JSON.stringify(session.protocolVersion)}`;
    return `"era":"legacy"${version},"resumed":true${this.#infoFields('result', session.initializeResult)}`;
  }

  #infoFields(name: string, value: unknown): string {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return '';
    const text = JSON.stringify(value);
    return text.length > MAX_RAW ? '' : `,"${name}":${this.#parts.redactor.json(text)}`;
  }

  #followCancellations(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.method !== 'notifications/cancelled') continue;
      const params = message.value['params'];
      const id = typeof params === 'object' && params !== null && 'requestId' in params ? params.requestId : undefined;
      if (typeof id !== 'string' && typeof id !== 'number') continue;
      for (const entry of this.#lane?.entries ?? []) if (entry.cancel(JSON.stringify(id))) break;
    }
  }

  #message(text: string, about: MessageAbout): void {
    const record = messageRecord(text, about, this.#parts);
    if ('made' in record) this.#putLate(record);
    else this.#put(record.kind, record.fields);
  }

  #keepRaw(bytes: Uint8Array): void {
    this.#raw ??= [];
    if (this.#rawSize < MAX_RAW) this.#raw.push(bytes.slice(0, MAX_RAW - this.#rawSize));
    this.#rawSize += bytes.length;
  }

  #putRaw(): void {
    const text = (this.#raw ?? []).map((bytes) => decoder.decode(bytes)).join('');
    // The blank line behind a comment of a stream says nothing.
    if (this.#rawSize <= MAX_RAW && text.trim() === '') return;
    const why = this.#rawSize > MAX_RAW ? `${this.#rawSize} bytes, cut` : undefined;
    this.#put(
      'raw',
      textFields(this.#parts.redactor.text(text), {
        from: 'server',
        ...(why === undefined ? {} : { why }),
      }),
    );
    this.#rawSize = 0;
    this.#raw = undefined;
  }

  #outcome(end: BodyEnd): ExchangeEnd {
    const { verb } = this.#call;
    if (this.#owed > 0 && this.#answers >= this.#owed) return 'answered';
    if (this.#told !== undefined) return this.#told.code === 'cancelled' ? this.#left() : endOf(this.#told);
    if (end.kind === 'failed') return 'reset';
    if (end.kind === 'abandoned') return this.#left();
    if (this.#status >= 400) return 'error';
    if (verb === 'post' && this.#owed > 0) return this.#cancelled ? 'cancelled-by-client' : 'closed-by-server';
    return verb === 'stream' ? 'closed-by-server' : 'answered';
  }

  /** The client has gone: in 2026-07-28 that is how it cancels, before it is no cancellation. */
  #left(): ExchangeEnd {
    if (this.#call.verb === 'stream') return 'closed-by-client';
    return this.#cancelled || this.#call.era === 'modern' ? 'cancelled-by-client' : 'closed-by-client';
  }

  /** `error` is the proxy's own, if it has one. */
  #finish(end: ExchangeEnd, error?: ProxyError): void {
    if (this.#ended) return;
    if (this.#lane === undefined) this.#decide(undefined);
    const told = error && { code: error.code, message: this.#parts.redactor.text(error.message) };
    this.#put('x-', exitFields(end, told));
    this.#ended = true;
    const lane = this.#lane;
    if (lane === undefined) return;
    lane.entries.delete(this);
    this.#parts.lanes.settle(lane);
  }

  #put(kind: string, fields: string): void {
    this.#putAs(kind, fields, true);
  }

  #putAs(kind: string, fields: string, ofExchange: boolean): void {
    if (this.#ended) return;
    const at = this.#at;
    const lane = this.#lane;
    if (lane !== undefined) {
      lane.put(kind, ofExchange ? `"x":"${this.#x}",${fields}` : fields, at);
      return;
    }
    this.#held ??= [];
    this.#held.push({ kind, fields, at, ofExchange });
  }

  #putLate(late: LateRecord): void {
    if (this.#ended) return;
    const held: Held = { kind: '', fields: '', at: this.#at, ofExchange: true, late };
    if (this.#lane !== undefined) {
      this.#write(this.#lane, held);
      return;
    }
    this.#held ??= [];
    this.#held.push(held);
  }

  #write(lane: Lane, { kind, fields, at, ofExchange, late }: Held): void {
    const named = (own: string): string => (ofExchange ? `"x":"${this.#x}",${own}` : own);
    if (late === undefined) {
      lane.put(kind, named(fields), at);
      return;
    }
    const made = late.made.then((content) => ({ kind: content.kind, fields: named(content.fields) }));
    lane.putLate({ made, size: late.size }, at);
  }
}

/** What is in a message, or why it may not be on a tape as one: a reader would refuse the tape for it. */
function outlineOr(text: string): Outline | string {
  try {
    return outlineJson(text, MESSAGE_LIMITS);
  } catch (thrown) {
    const { code, message } = ProxyError.from(thrown);
    return code === 'parse_error' ? 'no JSON' : message;
  }
}

function clientInfoOf(message: Message | undefined): unknown {
  const params = message?.value['params'];
  return typeof params === 'object' && params !== null && 'clientInfo' in params ? params.clientInfo : undefined;
}
