import type { Tape } from '../records.js';

/** Where time begins in exports of a tape that does not say when it was recorded: 2000-01-01T00:00:00Z, in microseconds. */
export const NO_TIME = Date.UTC(2000, 0, 1) * 1000;
/** 2500-01-01: the formats have no place for later times, and no tape needs one. */
const LATEST = Date.UTC(2500, 0, 1) * 1000;

/** When the lines of a tape happened. */
export interface TapeTimes {
  /** Whether the tape has a clock. */
  readonly timed: boolean;
  /** Of a line: microseconds since 1970. Without a clock all lines have {@link NO_TIME}. */
  micros(line: number): number;
}

/** Reads the clock of a tape. Times that no calendar has are those at its ends. */
export function timesOf(tape: Tape): TapeTimes {
  const began = Date.parse(tape.head.at ?? '') * 1000;
  const start = Number.isFinite(began) ? began : NO_TIME;
  const at: number[] = [];
  let now = start;
  let timed = false;
  for (const { line, t } of tape.records) {
    timed ||= t !== undefined;
    now += t ?? 0;
    at[line] = Math.round(Math.min(Math.max(now, 0), LATEST));
  }
  return { timed, micros: timed ? (line) => at[line] ?? start : () => NO_TIME };
}

/** ISO 8601, with milliseconds. */
export function instantText(micros: number): string {
  return new Date(Math.floor(micros / 1000)).toISOString();
}
