import type { Command } from 'commander';
import { checkTape } from '../config/checks.js';
import { EXIT } from '../errors.js';
import { specsOf } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addPlainFlags } from './flags.js';
import { beginTape, type Format, formatOption, json, usable } from './tape-common.js';

/** `shadowcat tape diff`. */
export function addDiff(tape: Command, context: CommandContext): void {
  const command = describe(
    tape.command('diff').argument('<before>', 'a tape').argument('<after>', 'another of the same conversation'),
    {
      summary:
        'Compare two tapes by what was asked and answered, and what the server offers (exit code 1 when they differ)',
      usage: '<before> <after> [options]',
      examples: ['tape diff old.tape.jsonl new.tape.jsonl', 'tape diff old.tape.jsonl new.tape.jsonl --format json'],
    },
  );
  addPlainFlags(command.addOption(formatOption()), specsOf('tape')).action(
    async (before: string, after: string, { format }: Format) => {
      beginTape(context, command);
      const { host } = context;
      const [a, b] = [usable(checkTape(before, host.cwd)), usable(checkTape(after, host.cwd))];
      const [{ readTapeFile }, { diffTapes }, { diffText }, { gapLines }] = await Promise.all([
        import('@shadowcat/tape-file'),
        import('@shadowcat/tape'),
        import('../tapes/render-diff.js'),
        import('../tapes/gaps.js'),
      ]);
      const [left, right] = [await readTapeFile(a), await readTapeFile(b)];
      for (const line of gapLines([left, right], host.cwd)) host.err(`${line}\n`);
      const diff = diffTapes(left, right);
      host.out(format === 'json' ? json(diff) : diffText(diff, { before, after }));
      context.exitCode = diff.equal ? EXIT.ok : EXIT.failure;
    },
  );
}
