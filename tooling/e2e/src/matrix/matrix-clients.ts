import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { connectV1 } from '../client-v1.js';
import { connectV2, type V2Mode } from '../client-v2.js';
import type { Json } from '../json.js';
import { shadowcat } from '../shadowcat.js';
import type { ConnectOptions, Target, TestClient } from '../test-client.js';
import { inspector } from './inspector.js';
import type { RunningServer, Wire } from './matrix-servers.js';
import { packagePath } from './packages.js';
import type { Visitor } from './visit.js';

/** Where a client finds the server: the server itself, or the proxy before it. */
export interface Place {
  readonly server: RunningServer;
  /** The endpoint of the proxy that all clients of this server share. */
  readonly proxyUrl: string;
  /** An empty folder for what the client's program writes. */
  readonly folder: string;
}

export interface MatrixClient {
  readonly name: ClientName;
  /** What the page calls it. */
  readonly title: string;
  readonly packageName: string;
  /** The wires by which it reaches servers without the proxy. */
  readonly wires: readonly Wire[];
  through(place: Place): Promise<Visitor>;
  /** Only for servers on one of its `wires`. */
  direct(place: Place): Promise<Visitor>;
}

export type ClientName =
  | 'v1-http'
  | 'v1-sse'
  | 'v1-stdio'
  | 'v1-ws'
  | 'v2-legacy'
  | 'v2-auto'
  | 'v2-pinned'
  | 'mcp-remote'
  | 'inspector-legacy'
  | 'inspector-modern';

export const MATRIX_CLIENTS: readonly MatrixClient[] = [
  v1('http', 'HTTP', ({ proxyUrl }) => ({ url: proxyUrl })),
  v1('sse', 'HTTP+SSE', ({ proxyUrl }) => ({ url: new URL('/sse', proxyUrl).href })),
  v1('stdio', 'stdio', ({ server, folder }) => {
    const tape = join(folder, 'stdio.tape.jsonl');
    return shadowcat(['record', '--stdio', '--out', tape, ...server.proxied], folder);
  }),
  v1('ws', 'WebSocket', ({ proxyUrl }) => ({ url: proxyUrl.replace(/^http/, 'ws') })),
  v2('legacy'),
  v2('auto'),
  v2('pinned'),
  {
    name: 'mcp-remote',
    title: 'mcp-remote',
    packageName: 'mcp-remote',
    wires: ['http', 'sse'],
    through: async (place) => viaV1(await mcpRemote(place.proxyUrl, place.folder), place),
    direct: async (place) => viaV1(await mcpRemote(urlOf(place), place.folder), place),
  },
  inspectorIn('legacy'),
  inspectorIn('modern'),
];

function v1(wire: Wire, word: string, proxied: (place: Place) => Target): MatrixClient {
  return {
    name: `v1-${wire}`,
    title: `SDK v1, ${word}`,
    packageName: '@modelcontextprotocol/sdk',
    wires: [wire],
    through: (place) => viaV1(proxied(place), place),
    direct: (place) => viaV1(place.server.direct, place),
  };
}

function v2(mode: V2Mode): MatrixClient {
  return {
    name: `v2-${mode}`,
    title: `client v2, ${mode}`,
    packageName: '@modelcontextprotocol/client',
    wires: ['http'],
    through: (place) => listening(place, (options) => connectV2({ url: place.proxyUrl }, { mode, ...options })),
    direct: (place) => listening(place, (options) => connectV2(place.server.direct, { mode, ...options })),
  };
}

function inspectorIn(era: 'legacy' | 'modern'): MatrixClient {
  const visitor = (url: string, home: string): Promise<Visitor> =>
    inspector({ url, home, era, transport: url.endsWith('/sse') ? 'sse' : 'http' });
  return {
    name: `inspector-${era}`,
    title: `Inspector CLI, ${era}`,
    packageName: '@modelcontextprotocol/inspector',
    wires: ['http', 'sse'],
    through: async ({ proxyUrl, folder }) => visitor(proxyUrl, folder),
    direct: async (place) => visitor(urlOf(place), place.folder),
  };
}

const MCP_REMOTE_MAIN = packagePath('mcp-remote', 'dist/proxy.js');

/** The command of an mcp-remote that keeps its files in a folder of its own. */
async function mcpRemote(url: string, folder: string): Promise<Target> {
  const home = await mkdtemp(join(folder, 'mcp-remote-'));
  const config = join(home, 'config');
  await mkdir(config);
  const args = [MCP_REMOTE_MAIN, url, '--allow-http'];
  if (url.endsWith('/sse')) args.push('--transport', 'sse-only');
  return { command: process.execPath, args, cwd: home, env: { HOME: home, MCP_REMOTE_CONFIG_DIR: config } };
}

function viaV1(target: Target, place: Place): Promise<Visitor> {
  return listening(place, (options) => connectV1(target, options));
}

/** Connects a client with the server's roots, and keeps what arrives. */
async function listening(
  { server }: Place,
  connect: (options: ConnectOptions) => Promise<TestClient>,
): Promise<Visitor> {
  const received: Json[] = [];
  const onMessage = (message: Json): void => void received.push(message);
  const client = await connect({ onMessage, ...(server.roots && { roots: server.roots }) });
  return { ...client, received };
}

function urlOf({ server }: Place): string {
  if ('url' in server.direct) return server.direct.url;
  throw new Error('a server that is launched has no URL');
}
