import { existsSync } from 'node:fs';
import { ProxyError } from '@shadowcat/kernel';

/** How a child ended: with an exit code, or by a signal. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const MAX_LINE = 300;
const MAX_LINES_TEXT = 2048;

/** Why a command could not be started, in words for whoever wrote it. */
export function spawnError(thrown: unknown, options: { readonly command: string; readonly cwd: string }): ProxyError {
  const { command, cwd } = options;
  const code = (thrown as NodeJS.ErrnoException).code;
  const message = `cannot start the server "${command}": ${reasonOf(code, thrown, cwd)}`;
  return new ProxyError('spawn_failed', message, {
    cause: thrown,
    ...(code === undefined ? {} : { data: { errno: code } }),
  });
}

function reasonOf(code: string | undefined, thrown: unknown, cwd: string): string {
  switch (code) {
    case 'ENOENT':
      return existsSync(cwd)
        ? 'no such command; check its spelling and PATH'
        : `its working directory ${cwd} does not exist`;
    case 'ENOTDIR':
      return `its working directory ${cwd} is not a directory`;
    case 'EACCES':
      return 'it is not an executable file, or may not be run by this user';
    case 'EAGAIN':
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
      return `this machine is out of processes, files or memory (${code})`;
    case 'E2BIG':
      return 'its arguments and environment are too long';
    default:
      return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

/** Whether trying again soon may help. */
export function isTransientSpawnError(error: ProxyError): boolean {
  return (
    error.code === 'spawn_failed' && ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(String(error.data?.['errno']))
  );
}

/**
 * What became of a child, with its last words, for the client whose request it took along. `data` has `exitCode` or `signal`,
 * and `stderr`, its last lines, oldest first, 2 KiB at most.
 */
export function exitError(name: string, exit: ChildExit, lastLines: readonly string[]): ProxyError {
  const how = exit.signal === null ? `exited with code ${exit.code}` : `was ended by ${exit.signal}`;
  const lines = newest(lastLines);
  const telling = tellingLine(lines);
  const words = telling === undefined ? 'it wrote nothing to stderr' : `its last words: ${telling}`;
  const data: Record<string, unknown> = exit.signal === null ? { exitCode: exit.code } : { signal: exit.signal };
  if (lines.length > 0) data['stderr'] = lines;
  return new ProxyError('child_exited', `the server command (${name}) ${how}; ${words}`, { data });
}

/** As many of the last lines as fit. */
function newest(lines: readonly string[]): string[] {
  const taken: string[] = [];
  let size = 0;
  for (const line of lines.map((all) => all.slice(0, MAX_LINE)).reverse()) {
    size += line.length;
    if (size > MAX_LINES_TEXT) break;
    taken.unshift(line);
  }
  return taken;
}

/** The line that says what happened: Node ends a crash with a stack and its version, Go with goroutines. */
function tellingLine(lines: readonly string[]): string | undefined {
  const named = lines.findLast((line) => /^(\w+ )?[\w.]*(error|exception|panic|fatal)\b[^:]*:/i.test(line.trim()));
  const plain = lines.findLast((line) => !/^(Node\.js v\d|\s+at )/.test(line));
  return (named ?? plain ?? lines.at(-1))?.trim();
}
