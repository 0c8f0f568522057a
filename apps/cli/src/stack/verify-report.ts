import { countStatuses, type ExchangeResult, ruleText } from '@shadowcat/tape';
import type { Case, Finding, Report } from '../reports/report.js';
import { nameOf, siteOf } from './replay-report.js';

type Status = ExchangeResult['status'];

const MAX_VALUE = 120;
/** Longer values come cut. */
const CUT = 300;

/** What a verification found out, for people and for CI. Paths are relative to `cwd` where they are below it. */
export function verifyReport(results: readonly ExchangeResult[], exitCode: number, cwd: string): Report {
  const counts = countStatuses(results);
  const parts = Object.entries(counts).flatMap(([status, count]) =>
    count === 0 && status !== 'match' ? [] : [`${count} ${status}`],
  );
  const blocked = new Set(results.flatMap(({ status, target = '' }) => (status === 'blocked' ? [target] : [])));
  const hint = blocked.size === 0 ? '' : `; not called without --allow-effects: ${[...blocked].join(', ')}`;
  return {
    command: 'verify',
    headline: `${results.length} exchanges: ${parts.join(', ')}${hint}${eraHint(results)}`,
    exitCode,
    findings: results.flatMap((result) => findingsOf(result, cwd)),
    cases: results.map((result) => caseOf(result, cwd)),
    figures: { counts, exchanges: results.map((result) => exchangeOf(result, cwd)) },
  };
}

/** The requests that begin each era's conversations. */
const OPENINGS: ReadonlySet<string> = new Set(['initialize', 'server/discover']);

/** A server that refuses to begin differs in all else too: that is one reason, not many. */
function eraHint(results: readonly ExchangeResult[]): string {
  const refused = results.find(({ method, status, recording }) => {
    return status === 'error-shape' && OPENINGS.has(method) && recording?.answer?.value['result'] !== undefined;
  });
  if (refused === undefined) return '';
  return `; the server refuses ${refused.method}: if it speaks another era than the tape, put shadowcat reverse in front of it`;
}

/** A finding for each place that differs; one for what has no two values to show. */
function findingsOf(result: ExchangeResult, cwd: string): Finding[] {
  const { status, method, target, differences } = result;
  if (status === 'match') return [];
  const place = {
    rule: status,
    level: isOpen(status) ? ('warning' as const) : ('error' as const),
    site: siteOf(placeOf(result), cwd),
  };
  if (differences.length === 0) return [{ ...place, message: messageOf(result) }];
  return differences.map(({ pointer, recorded, got }) => ({
    ...place,
    message: `${status}: ${nameOf({ method, target })}, at ${pointer}: recorded ${brief(recorded)}, got ${brief(got)}`,
    remedy: `overlay: ${overlayLine(result, pointer)}`,
  }));
}

/** What could not be established is no pass. */
function caseOf(result: ExchangeResult, cwd: string): Case {
  const { status, lineNumber } = result;
  const name = `${nameOf(result)} (line ${lineNumber})`;
  const site = siteOf(placeOf(result), cwd);
  if (status === 'match') return { name, site, outcome: 'passed' };
  const [first, ...more] = findingsOf(result, cwd);
  const message = `${first?.message ?? status}${more.length === 0 ? '' : `, and at ${more.length} more places`}`;
  return { name, site, outcome: isOpen(status) ? 'error' : 'failed', message };
}

function exchangeOf(result: ExchangeResult, cwd: string): object {
  const { status, method, target, differences, why } = result;
  return {
    status,
    method,
    target,
    ...siteOf(placeOf(result), cwd),
    why,
    differences: differences.map(({ pointer, recorded, got }) => {
      return { pointer, recorded, got, overlay: overlayLine(result, pointer) };
    }),
  };
}

const isOpen = (status: Status): boolean => status === 'blocked' || status === 'skipped';

const placeOf = ({ file, lineNumber }: ExchangeResult) => ({ file, line: lineNumber });

function overlayLine({ method, target }: ExchangeResult, pointer: string): string {
  return `ignore: [${ruleText({ method, target, at: [pointer] })}]`;
}

function messageOf({ status, method, target, why }: ExchangeResult): string {
  return `${status}: ${nameOf({ method, target })}${why === undefined ? '' : `: ${why}`}`;
}

function brief(value: unknown): string {
  if (value === undefined) return 'nothing';
  // What was cut is the value's JSON already.
  const text = typeof value === 'string' && value.length > CUT ? value : JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}
