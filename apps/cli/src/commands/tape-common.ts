import { type Command, Option } from 'commander';
import type { Checked } from '../config/checks.js';
import { CliError } from '../errors.js';
import type { CommandContext } from './context.js';

export type Format = { readonly format: 'text' | 'json' };

export const formatOption = (): Option =>
  new Option('--format <format>', 'how to show it').choices(['text', 'json']).default('text');

/** What all commands on tapes have: their exit codes, `--log-level`, and no configuration file. */
export function beginTape(context: CommandContext, command: Command): void {
  context.family = 'tape';
  context.settings('tape', command);
}

/** What was found, or a usage error. */
export function usable(checked: Checked<string>): string {
  if ('value' in checked) return checked.value;
  throw new CliError(checked.problem);
}

export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
