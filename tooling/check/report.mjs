// Counting: each test is one, and so is each step that is not made of tests.
import { readFileSync, rmSync } from 'node:fs';
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
 * @property {string[]} [details] of each of them all that is known
 *
 * @typedef {object} VitestReport what ./vitest-report.mjs writes
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {FileResult[]} testResults one per file
 * @property {string[]} [unhandled] errors that nobody caught, which fail no test
 *
 * @typedef {object} FileResult
 * @property {string} [name] its path
 * @property {string} status
 * @property {string} [message] why it could not be loaded, or what failed outside of its tests
 * @property {TestResult[]} assertionResults
 *
 * @typedef {object} TestResult
 * @property {string} status
 * @property {string} [fullName]
 * @property {string[]} [failureMessages]
 * @property {string} [stderr] what was said while it ran
 *
 * @typedef {object} Failure
 * @property {string} what file and test
 * @property {string[]} messages
 * @property {string} stderr
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
 * @returns {Pick<Outcome, 'passed' | 'failed' | 'tests' | 'failures' | 'details'> | undefined} undefined when there is no
 *   report, or half of one
 */
export function readReport(file, exitCode) {
  try {
    const report = /** @type {VitestReport} */ (JSON.parse(readFileSync(file, 'utf8')));
    return { ...countTests(report, exitCode), failures: failuresOf(report), details: detailsOf(report) };
  } catch {
    return undefined;
  }
}

/**
 * What failed, in a line each with the first line of why: whoever sees only the beginning of a long log learns it there.
 * @param {VitestReport} report
 * @returns {string[]}
 */
export function failuresOf(report) {
  return failed(report).map(({ what, messages }) => `${what}: ${(messages[0] ?? '').split('\n', 1)[0]}`);
}

/** Lines of one message, or of what was said on stderr. */
const MOST = { message: 60, stderr: 60 };

/**
 * All that is known of each failure, so that the log alone tells its cause.
 * @param {VitestReport} report
 * @returns {string[]}
 */
export function detailsOf(report) {
  return failed(report).map(({ what, messages, stderr }) => {
    const lines = messages.flatMap((message) => beginning(message, MOST.message));
    const said = stderr.trim() === '' ? [] : ['stderr, its end:', ...end(stderr, MOST.stderr)];
    return [`--- ${what}`, ...[...lines, ...said].map((line) => `    ${line}`)].join('\n');
  });
}

/**
 * @param {VitestReport} report
 * @returns {Failure[]}
 */
function failed({ testResults, unhandled = [] }) {
  const ofFiles = testResults.flatMap(({ name, status, message = '', assertionResults }) => {
    const tests = assertionResults.filter((test) => test.status === 'failed');
    const file = basename(name ?? 'a file without a name');
    const own = { what: file, messages: [message], stderr: '' };
    return [
      ...tests.map(({ fullName, failureMessages = [], stderr = '' }) => ({
        what: `${file}: ${fullName}`,
        messages: failureMessages,
        stderr,
      })),
      ...(status === 'failed' && (tests.length === 0 || message !== '') ? [own] : []),
    ];
  });
  return [
    ...ofFiles,
    ...unhandled.map((message) => ({ what: 'outside of every test', messages: [message], stderr: '' })),
  ];
}

/**
 * @param {string} text
 * @param {number} most
 */
function beginning(text, most) {
  const lines = text.trimEnd().split('\n');
  return lines.length <= most ? lines : [...lines.slice(0, most), `… and ${lines.length - most} lines more`];
}

/**
 * @param {string} text
 * @param {number} most
 */
function end(text, most) {
  return text.trimEnd().split('\n').slice(-most);
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
