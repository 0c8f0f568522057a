import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliError } from '../errors.js';
import { CONFIG_VARIABLE, type Environment } from './environment.js';
import { type ConfigFile, MAX_CONFIG_BYTES, readConfig } from './file.js';

/** The file that is read when none is named. */
export const CONFIG_FILE = 'shadowcat.yaml';

export interface LoadOptions {
  /** From `--config`; without it `SHADOWCAT_CONFIG`, then `shadowcat.yaml` in the working directory, if it is there. */
  readonly config: string | undefined;
  readonly env: Environment;
  readonly cwd: string;
}

/** A configuration file's text, before anybody has looked at it. */
export interface ConfigText {
  /** As the user named it. */
  readonly name: string;
  readonly path: string;
  readonly text: string;
  /** Whether the text is all that the file holds: bytes that are no UTF-8 are not in it. */
  readonly exact: boolean;
}

/** Reads the configuration file. Throws {@link CliError} when one was named and cannot be read. */
export function loadConfig(options: LoadOptions): ConfigFile | undefined {
  const found = loadText(options);
  return found === undefined ? undefined : readConfig(found.name, found.text);
}

/** The same without looking at what it says. */
export function loadText(options: LoadOptions): ConfigText | undefined {
  const variable = options.env[CONFIG_VARIABLE];
  const named = options.config ?? (variable === '' ? undefined : variable);
  const name = named ?? CONFIG_FILE;
  const path = resolve(options.cwd, name);
  try {
    if (statSync(path).size > MAX_CONFIG_BYTES)
      throw new CliError(`${name}: larger than 1 MiB: this is not a configuration file`);
    const bytes = readFileSync(path);
    return { name, path, text: bytes.toString('utf8'), exact: isUtf8(bytes) };
  } catch (error) {
    if (error instanceof CliError) throw error;
    // Under Vitest's `vm` pools errors of Node are of another realm, and no instances of Error.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && named === undefined) return undefined;
    const source = options.config !== undefined ? '--config' : named === undefined ? name : CONFIG_VARIABLE;
    throw new CliError(`${source}: ${cannotRead(name, code)}`);
  }
}

function cannotRead(name: string, code: unknown): string {
  if (code === 'ENOENT') return `there is no file ${name} (\`shadowcat config init\` writes one to start from)`;
  if (code === 'EACCES') return `no permission to read ${name}`;
  if (code === 'EISDIR') return `${name} is a directory: name the file`;
  return `cannot read ${name} (${String(code)})`;
}
