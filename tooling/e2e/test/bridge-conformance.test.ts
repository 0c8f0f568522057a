import { readFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { lossOf, lostChecks } from '../src/bridge/losses.js';
import { bridgePage } from '../src/bridge/page.js';
import { CROSSINGS, type Crossed, runBridge } from '../src/bridge/run-bridge.js';

/** The official suite in front of a server that speaks the other era only. What is known to be lost is in losses.ts. */

const PAGE = new URL('../../../docs/bridge-conformance.md', import.meta.url);
let found: readonly Crossed[] = [];

beforeAll(async () => {
  found = await runBridge();
}, 400_000);

it.each(CROSSINGS.flatMap((crossing) => (['http', 'stdio'] as const).map((wire) => ({ ...crossing, wire, crossing }))))(
  '$title, over $wire: no check is worse than without the bridge, but those that cannot be bridged',
  ({ crossing, wire, requirements }) => {
    const crossed = found.find((one) => one.crossing === crossing);
    expect(crossed).toBeDefined();
    if (crossed === undefined) return;
    const worse = lostChecks(crossed, wire);
    expect(worse.filter((one) => lossOf(requirements, one) === undefined)).toEqual([]);
  },
);

it('is what docs/bridge-conformance.md says; `node tooling/e2e/dist/bridge/main.js --write` makes it', async () => {
  const failing = found.flatMap(({ direct, crossing }) =>
    direct.scenarios.flatMap(({ name, scored, checks }) =>
      checks
        .filter(({ status }) => scored && status === 'FAILURE')
        .map(({ id, errorMessage }) => `${crossing.requirements} ${name} ${id}: ${errorMessage}`),
    ),
  );
  expect(await readFile(PAGE, 'utf8'), ['fails at the fixture:', ...failing].join('\n')).toBe(bridgePage(found));
});
