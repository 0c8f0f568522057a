// A reporter for Vitest that writes what ./report.mjs counts and shows: of each failure all that Vitest itself knows, the
// difference and what was said on stderr included, and errors outside of every test.
import { mkdirSync, writeFileSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { exitCodeOf } from '../bootstrap/lib/child.mjs';

/** Of the places that an error went through, those that say most. */
const MOST_PLACES = 6;

/**
 * @typedef {import('vitest').TestError} TestError
 * @typedef {import('./report.mjs').VitestReport} VitestReport
 */

/** Written to the file that `--outputFile.check` names. */
// biome-ignore lint/style/noDefaultExport: Vitest takes a reporter from there
export default class VitestReportWriter {
  #file = '';
  /** What each test said on stderr. */
  #said = /** @type {Map<string, string>} */ (new Map());
  /** By their ids. */
  #underWay = /** @type {Map<string, string>} */ (new Map());

  /** @param {import('vitest/node').Vitest} vitest */
  onInit({ config }) {
    const files = /** @type {Record<string, string> | undefined} */ (/** @type {unknown} */ (config.outputFile));
    this.#file = files?.['check'] ?? '';
    if (this.#file === '') throw new Error('the reporter needs --outputFile.check=FILE');
    // This is how a run that hangs is stopped, and nobody else knows where it hangs.
    process.once('SIGTERM', (signal) => {
      const names = this.underWay().map((name) => `\n    ${name}`);
      writeSync(process.stderr.fd, `under way when it was stopped:${names.join('') || ' nothing'}\n`);
      process.exit(exitCodeOf(null, signal));
    });
  }

  /** The files and tests that have begun and not ended, in the order they began. */
  underWay() {
    return [...this.#underWay.values()];
  }

  /** @param {import('vitest/node').TestModule} module */
  onTestModuleQueued({ id, moduleId }) {
    this.#underWay.set(id, basename(moduleId));
  }

  /** @param {import('vitest/node').TestModule} module */
  onTestModuleEnd({ id }) {
    this.#underWay.delete(id);
  }

  /** @param {import('vitest/node').TestCase} test */
  onTestCaseReady({ id, module, fullName }) {
    this.#underWay.set(id, `${basename(module.moduleId)}: ${fullName}`);
  }

  /** @param {import('vitest/node').TestCase} test */
  onTestCaseResult({ id }) {
    this.#underWay.delete(id);
  }

  /** @param {import('vitest').UserConsoleLog} log */
  onUserConsoleLog({ type, taskId, content }) {
    if (type === 'stderr' && taskId !== undefined) this.#said.set(taskId, (this.#said.get(taskId) ?? '') + content);
  }

  /**
   * @param {ReadonlyArray<import('vitest/node').TestModule>} modules
   * @param {ReadonlyArray<import('vitest').SerializedError>} unhandled
   */
  onTestRunEnd(modules, unhandled) {
    const testResults = modules.map((module) => this.#fileResult(module));
    const all = testResults.flatMap(({ assertionResults }) => assertionResults);
    const count = (/** @type {string} */ status) => all.filter((test) => test.status === status).length;
    /** @type {VitestReport} */
    const report = {
      numPassedTests: count('passed'),
      numFailedTests: count('failed'),
      testResults,
      unhandled: unhandled.map((error) => textOf(error)),
    };
    mkdirSync(dirname(this.#file), { recursive: true });
    writeFileSync(this.#file, JSON.stringify(report));
  }

  /** @param {import('vitest/node').TestModule} module */
  #fileResult(module) {
    const assertionResults = [...module.children.allTests()].map((test) => {
      const { state, errors = [] } = test.result();
      const stderr = this.#said.get(test.id);
      return {
        status: String(state),
        fullName: test.fullName,
        failureMessages: state === 'failed' ? errors.map(textOf) : [],
        ...(state === 'failed' && stderr !== undefined ? { stderr: stripVTControlCharacters(stderr) } : {}),
      };
    });
    // Also of hooks, which belong to no test.
    const suites = [...module.children.allSuites()].flatMap((suite) => suite.errors());
    const message = [...module.errors(), ...suites].map(textOf).join('\n');
    return { name: module.moduleId, status: module.ok() ? 'passed' : 'failed', message, assertionResults };
  }
}

/**
 * Its words first, then the difference, then where.
 * @param {import('vitest').SerializedError} error
 * @returns {string}
 */
function textOf(error) {
  const { name = 'Error', message, diff, stacks = [], cause } = error;
  const places = stacks.filter(({ file }) => !file.includes('/node_modules/')).slice(0, MOST_PLACES);
  const parts = [
    `${name}: ${message}`,
    typeof diff === 'string' ? diff : '',
    ...places.map(({ method, file, line }) => `    at ${method === '' ? '' : `${method} `}${file}:${line}`),
    typeof cause === 'object' && cause !== null ? textOf(cause) : '',
  ];
  return stripVTControlCharacters(parts.filter((part) => part !== '').join('\n'));
}
