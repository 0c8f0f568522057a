import { relative } from 'node:path';
import {
  type MissReport,
  type Place,
  type RecordingReport,
  type ReplaySummary,
  type RuleReach,
  selectorText,
} from '@shadowcat/tape';
import type { Case, Finding, Report, Site } from '../reports/report.js';

/** What a replay found out, for people and for CI. Paths are relative to `cwd` where they are below it. */
export function replayReport(summary: ReplaySummary, cwd: string): Report {
  const { served, given, rungs, faults, misses, moreMisses, unused, reused, waitingFor, exitCode } = summary;
  const missed = misses.length + moreMisses;
  const looser = (['bound', 'normalised', 'rule'] as const).filter((rung) => rungs[rung] > 0);
  const by = looser.length === 0 ? '' : ` (${looser.map((rung) => `${rungs[rung]} by ${rung}`).join(', ')})`;
  const own = given === 0 ? '' : `, ${given} by the overlay alone`;
  const failed = faults === 0 ? '' : `, ${faults} failed on purpose`;
  return {
    command: 'replay',
    headline: `${served} answered from the tape${by}${own}${failed}, ${missed} missed, ${unused.length} recorded and not asked for`,
    exitCode,
    findings: findingsOf(summary, cwd),
    cases: casesOf(summary, cwd),
    figures: { served, given, rungs, faults, missed, unused: unused.length, waiting: waitingFor.length, reused },
  };
}

function findingsOf(summary: ReplaySummary, cwd: string): Finding[] {
  const { misses, moreMisses, unused, waitingFor, reused, warnings, expectations, allUsed } = summary;
  const findings = misses.map((miss) => missFinding(miss, cwd));
  if (moreMisses > 0) {
    findings.push({ rule: 'miss/more', level: 'error', message: `${moreMisses} more were missed`, site: undefined });
  }
  const clients = reused === 1 ? '1 client' : `${reused} clients`;
  const again = `all recorded sessions were in use; ${clients} got one again from its beginning`;
  return [
    ...findings,
    ...waitingFor.map((waits) => ({
      rule: 'waiting',
      level: 'error' as const,
      message: `still waiting for the client: ${nameOf(waits)}`,
      site: siteOf(waits.place, cwd),
    })),
    ...expectations.map(({ where, message }) => ({
      rule: 'expectation',
      level: 'error' as const,
      message,
      site: siteAt(where),
    })),
    ...warnings.map(({ message, place }) => ({
      rule: 'remark',
      level: 'warning' as const,
      message,
      site: place && siteOf(place, cwd),
    })),
    ...unused.map((report) => ({
      rule: 'unused',
      level: allUsed ? ('error' as const) : ('note' as const),
      message: `not asked for: ${nameOf(report)}`,
      site: siteOf(report.place, cwd),
    })),
    ...(reused === 0 ? [] : [{ rule: 'reused', level: 'note' as const, message: again, site: undefined }]),
  ];
}

/** A request that was not on the tape. */
export function missFinding({ reason, message, place, overlay }: MissReport, cwd: string): Finding {
  return {
    rule: `miss/${reason}`,
    level: 'error',
    message,
    site: place && siteOf(place, cwd),
    ...(overlay === undefined ? {} : { remedy: `overlay: ${overlay}` }),
  };
}

function casesOf(summary: ReplaySummary, cwd: string): Case[] {
  const { answered, misses, unused, waitingFor, expectations, allUsed } = summary;
  const about = (report: RecordingReport): Pick<Case, 'name' | 'site'> => ({
    name: `${nameOf(report)} (line ${report.place.line})`,
    site: siteOf(report.place, cwd),
  });
  return [
    ...answered.map((report) => ({ ...about(report), outcome: 'passed' as const })),
    ...misses.map(({ method, target, message, place }, index) => ({
      name: `${nameOf({ method, target })} (miss ${index + 1})`,
      site: place && siteOf(place, cwd),
      outcome: 'failed' as const,
      message,
    })),
    ...waitingFor.map((report) => ({
      ...about(report),
      outcome: 'error' as const,
      message: 'the replay ended while it waited for the client to send this',
    })),
    ...expectations.map(({ where, message }) => ({
      name: `expectation at ${where}`,
      site: siteAt(where),
      outcome: 'failed' as const,
      message,
    })),
    ...unused.map((report) => ({
      ...about(report),
      outcome: allUsed ? ('failed' as const) : ('skipped' as const),
      message: 'nobody asked for it',
    })),
  ];
}

/** What the rules of an overlay touch. Fails when one touches nothing. */
export function reachReport(reach: readonly RuleReach[]): Report {
  const idle = reach.filter(({ touches }) => touches === 0);
  return {
    command: 'replay',
    headline: `${reach.length} rules, ${idle.length} of them touch nothing on the tapes`,
    exitCode: idle.length === 0 ? 0 : 1,
    findings: idle.map(({ where, rule }) => ({
      rule: 'rule-without-effect',
      level: 'error',
      message: `${rule}: touches nothing`,
      site: siteAt(where),
    })),
    cases: reach.map(({ where, rule, touches }) => ({
      name: `${rule} (${where})`,
      site: siteAt(where),
      outcome: touches === 0 ? 'failed' : 'passed',
      ...(touches === 0 ? { message: 'touches nothing' } : {}),
    })),
    figures: { rules: reach },
  };
}

/** What was asked for, in a few words. */
export function nameOf({ method, target }: Pick<RecordingReport, 'method' | 'target'>): string {
  return selectorText({ method, ...(target === undefined ? {} : { target }) });
}

/** A place as users would name it. */
export function siteOf({ file, line }: Place, cwd: string): Site {
  const below = relative(cwd, file);
  return { file: below === '' || below.startsWith('..') ? file : below, line };
}

/** Where a rule stands: `x.overlay.yaml:3:5`. */
function siteAt(where: string): Site | undefined {
  const [, file, line] = /^(.*):(\d+):\d+$/.exec(where) ?? [];
  return file === undefined ? undefined : { file, line: Number(line) };
}
