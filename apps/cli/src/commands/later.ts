import type { Command } from 'commander';
import { CliError } from '../errors.js';
import { commandPath } from './define.js';

/** Commands that are designed and not built yet, under the command that will have them. */
const LATER_COMMANDS: Readonly<Record<string, readonly string[]>> = {
  shadowcat: ['forward'],
};

/** Makes the commands to come say so, whatever follows them; no help lists them. */
export function addLater(command: Command): void {
  for (const name of LATER_COMMANDS[command.name()] ?? []) {
    const later = command.command(name, { hidden: true });
    later.helpOption(false).allowUnknownOption().allowExcessArguments().argument('[words...]');
    later.action(() => {
      throw new CliError(
        `this version does not have \`${commandPath(later)}\` yet; \`${commandPath(command)} --help\` lists what it has`,
      );
    });
  }
}
