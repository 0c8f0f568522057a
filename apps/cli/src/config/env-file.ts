import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { BadValue } from '../options/option-type.js';
import { type EnvPair, envPair } from '../options/pair-types.js';
import type { Checked } from './checks.js';

/** Larger files hold no variables. */
const MAX_BYTES = 1024 * 1024;

/** The variables in a file; what is wrong with it names file and line, never a value. */
export function readEnvFile(given: string, cwd: string, where: string): Checked<readonly EnvPair[]> {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, given), 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { problem: `${where}: cannot read ${given} (${code})` };
  }
  if (text.length > MAX_BYTES)
    return { problem: `${where}: ${given} is larger than 1 MiB, which no list of variables is` };
  return parseEnvFile(given, text);
}

/**
 * One variable a line: `NAME=value`, `export NAME=value`, or `NAME` to pass our own on. Blank lines and lines that begin with
 * `#` mean nothing. A value may be in quotes: in single ones it is taken as it is, in double ones `\n`, `\t`, `\"` and `\\` are
 * escapes. Outside of quotes ` #` begins a comment. Nothing is expanded.
 */
export function parseEnvFile(name: string, text: string): Checked<readonly EnvPair[]> {
  const pairs: EnvPair[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim().replace(/^export\s+/, '');
    if (line === '' || line.startsWith('#')) continue;
    try {
      const { name: variable, value } = envPair.parse(spacesAroundSign(line));
      pairs.push({ name: variable, value: value === undefined ? undefined : unquoted(value) });
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      return { problem: `${name}:${index + 1}: ${error.message}` };
    }
  }
  return { value: pairs };
}

const spacesAroundSign = (line: string): string => line.replace(/^(\w+)\s*=\s*/, '$1=');

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };

function unquoted(value: string): string {
  const quote = value[0];
  if (quote !== '"' && quote !== "'") return value.replace(/(^|\s+)#.*$/, '');
  const quoted = /^(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?$/.exec(value);
  if (quoted === null) throw new BadValue('the value begins with a quote that does not end: close it on the same line');
  return quoted[2] ?? (quoted[1] ?? '').replace(/\\(.)/g, (all, letter: string) => ESCAPES[letter] ?? all);
}
