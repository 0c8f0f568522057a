import type { ExportFormat, Tape } from '@shadowcat/tape';
import { type Command, Option } from 'commander';
import { checkTape } from '../config/checks.js';
import { CliError } from '../errors.js';
import { specsOf } from '../options/table.js';
import { VERSION } from '../version.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addPlainFlags } from './flags.js';
import { beginTape, usable, writable } from './tape-common.js';

const FORMATS: readonly ExportFormat[] = ['har', 'otlp', 'html', 'mermaid'];

/** `shadowcat tape export`. */
export function addExport(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('export').argument('<tape...>', 'finished tapes'), {
    summary: 'Write tapes in a format of other tools, and say what it has no place for',
    usage: '<tape...> --format <format> [options]',
    examples: [
      'tape export session.tape.jsonl --format har -o session.har',
      'tape export session.tape.jsonl --format mermaid > session.mmd',
      'tape export session.tape.jsonl --format html -o session.html',
      'tape export tapes/*.tape.jsonl --format otlp -o traces.json',
    ],
  });
  const format = new Option('--format <format>', 'HTTP Archive 1.2, OpenTelemetry traces, a page, a sequence diagram');
  command
    .addOption(format.choices(FORMATS).makeOptionMandatory())
    .option('-o, --out <file>', 'where to write it (default: stdout)');
  addPlainFlags(command, specsOf('tape')).action(
    async (names: string[], options: { readonly format: ExportFormat; readonly out?: string }) => {
      beginTape(context, command);
      const { host } = context;
      const paths = names.map((name) => usable(checkTape(name, host.cwd)));
      const out = options.out === undefined ? undefined : writable(options.out, host.cwd, paths);
      const { readTapeFile } = await import('@shadowcat/tape-file');
      const tapes: Tape[] = [];
      for (const [index, path] of paths.entries())
        tapes.push({ ...(await readTapeFile(path)), name: names[index] ?? path });
      const made = await exported(tapes, options.format);
      if (out === undefined) for (const piece of made.pieces) host.out(piece);
      else await write(out, made.pieces);
      const { problemLines } = await import('../tapes/render.js');
      for (const line of tapes.flatMap(problemLines)) host.err(`shadowcat: ${line}\n`);
      for (const line of made.remarks) host.err(`${line}\n`);
    },
  );
}

interface Exported {
  readonly pieces: Iterable<string>;
  /** What is not in it, for people. */
  readonly remarks: readonly string[];
}

async function exported(tapes: readonly Tape[], format: ExportFormat): Promise<Exported> {
  const { exportLosses, harOf, otlpOf } = await import('@shadowcat/tape');
  const remarks = exportLosses(tapes, format);
  switch (format) {
    case 'har':
      return { pieces: harOf(tapes, { version: VERSION }), remarks };
    case 'otlp': {
      const { newDigest } = await import('@shadowcat/tape-file');
      return { pieces: otlpOf(tapes, { version: VERSION, newDigest }), remarks };
    }
    case 'mermaid':
      return diagram(tapes, remarks);
    case 'html':
      return page(tapes, remarks);
  }
}

async function diagram(tapes: readonly Tape[], remarks: readonly string[]): Promise<Exported> {
  const { MERMAID_LIMIT, mermaidOf } = await import('@shadowcat/tape');
  const pieces = [...mermaidOf(tapes)];
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  if (size <= MERMAID_LIMIT) return { pieces, remarks };
  const large = `the diagram has ${size} characters: Mermaid draws ${MERMAID_LIMIT}, or what its maxTextSize says`;
  return { pieces, remarks: [...remarks, large] };
}

async function page(tapes: readonly Tape[], remarks: readonly string[]): Promise<Exported> {
  const [{ summariseTape, timelineOf }, { cutContents, tapePage }] = await Promise.all([
    import('@shadowcat/tape'),
    import('../tapes/page.js'),
  ]);
  const paged = tapes.map((tape) => ({ summary: summariseTape(tape), entries: timelineOf(tape) }));
  const cut = cutContents(paged);
  const remark = cut === 0 ? [] : [`${cut} ${cut === 1 ? 'text is' : 'texts are'} too long for the page, and cut`];
  return { pieces: [tapePage(paged)], remarks: [...remarks, ...remark] };
}

async function write(path: string, pieces: Iterable<string>): Promise<void> {
  try {
    const { writeWhole } = await import('@shadowcat/tape-file');
    await writeWhole(path, pieces, 0o600);
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CliError(`-o: cannot write ${path} (${why})`, { cause: error });
  }
}
