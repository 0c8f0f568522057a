// Runs of the Inspector's command line, one after the other in one process: `inspector-runs.js`, then lines on stdin, each a
// number and the words of a run as a JSON array. A line on stdout answers each: the number, what the run printed, its error.

import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { packagePath } from './packages.js';

interface CommandLine {
  runCli(argv: readonly string[]): Promise<void>;
}

const MAIN = packagePath('@modelcontextprotocol/inspector', 'clients/cli/build/index.js');

const stdout = process.stdout.write.bind(process.stdout);
let printed = '';
process.stdout.write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
  printed += typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk);
  const done = rest.at(-1);
  if (typeof done === 'function') process.nextTick(done as () => void);
  return true;
}) as typeof process.stdout.write;

const { runCli } = (await import(pathToFileURL(MAIN).href)) as CommandLine;

for await (const line of createInterface({ input: process.stdin })) {
  const [number, words] = JSON.parse(line) as [number, string[]];
  printed = '';
  // As the launcher calls it: the words follow those that started the process.
  const error = await runCli([process.execPath, MAIN, ...words]).then(
    () => '',
    (reason: unknown) => String(reason),
  );
  stdout(`${JSON.stringify([number, printed, error])}\n`);
}
