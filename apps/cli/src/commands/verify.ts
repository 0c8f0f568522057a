import type { Command } from 'commander';
import { verifyConfig } from '../config/effective.js';
import { specsOf } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addFlags } from './flags.js';

const EXIT_CODES = `
Exit codes: 0 all answers are as recorded, 1 some differ, 2 usage or configuration, 3 a tape is invalid, truncated or corrupt,
4 something could not be compared (blocked, skipped), 5 the server cannot be reached or started.`;

/** `shadowcat verify`. */
export function addVerify(program: Command, context: CommandContext): void {
  const command = program.command('verify').argument('[tape...]');
  describe(command, {
    summary: 'Play recorded clients against a live server and compare its answers',
    usage: '<tape...> (--upstream <url> | -- command args...) [options]',
    configurable: true,
    examples: [
      'verify session.tape.jsonl --upstream http://localhost:3000/mcp',
      'verify tapes/*.tape.jsonl --level shape --report junit=verify.xml -- npx -y my-server',
      'verify session.tape.jsonl --learn 3 --allow-effects -- npx -y my-server',
      'verify session.tape.jsonl --overlay session.overlay.yaml -- npx -y my-server',
      'verify session.tape.jsonl --update -- npx -y my-server',
    ],
  });
  command.addHelpText('after', EXIT_CODES);
  addFlags(command, specsOf('verify')).action(async () => {
    context.family = 'tape';
    const { host } = context;
    const settings = context.settings('verify', command, context.operands(command));
    const config = verifyConfig(settings, host, host.terminal);
    await context.serve(settings, (stack, io) => stack.runVerify(config, io));
  });
}
