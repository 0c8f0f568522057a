import type { Difference } from './differences.js';
import type { LiveSession } from './live-session.js';
import { REPEATED } from './live-session.js';
import type { Miss, MissReason } from './miss.js';
import { type ExpectRule, isFor, type Overlay, RUNGS, type Rung, selectorText } from './overlay.js';
import { type Library, type Place, placeText, type RecordedLane, type Recording, type Step } from './recording.js';

/** A request that the tape had no answer for. */
export interface MissReport {
  readonly method: string;
  readonly target: string | undefined;
  readonly reason: MissReason;
  /** `file:line` of the nearest recording. */
  readonly line: string | undefined;
  readonly place: Place | undefined;
  readonly differences: readonly Difference[];
  /** The line of an overlay that would make it a match. */
  readonly overlay: string | undefined;
  readonly message: string;
}

export interface RecordingReport {
  readonly method: string;
  readonly target: string | undefined;
  readonly line: string;
  readonly place: Place;
}

/** A recorded request that was answered, by the loosest rung that it took. */
export interface AnswerReport extends RecordingReport {
  readonly rung: Rung;
  readonly times: number;
}

/** Something worth knowing that fails nothing. */
export interface RemarkReport {
  readonly message: string;
  readonly place: Place | undefined;
}

/** What an overlay expects and did not come so. */
export interface ExpectationReport {
  /** Where the overlay says it: `x.overlay.yaml:3:5`. */
  readonly where: string;
  readonly message: string;
}

/** How a replay went. */
export interface ReplaySummary {
  /** Requests answered from the tapes. */
  readonly served: number;
  /** The same by the rung that matched them. */
  readonly rungs: Readonly<Record<Rung, number>>;
  /** The recorded requests that were answered, in the order of the tapes. */
  readonly answered: readonly AnswerReport[];
  /** Requests that the overlay answered, for want of a recording. */
  readonly given: number;
  /** Requests that an overlay's fault hit. */
  readonly faults: number;
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
  readonly warnings: readonly RemarkReport[];
  readonly expectations: readonly ExpectationReport[];
  /** Whether recordings that nobody asked for are a failure. */
  readonly allUsed: boolean;
  /** As cli.md has it: 0; 1 for misses, unmet expectations, and unused recordings under `allUsed`; 4 for a replay that waits. */
  readonly exitCode: 0 | 1 | 4;
}

const MAX_LISTED = 1000;

/** What happened, while it happens. */
export class ReplayLedger {
  readonly #expected: ReadonlyMap<ExpectRule, { times: number }>;
  readonly #misses: MissReport[] = [];
  readonly #warnings: RemarkReport[] = [];
  readonly #used = new Map<Recording, { rung: Rung; times: number }>();
  readonly #rungs: Record<Rung, number> = { exact: 0, bound: 0, normalised: 0, rule: 0 };
  #given = 0;
  #missed = 0;
  #reused = 0;

  constructor({ expect }: Pick<Overlay, 'expect'>) {
    this.#expected = new Map(expect.map((rule) => [rule, { times: 0 }]));
  }

  /** A request came, whatever becomes of it. */
  asked(request: { readonly method: string; readonly target: string | undefined }): void {
    for (const [rule, count] of this.#expected) if (isFor(rule, request)) count.times += 1;
  }
  /** The overlay answered, for want of a recording. */
  gave(): void {
    this.#given += 1;
  }
  served(recording: Recording, rung: Rung): void {
    this.#rungs[rung] += 1;
    const before = this.#used.get(recording);
    const loosest = before !== undefined && RUNGS.indexOf(before.rung) > RUNGS.indexOf(rung) ? before.rung : rung;
    this.#used.set(recording, { rung: loosest, times: (before?.times ?? 0) + 1 });
  }
  missed(miss: Miss): void {
    this.#missed += 1;
    if (this.#misses.length >= MAX_LISTED) return;
    const line = miss.place === undefined ? undefined : placeText(miss.place);
    this.#misses.push({ ...miss, line });
  }
  warned(message: string, place?: Place): void {
    if (this.#warnings.length < MAX_LISTED) this.#warnings.push({ message, place });
  }
  reused(): void {
    this.#reused += 1;
  }

  summary(library: Library, live: readonly LiveSession[], about: { allUsed: boolean; faults: number }): ReplaySummary {
    const { allUsed, faults } = about;
    const lanes = [...library.sessions, library.sessionless];
    const served = RUNGS.reduce((sum, rung) => sum + this.#rungs[rung], 0);
    const unused = lanes.flatMap((lane) => this.#unusedIn(lane)).map(reportOf);
    const nobodyCame = served + this.#given + this.#missed + faults === 0;
    const waitingFor = nobodyCame ? firstOf(lanes) : live.flatMap(waits);
    const expectations = this.#unmet();
    const failed = this.#missed > 0 || expectations.length > 0 || (allUsed && unused.length > 0);
    return {
      served,
      rungs: { ...this.#rungs },
      answered: lanes.flatMap(({ recordings }) => recordings).flatMap((recording) => this.#answerOf(recording)),
      given: this.#given,
      faults,
      misses: this.#misses,
      moreMisses: this.#missed - this.#misses.length,
      unused,
      waitingFor,
      reused: this.#reused,
      warnings: this.#warnings,
      expectations,
      allUsed,
      exitCode: failed ? 1 : waitingFor.length > 0 ? 4 : 0,
    };
  }

  #unusedIn(lane: RecordedLane): Recording[] {
    return lane.recordings.filter((recording) => !this.#used.has(recording) && !REPEATED.has(recording.method));
  }

  #answerOf(recording: Recording): AnswerReport[] {
    const used = this.#used.get(recording);
    return used === undefined ? [] : [{ ...reportOf(recording), ...used }];
  }

  #unmet(): ExpectationReport[] {
    return [...this.#expected].flatMap(([rule, { times }]) => {
      const { min, max, where } = rule;
      if (times >= min && times <= max) return [];
      const wanted = min === max ? `${min}` : max === Number.POSITIVE_INFINITY ? `at least ${min}` : `${min} to ${max}`;
      return [{ where, message: `${selectorText(rule)} was expected ${wanted} times, and came ${times} times` }];
    });
  }
}

/**
 * What the recorded client answered and the live one has not: requests of the server's that were sent, and input that was
 * asked for (2026-07-28) and not brought by a retry.
 */
function waits(session: LiveSession): RecordingReport[] {
  const asked = [...session.pending.values()].filter((step) => step.answer !== undefined);
  const sent = asked.map((step) => ({
    method: step.method ?? '',
    target: undefined,
    line: placeText(step.place),
    place: step.place,
  }));
  const legs = [...session.used].filter(({ next }) => next !== undefined && !session.used.has(next));
  return [...sent, ...legs.flatMap((recording) => inputsOf(recording))];
}

/** What the answer of a request asks its client for. */
function inputsOf(recording: Recording): RecordingReport[] {
  const { answer, method, target } = recording;
  if (answer === undefined) return [];
  const inputs = inputMethods(answer);
  const retry = `the retry of ${selectorText({ method, ...(target === undefined ? {} : { target }) })}`;
  const report = (what: string, about: string | undefined): RecordingReport => ({
    method: what,
    target: about,
    line: placeText(answer.place),
    place: answer.place,
  });
  return inputs.length === 0 ? [report(method, target)] : inputs.map((input) => report(input, `in ${retry}`));
}

function inputMethods({ value }: Step): string[] {
  const result = value['result'];
  const requests = typeof result === 'object' && result !== null && 'inputRequests' in result && result.inputRequests;
  if (typeof requests !== 'object' || requests === null) return [];
  return Object.values(requests).flatMap((one: unknown) =>
    typeof one === 'object' && one !== null && 'method' in one && typeof one.method === 'string' ? [one.method] : [],
  );
}

/** Nobody has come: the tapes wait for their first request. */
function firstOf(lanes: readonly RecordedLane[]): RecordingReport[] {
  const first = lanes.find(({ recordings }) => recordings.length > 0)?.recordings[0];
  return first === undefined ? [] : [reportOf(first)];
}

function reportOf({ method, target, place }: Recording): RecordingReport {
  return { method, target, line: placeText(place), place };
}
