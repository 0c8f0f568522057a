import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run } from './processes.js';

export type Requirements = '2025-11-25' | '2026-07-28';
/** What a revision requires, or the suite's own choice of scenarios for whatever it finds at the URL. */
export type Selection = Requirements | 'active';
export type CheckStatus = 'SUCCESS' | 'INFO' | 'SKIPPED' | 'WARNING' | 'FAILURE';

interface Check {
  readonly id: string;
  readonly status: CheckStatus;
  readonly errorMessage?: string;
}

interface Scenario {
  readonly name: string;
  /** Whether the revision requires it; the others run for information. All of `active` are. */
  readonly scored: boolean;
  readonly checks: readonly Check[];
  /** Where a client is tested: what it said went wrong, and the proxy's log. For whoever has to find out why a check fails. */
  readonly said?: string;
}

export interface ConformanceReport {
  readonly requirements: Selection;
  /** Checks with status SUCCESS and FAILURE, over all scenarios. */
  readonly passed: number;
  readonly failed: number;
  readonly scenarios: readonly Scenario[];
}

export interface ConformanceOptions {
  readonly url: string;
  readonly requirements: Selection;
  /** Where the suite's own files are kept; by default they are removed when they have been read. */
  readonly outDir?: string;
  /** Default three minutes. */
  readonly timeoutMs?: number;
}

const require = createRequire(import.meta.url);
const PACKAGE = dirname(require.resolve('@modelcontextprotocol/conformance/package.json'));
/** Gives the suite's shortest limits more time; must have been built. */
const PATIENCE = pathToFileURL(join(import.meta.dirname, '..', 'dist', 'suite-patience.js')).href;
/** What the suite allows a scenario: four times its default. */
const SCENARIO_MS = '120000';

/**
 * Runs the official conformance suite against a server. A scored scenario that left no result counts as one failed check
 * named `no-result`.
 *
 * @throws if the suite does not end in time or leaves no results at all
 */
export async function runConformance(options: ConformanceOptions): Promise<ConformanceReport> {
  const { url, requirements, outDir, timeoutMs = 180_000 } = options;
  const choice = requirements === 'active' ? ['--suite', 'active'] : ['--requirements', requirements];
  const suite = ['--import', PATIENCE, join(PACKAGE, 'dist/index.js'), 'server'];
  const results = await mkdtemp(join(outDir ?? tmpdir(), `conformance-${requirements}-`));
  try {
    const exit = await run({
      command: process.execPath,
      args: [...suite, '--url', url, ...choice, '--timeout', SCENARIO_MS, '-o', results],
      timeoutMs,
    });
    if (exit.signal !== null) throw new Error(`the conformance suite was ended by ${exit.signal} against ${url}`);
    const found = await readResults(results);
    if (found.size === 0) throw new Error(`the conformance suite left no results:\n${exit.stderr.slice(-2000)}`);
    const scored = requirements === 'active' ? new Set(found.keys()) : await scoredScenarios(requirements);
    return report(requirements, { found, scored, printed: exit.stderr.slice(-2000) });
  } finally {
    if (outDir === undefined) await rm(results, { recursive: true, force: true });
  }
}

/** A check that came out worse than it did directly; `proxied` is undefined if it did not run at all. */
export interface Regression {
  readonly scenario: string;
  readonly check: string;
  readonly direct: CheckStatus;
  readonly proxied: CheckStatus | undefined;
  readonly errorMessage?: string;
  /** Of the scenario in the second report. */
  readonly said?: string;
}

const RANK: Readonly<Record<CheckStatus, number>> = { SUCCESS: 4, INFO: 3, SKIPPED: 2, WARNING: 1, FAILURE: 0 };

/**
 * The checks that are worse in the second report than in the first. A check that occurs several times in a scenario is
 * compared occurrence by occurrence, the worst with the worst.
 */
export function compareConformance(direct: ConformanceReport, proxied: ConformanceReport): Regression[] {
  const others = new Map(proxied.scenarios.map((scenario) => [scenario.name, scenario]));
  return direct.scenarios.flatMap((scenario) => {
    const { checks = [], said } = others.get(scenario.name) ?? {};
    const after = occurrences(checks);
    const context = said === undefined ? {} : { said };
    return [...occurrences(scenario.checks)].flatMap(([id, before]) =>
      worse(before, after.get(id) ?? []).map((pair) => ({ scenario: scenario.name, check: id, ...pair, ...context })),
    );
  });
}

function worse(before: readonly Check[], after: readonly Check[]): Omit<Regression, 'scenario' | 'check' | 'said'>[] {
  // An occurrence that is missing is worse than any status, so the best of the first report meet the missing ones.
  return before.flatMap((check, index) => {
    const other = after[index];
    if (other !== undefined && RANK[other.status] >= RANK[check.status]) return [];
    const message = other?.errorMessage === undefined ? {} : { errorMessage: other.errorMessage };
    return [{ direct: check.status, proxied: other?.status, ...message }];
  });
}

/** By id, worst first. */
function occurrences(checks: readonly Check[]): Map<string, Check[]> {
  const groups = Map.groupBy(checks, (check) => check.id);
  for (const group of groups.values()) group.sort((a, b) => RANK[a.status] - RANK[b.status]);
  return groups;
}

interface Outcome {
  readonly found: ReadonlyMap<string, Check[]>;
  readonly scored: ReadonlySet<string>;
  /** The end of what the suite printed about its own troubles. */
  readonly printed: string;
}

function report(requirements: Selection, { found, scored, printed }: Outcome): ConformanceReport {
  const missing = [...scored].filter((name) => !found.has(name));
  const noResult = [{ id: 'no-result', status: 'FAILURE' as const, errorMessage: printed }];
  const scenarios: Scenario[] = [
    ...[...found].map(([name, checks]) => ({ name, scored: scored.has(name), checks })),
    ...missing.map((name) => ({ name, scored: true, checks: noResult })),
  ];
  const count = (status: CheckStatus): number =>
    scenarios.flatMap(({ checks }) => checks).filter((check) => check.status === status).length;
  return { requirements, passed: count('SUCCESS'), failed: count('FAILURE'), scenarios };
}

/** The suite writes one directory for each scenario: `server-<name>-<time>/checks.json`. */
async function readResults(directory: string): Promise<Map<string, Check[]>> {
  const results = new Map<string, Check[]>();
  for (const entry of await readdir(directory)) {
    const name = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(entry)?.[1];
    if (name === undefined) continue;
    const text = await resultsIn(join(directory, entry));
    if (text === undefined) continue;
    const checks = JSON.parse(text) as Check[];
    results.set(
      name,
      checks.map(({ id, status, errorMessage }) => ({ id, status, ...(errorMessage && { errorMessage }) })),
    );
  }
  return results;
}

/** A scenario that threw leaves a directory without results. */
async function resultsIn(directory: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, 'checks.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The names in the `server` list of the suite's own requirements file. */
async function scoredScenarios(requirements: Requirements): Promise<Set<string>> {
  const text = await readFile(join(PACKAGE, 'requirements', `${requirements}.yaml`), 'utf8');
  const list = /^server:\n((?: {2}- .+\n)+)/m.exec(text)?.[1];
  if (list === undefined) throw new Error(`no list of server scenarios in the requirements of ${requirements}`);
  return new Set([...list.matchAll(/^ {2}- (\S+)/gm)].map(([, name = '']) => name));
}
