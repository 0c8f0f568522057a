import { relative } from 'node:path';
import type { Command } from 'commander';
import { checkTape } from '../config/checks.js';
import { specsOf } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addPlainFlags } from './flags.js';
import { beginTape, madeText, usable, writable } from './tape-common.js';

/** `shadowcat tape fmt`. */
export function addFmt(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('fmt').argument('<tape>', 'a finished tape'), {
    summary:
      'Write the golden form of a tape, the one to commit: no clock, renumbered ids, one digest; seals an edited one',
    usage: '<tape> [options]',
    examples: [
      'tape fmt session.tape.jsonl',
      'tape fmt tapes/2026-11-21T10-15-00-3f2a.tape.jsonl -o test/login.tape.jsonl',
    ],
  });
  command
    .option('-o, --out <file>', 'where to write it (default: in the place of the tape)')
    .option('--times', 'keep when each record happened');
  addPlainFlags(command, specsOf('tape')).action(async (name: string, options: { out?: string; times?: boolean }) => {
    beginTape(context, command);
    const { host } = context;
    const path = usable(checkTape(name, host.cwd));
    const out = options.out === undefined ? path : writable(options.out, host.cwd);
    const { formatTapeFile } = await import('@shadowcat/tape-file');
    const made = await formatTapeFile(path, { out, times: options.times === true });
    host.out(`${made.sha}  ${relative(host.cwd, made.out)}\n`);
    host.err(`${madeText(made)}\n`);
    const { gapLines } = await import('../tapes/gaps.js');
    for (const line of gapLines([made.from], host.cwd)) host.err(`${line}\n`);
  });
}
