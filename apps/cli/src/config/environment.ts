import { type OptionSpec, variableOf } from '../options/option.js';
import { nearest } from './nearest.js';
import type { RawEntries, RawEntry } from './source.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The variable that names the configuration file. */
export const CONFIG_VARIABLE = 'SHADOWCAT_CONFIG';

/** The variable that says what tapes do in a test run. */
export const MODE_VARIABLE = 'SHADOWCAT_MODE';

/** What `SHADOWCAT_*` variables say about `specs`. A variable that is set to nothing counts as not set. */
export function readEnvironment(env: Environment, specs: readonly OptionSpec[]): RawEntries {
  const entries = new Map<string, RawEntry>();
  for (const spec of specs) {
    const where = variableOf(spec.name);
    const value = env[where];
    if (value === undefined || value === '') continue;
    const texts = spec.kind === 'many' ? listOf(spec, value) : [value];
    entries.set(spec.name, { origin: { source: 'environment', where }, items: texts.map((text) => ({ text, where })) });
  }
  return entries;
}

/**
 * A list in one variable: a JSON array of strings, or words at white space for a command, or a pair a line where values may
 * hold commas, or else items between commas.
 */
function listOf(spec: OptionSpec, value: string): string[] {
  const array = value.trimStart().startsWith('[') ? jsonStrings(value) : undefined;
  if (array !== undefined) return array;
  const separator = spec.place === 'words' ? /\s+/ : spec.type.pairs === true ? /\r?\n/ : /,/;
  return value
    .split(separator)
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function jsonStrings(value: string): string[] | undefined {
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) && parsed.every((item) => typeof item === 'string') ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Variables that look like a misspelt option, each with a line that says so. Others may be somebody else's. */
export function misspeltVariables(env: Environment, specs: readonly OptionSpec[]): string[] {
  const known = [CONFIG_VARIABLE, MODE_VARIABLE, ...specs.map((spec) => variableOf(spec.name))];
  const lines: string[] = [];
  for (const name of Object.keys(env)) {
    if (!name.startsWith('SHADOWCAT_') || known.includes(name)) continue;
    const near = nearest(
      name.slice('SHADOWCAT_'.length),
      known.map((other) => other.slice('SHADOWCAT_'.length)),
    );
    if (near !== undefined) lines.push(`${name} is not an option and is ignored (did you mean SHADOWCAT_${near}?)`);
  }
  return lines;
}
