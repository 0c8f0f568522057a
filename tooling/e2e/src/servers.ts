import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { freePort, OwnedProcess, startWithUrl } from './processes.js';
import type { Root, Target } from './test-client.js';
import { everythingTour, filesystemTour, fixtureTour, memoryTour, type Tour } from './tours.js';

type StdioTarget = Extract<Target, { readonly command: string }>;

/** A real server that starts offline, and the tour through it. Dispose it to remove what it keeps on disk. */
export interface ServerUnderTest extends AsyncDisposable {
  readonly name: 'everything' | 'filesystem' | 'memory' | 'fixture';
  /** Speaks stdio. */
  readonly target: StdioTarget & { readonly args: readonly string[] };
  readonly tour: Tour;
  readonly roots?: readonly Root[];
  /** Brings what the server keeps on disk back to its beginning; call it before each tour. */
  reset(): Promise<void>;
}

const require = createRequire(import.meta.url);

/** The entry of the fixture, which must have been built. */
export const FIXTURE_MAIN = inDist(require.resolve('@shadowcat/fixture/package.json'), 'main.js');

const EVERYTHING_MAIN = inDist(require.resolve('@modelcontextprotocol/server-everything/package.json'), 'index.js');
const FILESYSTEM_MAIN = inDist(require.resolve('@modelcontextprotocol/server-filesystem/package.json'), 'index.js');
const MEMORY_MAIN = inDist(require.resolve('@modelcontextprotocol/server-memory/package.json'), 'index.js');

const nothing = async (): Promise<void> => {};

export function everythingServer(): ServerUnderTest {
  const target = nodeTarget([EVERYTHING_MAIN, 'stdio']);
  return { name: 'everything', target, tour: everythingTour, reset: nothing, [Symbol.asyncDispose]: nothing };
}

export function fixtureServer(flags: readonly string[] = []): ServerUnderTest {
  const target = nodeTarget([FIXTURE_MAIN, 'stdio', ...flags]);
  return { name: 'fixture', target, tour: fixtureTour, reset: nothing, [Symbol.asyncDispose]: nothing };
}

/** Allowed to use one temporary directory, which is also the client's only root. */
export async function filesystemServer(): Promise<ServerUnderTest> {
  const parent = await realpath(await mkdtemp(join(tmpdir(), 'e2e-filesystem-')));
  const directory = join(parent, 'files');
  await mkdir(directory);
  return {
    name: 'filesystem',
    target: nodeTarget([FILESYSTEM_MAIN, directory]),
    tour: filesystemTour(directory),
    roots: [{ uri: pathToFileURL(directory).href, name: 'files' }],
    reset: async () => {
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory);
    },
    [Symbol.asyncDispose]: () => rm(parent, { recursive: true, force: true }),
  };
}

export async function memoryServer(): Promise<ServerUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'e2e-memory-'));
  const file = join(directory, 'graph.jsonl');
  return {
    name: 'memory',
    target: { ...nodeTarget([MEMORY_MAIN]), env: { MEMORY_FILE_PATH: file } },
    tour: memoryTour,
    reset: () => rm(file, { force: true }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** The fixture over HTTP, on a port of its own or on this one; stopped when disposed. */
export function startFixture(
  flags: readonly string[] = [],
  port = 0,
): Promise<OwnedProcess & { readonly url: string }> {
  return startWithUrl({ command: process.execPath, args: [FIXTURE_MAIN, 'http', String(port), ...flags] });
}

/** server-everything over Streamable HTTP, on a port of its own or on this one; stopped when disposed. */
export async function startEverything(given?: number): Promise<OwnedProcess & { readonly url: string }> {
  const port = given ?? (await freePort());
  const owned = await OwnedProcess.start({
    command: process.execPath,
    args: [EVERYTHING_MAIN, 'streamableHttp'],
    env: { PORT: String(port) },
  });
  try {
    await owned.line(/listening on port/, { from: 'stderr' });
  } catch (error) {
    await owned[Symbol.asyncDispose]();
    throw error;
  }
  return Object.assign(owned, { url: `http://127.0.0.1:${port}/mcp` });
}

function nodeTarget(args: readonly string[]): ServerUnderTest['target'] {
  return { command: process.execPath, args };
}

function inDist(manifest: string, file: string): string {
  return join(dirname(manifest), 'dist', file);
}
