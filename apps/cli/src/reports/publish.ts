import { appendFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeDirectory } from '@shadowcat/tape-file';
import { formatted, LISTED, type ReportFormat, textReport } from './formats.js';
import { annotations, stepSummary } from './github.js';
import type { Report } from './report.js';

/** One file that a report is written to. */
export interface ReportTarget {
  readonly format: ReportFormat;
  /** Absolute. */
  readonly path: string;
}

export interface Publishing {
  readonly targets: readonly ReportTarget[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Writes lines for a person to stderr. */
  readonly tell: (text: string) => void;
}

/**
 * Shows a report to whoever is there: on stderr, in the files that were asked for, and on GitHub in the job's log and on its
 * page. Resolves to false when a file could not be written; that is told.
 */
export async function publish(report: Report, publishing: Publishing): Promise<boolean> {
  publishing.tell(textReport(report, LISTED));
  return publishElsewhere(report, publishing);
}

/** {@link publish} without what a person reads on stderr, for commands with a format of their own. */
export async function publishElsewhere(report: Report, publishing: Publishing): Promise<boolean> {
  const { targets, tell } = publishing;
  const files = targets.map(({ format, path }) => ({ path, write: () => create(path, formatted(report, format)) }));
  return writeAll([...files, ...onGithub(report, publishing)], tell);
}

interface Output {
  readonly path: string;
  readonly write: () => Promise<void>;
}

/** Annotates, and returns the job's page, if there is one. */
function onGithub(report: Report, { env, cwd, tell }: Omit<Publishing, 'targets'>): Output[] {
  if (env['GITHUB_ACTIONS'] !== 'true') return [];
  for (const line of annotations(report, { root: env['GITHUB_WORKSPACE'], cwd })) tell(line);
  const page = env['GITHUB_STEP_SUMMARY'];
  if (page === undefined || page === '') return [];
  return [{ path: page, write: () => appendFile(page, stepSummary(report)) }];
}

async function writeAll(files: readonly Output[], tell: Publishing['tell']): Promise<boolean> {
  let written = true;
  for (const { path, write } of files) {
    try {
      await write();
    } catch (error) {
      written = false;
      tell(
        `shadowcat: the report ${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return written;
}

async function create(path: string, text: string): Promise<void> {
  await makeDirectory(dirname(path));
  await writeFile(path, text);
}
