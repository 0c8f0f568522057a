import type { Command } from 'commander';
import { replayConfig } from '../config/effective.js';
import { specsOf } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addFlags } from './flags.js';

/** `shadowcat replay`. */
export function addReplay(program: Command, context: CommandContext): void {
  const command = program.command('replay').argument('[tape...]');
  describe(command, {
    summary: 'Serve tapes as an MCP server',
    usage: '<tape...> [options]',
    configurable: true,
    examples: [
      'replay session.tape.jsonl',
      'replay session.tape.jsonl --listen 127.0.0.1:0 --all-used',
      'replay --stdio session.tape.jsonl',
      'replay session.tape.jsonl --overlay session.overlay.yaml --report junit=replay.xml',
      'replay session.tape.jsonl --overlay session.overlay.yaml --dry-run',
      'replay session.tape.jsonl --time x10 --max-rung exact',
    ],
  });
  addFlags(command, specsOf('replay')).action(async () => {
    context.family = 'tape';
    const settings = context.settings('replay', command, { arguments: command.args });
    const config = replayConfig(settings, context.host);
    await context.serve(settings, (stack, io) => stack.runReplay(config, io));
  });
}
