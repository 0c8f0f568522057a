import type { Command } from 'commander';
import { checkTape } from '../config/checks.js';
import { CliError } from '../errors.js';
import { specsOf } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addPlainFlags } from './flags.js';
import { beginTape, type Format, formatOption, json, usable } from './tape-common.js';

/** `shadowcat tape bind`. */
export function addBind(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('bind').argument('<tape>', 'a finished tape'), {
    summary: 'Find the values that a server minted and its client gave back: handles, cursors, ids',
    usage: '--suggest <tape> [options]',
    examples: ['tape bind --suggest session.tape.jsonl', 'tape bind --suggest session.tape.jsonl --format json'],
  });
  command
    .option('--suggest', 'print them, as rules of an overlay; verify uses them without one')
    .addOption(formatOption());
  addPlainFlags(command, specsOf('tape')).action(
    async (name: string, { suggest, format }: Format & { readonly suggest?: boolean }) => {
      beginTape(context, command);
      if (suggest !== true) throw new CliError('say what to do: shadowcat tape bind --suggest <tape>');
      const { host } = context;
      const path = usable(checkTape(name, host.cwd));
      const [{ readTapeFile }, { flowsOfTapes }, { bindText, boundOf }, { gapLines }] = await Promise.all([
        import('@shadowcat/tape-file'),
        import('@shadowcat/tape'),
        import('../tapes/bindings.js'),
        import('../tapes/gaps.js'),
      ]);
      const tapes = [await readTapeFile(path)];
      for (const line of gapLines(tapes, host.cwd)) host.err(`${line}\n`);
      const bound = boundOf(flowsOfTapes(tapes));
      host.out(format === 'json' ? json(bound) : bindText(bound));
      if (bound.length === 0) host.err(`no value of an answer is used in a later request of ${name}\n`);
    },
  );
}
