import { markdownTable } from '../markdown-table.js';
import { knownFailures } from './known.js';
import { MATRIX_CLIENTS, type MatrixClient } from './matrix-clients.js';
import { MATRIX_SERVERS, type MatrixServer } from './matrix-servers.js';
import { packageVersion } from './packages.js';
import type { Cell } from './run-matrix.js';
import { STEPS } from './visit.js';

const INTRODUCTION = `# Compatibility

<!-- Made by \`node tooling/e2e/dist/matrix/main.js --write\`, and compared with a run by the tests. Do not edit. -->

Which clients reach which servers through \`shadowcat reverse\` (the stdio client launches \`shadowcat record --stdio\`). Every cell
is a visit of the real program to the real server, all in the versions below: connect, list the tools, two calls at
once, a call that fails, and, where the server has them, a prompt, a resource, a call that tells its progress (each
notification has to arrive, in order) and a call during which the server asks the client for something; then the end. What
comes back is compared with what the server has to say.

- \`✔=\` works through the proxy, and without it too
- \`✔+\` works through the proxy and does not without it: the two have no revision of the protocol in common
- \`✔\` works through the proxy; not tried without it, since the client, as it is used here, and the server have no transport
  in common
- \`✘\` and a number: does not work; the notes say why. Where only some steps do not work, they are named
`;

const REMARKS = `## What was not asked

- The Inspector's command line connects anew for each request. It shows no progress and answers no questions of servers;
  here it lists the tools and makes one call that succeeds and one that fails.
- supergateway renames the ids of a client's answers, so no server behind its WebSocket gets an answer to a question.
- server-filesystem has tools only, server-memory no prompts; neither tells progress or asks.
- mcp-remote speaks the legacy revisions by default, and does so here.
`;

/** The page that tells what a run has found. The same outcome makes the same page: no dates, no times. */
export function compatibilityPage(cells: readonly Cell[]): string {
  const notes: string[] = [];
  const rows = MATRIX_SERVERS.map((server) => [
    server.title,
    ...MATRIX_CLIENTS.map((client) => textOf(cells, { server, client, notes })),
  ]);
  const table = markdownTable([['', ...MATRIX_CLIENTS.map(({ title }) => title)], ...rows]);
  const numbered = notes.map((note, i) => `${i + 1}. ${note}`);
  return [INTRODUCTION, table, ...(notes.length > 0 ? ['', ...numbered] : []), '', REMARKS, versions()].join('\n');
}

interface Place {
  readonly server: MatrixServer;
  readonly client: MatrixClient;
  /** The notes so far; grows. */
  readonly notes: string[];
}

function textOf(cells: readonly Cell[], { server, client, notes }: Place): string {
  const cell = cells.find((one) => one.server === server && one.client === client);
  if (cell === undefined) throw new Error(`${client.name} has not been at ${server.name}`);
  const { through, direct } = cell;
  const failed = STEPS.filter((step) => through[step] !== undefined);
  const known = knownFailures('through', client.name, server.name);
  const numbers = new Set(failed.map((step) => numberOf(notes, known.get(step) ?? `Not explained: ${through[step]}`)));
  const why = [...numbers].join(', ');
  if (failed.includes('connect')) return `✘ ${why}`;
  if (failed.length > 0) return `✘ ${failed.join(', ')} ${why}`;
  if (direct === undefined) return '✔';
  return Object.keys(direct).length === 0 ? '✔=' : '✔+';
}

function numberOf(notes: string[], note: string): number {
  if (!notes.includes(note)) notes.push(note);
  return notes.indexOf(note) + 1;
}

function versions(): string {
  const names = new Set([...MATRIX_CLIENTS, ...MATRIX_SERVERS].map(({ packageName }) => packageName));
  const rows = [...names].sort().map((name) => [
    `${name} ${packageVersion(name)}`,
    MATRIX_CLIENTS.filter((one) => one.packageName === name)
      .map(({ title }) => title)
      .join('; '),
    MATRIX_SERVERS.filter((one) => one.packageName === name)
      .map(({ title }) => title)
      .join('; '),
  ]);
  return `## Versions\n\n${markdownTable([['package', 'as client', 'as server'], ...rows])}\n`;
}
