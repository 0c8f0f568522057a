#!/usr/bin/env node
// `npm test` and `npm run check`: runs every step, also after one that failed, and ends with `N passed, M failed`. With
// words, only the steps of these names: `npm run check -- lint unit`.
import { join } from 'node:path';
import { inspect } from 'node:util';
import { exitCodeOf } from '../bootstrap/lib/child.mjs';
import { seconds, spin } from '../bootstrap/lib/progress.mjs';
import { startCommand } from './command.mjs';
import { clearReport, readReport, summarise } from './report.mjs';
import { STEPS } from './steps.mjs';
import { treeState } from './tree-state.mjs';

const root = join(import.meta.dirname, '..', '..');
const EXIT = { failed: 1, usage: 2 };
/** Colours are for eyes: tools that see CI=true would send them into a log file. */
const ENV = {
  ...process.env,
  ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1', FORCE_COLOR: undefined }),
};

/** More than a step takes, on a slow machine too; a step that hangs would otherwise say nothing at all. Milliseconds. */
const LIMIT_MS = 15 * 60_000;

/** @typedef {import('./report.mjs').Outcome} Outcome */

const outcomes = /** @type {Map<string, Outcome>} */ (new Map());
/** @type {import('./command.mjs').Command | undefined} */
let running;
/** The signal that ends all: no step begins after it. @type {NodeJS.Signals | undefined} */
let stoppedBy;
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => {
    stoppedBy ??= signal;
    running?.stop(`stopped by ${signal}`);
  });
}

/**
 * @param {string[]} words
 * @returns {Promise<number>} the exit code
 */
async function main(words) {
  const unknown = words.filter((word) => STEPS.every(({ name }) => name !== word));
  if (unknown.length > 0) {
    process.stderr.write(`no such step: ${unknown.join(', ')}. Steps: ${STEPS.map(({ name }) => name).join(', ')}\n`);
    return EXIT.usage;
  }
  try {
    await runSteps(STEPS.filter(({ name }) => words.length === 0 || words.includes(name)));
  } catch (error) {
    note(broken('check', inspect(error)));
  }
  const code = end();
  return stoppedBy === undefined ? code : exitCodeOf(null, stoppedBy);
}

/** @param {readonly import('./steps.mjs').Step[]} steps */
async function runSteps(steps) {
  const before = treeState(root);
  for (const step of steps) {
    const blocker = step.needs !== undefined && outcomes.get(step.needs)?.failed ? step.needs : undefined;
    note(blocker === undefined ? await runStep(step) : broken(step.name, `not run, because ${blocker} failed`));
    if (stoppedBy !== undefined) return note(broken('all steps', `stopped by ${stoppedBy}`));
  }
  note(compareTrees(before));
}

/** @param {Outcome} outcome */
function note(outcome) {
  outcomes.set(outcome.name, outcome);
  show(outcome);
}

/**
 * The last words: what failed once more, for whoever sees only the end of a long log, and how much.
 * @returns {number} the exit code
 */
function end() {
  const { line, failed } = summarise([...outcomes.values()]);
  const lines = [...outcomes.values()].flatMap(({ name, failed, failures = [] }) =>
    failed === 0 ? [] : [`FAILED  ${name}`, ...failures.map((failure) => `        ${failure}`)],
  );
  process.stdout.write(`${[...lines, line].join('\n')}\n`);
  return failed === 0 ? 0 : EXIT.failed;
}

/**
 * @param {import('./steps.mjs').Step} step
 * @returns {Promise<Outcome>}
 */
async function runStep({ name, commands, report, limitMs = LIMIT_MS }) {
  const startedAt = Date.now();
  const reportFile = report === undefined ? undefined : join(root, report);
  if (reportFile !== undefined) clearReport(reportFile);
  const stopSpinner = process.stderr.isTTY ? spin(name, startedAt) : undefined;
  const ended = [];
  for (const args of commands) {
    running = startCommand(args, { cwd: root, env: ENV, limitMs });
    ended.push(await running.ended);
    running = undefined;
    if (stoppedBy !== undefined) break;
  }
  stopSpinner?.();
  const code = ended.find((end) => end.code !== 0)?.code ?? 0;
  const counted = reportFile === undefined ? undefined : readReport(reportFile, code);
  const missing = reportFile !== undefined && counted === undefined ? ['there is no whole report of its tests'] : [];
  const good = code === 0 && missing.length === 0;
  return {
    name,
    passed: good ? 1 : 0,
    failed: good ? 0 : 1,
    ...counted,
    failures: [...(counted?.failures ?? []), ...ended.flatMap(({ why }) => why ?? []), ...missing],
    duration: seconds(Date.now() - startedAt),
    output: ended.map((end) => end.output).join(''),
  };
}

/**
 * A failure that is not one of a command or a test.
 * @param {string} name
 * @param {string} why
 * @returns {Outcome}
 */
function broken(name, why) {
  return { name, passed: 0, failed: 1, duration: seconds(0), failures: [why], output: '' };
}

/**
 * Building, generating and testing leave the checkout as it was.
 * @param {string | undefined} before
 * @returns {Outcome}
 */
function compareTrees(before) {
  const after = treeState(root);
  const same = before === after;
  const output = `the checks changed the checkout; git sees now:\n${after ?? ''}\n`;
  return { name: 'clean tree', passed: same ? 1 : 0, failed: same ? 0 : 1, duration: seconds(0), output };
}

/** @param {Outcome} outcome */
function show({ name, passed, failed, tests, duration, output, failures = [], details = [] }) {
  const count = tests ? `, ${passed} of ${passed + failed} tests` : '';
  process.stdout.write(`${failed === 0 ? 'ok    ' : 'FAILED'}  ${name} (${duration}${count})\n`);
  if (failed === 0) return;
  const lines = [...failures.map((line) => `        ${line}`), ...details, output.trimEnd()];
  process.stdout.write(`${lines.join('\n').trimEnd()}\n`);
}

process.exitCode = await main(process.argv.slice(2));
