import type { LiveSession } from './live-session.js';
import { REPEATED } from './live-session.js';
import type { MissReason } from './miss.js';
import { type Library, placeText, type RecordedLane, type Recording } from './recording.js';

/** A request that the tape had no answer for. */
export interface MissReport {
  readonly method: string;
  readonly reason: MissReason;
  /** `file:line` of the nearest recording. */
  readonly line: string | undefined;
  readonly message: string;
}

export interface RecordingReport {
  readonly method: string;
  readonly target: string | undefined;
  readonly line: string;
}

/** How a replay went. */
export interface ReplaySummary {
  /** Requests answered from the tapes. */
  readonly served: number;
  readonly misses: readonly MissReport[];
  /** Misses beyond those listed. */
  readonly moreMisses: number;
  /** Recorded requests that nobody asked for; those that are repeated anyway (lists, `ping`) are left out. */
  readonly unused: readonly RecordingReport[];
  /** What the tapes still wait for from the client, such as `sampling/createMessage`. */
  readonly waitingFor: readonly RecordingReport[];
  /** How often a recorded session was given to one more live session after all had been used. */
  readonly reused: number;
  /** Answers of the client's to the server's requests that differ from the recorded ones, and other remarks. */
  readonly warnings: readonly string[];
  /** As cli.md has it: 0, 1 for misses (and unused recordings under `allUsed`), 4 for a replay that waits. */
  readonly exitCode: 0 | 1 | 4;
}

const MAX_LISTED = 1000;

/** What happened, while it happens. */
export class ReplayLedger {
  readonly #misses: MissReport[] = [];
  readonly #warnings: string[] = [];
  readonly #used = new Set<Recording>();
  #served = 0;
  #missed = 0;
  #reused = 0;

  served(recording: Recording): void {
    this.#served += 1;
    this.#used.add(recording);
  }
  missed(miss: MissReport): void {
    this.#missed += 1;
    if (this.#misses.length < MAX_LISTED) this.#misses.push(miss);
  }
  warned(message: string): void {
    if (this.#warnings.length < MAX_LISTED) this.#warnings.push(message);
  }
  reused(): void {
    this.#reused += 1;
  }

  summary(library: Library, live: readonly LiveSession[], allUsed: boolean): ReplaySummary {
    const lanes = [...library.sessions, library.sessionless];
    const unused = lanes.flatMap((lane) => this.#unusedIn(lane)).map(reportOf);
    const waitingFor = this.#served === 0 && this.#missed === 0 ? firstOf(lanes) : live.flatMap(waits);
    const failed = this.#missed > 0 || (allUsed && unused.length > 0);
    return {
      served: this.#served,
      misses: this.#misses,
      moreMisses: this.#missed - this.#misses.length,
      unused,
      waitingFor,
      reused: this.#reused,
      warnings: this.#warnings,
      exitCode: failed ? 1 : waitingFor.length > 0 ? 4 : 0,
    };
  }

  #unusedIn(lane: RecordedLane): Recording[] {
    return lane.recordings.filter((recording) => !this.#used.has(recording) && !REPEATED.has(recording.method));
  }
}

/** Server requests that were sent and not answered, though the recorded client did. */
function waits(session: LiveSession): RecordingReport[] {
  return [...session.pending.values()]
    .filter((step) => step.answer !== undefined)
    .map((step) => ({ method: step.method ?? '', target: undefined, line: placeText(step.place) }));
}

/** Nobody has come: the tapes wait for their first request. */
function firstOf(lanes: readonly RecordedLane[]): RecordingReport[] {
  const first = lanes.find(({ recordings }) => recordings.length > 0)?.recordings[0];
  return first === undefined ? [] : [reportOf(first)];
}

function reportOf({ method, target, place }: Recording): RecordingReport {
  return { method, target, line: placeText(place) };
}
