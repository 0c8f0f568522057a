// Counting: each test is one, and so is each step that is not made of tests.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * @typedef {object} Outcome of one step
 * @property {string} name
 * @property {number} passed
 * @property {number} failed
 * @property {boolean} [tests] whether tests were counted
 * @property {string} duration
 * @property {string} output all that the step printed
 * @property {string[]} [failures] the tests and files that failed, a line each
 *
 * @typedef {object} VitestReport the parts of vitest's JSON report that are counted
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {FileResult[]} testResults one per file
 *
 * @typedef {object} FileResult
 * @property {string} [name] its path
 * @property {string} status
 * @property {string} [message] why it could not be loaded
 * @property {Array<{ status: string, fullName?: string, failureMessages?: string[] }>} assertionResults
 */

/**
 * A report of an earlier run must not be taken for this one's.
 * @param {string} file
 */
export function clearReport(file) {
  rmSync(file, { force: true });
}

/**
 * @param {string} file
 * @param {number} exitCode of vitest
 * @returns {Pick<Outcome, 'passed' | 'failed' | 'tests' | 'failures'> | undefined} undefined when vitest wrote no report
 */
export function readReport(file, exitCode) {
  if (!existsSync(file)) return undefined;
  const report = /** @type {VitestReport} */ (JSON.parse(readFileSync(file, 'utf8')));
  return { ...countTests(report, exitCode), failures: failuresOf(report) };
}

/**
 * What failed, in a line each with the first line of why: whoever sees only the beginning of a long log learns it there.
 * @param {VitestReport} report
 * @returns {string[]}
 */
export function failuresOf({ testResults }) {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    const file = basename(name ?? 'a file without a name');
    if (failed.length === 0) return status === 'failed' ? [`${file}: ${firstLine(message)}`] : [];
    return failed.map(({ fullName, failureMessages }) => `${file}: ${fullName}: ${firstLine(failureMessages?.[0])}`);
  });
}

/** @param {string | undefined} text */
function firstLine(text) {
  return (text ?? '').split('\n', 1)[0];
}

/**
 * @param {VitestReport} report
 * @param {number} exitCode
 * @returns {{ passed: number, failed: number, tests: true }}
 */
export function countTests({ numPassedTests, numFailedTests, testResults }, exitCode) {
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  ).length;
  const failed = numFailedTests + brokenFiles;
  // An unhandled error, or no test at all, fails no test and yet is a failure.
  const unseen = failed === 0 && (exitCode !== 0 || numPassedTests === 0) ? 1 : 0;
  return { passed: numPassedTests, failed: failed + unseen, tests: true };
}

/**
 * @param {readonly Outcome[]} outcomes
 * @returns {{ line: string, failed: number }}
 */
export function summarise(outcomes) {
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
  return { line: `${passed} passed, ${failed} failed`, failed };
}
