import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { CheckStatus, ConformanceReport, Requirements } from './conformance.js';
import { run } from './processes.js';

const PACKAGE = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'));
const MAIN = join(PACKAGE, 'dist', 'index.js');
/** The client under test, which must have been built. */
const CLIENT = join(import.meta.dirname, '..', 'dist', 'conformance-client.js');

/** How many scenarios run at a time. The suite would start all of them at once, with some processes each. */
const AT_A_TIME = 3;

/**
 * Runs the client scenarios that a revision requires with the official client, direct or through a proxy of its own for each
 * scenario. A scenario that left no result counts as one failed check named `no-result`.
 *
 * @throws if the suite does not end in time
 */
export async function runClientConformance(
  requirements: Requirements,
  way: 'direct' | 'proxied',
): Promise<ConformanceReport> {
  const results = await mkdtemp(join(tmpdir(), `client-conformance-${requirements}-`));
  try {
    const required = await requiredScenarios(requirements);
    const client = way === 'direct' ? CLIENT : `${CLIENT} --proxy`;
    const left = [...required];
    const worker = async (): Promise<void> => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        await runSuite(['--scenario', name, '--spec-version', requirements], results, client);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
    const found = new Map((await readResults(results)).map((scenario) => [scenario.name, scenario]));
    const noResult = [{ id: 'no-result', status: 'FAILURE' as const }];
    const scenarios = required.map((name) => found.get(name) ?? { name, scored: true, checks: noResult });
    const count = (status: CheckStatus): number =>
      scenarios.flatMap(({ checks }) => checks).filter((check) => check.status === status).length;
    return { requirements, passed: count('SUCCESS'), failed: count('FAILURE'), scenarios };
  } finally {
    await rm(results, { recursive: true, force: true });
  }
}

async function runSuite(selection: readonly string[], results: string, client: string): Promise<void> {
  const exit = await run({
    command: process.execPath,
    args: [MAIN, 'client', '--command', `${process.execPath} ${client}`, ...selection, '-o', results],
    timeoutMs: 120_000,
  });
  if (exit.signal !== null)
    throw new Error(`the conformance suite was ended by ${exit.signal}: ${selection.join(' ')}`);
}

/** The names in the `client` list of the suite's own requirements file. */
async function requiredScenarios(requirements: Requirements): Promise<readonly string[]> {
  const text = await readFile(join(PACKAGE, 'requirements', `${requirements}.yaml`), 'utf8');
  const list = /^client:\n((?: {2}- .+\n)+)/m.exec(text)?.[1];
  if (list === undefined) throw new Error(`no list of client scenarios in the requirements of ${requirements}`);
  return [...list.matchAll(/^ {2}- (\S+)/gm)].map(([, name = '']) => name);
}

/** The suite writes one directory for each scenario, whose name may hold slashes: `<name>-<time>/checks.json`. */
async function readResults(directory: string): Promise<ConformanceReport['scenarios']> {
  const files = await readdir(directory, { recursive: true });
  return Promise.all(
    files
      .filter((file) => file.endsWith('checks.json'))
      .map(async (file) => {
        const path = join(directory, file);
        const name = relative(directory, dirname(path)).replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '');
        const checks = JSON.parse(await readFile(path, 'utf8')) as ConformanceReport['scenarios'][number]['checks'];
        return {
          name,
          scored: true,
          checks: checks.map(({ id, status, errorMessage }) => ({ id, status, ...(errorMessage && { errorMessage }) })),
        };
      }),
  );
}
