import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { knownFailures } from '../src/matrix/known.js';
import { MATRIX_CLIENTS } from '../src/matrix/matrix-clients.js';
import { MATRIX_SERVERS } from '../src/matrix/matrix-servers.js';
import { compatibilityPage } from '../src/matrix/page.js';
import { type Cell, runMatrix } from '../src/matrix/run-matrix.js';
import type { Failures } from '../src/matrix/visit.js';

/** Every real client at every real server, through the proxy and without it. What is known not to work is in known.ts. */

const PAGE = new URL('../../../docs/compatibility.md', import.meta.url);
let cells: readonly Cell[] = [];

beforeAll(async () => {
  cells = await runMatrix();
}, 480_000);

/** A step that fails without being known to is told with what went wrong. */
function difference(failures: Failures, known: ReadonlyMap<string, string>): Record<string, string> {
  const surprises = Object.entries(failures).filter(([step]) => !known.has(step));
  const cured = [...known.keys()].filter((step) => !(step in failures)).map((step) => [step, 'works now']);
  return Object.fromEntries([...surprises, ...cured]);
}

describe.each(MATRIX_SERVERS)('$title', (server) => {
  it.each(MATRIX_CLIENTS)('serves $title as expected', (client) => {
    const cell = cells.find((one) => one.client === client && one.server === server);
    expect(cell).toBeDefined();
    expect(difference(cell?.through ?? {}, knownFailures('through', client.name, server.name))).toEqual({});
    if (cell?.direct === undefined) return;
    expect(difference(cell.direct, knownFailures('direct', client.name, server.name)), 'without the proxy').toEqual({});
  });
});

it('is what docs/compatibility.md says; `node tooling/e2e/dist/matrix/main.js --write` makes it', async () => {
  expect(await readFile(PAGE, 'utf8')).toBe(compatibilityPage(cells));
});
