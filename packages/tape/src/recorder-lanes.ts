import type { Clock } from '@shadowcat/kernel';
import type { SessionHandle } from '@shadowcat/wire';
import { LateLines } from './late-lines.js';
import type { RecorderEntry } from './recorder-entry.js';
import { NO_SESSION, type Sender, type TapeScope } from './records.js';
import { isSpelledPlainly, type Redactor } from './redact.js';
import type { TapeWriter } from './writer.js';

/** One tape being written: stamps the records with the time since the one before. */
export class Deck {
  readonly writer: TapeWriter;
  readonly #clock: Clock;
  readonly #lines: LateLines;
  #last: number;
  #exchanges = 0;
  #sessions = 0;

  constructor(writer: TapeWriter, clock: Clock) {
    this.writer = writer;
    this.#clock = clock;
    this.#lines = new LateLines((line) => writer.append(line));
    this.#last = clock.now();
  }

  /** Records that wait for others that are being made. */
  get waiting(): number {
    return this.#lines.length;
  }

  /** Appends a record; `fields` are its members after `t`, as JSON text. `at` is when it happened (default: now). */
  put(kind: string, fields: string, at = this.#clock.now()): void {
    this.#lines.add(lineOf({ kind, fields }, this.#elapsed(at)));
  }

  /** Appends a record that is still being made, in its place. */
  putLate(late: LateRecord, at = this.#clock.now()): void {
    const elapsed = this.#elapsed(at);
    this.#lines.addLate(
      late.made.then((content) => lineOf(content, elapsed)),
      late.size,
    );
  }

  /** When the tape's queue is full, or too much is being made: to be awaited before traffic goes on. */
  room(): Promise<void> | undefined {
    return this.#lines.room() ?? this.writer.room();
  }

  /** Writes what is left, and ends the tape. */
  async finish(): Promise<void> {
    await this.#lines.settled();
    await this.writer.finish();
  }

  #elapsed(at: number): number {
    const elapsed = Math.max(0, Math.round((at - this.#last) * 1000));
    this.#last = Math.max(this.#last, at);
    return elapsed;
  }

  exchangeName(): string {
    this.#exchanges += 1;
    return String(this.#exchanges);
  }

  sessionName(): string {
    this.#sessions += 1;
    return `s${this.#sessions}`;
  }
}

/** A record's kind, and its members after `t` as JSON text. */
export interface RecordContent {
  readonly kind: string;
  readonly fields: string;
}

/** A record that takes a while to be made. */
export interface LateRecord {
  /** Never rejects. */
  readonly made: Promise<RecordContent>;
  /** About how long it will be, in characters. */
  readonly size: number;
}

function lineOf({ kind, fields }: RecordContent, elapsed: number): string {
  return `{"k":"${kind}","t":${elapsed},${fields}}`;
}

/** How many ids of one session are remembered; a session gets another one when its upstream lost it. */
const MAX_KNOWN = 8;

/** Takes values out of a record's text: {@link Redactor.known}. */
export type Scrub = Redactor['known'];

/** The traffic of one session, or all that belongs to none, on its tape. */
export class Lane {
  readonly name: string;
  readonly deck: Deck;
  readonly #scrub: Scrub;
  readonly entries = new Set<RecorderEntry>();
  /** Values that are in no record: the session's ids. */
  #known: readonly string[] = [];
  /** Whether a look for them as they are finds them wherever they are. */
  #plain = true;
  /** Whether the tape says that modern requests are in this lane. */
  modern = false;
  /** Who ended the session, once it has ended. */
  endedBy: Sender | 'proxy' | undefined;
  ended = false;

  constructor(name: string, deck: Deck, scrub: Scrub) {
    this.name = name;
    this.deck = deck;
    this.#scrub = scrub;
  }

  put(kind: string, fields: string, at?: number): void {
    this.deck.put(kind, this.#own(fields, this.#known), at);
  }

  putLate({ made, size }: LateRecord, at?: number): void {
    const known = this.#known;
    this.deck.putLate(
      { size, made: made.then(({ kind, fields }) => ({ kind, fields: this.#own(fields, known) })) },
      at,
    );
  }

  #own(fields: string, known: readonly string[]): string {
    return `"s":"${this.name}",${this.#holds(fields, known) ? this.#scrub(fields, known) : fields}`;
  }

  #holds(fields: string, known: readonly string[]): boolean {
    if (!this.#plain) return true;
    for (const value of known) if (fields.includes(value)) return true;
    return false;
  }

  /** Remembers the ids of the session, also the one that a recovery gave it. */
  learnIds(session: SessionHandle, upstreamId: string | undefined = session.upstream?.sessionId): void {
    this.#learn(session.id);
    if (upstreamId !== undefined) this.#learn(upstreamId);
  }

  #learn(id: string): void {
    if (this.#known.includes(id)) return;
    this.#known = [...this.#known, id].slice(-MAX_KNOWN);
    this.#plain = this.#known.every(isSpelledPlainly);
  }
}

/** How the tapes of a recorder are laid out: everything in one, or one a session and one for what has none. */
export type TapeLayout = 'file' | 'directory';

/** What lanes are made with: how a tape is opened, and what happens to it in the end. */
export interface LaneParts {
  readonly open: (scope: TapeScope) => Deck;
  readonly finished: (deck: Deck) => void;
  readonly scrub: Scrub;
  /** Called before a session's end counts: what came before it is to be in its lane. */
  readonly ending?: () => void;
}

/** The lanes of a recorder. Lanes come with their first record and go with their session. */
export class Lanes {
  readonly #layout: TapeLayout;
  readonly #open: (scope: TapeScope) => Deck;
  readonly #finished: (deck: Deck) => void;
  readonly #scrub: Scrub;
  readonly #before: (() => void) | undefined;
  readonly #sessions = new Map<string, Lane>();
  /** Lanes of sessions that ended, with exchanges that have not. */
  readonly #ending = new Set<Lane>();
  readonly #decks = new Set<Deck>();
  #shared: Deck | undefined;
  #sessionless: Lane | undefined;

  constructor(layout: TapeLayout, parts: LaneParts) {
    this.#layout = layout;
    this.#open = parts.open;
    this.#finished = parts.finished;
    this.#scrub = parts.scrub;
    this.#before = parts.ending;
    if (layout === 'file') this.#shared = this.#deck('all');
  }

  get decks(): ReadonlySet<Deck> {
    return this.#decks;
  }

  /** All lanes that are open. */
  *all(): Iterable<Lane> {
    yield* this.#sessions.values();
    yield* this.#ending;
    if (this.#sessionless !== undefined) yield this.#sessionless;
  }

  /** `at`: when the first of its records happened, if not now. */
  sessionless(at?: number): Lane {
    if (this.#sessionless === undefined) {
      this.#sessionless = new Lane(NO_SESSION, this.#shared ?? this.#deck('sessionless'), this.#scrub);
      this.#sessionless.put('conn', '"event":"opened","by":"client"', at);
    }
    return this.#sessionless;
  }

  find(sessionId: string): Lane | undefined {
    return this.#sessions.get(sessionId);
  }

  /** The tape that the records of a session, or of none, go to, if there is one yet. */
  deckOf(sessionId: string | undefined): Deck | undefined {
    const lane = sessionId === undefined ? this.#sessionless : this.#sessions.get(sessionId);
    return lane?.deck ?? this.#shared;
  }

  /**
   * A lane for a session that has none yet, for its `first` exchange, which keeps it open also when the session has ended
   * already. `at`: when the first of its records happened, if not now.
   */
  add(session: SessionHandle, first: RecorderEntry, at?: number): Lane {
    const deck = this.#shared ?? this.#deck('session');
    const lane = new Lane(deck.sessionName(), deck, this.#scrub);
    lane.learnIds(session);
    lane.entries.add(first);
    this.#sessions.set(session.id, lane);
    lane.put('conn', '"event":"opened","by":"client"', at);
    session.onEnd(() => {
      this.#before?.();
      lane.ended = true;
      if (this.#sessions.get(session.id) === lane) this.#sessions.delete(session.id);
      this.#ending.add(lane);
      this.settle(lane);
    });
    return lane;
  }

  /** Called when an exchange or the session of a lane ended: the last one closes it. */
  settle(lane: Lane): void {
    if (!lane.ended || lane.entries.size > 0 || lane.name === NO_SESSION) return;
    this.#ending.delete(lane);
    this.#close(lane);
    if (this.#layout === 'directory') this.#finish(lane.deck);
  }

  /** Ends every lane and its tape. */
  closeAll(): void {
    for (const lane of this.all()) this.#close(lane);
    this.#sessions.clear();
    this.#ending.clear();
    this.#sessionless = undefined;
    for (const deck of [...this.#decks]) this.#finish(deck);
    this.#shared = undefined;
  }

  #close(lane: Lane): void {
    lane.put('conn', `"event":"closed","by":"${lane.endedBy ?? 'proxy'}"`);
  }

  #deck(scope: TapeScope): Deck {
    const deck = this.#open(scope);
    this.#decks.add(deck);
    return deck;
  }

  #finish(deck: Deck): void {
    this.#decks.delete(deck);
    this.#finished(deck);
  }
}
