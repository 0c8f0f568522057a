// node tooling/e2e/dist/bridge/main.js: the suite across the bridge; --write makes docs/bridge-conformance.md of it.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { lostChecks } from './losses.js';
import { bridgePage } from './page.js';
import { runBridge, WIRES } from './run-bridge.js';

const PAGE = fileURLToPath(new URL('../../../../docs/bridge-conformance.md', import.meta.url));

/** Prints each check that is worse, and why the suite says so. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
  const found = await runBridge();
  for (const crossed of found) {
    for (const wire of WIRES) {
      process.stdout.write(`${crossed.crossing.title}, ${wire}\n`);
      for (const { scenario, check, direct, proxied, errorMessage } of lostChecks(crossed, wire))
        process.stdout.write(`    ${scenario} ${check}: ${direct} -> ${proxied ?? 'missing'} ${errorMessage ?? ''}\n`);
    }
  }
  if (values.write) writeFileSync(PAGE, bridgePage(found));
}

// What was started ends with this process, which it has to leave by `exit` then.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
await main();
