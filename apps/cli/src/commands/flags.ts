import { type Command, Option } from 'commander';
import { placeOf } from '../config/settings.js';
import type { RawEntries, RawEntry } from '../config/source.js';
import { flagOf, type OptionSpec } from '../options/option.js';

import { GENERAL } from './define.js';

const NEGATIVE = 'no-';

/** Adds the flags of `specs` to a command. Values stay texts: they are parsed where all sources meet. */
export function addPlainFlags(command: Command, specs: readonly OptionSpec[]): Command {
  for (const spec of specs) if (spec.place === 'flag') addFlag(command, spec);
  return command;
}

/** {@link addPlainFlags}, and `--config`. */
export function addFlags(command: Command, specs: readonly OptionSpec[]): Command {
  addPlainFlags(command, specs);
  const config = new Option(
    `${flagOf('config')} <file>`,
    'configuration file (default: shadowcat.yaml, if it is there)',
  );
  return command.addOption(config.helpGroup(GENERAL));
}

function addFlag(command: Command, spec: OptionSpec): void {
  const group = `${spec.group}:`;
  const isSwitch = spec.type.label === 'boolean';
  const option = new Option(isSwitch ? flagOf(spec.name) : `${flagOf(spec.name)} <${spec.type.label}>`, helpOf(spec));
  if (spec.kind === 'many') option.argParser<readonly string[] | undefined>((value, all) => [...(all ?? []), value]);
  command.addOption(option.helpGroup(group));
  // The other way round, for what the file or the environment has switched on.
  if (isSwitch) command.addOption(new Option(flagOf(oppositeOf(spec.name))).hideHelp().helpGroup(group));
}

function helpOf(spec: OptionSpec): string {
  if (spec.fallback === undefined || spec.type.label === 'boolean') return spec.help;
  return `${spec.help} (default: ${spec.fallback})`;
}

const oppositeOf = (name: string): string =>
  name.startsWith(NEGATIVE) ? name.slice(NEGATIVE.length) : `${NEGATIVE}${name}`;

/** What is on a command line besides flags. */
export interface Operands {
  /** What followed `--`. */
  readonly words?: readonly string[];
  readonly arguments?: readonly string[];
}

/** What the command line says. */
export function readFlags(command: Command, specs: readonly OptionSpec[], operands: Operands): RawEntries {
  const entries = new Map<string, RawEntry>();
  for (const spec of specs) {
    const texts = spec.place === 'flag' ? textsOf(command, spec) : (operands[spec.place] ?? []);
    if (texts.length === 0) continue;
    const where = placeOf(spec);
    entries.set(spec.name, { origin: { source: 'flag', where }, items: texts.map((text) => ({ text, where })) });
  }
  return entries;
}

function textsOf(command: Command, spec: OptionSpec): readonly string[] {
  const negative = spec.name.startsWith(NEGATIVE);
  const attribute = camelCase(negative ? spec.name.slice(NEGATIVE.length) : spec.name);
  if (command.getOptionValueSource(attribute) !== 'cli') return [];
  const value: unknown = command.getOptionValue(attribute);
  if (typeof value === 'boolean') return [String(value !== negative)];
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

const camelCase = (name: string): string => name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
