import type { MissReport } from '@shadowcat/tape';
import { linesOf } from '../reports/formats.js';
import type { Finding } from '../reports/report.js';
import { missFinding } from '../stack/replay-report.js';

/** What a tape has against a test. `message` lists each finding with file and line, and what would mend it. */
export class TapeError extends Error {
  override readonly name = 'TapeError';

  /** `at`: an error whose stack says where the test asked for the tape. */
  constructor(message: string, at?: Error) {
    super(message);
    const frames = at?.stack?.indexOf('\n    at ') ?? -1;
    if (at?.stack !== undefined && frames >= 0) this.stack = `${this.name}: ${message}${at.stack.slice(frames)}`;
  }
}

/** Any failure, with the place in the test instead of one in here. */
export function tapeErrorOf(error: unknown, at: Error): TapeError {
  if (error instanceof TapeError) return error;
  return new TapeError(error instanceof Error ? error.message : String(error), at);
}

/** What is known about a failure, and who should know. */
export interface FailureParts {
  /** One line, such as `2 requests were not on the tape`. */
  readonly headline: string;
  /** Each of one line or more. */
  readonly findings: readonly string[];
  /** What can be done about all of them, a line each. */
  readonly advice: readonly string[];
}

export function failureMessage({ headline, findings, advice }: FailureParts): string {
  return [headline, ...findings, ...advice.map((line) => `  ${line}`)].join('\n');
}

/** A miss as the command line tells it, with every place that differs. */
export function missLines(miss: MissReport, cwd: string): string {
  const [first = '', ...rest] = linesOf(missFinding(miss, cwd));
  // One is in the message already; where the target is another, all differ.
  const told = miss.reason === 'arguments-differ' && miss.differences.length > 1 ? miss.differences : [];
  const differing = told.map(
    ({ pointer, recorded, got }) =>
      `    ${pointer === '' ? '/' : pointer}: recorded ${brief(recorded)}, got ${brief(got)}`,
  );
  return [first, ...differing, ...rest].join('\n');
}

export function findingLines(finding: Finding): string {
  return linesOf(finding).join('\n');
}

function brief(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
