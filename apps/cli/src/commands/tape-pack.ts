import { existsSync } from 'node:fs';
import { basename, dirname, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { checkTape } from '../config/checks.js';
import { redactionOf } from '../config/redaction.js';
import type { Settings } from '../config/settings.js';
import { CliError, EXIT } from '../errors.js';
import { specsOf } from '../options/table.js';
import { overlayPaths } from '../overlay/overlay-paths.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addFlags, addPlainFlags } from './flags.js';
import { beginTape, notThere, stoppable, usable, writable } from './tape-common.js';
import { beginScan, type FileSecret, secretText } from './tape-secrets.js';

const TAPE_SUFFIX = '.tape.jsonl';
const PACK_SUFFIX = '.tape.tar.gz';

/** `shadowcat tape pack`. */
export function addPack(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('pack').argument('<tape...>', 'finished tapes'), {
    summary:
      'Make one file of tapes, their blobs and their overlays, to hand to somebody; not of tapes with secrets (exit code 6)',
    usage: '<tape...> [options]',
    configurable: true,
    examples: ['tape pack session.tape.jsonl', 'tape pack test/*.tape.jsonl -o bug-report.tape.tar.gz'],
  });
  command
    .option('-o, --out <file>', 'where to write it (default: session.tape.tar.gz for session.tape.jsonl)')
    .option('--no-scan', 'do not look for secrets: for who will see them anyway');
  addFlags(command, specsOf('scan')).action(async (names: string[], options: { out?: string; scan: boolean }) => {
    const settings = beginScan(context, command);
    const { host } = context;
    const paths = [...new Set(names.map((name) => usable(checkTape(name, host.cwd))))];
    const { packProblem, packTapeFiles } = await import('@shadowcat/tape-file');
    const problem = packProblem(paths);
    if (problem !== undefined) throw new CliError(problem);
    const out =
      options.out === undefined
        ? notThere(resolve(host.cwd, defaultPack(paths)), host.cwd)
        : writable(options.out, host.cwd, paths);
    if (options.scan && (await hasSecrets(paths, settings, context))) {
      context.exitCode = EXIT.secretFound;
      return;
    }
    const { tapes, overlays, blobs } = await stoppable(context, settings, (stop) =>
      packTapeFiles(paths, { out, overlaysOf: overlayPaths, stop }),
    );
    host.out(`${relative(host.cwd, out)}\n`);
    host.err(`${counted({ tapes, overlays, blobs })}\n`);
  });
}

/** `shadowcat tape unpack`. */
export function addUnpack(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('unpack').argument('<pack>', 'what tape pack made'), {
    summary: 'Make a directory of the tapes of a pack; nothing that is there is touched',
    usage: '<pack> [options]',
    examples: ['tape unpack bug-report.tape.tar.gz', 'tape unpack bug-report.tape.tar.gz -o bug/'],
  });
  command.option('-o, --out <dir>', 'the directory to make (default: bug-report for bug-report.tape.tar.gz)');
  addPlainFlags(command, specsOf('tape')).action(async (name: string, options: { out?: string }) => {
    const settings = beginTape(context, command);
    const { host } = context;
    const pack = usable(checkTape(name, host.cwd));
    const given = options.out ?? defaultDirectory(name);
    const directory = resolve(host.cwd, given);
    if (existsSync(directory)) throw new CliError(`-o: ${given} is there already: name a directory that is not`);
    if (!existsSync(dirname(directory))) throw new CliError(`-o: there is no directory ${dirname(given)}`);
    const { unpackTapeFile } = await import('@shadowcat/tape-file');
    const { tapes, overlays, blobs } = await stoppable(context, settings, (stop) =>
      unpackTapeFile(pack, { directory, overlaysOf: overlayPaths, stop }),
    );
    for (const file of tapes) host.out(`${relative(host.cwd, resolve(directory, file))}\n`);
    host.err(`${counted({ tapes: tapes.length, overlays: overlays.length, blobs: blobs.length })}\n`);
  });
}

function defaultPack(paths: readonly string[]): string {
  const [path, ...others] = paths;
  if (path === undefined || others.length > 0)
    throw new CliError('several tapes: say with -o what their pack is called');
  return `${basename(path).slice(0, -TAPE_SUFFIX.length)}${PACK_SUFFIX}`;
}

function defaultDirectory(pack: string): string {
  const name = basename(pack).replace(/(?:\.tape)?\.(?:tar\.gz|tgz)$/, '');
  if (name === '' || name === basename(pack)) throw new CliError('say with -o which directory to make of it');
  return name;
}

/** Looks for secrets in the tapes, their blobs and their overlays, and tells them. */
async function hasSecrets(paths: readonly string[], settings: Settings, { host }: CommandContext): Promise<boolean> {
  const { scanOverlays, scanTapeFile } = await import('@shadowcat/tape-file');
  const { printable } = await import('../tapes/render.js');
  const rules = redactionOf(settings);
  const found: FileSecret[] = [...(await scanOverlays(paths.flatMap(overlayPaths), rules))];
  for (const file of paths) for (const secret of await scanTapeFile(file, rules)) found.push({ file, ...secret });
  if (found.length === 0) return false;
  for (const secret of found) {
    const file = relative(host.cwd, secret.file);
    host.err(`${printable(secretText({ ...secret, file }))}\n`);
  }
  const what = `${found.length} ${found.length === 1 ? 'secret' : 'secrets'}`;
  host.err(
    `shadowcat: ${what}, so nothing was packed\nhide them with shadowcat tape redact, or pack them all the same with --no-scan\n`,
  );
  return true;
}

function counted(counts: Readonly<Record<'tapes' | 'overlays' | 'blobs', number>>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  return parts.map(([what, count]) => `${count} ${count === 1 ? what.slice(0, -1) : what}`).join(', ');
}
