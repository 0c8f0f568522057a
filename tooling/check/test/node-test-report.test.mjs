import { describe, expect, it } from 'vitest';
import nodeTestReport from '../node-test-report.mjs';
import { countTests, failuresOf } from '../report.mjs';

/** @param {import('../node-test-report.mjs').TestEvent[]} events */
async function reportOf(events) {
  let text = '';
  for await (const part of nodeTestReport(from(events))) text += part;
  return JSON.parse(text);
}

/** @param {import('../node-test-report.mjs').TestEvent[]} events */
async function* from(events) {
  yield* events;
}

const FILE = '/somewhere/a.node-test.ts';
/** @param {string} name */
const passes = (name) => ({ type: 'test:pass', data: { name, file: FILE } });
/**
 * @param {string} name
 * @param {object} error
 * @param {string} [type]
 */
const fails = (name, error, type) => ({
  type: 'test:fail',
  data: { name, file: FILE, details: { ...(type === undefined ? {} : { type }), error } },
});

describe('the report of node --test', () => {
  it('counts tests as that of Vitest does, and no suites', async () => {
    const report = await reportOf([
      { type: 'test:start', data: { name: 'adds', file: FILE } },
      passes('adds'),
      fails('subtracts', { message: 'wrapped', cause: new Error('expected 1 to be 2\nat all') }),
      fails('a suite', { message: '1 subtest failed', failureType: 'subtestsFailed' }, 'suite'),
      { type: 'test:pass', data: { name: 'another', file: FILE, details: { type: 'suite' } } },
    ]);
    expect(countTests(report, 1)).toEqual({ passed: 1, failed: 1, tests: true });
    expect(failuresOf(report)).toEqual(['a.node-test.ts: subtracts: expected 1 to be 2']);
  });

  it('counts a suite that failed by itself', async () => {
    const report = await reportOf([
      passes('adds'),
      fails('a suite', { message: 'its hook', failureType: 'hookFailed' }, 'suite'),
    ]);
    expect(countTests(report, 1)).toEqual({ passed: 1, failed: 1, tests: true });
  });

  it('is a failure without tests', async () => {
    expect(countTests(await reportOf([]), 0)).toEqual({ passed: 0, failed: 1, tests: true });
  });
});
