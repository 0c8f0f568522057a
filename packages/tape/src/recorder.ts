import {
  type Clock,
  type Exchange,
  type FrameObserver,
  type Handler,
  type Layer,
  type Log,
  ProxyError,
  type Reply,
  withExchange,
  withReply,
} from '@shadowcat/kernel';
import { type Call, callSlot, type SessionHandle, sessionSlot } from '@shadowcat/wire';
import { Backlog } from './backlog.js';
import { KeyLines } from './key-lines.js';
import { HEADER_ALLOW_LIST } from './lines.js';
import { type EntryParts, RecorderEntry } from './recorder-entry.js';
import { Deck, Lanes, type TapeLayout } from './recorder-lanes.js';
import { TAPE_VERSION, type TapeScope, type TextRecord } from './records.js';
import type { Redactor } from './redact.js';
import type { TapeWriter } from './writer.js';

export interface RecorderOptions {
  readonly layout: TapeLayout;
  /** Whether exchanges are refused (`recorder_failed`) while their tape cannot be written. Default: traffic goes on. */
  readonly required?: boolean;
  /** More header fields that may be on the tape, in lower case. */
  readonly headers?: readonly string[];
  /** What writes, for the head, such as `shadowcat 0.1.0`. */
  readonly by?: string;
  /** Which process records, for the head; see `HeadRecord`. */
  readonly process?: string;
}

export interface RecorderComponents {
  /** Opens a tape; `head` is its first line. Must not throw: a tape that cannot be opened is a writer that is failing. */
  readonly open: (scope: TapeScope, head: string) => TapeWriter;
  readonly redactor: Redactor;
  /**
   * The redactor's `json` for texts that would hold up everything else, on another thread; `undefined` for others. Rejects with
   * `parse_error` as it does, and with `cancelled` when it took too long: then the message is not recorded. After any other failure
   * the redactor does it.
   */
  readonly redactLater?: (text: string) => Promise<string> | undefined;
  /** The fingerprint of the key that made the placeholders. */
  readonly keyId: string;
  /**
   * Runs `work` once at the end of the present turn of the event loop. With it, messages that are whole are recorded there, together
   * with all others that passed in the turn; what passes in pieces, and whatever is `required`, is recorded before it passes on.
   * Absent: so is everything.
   */
  readonly defer?: (work: () => void) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** For health, metrics and the log. `lost` records are not on any tape although they passed. */
export interface RecorderState {
  readonly status: 'recording' | 'failing' | 'closed';
  /** Tapes being written, and tapes finished. */
  readonly open: number;
  readonly finished: number;
  /** Exchanges begun. */
  readonly exchanges: number;
  readonly records: number;
  readonly bytes: number;
  readonly lost: number;
  readonly queued: number;
  readonly error?: string;
}

/** The layer, and what its owner does with it. */
export type Recorder = Layer & {
  /** Text beside the messages: a child's stderr (`err`), stdout that is no message (`raw`), what the proxy did (`note`). */
  note(sessionId: string | undefined, kind: TextRecord['k'], text: string): void;
  state(): RecorderState;
  /** Ends all tapes; exchanges that have not ended are marked so. Traffic may go on, unrecorded. Idempotent. */
  close(): Promise<void>;
};

/**
 * Records what passes: innermost of the layers that judge, so that the tape holds what really left and really came back.
 * It sees frames and changes, delays or repeats none; only a full queue of its writer holds traffic back. Needs
 * `callSlot`; reads `sessionSlot` (lanes) and `targetSlot`. Its own failures are logged and counted, never the traffic's.
 */
export function recorder(options: RecorderOptions, components: RecorderComponents): Recorder {
  const recording = new Recording(options, components);
  const layer: Layer = (next) => (exchange) => {
    const call = exchange.context.get(callSlot);
    if (call === undefined || recording.closed) return next(exchange);
    return recording.isWhole(exchange, call)
      ? recording.passWhole(next, exchange, call)
      : recording.pass(next, exchange, call);
  };
  return Object.assign(layer, {
    note: (sessionId: string | undefined, kind: TextRecord['k'], text: string) => recording.note(sessionId, kind, text),
    state: () => recording.state(),
    close: () => recording.close(),
  });
}

class Recording {
  closed = false;
  readonly #options: RecorderOptions;
  readonly #components: RecorderComponents;
  readonly #lanes: Lanes;
  readonly #parts: EntryParts;
  /** `initialize` exchanges whose session has no lane yet, by session. */
  readonly #opening = new Map<string, RecorderEntry>();
  readonly #keyLines: KeyLines;
  readonly #backlog: Backlog;
  readonly #finishing = new Set<Promise<void>>();
  readonly #past = { finished: 0, records: 0, bytes: 0, lost: 0 };
  #exchanges = 0;
  #fault: string | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: RecorderOptions, components: RecorderComponents) {
    this.#options = options;
    this.#components = components;
    const { clock } = components;
    this.#keyLines = new KeyLines(components.redactor.isSecret);
    this.#backlog = new Backlog(components.defer);
    this.#lanes = new Lanes(options.layout, {
      open: (scope) => new Deck(components.open(scope, this.#head(scope)), clock),
      finished: (deck) => this.#finish(deck),
      scrub: (text, known) => components.redactor.known(text, known),
      ending: () => this.#backlog.flush(),
    });
    this.#parts = {
      lanes: this.#lanes,
      redactor: components.redactor,
      ...(components.redactLater === undefined ? {} : { redactLater: components.redactLater }),
      allowedHeaders: new Set([...HEADER_ALLOW_LIST, ...(options.headers ?? [])]),
      now: () => clock.now(),
    };
  }

  /** Whether the messages of an exchange are all there, its lane does not depend on its answer, and it need not wait for its tape. */
  isWhole(exchange: Exchange, call: Call): boolean {
    if (this.#options.required === true || call.method === 'initialize') return false;
    return call.verb === 'post' && exchange.body.ready !== undefined;
  }

  /** Everything is recorded at the end of the turn, unless the answer comes in pieces. */
  async passWhole(next: Handler, exchange: Exchange, call: Call): Promise<Reply> {
    const session = exchange.context.get(sessionSlot);
    const began = this.#components.clock.now();
    let entry: RecorderEntry | undefined;
    this.#exchanges += 1;
    this.#later(() => {
      entry = new RecorderEntry(this.#parts, call, { session, at: began });
      entry.begin(exchange, true);
    }, exchange.body.ready?.length ?? 0);
    const full = this.#full(session);
    if (full !== undefined) await full;
    let reply: Reply;
    try {
      reply = await next(exchange);
    } catch (error) {
      const at = this.#components.clock.now();
      this.#later(() => entry?.failed(error, at), 0);
      throw error;
    }
    const { ready } = reply.body;
    if (ready === undefined) {
      this.#backlog.flush();
      return entry === undefined ? reply : this.#answered(entry, exchange, reply);
    }
    const at = this.#components.clock.now();
    this.#later(() => entry?.answered(exchange, reply, at), ready.length);
    const fuller = this.#full(session);
    if (fuller !== undefined) await fuller;
    return reply;
  }

  async pass(next: Handler, exchange: Exchange, call: Call): Promise<Reply> {
    this.#backlog.flush();
    if (this.#options.required === true) this.#demand();
    const session = exchange.context.get(sessionSlot);
    const seen = call.verb !== 'post' || exchange.body.ready !== undefined;
    const entry = this.#guard(() => {
      const at = this.#components.clock.now();
      const made = new RecorderEntry(this.#parts, call, { session, at });
      made.begin(exchange, seen);
      return made;
    });
    if (entry === undefined) return next(exchange);
    this.#exchanges += 1;
    await this.#room(entry);
    const opening = call.method === 'initialize' && session !== undefined ? session.id : undefined;
    if (opening !== undefined) this.#opening.set(opening, entry);
    let reply: Reply;
    try {
      if (this.#options.required === true) await this.#assured(entry);
      reply = await next(
        seen ? exchange : withExchange(exchange, { body: exchange.body.with(this.#safe(entry.outgoing())) }),
      );
    } catch (error) {
      const at = this.#components.clock.now();
      this.#backlog.flush();
      this.#guard(() => entry.failed(error, at));
      throw error;
    } finally {
      if (opening !== undefined) this.#opening.delete(opening);
    }
    return this.#answered(entry, exchange, reply);
  }

  /** Records an answer before it is passed on, or sees to it that what comes of it is. */
  async #answered(entry: RecorderEntry, exchange: Exchange, reply: Reply): Promise<Reply> {
    this.#backlog.flush();
    const observe = this.#guard(() => entry.answered(exchange, reply, this.#components.clock.now())) ?? false;
    await this.#room(entry);
    if (!observe) return reply;
    return withReply(reply, {
      body: reply.body.with(this.#safe(entry.incoming())),
      dispose: () => {
        this.#backlog.flush();
        this.#guard(() => entry.bodyEnded({ kind: 'abandoned' }));
      },
    });
  }

  note(sessionId: string | undefined, kind: TextRecord['k'], text: string): void {
    if (this.closed) return;
    const at = this.#components.clock.now();
    this.#later(() => {
      const shown = this.#shown(sessionId, kind, text);
      const opening = sessionId === undefined ? undefined : this.#opening.get(sessionId);
      if (opening !== undefined) {
        opening.note(kind, shown);
        return;
      }
      const lane = (sessionId === undefined ? undefined : this.#lanes.find(sessionId)) ?? this.#lanes.sessionless();
      lane.put(kind, `"text":${JSON.stringify(shown)}`, at);
    }, text.length);
  }

  /** What is kept of text beside the messages, which comes line by line. */
  #shown(sessionId: string | undefined, kind: TextRecord['k'], text: string): string {
    const { redactor } = this.#components;
    if (redactor.policy === 'none' || !this.#keyLines.isInside(`${kind} ${sessionId ?? ''}`, text))
      return redactor.text(text);
    return '(a line of a secret)';
  }

  state(): RecorderState {
    const states = [...this.#lanes.decks].map((deck) => deck.writer.state());
    const failing = states.find(({ status }) => status === 'failing');
    const error = failing?.error ?? this.#fault;
    const sum = (pick: (state: (typeof states)[number]) => number): number =>
      states.reduce((total, state) => total + pick(state), 0);
    return {
      status: this.closed ? 'closed' : failing === undefined ? 'recording' : 'failing',
      open: states.length,
      finished: this.#past.finished,
      exchanges: this.#exchanges,
      records: this.#past.records + sum(({ written }) => written),
      bytes: this.#past.bytes + sum(({ bytes }) => bytes),
      lost: this.#past.lost + sum(({ lost }) => lost),
      queued:
        sum(({ queued }) => queued) +
        [...this.#lanes.decks].reduce((total, deck) => total + deck.waiting, this.#backlog.length),
      ...(error === undefined ? {} : { error }),
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#backlog.flush();
    this.#guard(() => {
      for (const entry of this.#opening.values()) entry.leaveOpen();
      for (const lane of [...this.#lanes.all()]) for (const entry of [...lane.entries]) entry.leaveOpen();
      this.#lanes.closeAll();
    });
    this.closed = true;
    while (this.#finishing.size > 0) await Promise.all(this.#finishing);
  }

  #finish(deck: Deck): void {
    const finishing = deck.finish().then(() => {
      const { written, bytes, lost, error } = deck.writer.state();
      this.#past.finished += 1;
      this.#past.records += written;
      this.#past.bytes += bytes;
      this.#past.lost += lost;
      if (lost > 0 && error !== undefined) this.#fault = error;
      this.#finishing.delete(finishing);
    });
    this.#finishing.add(finishing);
  }

  #head(scope: TapeScope): string {
    const { clock, redactor, keyId } = this.#components;
    const { by, process } = this.#options;
    return JSON.stringify({
      k: 'head',
      v: TAPE_VERSION,
      form: 'capture',
      requires: [],
      scope,
      at: new Date(clock.wall()).toISOString(),
      ...(by === undefined ? {} : { by }),
      ...(process === undefined ? {} : { process }),
      redaction: { policy: redactor.policy, key: keyId },
    });
  }

  /** Work that waits for the end of the turn. */
  #later(work: () => void, size: number): void {
    this.#backlog.add(() => this.#guard(work), size);
  }

  /** Backpressure, where the lane of a session is known. */
  #full(session: SessionHandle | undefined): Promise<void> | undefined {
    return this.#lanes.deckOf(session?.id)?.room();
  }

  /** Backpressure: waits while the tape's queue is full. */
  #room(entry: RecorderEntry): Promise<void> | undefined {
    return this.#guard(() => entry.room());
  }

  /** Refuses to go on unrecorded. */
  #demand(): void {
    for (const deck of this.#lanes.decks) {
      const { status, error } = deck.writer.state();
      if (status === 'ok') continue;
      throw new ProxyError('recorder_failed', `the recording is required and cannot be written: ${error ?? status}`);
    }
  }

  /** Waits until the request is on its tape; refuses it when it cannot be. */
  async #assured(entry: RecorderEntry): Promise<void> {
    await this.#guard(() => entry.settled());
    this.#demand();
  }

  /** What passes in pieces comes behind what waits. */
  #safe(observer: FrameObserver): FrameObserver {
    const { end } = observer;
    const now = <T>(work: () => T): T | undefined => {
      this.#backlog.flush();
      return this.#guard(work);
    };
    return {
      ...observer,
      frame: (frame) => now(() => observer.frame(frame)),
      ...(end === undefined ? {} : { end: (how) => now(() => end(how)) }),
    };
  }

  /** A fault of the recorder's own is not the traffic's. */
  #guard<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (this.#fault === undefined)
        this.#components.log.error({ err: error }, 'the recorder failed at a record; the tape is incomplete there');
      this.#fault = ProxyError.from(error).message;
      return undefined;
    }
  }
}
