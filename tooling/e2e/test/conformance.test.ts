import { describe, expect, it } from 'vitest';
import { type CheckStatus, type ConformanceReport, compareConformance } from '../src/conformance.js';

type Checks = readonly [id: string, status: CheckStatus][];

const report = (scenarios: Readonly<Record<string, Checks>>): ConformanceReport => ({
  requirements: '2025-11-25',
  passed: 0,
  failed: 0,
  scenarios: Object.entries(scenarios).map(([name, checks]) => ({
    name,
    scored: true,
    checks: checks.map(([id, status]) => ({ id, status })),
  })),
});

describe('compareConformance', () => {
  const cases: readonly [what: string, direct: Checks, proxied: Checks, worse: string[]][] = [
    ['equal checks', [['a', 'SUCCESS']], [['a', 'SUCCESS']], []],
    ['a check that got better', [['a', 'FAILURE']], [['a', 'SUCCESS']], []],
    ['a check that fails now', [['a', 'SUCCESS']], [['a', 'FAILURE']], ['a SUCCESS FAILURE']],
    ['a check that only warns now', [['a', 'SUCCESS']], [['a', 'WARNING']], ['a SUCCESS WARNING']],
    ['a check that only informs now', [['a', 'SUCCESS']], [['a', 'INFO']], ['a SUCCESS INFO']],
    ['a check that did not run', [['a', 'INFO']], [], ['a INFO undefined']],
    ['a check that is new', [], [['b', 'FAILURE']], []],
    [
      'checks in another order',
      [
        ['a', 'SUCCESS'],
        ['b', 'INFO'],
      ],
      [
        ['b', 'INFO'],
        ['a', 'SUCCESS'],
      ],
      [],
    ],
    [
      'one of two occurrences',
      [
        ['a', 'SUCCESS'],
        ['a', 'SUCCESS'],
      ],
      [
        ['a', 'SUCCESS'],
        ['a', 'FAILURE'],
      ],
      ['a SUCCESS FAILURE'],
    ],
    [
      'an occurrence that is missing',
      [
        ['a', 'SUCCESS'],
        ['a', 'FAILURE'],
      ],
      [['a', 'SUCCESS']],
      ['a SUCCESS undefined'],
    ],
  ];
  it.each(cases)('judges %s', (_what, direct, proxied, worse) => {
    const found = compareConformance(report({ s: direct }), report({ s: proxied }));
    expect(found.map(({ check, direct: before, proxied: after }) => `${check} ${before} ${after}`)).toEqual(worse);
  });

  it('misses every check of a scenario that did not run', () => {
    const direct = report({
      s: [['a', 'SUCCESS']],
      t: [
        ['b', 'FAILURE'],
        ['c', 'SUCCESS'],
      ],
    });
    const found = compareConformance(direct, report({ s: [['a', 'SUCCESS']] }));
    expect(found.map(({ scenario, check }) => `${scenario} ${check}`)).toEqual(['t b', 't c']);
  });
});
