import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { CheckStatus, ConformanceReport, Requirements } from './conformance.js';
import { run } from './processes.js';

const PACKAGE = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'));
/** The client under test, which must have been built. */
const CLIENT = join(import.meta.dirname, '..', 'dist', 'conformance-client.js');

/**
 * Runs the client scenarios of the official suite with the official client, direct or through a proxy of its own for each
 * scenario.
 *
 * @throws if the suite does not end in time or leaves no results
 */
export async function runClientConformance(
  requirements: Requirements,
  way: 'direct' | 'proxied',
): Promise<ConformanceReport> {
  const results = await mkdtemp(join(tmpdir(), `client-conformance-${requirements}-`));
  try {
    const command = [process.execPath, CLIENT, ...(way === 'proxied' ? ['--proxy'] : [])].join(' ');
    const main = join(PACKAGE, 'dist/index.js');
    const exit = await run({
      command: process.execPath,
      args: [main, 'client', '--command', command, '--requirements', requirements, '-o', results],
      timeoutMs: 120_000,
    });
    if (exit.signal !== null) throw new Error(`the conformance suite was ended by ${exit.signal}`);
    const scenarios = await readResults(results);
    if (scenarios.length === 0) throw new Error(`the conformance suite left no results:\n${exit.stderr.slice(-2000)}`);
    const count = (status: CheckStatus): number =>
      scenarios.flatMap(({ checks }) => checks).filter((check) => check.status === status).length;
    return { requirements, passed: count('SUCCESS'), failed: count('FAILURE'), scenarios };
  } finally {
    await rm(results, { recursive: true, force: true });
  }
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
