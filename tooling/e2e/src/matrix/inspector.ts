import { fileURLToPath } from 'node:url';
import type { Json } from '../json.js';
import { OwnedProcess } from '../processes.js';
import type { Visitor } from './visit.js';

const RUNS_MAIN = fileURLToPath(new URL('../../dist/matrix/inspector-runs.js', import.meta.url));

export interface InspectorOptions {
  readonly url: string;
  readonly transport: 'http' | 'sse';
  readonly era: 'legacy' | 'modern';
  /** A folder of its own: the program keeps its files under HOME. */
  readonly home: string;
}

/**
 * The Inspector's command line as a client. Each request is a run of its own, which connects, asks and ends; the first lists
 * the tools, so that a server it cannot connect to is found out here. All runs of a visit share a process, since loading the
 * program costs more than all it does then. The program can neither show progress nor answer a server's questions.
 */
export async function inspector(options: InspectorOptions): Promise<Visitor> {
  const { url, transport, era, home } = options;
  const runs = await OwnedProcess.start({
    command: process.execPath,
    args: [RUNS_MAIN],
    env: { HOME: home },
    cwd: home,
    stdin: 'pipe',
  });
  let count = 0;
  const ask = (method: string, ...words: readonly string[]): Promise<Json> => {
    count += 1;
    const where = [url, '--transport', transport, '--protocol-era', era];
    return outcome(runs, count, [...where, ...COMMON, '--method', method, ...words]);
  };
  try {
    const tools = await ask('tools/list');
    return {
      brief: true,
      lacks: ['prompt', 'resource', 'progress', 'ask'],
      listTools: async () => tools,
      callTool: (name, args) => ask('tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args)),
      [Symbol.asyncDispose]: () => runs[Symbol.asyncDispose](),
    };
  } catch (error) {
    await runs[Symbol.asyncDispose]();
    throw error;
  }
}

/** @throws with what the program printed, if that is not a result */
async function outcome(runs: OwnedProcess, number: number, words: readonly string[]): Promise<Json> {
  runs.stdin?.write(`${JSON.stringify([number, words])}\n`);
  const line = await runs.line(new RegExp(`^\\[${number},`), { timeoutMs: RUN_MS });
  const [, printed, error] = JSON.parse(line) as [number, string, string];
  const { result } = objectIn(printed);
  if (result !== undefined) return result;
  throw new Error(`${error} ${printed.slice(-1000)}`);
}

const RUN_MS = 60_000;

/** Results as JSON, and never a login in a browser. */
const COMMON = ['--format', 'json', '--stored-auth-only'];

function objectIn(text: string): { readonly result?: Json } {
  try {
    return JSON.parse(text) as { readonly result?: Json };
  } catch {
    return {};
  }
}
