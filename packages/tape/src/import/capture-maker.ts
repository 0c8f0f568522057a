import {
  Body,
  type BodyEnd,
  Context,
  type Exchange,
  type Frame,
  type FrameObserver,
  type HeaderMap,
  type RequestHead,
  reply,
} from '@shadowcat/kernel';
import { classify, framingOf, type Json, type ReadMessages, type SessionHandle, sseFraming } from '@shadowcat/wire';
import { HEADER_ALLOW_LIST, textFields } from '../lines.js';
import { memoryTape } from '../memory-writer.js';
import { RecorderEntry } from '../recorder-entry.js';
import { Deck, Lanes } from '../recorder-lanes.js';
import { TAPE_VERSION, type TextRecord } from '../records.js';
import type { Redactor } from '../redact.js';
import type { NewDigest } from '../seal.js';

export interface CaptureParts {
  readonly redactor: Redactor;
  /** The fingerprint of the redactor's key. */
  readonly keyId: string;
  readonly newDigest: NewDigest;
  /** What makes the tape, for its head. */
  readonly by: string;
  /** When the first exchange began, milliseconds since the epoch; `undefined`: there are no times, and the tape has none. */
  readonly began: number | undefined;
}

const ALLOWED: ReadonlySet<string> = new Set(HEADER_ALLOW_LIST);

/** A session that is read from a file. It ends when the file says so. */
export class ImportSession implements SessionHandle {
  readonly id: string;
  readonly initializeText = '';
  readonly initializeResult: Json | undefined = undefined;
  readonly protocolVersion: string | undefined;
  readonly upstream = undefined;
  readonly restore = { logLevel: undefined, subscriptions: [] };
  ended = false;
  #done: (() => void)[] = [];

  constructor(id: string, protocolVersion?: string) {
    this.id = id;
    this.protocolVersion = protocolVersion;
  }

  bind(): void {}

  onEnd(done: () => void): () => void {
    if (this.ended) done();
    else this.#done.push(done);
    return () => {
      this.#done = this.#done.filter((other) => other !== done);
    };
  }

  end(): void {
    this.ended = true;
    for (const done of this.#done.splice(0)) done();
  }
}

/**
 * Writes a capture of traffic that has passed long ago, with what the recorder itself makes records of: so lanes, redaction and the way
 * exchanges end are those of a live recording. Events are told in the order in which they happened; {@link CaptureMaker.moveTo} says when.
 */
export class CaptureMaker {
  readonly #parts: CaptureParts;
  readonly #tape: ReturnType<typeof memoryTape>;
  readonly #lanes: Lanes;
  readonly #sessions = new Set<ImportSession>();
  /** Those have no lane before they are answered. */
  readonly #opening: RecorderEntry[] = [];
  #now = 0;
  #made = 0;

  constructor(parts: CaptureParts) {
    this.#parts = parts;
    const clock = {
      now: () => this.#now,
      wall: () => (parts.began ?? 0) + this.#now,
      timer: () => ({ cancel: () => {} }),
    };
    this.#tape = memoryTape('import', headOf(parts), { clock, newDigest: parts.newDigest });
    this.#lanes = new Lanes('file', {
      open: () => new Deck(this.#tape, clock),
      finished: () => {},
      scrub: (text, known) => parts.redactor.known(text, known),
    });
  }

  /** The time of what comes next; it never goes back. */
  moveTo(at: number | undefined): void {
    const { began } = this.#parts;
    if (at !== undefined && began !== undefined) this.#now = Math.max(this.#now, at - began);
  }

  /** A session of traffic that names none. Its id is on no tape. */
  openSession(): ImportSession {
    return new ImportSession(`~imported-session-${this.#sessions.size + 1}~`);
  }

  /** A request begins. */
  begin(head: RequestHead, read: ReadMessages, session: ImportSession | undefined): ImportedFlight {
    const { redactor } = this.#parts;
    const call = classify(head, read.messages, read.batch);
    if (session !== undefined) this.#sessions.add(session);
    this.#made += 1;
    const exchange: Exchange = {
      id: String(this.#made),
      head,
      body: Body.empty,
      signal: new AbortController().signal,
      context: new Context(),
    };
    const parts = { lanes: this.#lanes, redactor, allowedHeaders: ALLOWED, now: () => this.#now };
    const entry = new RecorderEntry(parts, call, { session, at: this.#now });
    if (call.method === 'initialize') this.#opening.push(entry);
    entry.begin(exchange, true);
    return new ImportedFlight(entry, exchange, () => this.#now);
  }

  /** Text beside the messages, in the lane of a session, once it has one. */
  note(kind: TextRecord['k'], text: string, session?: ImportSession): void {
    const lane =
      (session === undefined ? undefined : this.#lanes.find(session.id)) ?? this.#lanes.sessionless(this.#now);
    lane.put(kind, textFields(this.#parts.redactor.text(text)), this.#now);
  }

  /** The capture, as it would be in a file. Exchanges that have not ended are marked so. */
  async finish(): Promise<string> {
    for (const entry of this.#opening) entry.leaveOpen();
    for (const lane of [...this.#lanes.all()]) for (const entry of [...lane.entries]) entry.leaveOpen();
    for (const session of this.#sessions) if (!session.ended) session.end();
    this.#lanes.closeAll();
    await this.#tape.finish();
    return this.#tape.text;
  }
}

function headOf({ redactor, keyId, by, began }: CaptureParts): string {
  return JSON.stringify({
    k: 'head',
    v: TAPE_VERSION,
    form: 'capture',
    requires: [],
    scope: 'all',
    ...(began === undefined ? {} : { at: new Date(began).toISOString() }),
    by,
    redaction: { policy: redactor.policy, key: keyId },
  });
}

/** An exchange that is being told: its head, then what came back, then how it ended. */
export class ImportedFlight {
  readonly #entry: RecorderEntry;
  readonly #exchange: Exchange;
  readonly #incoming: FrameObserver;
  readonly #now: () => number;
  #headed = false;

  constructor(entry: RecorderEntry, exchange: Exchange, now: () => number) {
    this.#entry = entry;
    this.#exchange = exchange;
    this.#incoming = entry.incoming();
    this.#now = now;
  }

  /** Whether the head of the answer was told. */
  get headed(): boolean {
    return this.#headed;
  }

  /** An answer whose events follow. */
  stream(status: number, headers: HeaderMap): void {
    this.#headed = true;
    this.#entry.answered(
      this.#exchange,
      reply({ status, headers }, Body.fromFrames(nothing(), sseFraming)),
      this.#now(),
    );
  }

  event(frame: Frame): void {
    void this.#incoming.frame(frame);
  }

  /** An answer in one piece. Throws `upstream_protocol` when a message in it is larger than one may be. */
  whole(status: number, headers: HeaderMap, body: Uint8Array): void {
    this.#headed = true;
    const type = headers['content-type'];
    const framing = framingOf(typeof type === 'string' ? type : type?.[0]);
    this.#entry.answered(this.#exchange, reply({ status, headers }, Body.whole(body, framing)), this.#now());
  }

  end(how: BodyEnd): void {
    this.#entry.bodyEnded(how);
  }
}

async function* nothing(): AsyncGenerator<Frame> {}
