import { existsSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { Tape, TapeSummary } from '@shadowcat/tape';
import type { Command } from 'commander';
import { checkDirectory, checkTape } from '../config/checks.js';
import { CliError, EXIT } from '../errors.js';
import type { Host } from '../host.js';
import { specsOf } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addPlainFlags } from './flags.js';
import { addBind } from './tape-bind.js';
import { beginTape, type Format, formatOption, json, usable } from './tape-common.js';
import { addDiff } from './tape-diff.js';
import { addExport } from './tape-export.js';
import { addFmt } from './tape-fmt.js';
import { addImport } from './tape-import.js';
import { addLint } from './tape-lint.js';
import { addPack, addUnpack } from './tape-pack.js';
import { addRedact, addScan } from './tape-secrets.js';

/** `shadowcat tape …`. */
export function addTape(program: Command, context: CommandContext): void {
  const tape = describe(program.command('tape'), {
    summary: 'Look at tapes and mend them',
    examples: [
      'tape ls tapes/',
      'tape show session.tape.jsonl',
      'tape fmt session.tape.jsonl',
      'tape diff old.tape.jsonl new.tape.jsonl',
      'tape scan tapes/',
      'tape recover session.tape.jsonl.part',
    ],
  });
  tape.helpCommand(false);
  addLs(tape, context);
  addShow(tape, context);
  addFmt(tape, context);
  addRecover(tape, context);
  addDiff(tape, context);
  addLint(tape, context);
  addScan(tape, context);
  addRedact(tape, context);
  addBind(tape, context);
  addExport(tape, context);
  addImport(tape, context);
  addPack(tape, context);
  addUnpack(tape, context);
}

function addLs(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('ls').argument('<dir>', 'a directory of tapes'), {
    summary: 'List the tapes of a directory',
    usage: '<dir> [options]',
    examples: ['tape ls tapes/', 'tape ls tapes/ --format json'],
  });
  addPlainFlags(command.addOption(formatOption()), specsOf('tape')).action(async (dir: string, { format }: Format) => {
    beginTape(context, command);
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

type ShowOptions = Format & { readonly messages?: boolean; readonly html?: boolean; readonly out?: string };

function addShow(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('show').argument('<tape>', 'a tape, finished or not'), {
    summary: 'Show what is on a tape: sessions, exchanges, and whether it is whole (exit code 3 if not)',
    usage: '<tape> [options]',
    examples: [
      'tape show session.tape.jsonl',
      'tape show session.tape.jsonl --messages',
      'tape show session.tape.jsonl --html -o session.html',
      'tape show session.tape.jsonl --format json',
    ],
  });
  command
    .option('--messages', 'every message with its line, → from the client, ← from the server')
    .option('--html', 'a page of its own, for a browser')
    .option('-o, --out <file>', 'where to write it (default: stdout)')
    .addOption(formatOption());
  addPlainFlags(command, specsOf('tape')).action(async (name: string, options: ShowOptions) => {
    beginTape(context, command);
    const { host } = context;
    const path = usable(checkTape(name, host.cwd));
    const [{ inspectTapeFile }, { adviceFor, summariseTape }] = await Promise.all([
      import('@shadowcat/tape-file'),
      import('@shadowcat/tape'),
    ]);
    const tape = await inspectTapeFile(path);
    const summary = { ...summariseTape(tape), name };
    const columns = options.out === undefined ? columnsOf(host) : COLUMNS;
    const text = await shown(tape, { summary, columns }, options);
    if (options.out === undefined) host.out(text);
    else writeFileSync(resolve(host.cwd, options.out), text);
    for (const line of (await import('../tapes/render.js')).problemLines(summary)) host.err(`shadowcat: ${line}\n`);
    const problem = summary.problems.find(({ kind }) => kind !== 'gap');
    if (problem === undefined) return;
    const advice = adviceFor(problem, name);
    if (advice !== '') host.err(`${(await import('../printable.js')).printable(advice)}\n`);
    context.exitCode = problem.kind === 'edited' ? EXIT.failure : EXIT.tapeInvalid;
  });
}

/** How wide lines are where there is no terminal, and no COLUMNS. */
const COLUMNS = 100;

function columnsOf({ columns, env }: Host): number {
  const told = Number(env['COLUMNS']);
  return columns ?? (Number.isInteger(told) && told > 0 ? told : COLUMNS);
}

/** The tape in the form that was asked for. */
async function shown(
  tape: Tape,
  { summary, columns }: { readonly summary: TapeSummary; readonly columns: number },
  { format, messages, html }: ShowOptions,
): Promise<string> {
  const { timelineOf } = await import('@shadowcat/tape');
  if (html === true) return (await import('../tapes/page.js')).tapePage([{ summary, entries: timelineOf(tape) }]);
  if (format === 'json') return json(messages === true ? { ...summary, messages: timelineOf(tape) } : summary);
  const { headText, tapeText } = await import('../tapes/render.js');
  if (messages !== true) return tapeText(summary);
  const { timelineText } = await import('../tapes/render-timeline.js');
  return `${headText(summary)}${timelineText(timelineOf(tape), columns)}`;
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
    beginTape(context, command);
    const { host } = context;
    const path = usable(checkTape(name, host.cwd));
    const target = out === undefined ? undefined : resolve(host.cwd, out);
    if (target !== undefined && existsSync(target))
      throw new CliError(`-o: ${out} is there already: name another file`);
    const [{ recoverTape }, { runsStill }] = await Promise.all([
      import('@shadowcat/tape-file'),
      import('@shadowcat/transport-stdio'),
    ]);
    const kept = await recoverTape(path, target, runsStill);
    const open = kept.open === 0 ? '' : `, ${kept.open} exchanges were not finished`;
    host.out(`${relative(host.cwd, kept.out)}\n`);
    host.err(`kept ${kept.records} records, gave up ${kept.dropped} bytes at the end${open}\n`);
  });
}
