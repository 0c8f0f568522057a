import { expect, it } from 'vitest';
import { runClientConformance } from '../src/client-conformance.js';
import { compareConformance } from '../src/conformance.js';

it.each(['2025-11-25', '2026-07-28'] as const)('%s: no check of a client is worse through the proxy', async (requirements) => {
  const [direct, proxied] = await Promise.all([
    runClientConformance(requirements, 'direct'),
    runClientConformance(requirements, 'proxied'),
  ]);
  console.log(direct.passed, direct.failed, proxied.passed, proxied.failed, direct.scenarios.length, proxied.scenarios.length);
  const worse = compareConformance(direct, proxied).map((x) => JSON.stringify(x));
  console.log(worse.join('\n'));
  console.log('DIRECT FAIL', direct.scenarios.flatMap(s => s.checks.filter(c => c.status === 'FAILURE').map(c => s.name + ' ' + c.id + ' ' + c.errorMessage)).join('\n'));
  expect(worse).toEqual([]);
});
