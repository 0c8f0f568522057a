import { EXIT } from './errors.js';
import { failureText } from './failure.js';
import type { Host } from './host.js';
import { run } from './program.js';
import { exitThough, stopOnSignals } from './signals.js';

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Runs the command line of this process. Sets the exit code and lets the process end by itself. */
export async function main(argv: readonly string[]): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe);
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, dieOf);
  // Timers of the stack let the process end, and without stdin or sockets there may be nothing else that it waits for.
  const alive = setInterval(() => {}, LONGEST_TIMER_MS);
  const code = await run(argv, processHost()).finally(() => clearInterval(alive));
  process.exitCode = code;
  exitThough(process, { code, tell: (text) => process.stderr.write(text) });
}

function processHost(): Host {
  return {
    env: process.env,
    cwd: process.cwd(),
    node: process.versions.node,
    terminal: process.stderr.isTTY === true,
    columns: process.stdout.isTTY === true ? process.stdout.columns : undefined,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    stopping: ({ reload, ...options }) =>
      stopOnSignals(process, reload === undefined || hasTerminal() ? options : { ...options, reload }),
    stack: () => import('./stack/index.js'),
  };
}

/** SIGHUP means then that the terminal is closed. On Windows it means nothing else. */
function hasTerminal(): boolean {
  const streams = [process.stdin, process.stdout, process.stderr];
  return process.platform === 'win32' || streams.some((stream) => stream.isTTY === true);
}

/** `shadowcat … | head -1`: a reader that leaves is no reason to end. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') dieOf(error);
}

/** Nothing from outside should lead here; if something does, going on could serve wrong answers. */
function dieOf(error: unknown): void {
  const debug = process.env['SHADOWCAT_LOG_LEVEL'] === 'debug' || /--log-level[= ]debug/.test(process.argv.join(' '));
  process.stderr.write(failureText(error, debug));
  process.exit(EXIT.failure);
}
