import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bearerToken } from '../options/pair-types.js';
import type { RecordingConfig } from '../stack/contract.js';

/** Checks against the file system. Each returns what the stack needs, or says on one line what is wrong. */
export type Checked<T> = { readonly value: T } | { readonly problem: string };

const TAPE_SUFFIX = '.tape.jsonl';

/** Tells a tape from a directory of tapes. `where` is how the user gave the path. */
export function checkRecordPath(
  given: string,
  cwd: string,
  where: string,
): Checked<Pick<RecordingConfig, 'kind' | 'path'>> {
  const path = resolve(cwd, given);
  const is = kindOf(path);
  if (path.endsWith(TAPE_SUFFIX)) {
    if (is === 'directory') return { problem: `${where}: ${given} is a directory, but is named like a tape` };
    return { value: { kind: 'file', path } };
  }
  if (/\.(jsonl?|tape|part)$/.test(given)) {
    return { problem: `${where}: the name of a tape ends in ${TAPE_SUFFIX}; for a tape per session name a directory` };
  }
  if (is === 'file')
    return {
      problem: `${where}: ${given} is a file that is no tape: name a directory, or a file ending in ${TAPE_SUFFIX}`,
    };
  return { value: { kind: 'directory', path } };
}

/** The token in a file, without the white space around it. */
export function checkTokenFile(given: string, cwd: string, where: string): Checked<string> {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, given), 'utf8').trim();
  } catch (error) {
    return { problem: `${where}: cannot read ${given} (${codeOf(error)})` };
  }
  try {
    return { value: bearerToken.parse(text) };
  } catch {
    return { problem: `${where}: ${given} holds no token: write letters, digits and -._~+/ only, on one line` };
  }
}

/** What `import()` needs: a `file:` URL for what looks like a path, else the package's name. */
export function checkInterceptor(given: string, cwd: string, where: string): Checked<string> {
  const isPath = given.startsWith('.') || isAbsolute(given) || /\.[cm]?[jt]s$/.test(given);
  if (!isPath) return { value: given };
  const path = resolve(cwd, given);
  if (kindOf(path) !== 'file') return { problem: `${where}: there is no file ${given}` };
  return { value: pathToFileURL(path).href };
}

export function checkDirectory(given: string, cwd: string, where: string): Checked<string> {
  const path = resolve(cwd, given);
  return kindOf(path) === 'directory' ? { value: path } : { problem: `${where}: there is no directory ${given}` };
}

export function checkTape(given: string, cwd: string): Checked<string> {
  const path = resolve(cwd, given);
  const is = kindOf(path);
  if (is === 'file') return { value: path };
  if (is === 'directory')
    return { problem: `${given} is a directory: name the tapes in it, as ${join(given, `*${TAPE_SUFFIX}`)}` };
  return { problem: `there is no tape ${given}` };
}

export function checkOverlay(given: string, cwd: string, where: string): Checked<string> {
  const path = resolve(cwd, given);
  return kindOf(path) === 'file' ? { value: path } : { problem: `${where}: there is no file ${given}` };
}

/** Where a command is to be looked for. */
export interface CommandPlace {
  /** Where it will run; what paths in it are relative to. */
  readonly cwd: string;
  /** The `PATH` it will have. */
  readonly path: string | undefined;
  readonly platform: NodeJS.Platform;
}

/** Whether a command can be started at all; better said now than at the first request. */
export function checkCommand(command: string, place: CommandPlace): Checked<string> {
  if (place.platform === 'win32') return { value: command };
  if (command.includes(sep)) {
    const path = resolve(place.cwd, command);
    if (isExecutable(path)) return { value: command };
    const is = kindOf(path);
    return { problem: is === undefined ? `there is no command ${command}` : `${command} cannot be executed` };
  }
  const found = (place.path ?? '').split(delimiter).some((dir) => isExecutable(resolve(place.cwd, dir, command)));
  if (found) return { value: command };
  return { problem: `there is no command "${command}" on PATH: check its spelling, or give its path` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return kindOf(path) === 'file';
  } catch {
    return false;
  }
}

/** `undefined`: not there, or not to be looked at: behind a folder of somebody else's, too long a name. */
function kindOf(path: string): 'file' | 'directory' | undefined {
  try {
    return statSync(path).isDirectory() ? 'directory' : 'file';
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
