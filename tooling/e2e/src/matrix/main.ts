// node tooling/e2e/dist/matrix/main.js: every client at every server; --write makes docs/compatibility.md of it.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MATRIX_CLIENTS } from './matrix-clients.js';
import { MATRIX_SERVERS } from './matrix-servers.js';
import { compatibilityPage } from './page.js';
import { type Cell, runMatrix } from './run-matrix.js';

const PAGE = fileURLToPath(new URL('../../../../docs/compatibility.md', import.meta.url));

const USAGE = `usage: main.js [--write] [--server TEXT] [--client TEXT]

Runs the matrix and prints each cell: what failed through the proxy, and without it. With --write it makes
docs/compatibility.md. --server and --client take those whose name contains the text.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      write: { type: 'boolean', default: false },
      server: { type: 'string', default: '' },
      client: { type: 'string', default: '' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { server, client } = values;
  if (values.help || (values.write && `${server}${client}` !== '')) {
    print(USAGE);
    return values.help ? 0 : 2;
  }
  const started = performance.now();
  const cells = await runMatrix({
    servers: MATRIX_SERVERS.filter(({ name }) => name.includes(server)),
    clients: MATRIX_CLIENTS.filter(({ name }) => name.includes(client)),
    onCell: printCell,
  });
  print(`${cells.length} cells in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  if (values.write) writeFileSync(PAGE, compatibilityPage(cells));
  return 0;
}

function printCell({ client, server, through, direct }: Cell): void {
  const text = (failures: object): string =>
    Object.keys(failures).length === 0 ? 'works' : JSON.stringify(failures).slice(0, 1000);
  print(`${client.name} at ${server.name}: ${text(through)}`);
  if (direct !== undefined) print(`${client.name} at ${server.name}, without the proxy: ${text(direct)}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

// What was started ends with this process, which it has to leave by `exit` then.
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));
process.exitCode = await main();
