import type { ConformanceReport } from '../conformance.js';
import { markdownTable } from '../markdown-table.js';
import { packageVersion } from '../matrix/packages.js';
import { lossOf, lostChecks } from './losses.js';
import { type Crossed, WIRES } from './run-bridge.js';

const SUITE = '@modelcontextprotocol/conformance';

function introduction(): string {
  return `# Conformance across the bridge

<!-- Made by \`node tooling/e2e/dist/bridge/main.js --write\`, and compared with a run by the tests. Do not edit. -->

The official conformance suite (${SUITE} ${packageVersion(SUITE)}) at \`shadowcat reverse\`, behind which the
[fixture](../tooling/fixture/README.md) speaks one era only: the one that the suite does not. Without the bridge no
scenario gets beyond its first request. Each check is compared with the same check at the fixture itself, speaking both eras
and without a proxy.

- \`✔\` every check is as good as without the bridge, and none fails
- \`=\` every check is as good as without the bridge; some fail there as well
- \`✘\` and a number: some checks are worse; the notes say why

The suite counts a server as silent after 0.5 to 1.5 s in some checks of streams. Here it is more patient: for a legacy server on
stdio the bridge starts a process, which a busy machine does not do in that time.
`;
}

/** The page that tells what a run has found. The same outcome makes the same page: no dates, no times. */
export function bridgePage(found: readonly Crossed[]): string {
  return [introduction(), ...found.map(section)].join('\n');
}

function section(crossed: Crossed): string {
  const { crossing, direct } = crossed;
  const notes: string[] = [];
  const names = [...direct.scenarios].sort((a, b) => Number(b.scored) - Number(a.scored) || (a.name < b.name ? -1 : 1));
  const rows = names.map(({ name, scored }) => [
    scored ? name : `${name} (not scored)`,
    ...WIRES.map((wire) => textOf(crossed, { name, wire, notes })),
  ]);
  const table = markdownTable([['scenario', 'over HTTP', 'over stdio'], ...rows]);
  const numbered = notes.map((note, i) => `${i + 1}. ${note}`);
  const counts = WIRES.map((wire) => `${passing(crossed[wire])} over ${wire === 'http' ? 'HTTP' : 'stdio'}`);
  const scored = direct.scenarios.filter((scenario) => scenario.scored).length;
  const sum =
    `Of ${scored} scored scenarios the suite lets ${counts.join(' and ')} pass, ` +
    `and ${passing(direct)} at the fixture with both eras.`;
  const parts = [`## ${crossing.title}`, sum, table, ...(notes.length > 0 ? [numbered.join('\n')] : [])];
  return `${parts.join('\n\n')}\n`;
}

function textOf(
  crossed: Crossed,
  { name, wire, notes }: { readonly name: string; readonly wire: 'http' | 'stdio'; readonly notes: string[] },
): string {
  const worse = lostChecks(crossed, wire).filter(({ scenario }) => scenario === name);
  if (worse.length > 0) {
    const numbers = new Set(
      worse.map(({ scenario, check, proxied }) => {
        const loss = lossOf(crossed.crossing.requirements, { scenario, check });
        return numberOf(
          notes,
          loss === undefined ? `Not explained: ${check} is ${proxied ?? 'missing'}.` : loss.reason,
        );
      }),
    );
    return `✘ ${[...numbers].join(', ')}`;
  }
  return fails(crossed[wire], name) ? '=' : '✔';
}

function passing({ scenarios }: ConformanceReport): number {
  return scenarios.filter(({ scored, checks }) => scored && checks.every(({ status }) => status !== 'FAILURE')).length;
}

function fails({ scenarios }: ConformanceReport, name: string): boolean {
  return scenarios.some((one) => one.name === name && one.checks.some(({ status }) => status === 'FAILURE'));
}

function numberOf(notes: string[], note: string): number {
  if (!notes.includes(note)) notes.push(note);
  return notes.indexOf(note) + 1;
}
