import { type Command, Option } from 'commander';

export interface Description {
  /** One line, in the list of commands and above the options. */
  readonly summary: string;
  /** What follows the command's name in the usage line. */
  readonly usage?: string;
  /** Command lines that work as they stand, without the program's name. */
  readonly examples: readonly string[];
  /** Whether every flag is also a key and a variable. */
  readonly configurable?: boolean;
}

/** The heading of the options that every command has. */
export const GENERAL = 'General:';

const CONFIGURABLE = `
Each option is also a key of shadowcat.yaml (session-idle: 1h) and a variable (SHADOWCAT_SESSION_IDLE=1h).
A flag wins over the variable, the variable over the file.`;

/** Gives a command its texts: on every level help ends with an example. */
export function describe(command: Command, description: Description): Command {
  command.summary(description.summary).description(description.summary);
  if (description.usage !== undefined) command.usage(description.usage);
  command.addHelpOption(new Option('-h, --help', 'show this help').helpGroup(GENERAL));
  return command.addHelpText('after', () => {
    const root = commandPath(command).split(' ')[0] ?? '';
    const lines = description.examples.map((example) => `  ${root} ${example}`);
    return `${description.configurable === true ? `${CONFIGURABLE}\n` : ''}\nExamples:\n${lines.join('\n')}`;
  });
}

/** `shadowcat tape show`, and the like. */
export function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}
