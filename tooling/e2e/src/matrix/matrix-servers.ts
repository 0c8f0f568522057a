import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, OwnedProcess, type ProcessOptions } from '../processes.js';
import { everythingServer, filesystemServer, fixtureServer, memoryServer } from '../servers.js';
import type { Root, Target } from '../test-client.js';
import { packagePath } from './packages.js';
import type { Visit } from './visit.js';
import { everythingVisit, fastmcpVisit, filesystemVisit, fixtureVisit, memoryVisit } from './visits.js';

/** What a server is reached by. */
export type Wire = 'http' | 'sse' | 'stdio' | 'ws';

/** A server that runs, or can be launched. Dispose it to end it and remove what it keeps on disk. */
export interface RunningServer extends AsyncDisposable {
  /** How a client reaches it without the proxy. */
  readonly direct: Target;
  /** The words of `shadowcat reverse` that name it. */
  readonly proxied: readonly string[];
  readonly visit: Visit;
  readonly roots?: readonly Root[];
}

export interface MatrixServer {
  readonly name: ServerName;
  /** What the page calls it. */
  readonly title: string;
  readonly packageName: string;
  readonly wire: Wire;
  /** It has one conversation with whoever connects, so that clients have to come one after the other. */
  readonly oneAtATime?: boolean;
  start(): Promise<RunningServer>;
}

export type ServerName =
  | 'everything-http'
  | 'everything-sse'
  | 'everything-stdio'
  | 'filesystem'
  | 'memory'
  | 'fastmcp-http'
  | 'fastmcp-stdio'
  | 'dual-http'
  | 'dual-stdio'
  | 'modern-http'
  | 'modern-stdio'
  | 'supergateway-ws';

const FASTMCP_MAIN = fileURLToPath(new URL('../../dist/matrix/fastmcp-server.js', import.meta.url));
const SUPERGATEWAY_MAIN = packagePath('supergateway', 'dist/index.js');

const nothing = async (): Promise<void> => {};

type Launch = Extract<Target, { readonly command: string }>;

export const MATRIX_SERVERS: readonly MatrixServer[] = [
  everything('http', () => listening(everythingScript('streamableHttp'), { path: '/mcp', ready: /listening on port/ })),
  everything('sse', () => listening(everythingScript('sse'), { path: '/sse', ready: /running on port/ })),
  everything('stdio', async () => launched(everythingServer().target, everythingVisit)),
  {
    name: 'filesystem',
    title: 'server-filesystem, stdio',
    packageName: '@modelcontextprotocol/server-filesystem',
    wire: 'stdio',
    start: startFilesystem,
  },
  {
    name: 'memory',
    title: 'server-memory, stdio',
    packageName: '@modelcontextprotocol/server-memory',
    wire: 'stdio',
    start: startMemory,
  },
  {
    name: 'fastmcp-http',
    title: 'fastmcp, HTTP',
    packageName: 'fastmcp',
    wire: 'http',
    start: async () => {
      const port = await freePort();
      const options = { command: process.execPath, args: [FASTMCP_MAIN, 'http', String(port)] };
      return served(options, { port, path: '/mcp', ready: /listening on port/, visit: fastmcpVisit });
    },
  },
  {
    name: 'fastmcp-stdio',
    title: 'fastmcp, stdio',
    packageName: 'fastmcp',
    wire: 'stdio',
    start: async () => launched({ command: process.execPath, args: [FASTMCP_MAIN, 'stdio'] }, fastmcpVisit),
  },
  ...(['both', 'modern'] as const).flatMap((era) => [fixture(era, 'http'), fixture(era, 'stdio')]),
  {
    name: 'supergateway-ws',
    title: 'supergateway, WebSocket',
    packageName: 'supergateway',
    wire: 'ws',
    oneAtATime: true,
    start: startSupergateway,
  },
];

function everything(wire: 'http' | 'sse' | 'stdio', start: () => Promise<RunningServer>): MatrixServer {
  const title = `server-everything, ${wire === 'http' ? 'HTTP' : wire === 'sse' ? 'HTTP+SSE' : 'stdio'}`;
  return { name: `everything-${wire}`, title, packageName: '@modelcontextprotocol/server-everything', wire, start };
}

function everythingScript(transport: string): ProcessOptions {
  const { command, args } = everythingServer().target;
  return { command, args: [String(args[0]), transport] };
}

async function listening(options: ProcessOptions, how: { path: string; ready: RegExp }): Promise<RunningServer> {
  const port = await freePort();
  return served({ ...options, env: { PORT: String(port) } }, { ...how, port, visit: everythingVisit });
}

function fixture(era: 'both' | 'modern', wire: 'http' | 'stdio'): MatrixServer {
  const flags = ['--era', era];
  const { command, args } = fixtureServer(flags).target;
  return {
    name: `${era === 'both' ? 'dual' : 'modern'}-${wire}`,
    title: `the fixture, ${era === 'both' ? 'both eras' : 'modern only'}, ${wire === 'http' ? 'HTTP' : 'stdio'}`,
    packageName: '@modelcontextprotocol/server',
    wire,
    start: async () => {
      if (wire === 'stdio') return launched({ command, args }, fixtureVisit);
      const port = await freePort();
      const options = { command, args: [String(args[0]), 'http', String(port), ...flags] };
      return served(options, { port, path: '/mcp', ready: /^http/, from: 'stdout', visit: fixtureVisit });
    },
  };
}

async function startFilesystem(): Promise<RunningServer> {
  const server = await filesystemServer();
  await server.reset();
  const directory = String(server.target.args[1]);
  await writeFile(join(directory, 'notes.txt'), 'kept\n');
  return {
    ...launched(server.target, filesystemVisit(directory)),
    ...(server.roots && { roots: server.roots }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function startMemory(): Promise<RunningServer> {
  const server = await memoryServer();
  const engine = { type: 'entity', name: 'Engine', entityType: 'machine', observations: ['made of brass'] };
  await writeFile(String(server.target.env?.['MEMORY_FILE_PATH']), `${JSON.stringify(engine)}\n`);
  return { ...launched(server.target, memoryVisit), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/**
 * supergateway puts server-everything behind a WebSocket: one child, whoever connects. It renames the ids of all that
 * clients send, their answers included, so a question of the server's is never answered and is not provoked here.
 */
async function startSupergateway(): Promise<RunningServer> {
  const port = await freePort();
  const { command, args } = everythingServer().target;
  const child = [command, ...args].map((word) => JSON.stringify(word)).join(' ');
  const { ask: _, ...quiet } = everythingVisit;
  const words = ['--stdio', child, '--outputTransport', 'ws', '--port', String(port), '--logLevel', 'info'];
  return served(
    { command: process.execPath, args: [SUPERGATEWAY_MAIN, ...words] },
    { port, path: '/message', ready: /WebSocket endpoint/, from: 'stdout', visit: quiet },
  );
}

interface Listening {
  readonly port: number;
  readonly path: string;
  readonly ready: RegExp;
  readonly from?: 'stdout' | 'stderr';
  readonly visit: Visit;
}

async function served(options: ProcessOptions, how: Listening): Promise<RunningServer> {
  const owned = await OwnedProcess.start(options);
  try {
    await owned.line(how.ready, { from: how.from ?? 'stderr' });
  } catch (error) {
    await owned[Symbol.asyncDispose]();
    throw error;
  }
  const scheme = how.path === '/message' ? 'ws' : 'http';
  const url = `${scheme}://127.0.0.1:${how.port}${how.path}`;
  return {
    direct: { url },
    proxied: ['--upstream', how.path === '/sse' ? `sse+${url}` : url],
    visit: how.visit,
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

function launched(target: Launch, visit: Visit): RunningServer {
  const variables = Object.entries(target.env ?? {}).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const proxied = [...variables, '--', target.command, ...(target.args ?? [])];
  return { direct: target, proxied, visit, [Symbol.asyncDispose]: nothing };
}
