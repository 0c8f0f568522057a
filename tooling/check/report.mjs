// Counting: each test is one, and so is each step that is not made of tests.
import { existsSync, readFileSync, rmSync } from 'node:fs';

/**
 * @typedef {object} Outcome of one step
 * @property {string} name
 * @property {number} passed
 * @property {number} failed
 * @property {boolean} [tests] whether tests were counted
 * @property {string} duration
 * @property {string} output all that the step printed
 *
 * @typedef {object} VitestReport the parts of vitest's JSON report that are counted
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {Array<{ status: string, assertionResults: Array<{ status: string }> }>} testResults one per file
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
 * @returns {Pick<Outcome, 'passed' | 'failed' | 'tests'> | undefined} undefined when vitest wrote no report
 */
export function readReport(file, exitCode) {
  return existsSync(file) ? countTests(JSON.parse(readFileSync(file, 'utf8')), exitCode) : undefined;
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
