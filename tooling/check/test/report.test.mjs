import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { countTests, detailsOf, failuresOf, readReport, summarise } from '../report.mjs';

const passing = { status: 'passed', assertionResults: [{ status: 'passed' }] };
const failing = { status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] };
const broken = { status: 'failed', assertionResults: [] };

describe('countTests', () => {
  it.each([
    ['all pass', { numPassedTests: 1, numFailedTests: 0, testResults: [passing] }, 0, [1, 0]],
    ['one fails', { numPassedTests: 2, numFailedTests: 1, testResults: [passing, failing] }, 1, [2, 1]],
    ['a file cannot be loaded', { numPassedTests: 1, numFailedTests: 0, testResults: [passing, broken] }, 1, [1, 1]],
    ['an error outside of every test', { numPassedTests: 1, numFailedTests: 0, testResults: [passing] }, 1, [1, 1]],
    ['no test was found', { numPassedTests: 0, numFailedTests: 0, testResults: [] }, 0, [0, 1]],
  ])('%s', (_what, report, exitCode, [passed, failed]) => {
    expect(countTests(report, exitCode)).toEqual({ passed, failed, tests: true });
  });
});

describe('failuresOf', () => {
  it('names what failed, with the first line of why', () => {
    const file = {
      name: '/somewhere/a.test.ts',
      status: 'failed',
      assertionResults: [
        { status: 'passed', fullName: 'a works' },
        { status: 'failed', fullName: 'a counts', failureMessages: ['expected 1 to be 2\n    at a.test.ts:3'] },
      ],
    };
    const broken = {
      name: '/somewhere/b.test.ts',
      status: 'failed',
      message: 'no such module\nat all',
      assertionResults: [],
    };
    expect(failuresOf({ numPassedTests: 1, numFailedTests: 1, testResults: [passing, file, broken] })).toEqual([
      'a.test.ts: a counts: expected 1 to be 2',
      'b.test.ts: no such module',
    ]);
  });
});

describe('detailsOf', () => {
  it('has the words, the difference, and the end of what was said, within bounds', () => {
    const test = {
      status: 'failed',
      fullName: 'a counts',
      failureMessages: [['expected 1 to be 2', ...Array.from({ length: 70 }, (_, at) => `+ ${at}`)].join('\n')],
      stderr: Array.from({ length: 70 }, (_, at) => `said ${at}\n`).join(''),
    };
    const file = { name: '/somewhere/a.test.ts', status: 'failed', assertionResults: [test] };
    const report = {
      numPassedTests: 0,
      numFailedTests: 1,
      testResults: [file],
      unhandled: ['Error: nobody caught me'],
    };
    const [counts = '', unhandled] = detailsOf(report);
    const lines = counts.split('\n').map((line) => line.trim());
    expect(lines.slice(0, 3)).toEqual(['--- a.test.ts: a counts', 'expected 1 to be 2', '+ 0']);
    expect(lines.slice(60, 64)).toEqual(['+ 58', '… and 11 lines more', 'stderr, its end:', 'said 10']);
    expect(lines.at(-1)).toBe('said 69');
    expect(unhandled).toBe('--- outside of every test\n    Error: nobody caught me');
    expect(failuresOf(report)[1]).toBe('outside of every test: Error: nobody caught me');
  });
});

describe('readReport', () => {
  it('takes half a report for none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'shadowcat-report-'));
    const file = join(folder, 'unit.json');
    for (const half of ['{"numPassedTests":', '{"numPassedTests":1}', '']) {
      writeFileSync(file, half);
      expect(readReport(file, 1)).toBeUndefined();
    }
    rmSync(folder, { recursive: true });
  });
});

describe('summarise', () => {
  it('adds up tests and steps', () => {
    const outcome = { duration: '0.1 s', output: '' };
    expect(
      summarise([
        { ...outcome, name: 'lint', passed: 1, failed: 0 },
        { ...outcome, name: 'unit', passed: 40, failed: 2, tests: true },
      ]),
    ).toEqual({ line: '41 passed, 2 failed', failed: 2 });
  });
});
