import {
  Body,
  type Clock,
  type Frame,
  type HeaderMap,
  type Log,
  ProxyError,
  type Reply,
  reply,
} from '@shadowcat/kernel';
import type { StoredEvent, StreamRecord } from '@shadowcat/session';
import { errorText, OwedAnswers, type RpcId, sseFraming } from '@shadowcat/wire';
import type { Entry } from './event-log-budget.js';
import { type EventPlace, eventId, isEvent, messageBytes, primingBytes, withEventId } from './resumption-event.js';
import { type Readable, Reader } from './resumption-reader.js';

/** Who keeps the stream: told of everything that has to be counted, stored or forgotten. */
export interface StreamKeeper {
  readonly clock: Clock;
  readonly log: Log;
  /** The upstream's own session at this moment. */
  upstreamSession(): string | undefined;
  kept(entry: Entry): void;
  dropped(entry: Entry): void;
  /** What is stored of it has changed. */
  changed(stream: KeptStream): void;
  /** No client reads it any more. */
  left(stream: KeptStream): void;
}

interface Source {
  readonly reply: Reply;
  /** Whether it is the rest of a stream, asked for by its last event id. */
  readonly rest: boolean;
  stopped: boolean;
}

/**
 * A stream whose events are kept, so that a client that was cut can have the rest. It owns the upstream's reply: it reads at
 * the speed of its client while there is one, and as fast as the upstream sends when there is none, until the upstream has
 * said all or somebody stops it.
 */
export class KeptStream implements Readable {
  readonly id: string;
  readonly session: string;
  readonly standing: boolean;
  /** The number of the next event to be stored; the store has all that is kept below it. */
  storedTo = 0;
  /** The JSON texts of the ids of the requests that it is the answer to, as far as they were not answered in a former life. */
  readonly requests: readonly string[];
  /** Whether the store may have something of it. */
  stored = false;
  readonly #keeper: StreamKeeper;
  readonly #owed: OwedAnswers;
  readonly #entries: Entry[] = [];
  #next: number;
  #unsent: number;
  #upstreamId: string | undefined;
  /** The upstream's session that the id is of; unknown for one that was stored. */
  #idOf: string | undefined;
  #endedAt: number | undefined;
  #delivered = false;
  #source: Source | undefined;
  #reader: Reader | undefined;
  #demand: (() => void) | undefined;

  constructor(record: StreamRecord, keeper: StreamKeeper) {
    this.id = record.id;
    this.session = record.session;
    this.standing = record.standing;
    this.requests = record.owed;
    this.#keeper = keeper;
    this.#next = record.first;
    this.#unsent = record.unsent;
    this.#upstreamId = record.upstreamId;
    this.#endedAt = record.endedAt;
    this.#owed = new OwedAnswers(
      record.owed.map((idText) => ({ kind: 'request' as const, id: JSON.parse(idText) as RpcId, idText })),
    );
  }

  get first(): number {
    return this.#entries[0]?.seq ?? this.#next;
  }
  get next(): number {
    return this.#next;
  }
  /** The first event that no client was sent. */
  get unsent(): number {
    return Math.max(this.#unsent, this.first);
  }
  get upstreamId(): string | undefined {
    return this.#upstreamId;
  }
  /** Whether the upstream's session has been replaced since its last id, which means nothing to the new one. */
  get moved(): boolean {
    return this.#idOf !== undefined && this.#idOf !== this.#keeper.upstreamSession();
  }
  get live(): boolean {
    return this.#source !== undefined;
  }
  get attached(): boolean {
    return this.#reader !== undefined;
  }
  /** When it was over, if it is; epoch milliseconds. */
  get endedAt(): number | undefined {
    return this.#endedAt;
  }
  /** Whether a client got all of it: then it is not worth a place in the store. */
  get delivered(): boolean {
    return this.#delivered;
  }

  /** Whether the rest of it can be had after a restart of the proxy, from the store or from the upstream. */
  get outlivesProxy(): boolean {
    return this.standing || this.#owed.settled || this.#upstreamId !== undefined;
  }

  /** Whether all events after this one are kept. */
  keeps(seq: number): boolean {
    return seq >= this.first - 1 && seq < this.#next;
  }

  record(): StreamRecord {
    return {
      id: this.id,
      session: this.session,
      standing: this.standing,
      owed: this.#owed.idTexts,
      first: this.first,
      next: this.#next,
      unsent: this.unsent,
      ...(this.#upstreamId === undefined ? {} : { upstreamId: this.#upstreamId }),
      ...(this.#endedAt === undefined ? {} : { endedAt: this.#endedAt }),
    };
  }

  /** The events that the store does not have. */
  unstored(): readonly StoredEvent[] {
    const from = Math.max(0, this.storedTo - this.first);
    return this.#entries.slice(from).map(({ seq, bytes }) => ({ stream: this.id, seq, bytes }));
  }

  /** The event that lets a client come back before there was another. */
  prime(): void {
    this.#add(primingBytes(this.#nextId()));
  }

  /**
   * Whether a client may have seen the event after the last that is known: a proxy that was killed has forgotten its last
   * moments. Where the upstream can go on, it has to be told from where.
   */
  mayHaveForgotten({ seq, upstreamId }: EventPlace): boolean {
    if (this.live || this.#endedAt !== undefined || seq < this.#next) return false;
    return upstreamId !== undefined || this.#upstreamId === undefined;
  }

  /** Goes on behind a place that a client has seen and we have forgotten. What came before is not kept any more. */
  goOnAfter({ seq, upstreamId }: EventPlace): void {
    for (const entry of this.#entries.splice(0)) this.#keeper.dropped(entry);
    this.#next = seq + 1;
    this.#unsent = this.#next;
    this.#upstreamId = upstreamId;
    this.#keeper.changed(this);
  }

  /** Puts an event back that was stored. */
  restore(event: StoredEvent): void {
    this.#next = event.seq;
    this.#add(event.bytes);
    this.storedTo = this.#next;
  }

  /** Reads an upstream's reply from now on, and disposes it. `rest`: it goes on where the last one broke off. */
  start(answer: Reply, rest: boolean): void {
    const source: Source = { reply: answer, rest, stopped: false };
    this.#source = source;
    void this.#pump(source);
  }

  /** Gives up the upstream; nothing more is added. Idempotent. */
  stop(): void {
    const source = this.#source;
    if (source === undefined) return;
    this.#source = undefined;
    source.stopped = true;
    this.#demand?.();
    void this.#dispose(source);
    this.#reader?.wake();
  }

  /** Stops, and tells each request without an answer why. */
  giveUp(error: ProxyError): void {
    this.stop();
    this.fail(error);
  }

  /** Forgets what is kept. */
  clear(): void {
    this.stop();
    for (const entry of this.#entries.splice(0)) this.#keeper.dropped(entry);
  }

  /** A reply that begins with event `from`. A client that still hangs on the stream is sent away in good order. */
  attach(from: number, headers: HeaderMap = {}): Reply {
    this.#reader?.end();
    const reader = new Reader(this, from);
    this.#reader = reader;
    const fields = { 'content-type': 'text/event-stream', ...headers, 'content-length': undefined };
    const body = Body.stream({ [Symbol.asyncIterator]: () => reader }, sseFraming);
    return reply({ status: 200, headers: fields }, body, () => void reader.return());
  }

  /** Each request without an answer gets this error, and the stream is over. */
  fail(error: ProxyError): void {
    for (const idText of this.#owed.idTexts) {
      this.#add(messageBytes(this.#nextId(), errorText(error, idText)));
    }
    this.#complete();
  }

  send(seq: number): Uint8Array | undefined {
    const bytes = this.#entries[seq - this.first]?.bytes;
    if (bytes !== undefined && seq >= this.#unsent) this.#unsent = seq + 1;
    return bytes;
  }

  wanted(): void {
    this.#demand?.();
  }

  left(reader: Reader): void {
    if (this.#reader !== reader) return;
    this.#reader = undefined;
    if (this.#endedAt !== undefined && this.#unsent >= this.#next) this.#delivered = true;
    this.#demand?.();
    this.#keeper.changed(this);
    this.#keeper.left(this);
  }

  async #pump(source: Source): Promise<void> {
    let failure: ProxyError | undefined;
    try {
      const frames = source.reply.body.frames();
      try {
        while (await this.#readOne(source, frames)) {
          // Each frame is taken as it is read.
        }
      } finally {
        await frames.return();
      }
    } catch (thrown) {
      failure = ProxyError.from(thrown, 'upstream_closed');
    }
    await this.#dispose(source);
    if (source.stopped) return;
    this.#source = undefined;
    this.#ended(source, failure);
  }

  /** False when there is no more to read. */
  async #readOne(source: Source, frames: AsyncGenerator<Frame, void, undefined>): Promise<boolean> {
    if (this.#reader?.waiting === false) await this.#untilDemand();
    if (source.stopped) return false;
    const { done, value } = await frames.next();
    if (done === true || source.stopped) return false;
    this.#take(value);
    return this.standing || !source.rest || !this.#owed.settled;
  }

  #untilDemand(): Promise<void> {
    return new Promise((resolve) => {
      this.#demand = () => {
        this.#demand = undefined;
        resolve();
      };
    });
  }

  #take(frame: Frame): void {
    if (!isEvent(frame)) {
      this.#reader?.aside(frame.bytes ?? sseFraming.encode(frame));
      return;
    }
    const id = frame.sse?.id;
    if (id !== undefined) {
      this.#upstreamId = id === '' ? undefined : id;
      this.#idOf = this.#keeper.upstreamSession();
    }
    this.#owed.note(frame);
    this.#add(withEventId(frame, this.#nextId()));
  }

  #add(bytes: Uint8Array): void {
    const entry: Entry = { seq: this.#next, bytes, evict: () => this.#evict(entry) };
    this.#next += 1;
    this.#entries.push(entry);
    this.#keeper.changed(this);
    // The client first: what it has been sent may go at once.
    this.#reader?.wake();
    this.#keeper.kept(entry);
  }

  #nextId(): string {
    return eventId(this.id, this.#next, this.#upstreamId);
  }

  #evict(entry: Entry): void {
    if (this.#entries[0] !== entry) return;
    this.#entries.shift();
    this.#keeper.dropped(entry);
    this.#keeper.changed(this);
  }

  #ended(source: Source, failure: ProxyError | undefined): void {
    if (this.standing) {
      if (failure?.code === 'slow_client') this.#leaveGap();
      // It can be had again: by whoever comes back for it.
      if (failure === undefined) this.#reader?.wake();
      else this.#reader?.end(failure);
      this.#keeper.changed(this);
    } else if (failure !== undefined) this.fail(failure);
    else if (source.rest && !this.#owed.settled) this.fail(endedEarly());
    else this.#complete();
  }

  /** Events were lost before they were numbered: no id from before is good for going on. */
  #leaveGap(): void {
    this.clear();
    this.#next += 1;
    this.#unsent = this.#next;
  }

  #complete(): void {
    this.#endedAt = this.#keeper.clock.wall();
    this.#keeper.changed(this);
    this.#reader?.wake();
  }

  async #dispose({ reply: borrowed }: Source): Promise<void> {
    try {
      await borrowed[Symbol.asyncDispose]();
    } catch (error) {
      this.#keeper.log.error({ err: error }, 'giving back what a kept stream borrowed failed');
    }
  }
}

function endedEarly(): ProxyError {
  return new ProxyError('upstream_closed', 'the upstream ended its stream before it answered');
}
