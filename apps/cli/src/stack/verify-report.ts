import { relative } from 'node:path';
import { countStatuses, type ExchangeResult, ruleText } from '@shadowcat/tape';

/** How many findings are told in full. */
const LISTED = 50;
const MAX_VALUE = 120;

/** One thing that a person may want to mend. */
export interface VerifyFinding {
  /** As in the results, without `match`. */
  readonly status: Exclude<ExchangeResult['status'], 'match'>;
  /** Relative to the working directory. */
  readonly file: string;
  readonly line: number;
  readonly method: string;
  readonly target: string | undefined;
  /** JSON pointer; absent where no two values tell. */
  readonly pointer: string | undefined;
  readonly recorded: unknown;
  readonly got: unknown;
  readonly message: string;
  /** The line of an overlay that would ignore it. */
  readonly overlay: string | undefined;
}

/** The findings of a verification, a place each, in the order of the tapes. */
export function findingsOf(results: readonly ExchangeResult[], cwd: string): readonly VerifyFinding[] {
  return results.flatMap((result): VerifyFinding[] => {
    const { status, method, target, differences, why, recording } = result;
    if (status === 'match') return [];
    const place = { status, file: relative(cwd, result.file) || result.file, line: result.lineNumber, method, target };
    const what = target === undefined ? method : `${method} ${target}`;
    if (differences.length === 0) {
      const nothing = { pointer: undefined, recorded: undefined, got: undefined, overlay: undefined };
      return [{ ...place, ...nothing, message: `${status}: ${what}${why === undefined ? '' : `: ${why}`}` }];
    }
    return differences.map(({ pointer, recorded, got }) => ({
      ...place,
      pointer,
      recorded,
      got,
      message: `${status}: ${what}, at ${pointer}: recorded ${brief(recorded)}, got ${brief(got)}`,
      overlay: recording === undefined ? undefined : `ignore: [${ruleText({ method, target, at: [pointer] })}]`,
    }));
  });
}

/** Tells a person how a verification went. */
export function tellVerification(
  results: readonly ExchangeResult[],
  findings: readonly VerifyFinding[],
  tell: (text: string) => void,
): void {
  for (const { file, line, message, overlay } of findings.slice(0, LISTED)) {
    tell(`${file}:${line}: ${message}`);
    if (overlay !== undefined) tell(`    overlay: ${overlay}`);
  }
  if (findings.length > LISTED) tell(`and ${findings.length - LISTED} more; --report json=<file> has them all`);
  const { match, ...others } = countStatuses(results);
  const parts = Object.entries(others).flatMap(([status, count]) => (count === 0 ? [] : [`${count} ${status}`]));
  tell(`verify: ${results.length} exchanges: ${[`${match} match`, ...parts].join(', ')}`);
  const blocked = new Set(
    results.flatMap(({ status, target }) => (status === 'blocked' && target !== undefined ? [target] : [])),
  );
  if (blocked.size > 0) tell(`not called without --allow-effects: ${[...blocked].join(', ')}`);
}

function brief(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}
