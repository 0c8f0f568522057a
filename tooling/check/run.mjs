#!/usr/bin/env node
// `npm test` and `npm run check`: runs every step, also after one that failed, and ends with `N passed, M failed`. With
// words, only the steps of these names: `npm run check -- lint unit`.
import { join } from 'node:path';
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

/** More than any step takes, on a busy machine too; a step that hangs would else say nothing at all. Milliseconds. */
const LIMIT_MS = 20 * 60_000;
/** Lines of what a step had said by the time it was stopped. */
const MOST_SAID = 200;

/** @typedef {import('./report.mjs').Outcome} Outcome */

const outcomes = /** @type {Map<string, Outcome>} */ (new Map());
/** @type {{ name: string, startedAt: number, command: import('./command.mjs').Command } | undefined} */
let running;
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => {
    if (running !== undefined) stopped(running, signal);
    process.exit(exitCodeOf(null, signal));
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
  const before = treeState(root);
  for (const step of STEPS.filter(({ name }) => words.length === 0 || words.includes(name))) {
    const blocker = step.needs !== undefined && outcomes.get(step.needs)?.failed ? step.needs : undefined;
    const outcome = blocker === undefined ? await runStep(step) : notRun(step.name, blocker);
    outcomes.set(step.name, outcome);
    show(outcome);
  }
  const tree = compareTrees(before);
  outcomes.set(tree.name, tree);
  show(tree);
  return end();
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
 * What is known when a signal ends all.
 * @param {NonNullable<typeof running>} step
 * @param {NodeJS.Signals} signal
 */
function stopped({ name, startedAt, command }, signal) {
  command.kill(signal);
  const said = command.output().trimEnd().split('\n').slice(-MOST_SAID).join('\n');
  const duration = seconds(Date.now() - startedAt);
  const outcome = { name, passed: 0, failed: 1, duration, output: `${said}\nstopped by ${signal}\n` };
  outcomes.set(name, outcome);
  show(outcome);
  end();
}

/**
 * @param {import('./steps.mjs').Step} step
 * @returns {Promise<Outcome>}
 */
async function runStep({ name, commands, report }) {
  const startedAt = Date.now();
  const reportFile = report === undefined ? undefined : join(root, report);
  if (reportFile !== undefined) clearReport(reportFile);
  const stopSpinner = process.stderr.isTTY ? spin(name, startedAt) : undefined;
  const ended = [];
  for (const args of commands) {
    const command = startCommand(args, { cwd: root, env: ENV, limitMs: LIMIT_MS });
    running = { name, startedAt, command };
    ended.push(await command.ended);
    running = undefined;
  }
  stopSpinner?.();
  const code = ended.find((end) => end.code !== 0)?.code ?? 0;
  const counted = reportFile === undefined ? undefined : readReport(reportFile, code);
  return {
    name,
    passed: code === 0 ? 1 : 0,
    failed: code === 0 ? 0 : 1,
    ...counted,
    duration: seconds(Date.now() - startedAt),
    output: ended.map((end) => end.output).join(''),
  };
}

/**
 * @param {string} name
 * @param {string} blocker
 * @returns {Outcome}
 */
function notRun(name, blocker) {
  return { name, passed: 0, failed: 1, duration: seconds(0), output: `not run, because ${blocker} failed\n` };
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
  process.stdout.write(`${lines.join('\n')}\n`);
}

process.exitCode = await main(process.argv.slice(2));
