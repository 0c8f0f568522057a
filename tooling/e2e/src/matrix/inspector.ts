import type { Json } from '../json.js';
import { run } from '../processes.js';
import { packagePath } from './packages.js';
import type { Visitor } from './visit.js';

const LAUNCHER = packagePath('@modelcontextprotocol/inspector', 'clients/launcher/build/index.js');

export interface InspectorOptions {
  readonly url: string;
  readonly transport: 'http' | 'sse';
  readonly era: 'legacy' | 'modern';
  /** A folder of its own: the program keeps its files under HOME. */
  readonly home: string;
}

/**
 * The Inspector's command line as a client. Each request is a run of its own, which connects, asks and ends; the first lists
 * the tools, so that a server it cannot connect to is found out here. The program can neither show progress nor answer a
 * server's questions; prompts and resources are left out, since each run costs half a second of processor time.
 */
export async function inspector(options: InspectorOptions): Promise<Visitor> {
  const ask = (method: string, ...words: readonly string[]): Promise<Json> =>
    inspect(options, ['--method', method, ...words]);
  const tools = await ask('tools/list');
  return {
    brief: true,
    lacks: ['prompt', 'resource', 'progress', 'ask'],
    listTools: async () => tools,
    callTool: (name, args) => ask('tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args)),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** @throws with what the program printed, if that is not a result */
async function inspect({ url, transport, era, home }: InspectorOptions, words: readonly string[]): Promise<Json> {
  const exit = await run({
    command: process.execPath,
    args: [LAUNCHER, '--cli', url, '--transport', transport, '--protocol-era', era, ...COMMON, ...words],
    env: { HOME: home },
    cwd: home,
  });
  const { result } = objectIn(exit.stdout);
  if (result !== undefined) return result;
  throw new Error(`exit code ${exit.code}: ${exit.stdout.slice(-1000)}${exit.stderr.slice(-1000)}`);
}

/** Results as JSON, and never a login in a browser. */
const COMMON = ['--format', 'json', '--stored-auth-only'];

function objectIn(text: string): { readonly result?: Json } {
  try {
    return JSON.parse(text) as { readonly result?: Json };
  } catch {
    return {};
  }
}
