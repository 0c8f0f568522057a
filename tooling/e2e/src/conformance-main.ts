#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { type ConformanceReport, compareConformance, type Requirements, runConformance } from './conformance.js';

const USAGE = `usage: conformance-main.js URL [--requirements 2025-11-25|2026-07-28]... [--against DIRECT_URL] [--out DIR]

Runs the official conformance suite and prints a table. With --against it runs it against that server too and names each
check that is worse at URL. Exits 1 if a scored scenario fails or, with --against, if a check is worse.`;

const REVISIONS: readonly Requirements[] = ['2025-11-25', '2026-07-28'];

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      requirements: { type: 'string', multiple: true, default: [...REVISIONS] },
      against: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const [url] = positionals;
  if (values.help === true || url === undefined) {
    print(USAGE);
    return values.help === true ? 0 : 2;
  }
  let bad = 0;
  for (const requirements of values.requirements.map(revision)) {
    const options = { requirements, ...(values.out !== undefined && { outDir: values.out }) };
    const report = await runConformance({ ...options, url });
    printReport(report, url);
    if (values.against === undefined) bad += failing(report);
    else bad += printRegressions(await runConformance({ ...options, url: values.against }), report);
  }
  return bad === 0 ? 0 : 1;
}

function revision(text: string): Requirements {
  const known = REVISIONS.find((name) => name === text);
  if (known === undefined) throw new Error(`--requirements: expected ${REVISIONS.join(' or ')}, not ${text}`);
  return known;
}

function printReport(report: ConformanceReport, url: string): void {
  print(`\n${report.requirements} at ${url}\n`);
  const width = Math.max(...report.scenarios.map(({ name }) => name.length));
  print(`${'scenario'.padEnd(width)}  scored  passed  failed  other`);
  for (const { name, scored, checks } of report.scenarios) {
    const count = (status: string): number => checks.filter((check) => check.status === status).length;
    const [passed, failed] = [count('SUCCESS'), count('FAILURE')];
    const numbers = [passed, failed, checks.length - passed - failed].map((number) => String(number).padStart(6));
    print(`${name.padEnd(width)}  ${(scored ? 'yes' : 'no').padEnd(6)}  ${numbers.join('  ')}`);
    for (const check of checks) {
      if (check.status === 'FAILURE') print(`    ${check.id}: ${check.errorMessage ?? ''}`);
    }
  }
  const scored = report.scenarios.filter((scenario) => scenario.scored).length;
  print(
    `\n${report.passed} passed, ${report.failed} failed; ${scored - failing(report)} of ${scored} scored scenarios pass`,
  );
}

function printRegressions(direct: ConformanceReport, proxied: ConformanceReport): number {
  const regressions = compareConformance(direct, proxied);
  print(`${direct.passed} passed, ${direct.failed} failed directly; ${regressions.length} checks are worse`);
  for (const { scenario, check, direct: before, proxied: after, errorMessage } of regressions) {
    print(`    ${scenario} ${check}: ${before} -> ${after ?? 'missing'} ${errorMessage ?? ''}`);
  }
  return regressions.length;
}

/** How many scored scenarios have a failed check. */
function failing({ scenarios }: ConformanceReport): number {
  return scenarios.filter(({ scored, checks }) => scored && checks.some(({ status }) => status === 'FAILURE')).length;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
