// Everything that `npm test` checks, in order: what is cheap and says most comes first.
import { join, resolve } from 'node:path';

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string[][]} commands arguments for Node, run one after the other
 * @property {string} [report] file with a report of its tests: the step counts them instead of itself
 * @property {string} [needs] a step that must have passed for this one to mean anything
 * @property {number} [limitMs] after so many milliseconds each of its commands counts as hanging
 */

const BIN = {
  biome: 'node_modules/@biomejs/biome/bin/biome',
  knip: 'node_modules/knip/bin/knip.js',
  tsc: 'node_modules/typescript/bin/tsc',
  vitest: 'node_modules/vitest/vitest.mjs',
};

const COLORS = process.stdout.isTTY ? ['--colors=force'] : ['--colors=off'];

/** @param {string} name */
function reportOf(name) {
  return join('.tools', 'reports', `${name}.json`);
}

/** @param {string} name */
function reportersFor(name) {
  const report = resolve('tooling', 'check', 'vitest-report.mjs');
  return ['--reporter=default', `--reporter=${report}`, `--outputFile.check=${resolve(reportOf(name))}`];
}

/** @param {string} project */
function vitest(project) {
  const report = reportOf(project);
  return { name: project, report, commands: [[BIN.vitest, 'run', '--project', project, ...reportersFor(project)]] };
}

const EXAMPLES = 'examples/team-memory';
/** Vitest's default is 5 s, and the first test to ask for a tape of this repository waits until its modules have been transformed. */
const PATIENT = ['--testTimeout=60000', '--hookTimeout=60000'];

/**
 * The tests of the example project, each in its own framework.
 * @type {Step[]}
 */
const examples = [
  {
    ...vitest('examples'),
    commands: [[BIN.vitest, 'run', '--root', EXAMPLES, ...PATIENT, ...reportersFor('examples')]],
  },
  {
    name: 'examples-node',
    report: reportOf('examples-node'),
    commands: [
      [
        '--test',
        '--test-reporter=spec',
        '--test-reporter-destination=stdout',
        '--test-reporter=./tooling/check/node-test-report.mjs',
        `--test-reporter-destination=${reportOf('examples-node')}`,
        `${EXAMPLES}/test/*.node-test.ts`,
      ],
    ],
  },
];

/** @type {readonly Step[]} */
export const STEPS = [
  { name: 'build', commands: [['tooling/bootstrap/run.mjs', 'build']] },
  {
    name: 'types',
    needs: 'build',
    commands: [
      [BIN.tsc, '-p', 'tsconfig.tests.json'],
      [BIN.tsc, '-p', 'tsconfig.tooling.json'],
      [BIN.tsc, '-p', 'examples/team-memory/tsconfig.json'],
    ],
  },
  { name: 'lint', commands: [[BIN.biome, 'ci', '--error-on-warnings', '--max-diagnostics=100', ...COLORS, '.']] },
  { name: 'boundaries', commands: [['tooling/boundaries/check.mjs']] },
  { name: 'picture', commands: [['tooling/boundaries/picture.mjs', '--check']] },
  { name: 'traces', commands: [['tooling/check/traces.mjs']] },
  { name: 'alerts', commands: [['tooling/check/alerts.mjs']] },
  { name: 'knip', commands: [[BIN.knip, '--no-progress', '--no-config-hints']] },
  { name: 'publint', needs: 'build', commands: [['tooling/check/publint.mjs']] },
  vitest('unit'),
  ...examples.map((step) => ({ ...step, needs: 'build' })),
  // About ten minutes, where nothing else needs the two processors.
  { ...vitest('e2e'), needs: 'build', limitMs: 40 * 60_000 },
];
