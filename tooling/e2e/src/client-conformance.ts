import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import type { CheckStatus, ConformanceReport, Requirements } from './conformance.js';
import { converse, inWords, type ScenarioRun } from './conformance-client.js';
import { run } from './processes.js';
import { startShadowcat, workFolder } from './shadowcat.js';

const PACKAGE = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'));
const MAIN = join(PACKAGE, 'dist', 'index.js');
/** The client under test as the suite starts it, which must have been built. */
const STUB = join(import.meta.dirname, '..', 'dist', 'conformance-stub.js');

/** Characters of an output that a failed check is told with. */
const MAX_SAID = 4000;

/** How many scenarios are under way at a time. The suite starts all of them at once, each with a server of its own. */
const AT_A_TIME = 3;

/**
 * Runs the client scenarios that a revision requires, and those that it names besides, with the official client, direct or
 * through a proxy of its own for each scenario. A scenario that left no result counts as one failed check named `no-result`.
 *
 * @throws if the suite does not end in time
 */
export async function runClientConformance(
  requirements: Requirements,
  way: 'direct' | 'proxied',
): Promise<ConformanceReport> {
  const results = await mkdtemp(join(tmpdir(), `client-conformance-${requirements}-`));
  try {
    await using driver = await startDriver(way);
    const printed = await runSuite(requirements, results, driver.url);
    const { scored, besides } = await namedScenarios(requirements);
    const found = new Map((await readResults(results)).map((scenario) => [scenario.name, scenario]));
    const noResult = { checks: [{ id: 'no-result', status: 'FAILURE' as const, errorMessage: printed }] };
    const scenarios = [...scored, ...besides].map((name) => ({
      ...(found.get(name) ?? noResult),
      name,
      scored: scored.includes(name),
    }));
    const count = (status: CheckStatus): number =>
      scenarios.flatMap(({ checks }) => checks).filter((check) => check.status === status).length;
    return { requirements, passed: count('SUCCESS'), failed: count('FAILURE'), scenarios };
  } finally {
    await rm(results, { recursive: true, force: true });
  }
}

/**
 * Has conversations on behalf of the suite's client processes. They are answered with what there is to say about it, with status 500
 * if the conversation failed as a whole.
 */
async function startDriver(way: 'direct' | 'proxied'): Promise<{ readonly url: string } & AsyncDisposable> {
  const turns = new Turns(AT_A_TIME);
  const server = createServer(async (request, response) => {
    const asked = JSON.parse(await text(request)) as ScenarioRun & { readonly url: string };
    const ended = turns.take(() => (way === 'direct' ? converse(asked.url, asked) : converseThroughProxy(asked)));
    ended.then(
      (notes) => response.end(notes.join('')),
      (error: unknown) => response.writeHead(500).end(inWords(error)),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function converseThroughProxy(asked: ScenarioRun & { readonly url: string }): Promise<string[]> {
  await using folder = await workFolder();
  const args = ['reverse', '--upstream', asked.url, '--forward-authorization', '--store', 'memory:'];
  await using proxy = await startShadowcat(args, folder.path);
  const log = (): string => `the proxy's log:\n${proxy.stderr.slice(-MAX_SAID)}`;
  try {
    return [...(await converse(proxy.url, asked)), log()];
  } catch (error) {
    throw new Error(log(), { cause: error });
  }
}

/** So many at a time, in the order they came. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

/** Resolves with the end of what the suite printed. */
async function runSuite(requirements: Requirements, results: string, driver: string): Promise<string> {
  const client = `${process.execPath} ${STUB} ${driver}`;
  // A client waits for its turn, which the suite cannot know.
  const patience = ['--timeout', '240000'];
  const exit = await run({
    command: process.execPath,
    args: [MAIN, 'client', '--command', client, '--requirements', requirements, ...patience, '-o', results],
    timeoutMs: 250_000,
  });
  const printed = `${exit.stdout}\n${exit.stderr}`.slice(-MAX_SAID);
  if (exit.signal !== null) throw new Error(`the conformance suite was ended by ${exit.signal}:\n${printed}`);
  return printed;
}

/** The names in the `client` list of the suite's own requirements file, and those that it runs without counting them. */
async function namedScenarios(
  requirements: Requirements,
): Promise<{ readonly scored: readonly string[]; readonly besides: readonly string[] }> {
  const yaml = await readFile(join(PACKAGE, 'requirements', `${requirements}.yaml`), 'utf8');
  const list = /^client:\n((?: {2}- .+\n)+)/m.exec(yaml)?.[1];
  if (list === undefined) throw new Error(`no list of client scenarios in the requirements of ${requirements}`);
  return {
    scored: [...list.matchAll(/^ {2}- (\S+)/gm)].map(([, name = '']) => name),
    besides: [...yaml.matchAll(/^ {2}- scenario: (\S+)\n {4}leg: client$/gm)].map(([, name = '']) => name),
  };
}

/** The suite writes one directory for each scenario, whose name may hold slashes: `<name>-<time>/checks.json` and `stderr.txt`. */
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
          said: (await readFile(join(dirname(path), 'stderr.txt'), 'utf8')).slice(-MAX_SAID),
        };
      }),
  );
}
