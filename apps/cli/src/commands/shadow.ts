import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { CliError, EXIT } from '../errors.js';
import { specsOf } from '../options/table.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addFlags } from './flags.js';

/** `shadowcat shadow …`. */
export function addShadow(program: Command, context: CommandContext): void {
  const shadow = describe(program.command('shadow'), {
    summary: 'What mirroring to a second server found out',
    examples: ['shadow report', 'shadow report --format json'],
  });
  shadow.helpCommand(false);
  addReport(shadow, context);
}

const EXIT_CODES = `
Exit codes: 0 all answers are the same, 1 some differ, 2 usage or configuration, 3 no file or none that can be read,
4 none differ, but nothing was compared, or the second server did not answer some requests.`;

function addReport(shadow: Command, context: CommandContext): void {
  const command = describe(shadow.command('report').argument('[file]', 'findings (default: --mirror-findings)'), {
    summary: 'Show where the answers of the second server differ, by tool and JSON pointer',
    usage: '[file] [options]',
    examples: [
      'reverse --upstream http://localhost:3000/mcp --mirror-to http://localhost:3001/mcp',
      'shadow report',
      'shadow report .shadowcat/shadow.jsonl --format json',
    ],
  });
  command.addHelpText('after', EXIT_CODES);
  command.addOption(new Option('--format <format>', 'how to show it').choices(['text', 'json']).default('text'));
  addFlags(command, specsOf('shadow')).action(
    async (file: string | undefined, { format }: { format: 'text' | 'json' }) => {
      const settings = context.settings('shadow', command, file === undefined ? {} : { arguments: [file] });
      const { host } = context;
      const path = resolve(host.cwd, file ?? settings.get('mirror-findings'));
      const name = file ?? relative(host.cwd, path);
      const text = read(path, name);
      const [{ Tally }, { findingsJson, findingsText }] = await Promise.all([
        import('@shadowcat/shadow'),
        import('../shadow/render.js'),
      ]);
      const tally = new Tally();
      const strange = tally.add(text);
      if (tally.empty && strange > 0) throw unreadable(`${name} holds no findings`);
      host.out(format === 'json' ? `${JSON.stringify(findingsJson(tally), null, 2)}\n` : findingsText(tally));
      if (strange > 0) host.err(`shadowcat: ${strange} lines of ${name} cannot be read and are left out\n`);
      context.exitCode = exitCode(tally.compared);
    },
  );
}

/** Far more than a proxy lets it become. */
const MAX_BYTES = 256 * 1024 * 1024;
/** A pipe without a writer is no reason to wait. */
const READING = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

function read(path: string, name: string): string {
  let file: number | undefined;
  try {
    file = openSync(path, READING);
    const stats = fstatSync(file);
    if (!stats.isFile()) throw unreadable(`${name} is no file of findings: name a regular file`);
    if (stats.size > MAX_BYTES) {
      throw unreadable(
        `${name} is larger than any file of findings (over ${MAX_BYTES / 1024 / 1024} MiB): name another`,
      );
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof CliError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw unreadable(
      code === 'ENOENT' ? `there is no ${name}: nothing was mirrored yet` : `cannot read ${name} (${code})`,
    );
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function unreadable(why: string): CliError {
  return new CliError(why, { exitCode: EXIT.tapeInvalid });
}

function exitCode(
  rows: readonly { readonly compared: number; readonly different: number; readonly failed: number }[],
): number {
  if (rows.some(({ different }) => different > 0)) return EXIT.failure;
  const complete = rows.some(({ compared }) => compared > 0) && rows.every(({ failed }) => failed === 0);
  return complete ? EXIT.ok : EXIT.incomplete;
}
