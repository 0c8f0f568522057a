import { existsSync, statSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Checked } from '../config/checks.js';
import type { Settings } from '../config/settings.js';
import { CliError, EXIT } from '../errors.js';
import { type ReportFile, reportTarget } from '../options/replay-types.js';
import type { Report } from '../reports/report.js';
import type { CommandContext } from './context.js';

export type Format = { readonly format: 'text' | 'json' };

export const formatOption = (): Option =>
  new Option('--format <format>', 'how to show it').choices(['text', 'json']).default('text');

/** What all commands on tapes have: their exit codes, `--log-level`, and no configuration file. */
export function beginTape(context: CommandContext, command: Command): Settings {
  context.family = 'tape';
  return context.settings('tape', command);
}

/** Runs what takes a while and writes a file at its end, so that it can tidy up when it is asked to stop. */
export async function stoppable<T>(
  context: CommandContext,
  settings: Settings,
  run: (stop: AbortSignal) => Promise<T>,
): Promise<T> {
  using stopping = context.host.stopping({ drainMs: 0, log: context.log(settings) });
  try {
    return await run(stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    const why = `stopped by ${String(stopping.signal.reason)}: nothing was written`;
    throw new CliError(why, { exitCode: EXIT.incomplete, cause: error });
  }
}

/** What was found, or a usage error. */
export function usable(checked: Checked<string>): string {
  if ('value' in checked) return checked.value;
  throw new CliError(checked.problem);
}

export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Where -o points, or a usage error. A file that is there already is replaced, unless it is one of `sources`, by whatever name. */
export function writable(given: string, cwd: string, sources: readonly string[] = []): string {
  const path = resolve(cwd, given);
  if (!existsSync(dirname(path))) throw new CliError(`-o: there is no directory ${dirname(given)}`);
  if (existsSync(path) && statSync(path).isDirectory())
    throw new CliError(`-o: ${given} is a directory: name a file in it`);
  if (sources.some((source) => isSameFile(source, path)))
    throw new CliError(`-o: ${given} is what is read: name another file`);
  return path;
}

function isSameFile(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }));
  return one?.isFile() === true && one.dev === other?.dev && one.ino === other.ino;
}

/** How many lines a tape has that was made, and what lies beside it. */
export function madeText({ lines, blobs }: { readonly lines: number; readonly blobs: number }): string {
  const beside = blobs === 0 ? '' : `, ${blobs} large ${blobs === 1 ? 'value' : 'values'} beside it in blobs/`;
  return `${lines} lines${beside}`;
}

/** Where something goes that -o does not say: never over a file. */
export function notThere(path: string, cwd: string): string {
  if (existsSync(path)) throw new CliError(`${relative(cwd, path)} is there already: name another file with -o`);
  return path;
}

/** `--report`, for commands that are no part of the configuration. */
export function reportOption(): Option {
  const option = new Option(
    '--report <format=file>',
    'also write junit=file, sarif=file, json=file, text=file; repeatable',
  );
  return option.argParser<readonly ReportFile[] | undefined>((value, all) => {
    try {
      return [...(all ?? []), reportTarget.parse(value)];
    } catch (error) {
      throw new CliError(`--report: ${(error as Error).message}`, { cause: error });
    }
  });
}

/** Writes findings to files, and shows them where GitHub shows them; elsewhere the command's own output is all there is. */
export async function tellElsewhere(
  context: CommandContext,
  about: Pick<Report, 'command' | 'headline' | 'findings'> & Partial<Pick<Report, 'cases'>>,
  reports: readonly ReportFile[] = [],
): Promise<void> {
  const { host, exitCode } = context;
  if (reports.length === 0 && host.env['GITHUB_ACTIONS'] !== 'true') return;
  const { publishElsewhere } = await import('../reports/publish.js');
  const targets = reports.map(({ format, file }) => ({ format, path: resolve(host.cwd, file) }));
  const tell = (text: string): void => host.err(`${text}\n`);
  const report = { cases: [], figures: {}, ...about, exitCode };
  if (await publishElsewhere(report, { targets, env: host.env, cwd: host.cwd, tell })) return;
  if (exitCode === EXIT.ok) context.exitCode = EXIT.failure;
}
