import { Command, CommanderError } from 'commander';
import { addConfig } from './commands/config.js';
import { CommandContext } from './commands/context.js';
import { commandPath, describe, GENERAL } from './commands/define.js';
import { addDoctor } from './commands/doctor.js';
import { addLater } from './commands/later.js';
import { addReplay } from './commands/replay.js';
import { addRecord, addReverse } from './commands/reverse.js';
import { addShadow } from './commands/shadow.js';
import { addTape } from './commands/tape.js';
import { addVerify } from './commands/verify.js';
import { EXIT } from './errors.js';
import { exitCodeOf, failureText } from './failure.js';
import type { Host } from './host.js';
import { VERSION } from './version.js';

/** The whole tree of commands, ready to parse. */
export function buildProgram(context: CommandContext): Command {
  const program = new Command('shadowcat');
  program
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.host.out(text),
      writeErr: (text) => context.host.err(text),
      outputError: (text, write) => write(usageText(text, commandIn(program, context.argv))),
    })
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .optionsGroup(GENERAL)
    .version(VERSION, '-V, --version', 'show the version')
    .helpCommand(false);
  describe(program, {
    summary: 'A proxy for the Model Context Protocol: reverse, record and replay',
    usage: '<command> [options]',
    examples: [
      'reverse --upstream http://localhost:3000/mcp',
      'record --out session.tape.jsonl -- npx -y @modelcontextprotocol/server-everything stdio',
      'replay session.tape.jsonl',
      'reverse --help',
    ],
  });
  addReverse(program, context);
  addRecord(program, context);
  addReplay(program, context);
  addVerify(program, context);
  addTape(program, context);
  addShadow(program, context);
  addConfig(program, context);
  addDoctor(program, context);
  addLater(program);
  return program;
}

/** Runs one command line and resolves with its exit code; whatever goes wrong is told on stderr. */
export async function run(argv: readonly string[], host: Host): Promise<number> {
  const context = new CommandContext(host, argv);
  try {
    await buildProgram(context).parseAsync(argv, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    // Commander has told already: help and version are fine, everything else is a usage error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    host.err(failureText(error, context.debug));
    return exitCodeOf(error, context.family);
  }
}

/** Commander's message in our form: with what to do, where it does not say that itself. */
function usageText(text: string, command: Command): string {
  const said = text
    .trimEnd()
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)/, ' (did you mean $1?)');
  const advises = /\(did you mean |Allowed choices are /.test(said);
  return `shadowcat: ${said}${advises ? '' : `; \`${commandPath(command)} --help\` shows what it takes`}\n`;
}

/** The command that the words ask for, as far as they name one. */
function commandIn(program: Command, argv: readonly string[]): Command {
  let command = program;
  for (const word of argv) {
    const child = command.commands.find((candidate) => candidate.name() === word);
    if (child === undefined) break;
    command = child;
  }
  return command;
}
