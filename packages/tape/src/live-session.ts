import type { ProxyError, Timer } from '@shadowcat/kernel';
import { Bindings } from './bindings.js';
import type { Ladder } from './ladder.js';
import type { ReplaceRule, Rung } from './overlay.js';
import type { RecordedLane, Recording, Step } from './recording.js';
import { type RequestShape, retryKey } from './request-key.js';

/** Methods whose last recording is repeated, and the notification that makes the next one due. */
export const REPEATED: ReadonlyMap<string, string | undefined> = new Map([
  ['initialize', undefined],
  ['ping', undefined],
  ['server/discover', undefined],
  ['tools/list', 'notifications/tools/list_changed'],
  ['prompts/list', 'notifications/prompts/list_changed'],
  ['resources/list', 'notifications/resources/list_changed'],
  ['resources/templates/list', 'notifications/resources/list_changed'],
]);

/** What a request was matched with, and by which rung. */
export interface Match {
  readonly recording: Recording;
  readonly rung: Rung;
  /** A retry that was matched by its state and which inputs it answers, not by what the answers are. */
  readonly otherAnswers: boolean;
  /** Of what is repeated: how far its key has come when this one is served. */
  readonly turn?: Turn;
  /** Whether the tapes have nothing, and the overlay answers. */
  readonly given?: boolean;
}

/** Which of the recordings of a key is the one to repeat; `before`: which one was, if any. */
interface Turn {
  readonly key: string;
  readonly index: number;
  readonly before: number | undefined;
}

type Taken = Pick<Match, 'recording' | 'turn'>;

const NOTHING_AHEAD: ReadonlySet<Step> = new Set();

/** What a live request asked with: its id and progress token, as JSON text. */
export interface LiveRequest {
  readonly idText: string;
  readonly progressToken: string | undefined;
}

/** A live request being answered from a recording; it can be given up. */
export interface Play {
  readonly session: LiveSession;
  readonly recording: Recording;
  readonly live: LiveRequest;
  /** What is sent; all of the recording's, unless the overlay says otherwise. */
  readonly steps: readonly Step[];
  /** Milliseconds before the first of them. */
  readonly delayMs: number;
  /** Whether it stays open when all was sent, until the client goes or cancels. */
  readonly hold: boolean;
  /** The proxy's own error, which the recorded client was told instead of an answer after what came before it. */
  readonly error?: ProxyError | undefined;
  /** The overlay's values for what is sent. */
  readonly replace: readonly ReplaceRule[];
  stopped: boolean;
}

/** What is looked for, and among which recordings, in their order. `key` names them. */
interface Wanted {
  readonly shape: RequestShape;
  readonly key: string;
  readonly recordings: readonly Recording[];
  /** Which of them count; absent: all. */
  readonly fits?: (candidate: Recording) => boolean;
}

/**
 * One live session (or all sessionless traffic) and how far it has come in the lane it is bound to. Ids live here: two
 * sessions with equal ids never meet.
 */
export class LiveSession {
  readonly lane: RecordedLane;
  readonly bindings = new Bindings();
  /** Recordings that were served at least once. */
  readonly used = new Set<Recording>();
  /** Server requests that were sent, by their id in this session. */
  readonly pending = new Map<string, Step>();
  readonly plays = new Set<Play>();
  readonly #sent = new Map<Step, string>();
  readonly #answered = new Set<Step>();
  readonly #done = new Set<number>();
  /** Where the first recording of a key that may be unused is, and, of those that are repeated, the one to repeat. */
  readonly #last = new Map<string, number>();
  readonly #turns = new Map<string, number>();
  readonly #waiters = new Set<() => void>();
  readonly #notices = new Map<string, number>();
  readonly #reminders = new Map<Recording, Timer>();
  #retries: Map<string, Recording[]> | undefined;
  #ids = 0;
  /** Which standing stream is the present one. */
  stream = 0;
  streaming = false;
  /** How many messages of the lane's standing streams were sent. */
  cursor = 0;
  closed = false;
  /** Whether nothing comes from the client any more, although it may still read. */
  #deaf = false;

  constructor(lane: RecordedLane) {
    this.lane = lane;
  }

  /** Whether every recording that is not merely repeated was served. */
  get spent(): boolean {
    return this.lane.recordings.every((recording) => this.used.has(recording) || REPEATED.has(recording.method));
  }

  /**
   * The recording for a request, by the strictest rung that has one: first in, first out per key; lists and openings repeat
   * their last. It counts as served with {@link use}.
   */
  find(shape: RequestShape, ladder: Ladder): Match | undefined {
    const exact = this.#takeAt({ shape, key: shape.key, recordings: this.lane.byKey.get(shape.key) ?? [] });
    if (exact !== undefined) return { ...exact, rung: 'exact', otherAnswers: false };
    for (const { rung, key, recordings } of ladder.climb(this.lane, shape, this.bindings)) {
      const fits = (candidate: Recording): boolean => ladder.fits(candidate, shape, this.bindings);
      const taken = this.#takeAt({ shape, key, recordings, fits });
      if (taken !== undefined) return { ...taken, rung, otherAnswers: false };
    }
    const retried = ladder.allows('bound') ? this.#takeRetry(shape) : undefined;
    return retried === undefined ? undefined : { recording: retried, rung: 'bound', otherAnswers: true };
  }

  /** The recording is served: it is used up, and what waited for its request need not any more. */
  use({ recording, turn }: Match): void {
    this.used.add(recording);
    if (turn !== undefined) this.#turns.set(turn.key, turn.index);
    this.#reminders.get(recording)?.cancel();
    this.#reminders.delete(recording);
    this.done(recording.order);
  }

  /** The client did not get its answer: the next equal request has it. */
  giveBack({ recording, turn }: Match): void {
    this.used.delete(recording);
    if (turn === undefined) return;
    if (turn.before === undefined) this.#turns.delete(turn.key);
    else this.#turns.set(turn.key, turn.before);
  }

  /** A timer that is to fire unless `recording` is used before, or the session ends. */
  remind(recording: Recording, timer: Timer): void {
    this.#reminders.get(recording)?.cancel();
    this.#reminders.set(recording, timer);
  }

  #takeAt(wanted: Wanted): Taken | undefined {
    if (REPEATED.has(wanted.shape.method)) return this.#takeRepeated(wanted);
    const recording = this.#takeNext(wanted);
    return recording && { recording };
  }

  #takeNext({ key, recordings, fits }: Wanted): Recording | undefined {
    const free = (from: number): number => {
      let at = from;
      for (let one = recordings[at]; one !== undefined && this.used.has(one); one = recordings[at]) at += 1;
      return at;
    };
    let at = free(this.#last.get(key) ?? 0);
    this.#last.set(key, at);
    for (let one = recordings[at]; one !== undefined; one = recordings[at]) {
      if (fits === undefined || fits(one)) return one;
      at = free(at + 1);
    }
    return undefined;
  }

  #takeRepeated({ shape, key, recordings }: Wanted): Taken | undefined {
    const before = this.#turns.get(key);
    const last = before === undefined ? undefined : recordings[before];
    const next = before === undefined ? 0 : before + 1;
    const candidate = recordings[next];
    if (candidate !== undefined && (last === undefined || this.#due(shape.method, last, candidate))) {
      return { recording: candidate, turn: { key, index: next, before } };
    }
    return last && { recording: last };
  }

  /** A list that was recorded after a `list_changed` is due once that was sent. */
  #due(method: string, last: Recording, next: Recording): boolean {
    const change = REPEATED.get(method);
    if (change === undefined) return true;
    return this.lane.changes.every(
      (step) => step.method !== change || step.order < last.order || step.order > next.order || this.isDone(step.order),
    );
  }

  #takeRetry(shape: RequestShape): Recording | undefined {
    const key = retryKey(shape);
    if (key === undefined) return undefined;
    this.#retries ??= retriesOf(this.lane);
    return this.#retries.get(key)?.find((candidate) => !this.used.has(candidate));
  }

  /** A notification of the client's came: the next recorded one of its method has happened. */
  notice(method: string): void {
    const seen = this.#notices.get(method) ?? 0;
    const recorded = this.lane.notices.get(method)?.[seen];
    if (recorded === undefined) return;
    this.#notices.set(method, seen + 1);
    this.done(recorded.order);
  }

  /** Gives a server request an id of this session's. */
  ask(step: Step): string {
    const idText = String(this.#ids);
    this.#ids += 1;
    this.#sent.set(step, idText);
    this.pending.set(idText, step);
    return idText;
  }

  /** The id that a server request was sent with, if it was. */
  sentAs(step: Step): string | undefined {
    return this.#sent.get(step);
  }

  /** The client answered. The server request that it answers, or `undefined` when there is none. */
  answer(idText: string | undefined): Step | undefined {
    const step = idText === undefined ? undefined : this.pending.get(idText);
    if (step === undefined || idText === undefined) return undefined;
    this.pending.delete(idText);
    this.#answered.add(step);
    if (step.answer !== undefined) this.done(step.answer.order);
    else this.#wake();
    return step;
  }

  /** Server requests that have to be answered before `step`; not those that are sent after it this time (`ahead`). */
  unanswered(step: Step, ahead = NOTHING_AHEAD): readonly Step[] {
    return step.awaits.filter((asked) => !this.#answered.has(asked) && !ahead.has(asked));
  }

  /** Nothing comes from the client any more: what waits for its answers ends. */
  hangUp(): void {
    this.#deaf = true;
    this.#wake();
  }

  /** Whether `step` will never be sent: the client has to answer something first, and cannot any more. */
  hopeless(step: Step, ahead = NOTHING_AHEAD): boolean {
    return this.#deaf && this.unanswered(step, ahead).length > 0;
  }

  get deaf(): boolean {
    return this.#deaf;
  }

  ready(step: Step, ahead = NOTHING_AHEAD): boolean {
    return step.after.every((order) => this.#done.has(order)) && this.unanswered(step, ahead).length === 0;
  }

  done(order: number): void {
    this.#done.add(order);
    this.#wake();
  }

  isDone(order: number): boolean {
    return this.#done.has(order);
  }

  /** Nothing more comes of a request: what waited for it need not. */
  release(play: Play): void {
    this.plays.delete(play);
    play.stopped = true;
    for (const step of play.recording.steps) this.#done.add(step.order);
    this.#wake();
  }

  /** The client cancels a request. Where clients without sessions share an id, nobody knows whose it is: nothing happens. */
  cancel(idText: string): void {
    const [play, ...others] = [...this.plays].filter(({ live }) => live.idText === idText);
    if (play !== undefined && others.length === 0) this.stop(play);
  }

  stop(play: Play): void {
    play.stopped = true;
    this.#wake();
  }

  /** Takes the place of the standing stream before. Returns the new one's number. */
  openStream(): number {
    this.stream += 1;
    this.streaming = true;
    this.#wake();
    return this.stream;
  }

  closeStream(number: number): void {
    if (number !== this.stream) return;
    this.streaming = false;
    this.#wake();
  }

  close(): void {
    this.closed = true;
    for (const timer of this.#reminders.values()) timer.cancel();
    this.#reminders.clear();
    this.#wake();
  }

  /** Makes everyone who waits look again: something outside of the session has changed. */
  wake(): void {
    this.#wake();
  }

  /** Resolves when `condition` holds; it is looked at after each change of this session. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  #wake(): void {
    if (this.#waiters.size === 0) return;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const resolve of waiters) resolve();
  }
}

function retriesOf(lane: RecordedLane): Map<string, Recording[]> {
  const retries = new Map<string, Recording[]>();
  for (const recording of lane.recordings) {
    const key = recording.retryKey;
    if (key === undefined) continue;
    const same = retries.get(key);
    if (same === undefined) retries.set(key, [recording]);
    else same.push(recording);
  }
  return retries;
}
