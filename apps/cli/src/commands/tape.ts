import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type Checked, checkDirectory, checkTape } from '../config/checks.js';
import { CliError, EXIT } from '../errors.js';
import { specsOf } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addPlainFlags } from './flags.js';
import { addLater } from './later.js';

/** `shadowcat tape …`. */
export function addTape(program: Command, context: CommandContext): void {
  const tape = describe(program.command('tape'), {
    summary: 'Look at tapes and mend them',
    examples: ['tape ls tapes/', 'tape show session.tape.jsonl', 'tape recover session.tape.jsonl.part'],
  });
  tape.helpCommand(false);
  addLs(tape, context);
  addShow(tape, context);
  addRecover(tape, context);
  addLater(tape);
}

type Format = { readonly format: 'text' | 'json' };

const formatOption = (): Option =>
  new Option('--format <format>', 'how to show it').choices(['text', 'json']).default('text');

/** What all of these commands have: their exit codes, `--log-level`, and no configuration file. */
function begin(context: CommandContext, command: Command): void {
  context.family = 'tape';
  context.settings('tape', command);
}

function addLs(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('ls').argument('<dir>', 'a directory of tapes'), {
    summary: 'List the tapes of a directory',
    usage: '<dir> [options]',
    examples: ['tape ls tapes/', 'tape ls tapes/ --format json'],
  });
  addPlainFlags(command.addOption(formatOption()), specsOf('tape')).action(async (dir: string, { format }: Format) => {
    begin(context, command);
    const { host } = context;
    const path = usable(checkDirectory(dir, host.cwd, 'tape ls'));
    const [{ listTapes }, { tapeList }] = await Promise.all([
      import('@shadowcat/tape-file'),
      import('../tapes/render.js'),
    ]);
    const tapes = (await listTapes(path)).map((listed) => ({ ...listed, path: relative(path, listed.path) }));
    if (tapes.length === 0) host.err(`no tapes in ${dir}\n`);
    host.out(format === 'json' ? json(tapes) : tapeList(tapes));
  });
}

function addShow(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('show').argument('<tape>', 'a tape, finished or not'), {
    summary: 'Show what is on a tape: sessions, exchanges, and whether it is whole (exit code 3 if not)',
    usage: '<tape> [options]',
    examples: ['tape show session.tape.jsonl', 'tape show session.tape.jsonl --format json'],
  });
  addPlainFlags(command.addOption(formatOption()), specsOf('tape')).action(async (name: string, { format }: Format) => {
    begin(context, command);
    const { host } = context;
    const path = usable(checkTape(name, host.cwd));
    const [{ inspectTapeFile }, { summariseTape }, { problemLines, tapeText }] = await Promise.all([
      import('@shadowcat/tape-file'),
      import('@shadowcat/tape'),
      import('../tapes/render.js'),
    ]);
    const summary = { ...summariseTape(await inspectTapeFile(path)), name };
    host.out(format === 'json' ? json(summary) : tapeText(summary));
    for (const line of problemLines(summary)) host.err(`shadowcat: ${line}\n`);
    if (summary.problems.some(({ kind }) => kind !== 'gap')) {
      host.err(`what is whole can be kept with: shadowcat tape recover ${name}\n`);
      context.exitCode = EXIT.tapeInvalid;
    }
  });
}

function addRecover(tape: Command, context: CommandContext): void {
  const command = describe(
    tape.command('recover').argument('<tape>', 'what a recording left behind: x.tape.jsonl.part'),
    {
      summary: 'Make a tape again of a recording that was cut short: keeps what is whole, and says so in it',
      usage: '<tape.part> [options]',
      examples: ['tape recover session.tape.jsonl.part', 'tape recover broken.tape.jsonl -o mended.tape.jsonl'],
    },
  );
  command.option('-o, --out <file>', 'where to write it (default: the name without .part)');
  addPlainFlags(command, specsOf('tape')).action(async (name: string, { out }: { out?: string }) => {
    begin(context, command);
    const { host } = context;
    const path = usable(checkTape(name, host.cwd));
    const target = out === undefined ? undefined : resolve(host.cwd, out);
    if (target !== undefined && existsSync(target))
      throw new CliError(`-o: ${out} is there already: name another file`);
    const { recoverTape } = await import('@shadowcat/tape-file');
    const kept = await recoverTape(path, target);
    const open = kept.open === 0 ? '' : `, ${kept.open} exchanges were not finished`;
    host.out(`${relative(host.cwd, kept.out)}\n`);
    host.err(`kept ${kept.records} records, gave up ${kept.dropped} bytes at the end${open}\n`);
  });
}

/** What was found, or a usage error. */
function usable(checked: Checked<string>): string {
  if ('value' in checked) return checked.value;
  throw new CliError(checked.problem);
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
