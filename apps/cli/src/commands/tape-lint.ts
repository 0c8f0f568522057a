import type { LintFinding, LintRule } from '@shadowcat/tape';
import type { Command } from 'commander';
import { checkTape } from '../config/checks.js';
import { CliError, EXIT } from '../errors.js';
import type { ReportFile } from '../options/replay-types.js';
import { specsOf } from '../options/table.js';
import type { Case, Finding } from '../reports/report.js';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addPlainFlags } from './flags.js';
import { beginTape, type Format, formatOption, json, reportOption, tellElsewhere, usable } from './tape-common.js';

interface FileFinding extends LintFinding {
  readonly file: string;
}

type LintOptions = Format & { readonly rules?: boolean; readonly report?: readonly ReportFile[] };

/** `shadowcat tape lint`. */
export function addLint(tape: Command, context: CommandContext): void {
  const command = describe(tape.command('lint').argument('[tape...]', 'tapes to look at'), {
    summary: 'Say what is wrong with tapes (exit code 1; 3 for a tape that cannot be used at all)',
    usage: '<tape...> [options]',
    examples: [
      'tape lint test/*.tape.jsonl',
      'tape lint session.tape.jsonl --format json',
      'tape lint test/*.tape.jsonl --report sarif=lint.sarif',
      'tape lint --rules',
    ],
  });
  command
    .option('--rules', 'list the rules, with what to do about each')
    .addOption(formatOption())
    .addOption(reportOption());
  addPlainFlags(command, specsOf('tape')).action(async (names: string[], options: LintOptions) => {
    beginTape(context, command);
    const { host } = context;
    const { LINT_RULES } = await import('@shadowcat/tape');
    if (options.rules === true) {
      const rules = Object.values(LINT_RULES);
      host.out(options.format === 'json' ? json(rules) : rules.map(ruleText).join('\n'));
      return;
    }
    if (names.length === 0) throw new CliError('name the tapes to look at, or say --rules');
    const paths = names.map((name) => ({ name, path: usable(checkTape(name, host.cwd)) }));
    const found: FileFinding[] = [];
    const { lintTapeFile } = await import('@shadowcat/tape-file');
    const { printable } = await import('../tapes/render.js');
    for (const { name, path } of paths) {
      for (const finding of await lintTapeFile(path)) found.push({ file: name, ...finding });
    }
    host.out(
      options.format === 'json'
        ? json(found.map(plain))
        : found.map((it) => `${printable(findingText(it))}\n`).join(''),
    );
    const count = (severity: LintRule['severity']): number =>
      found.filter(({ rule }) => rule.severity === severity).length;
    const [broken, errors, warnings] = [count('broken'), count('error'), count('warning')];
    const headline = `${paths.length} tapes: ${broken + errors} errors, ${warnings} warnings`;
    host.err(`${headline}\n`);
    context.exitCode = broken > 0 ? EXIT.tapeInvalid : errors > 0 ? EXIT.failure : EXIT.ok;
    const cases = names.flatMap((name) => casesOf(name, found));
    const about = { command: 'tape lint', headline, findings: found.map(findingOf), cases };
    await tellElsewhere(context, about, options.report);
  });
}

function ruleText({ id, severity, what, why, fix }: LintRule): string {
  return `${id} ${severity}: ${what}\n  why: ${why}\n  fix: ${fix}\n`;
}

function findingText({ file, line, rule, message }: FileFinding): string {
  return `${file}:${line}: ${rule.id} ${rule.severity}: ${message} (${rule.fix})`;
}

function findingOf({ file, line, rule, message }: FileFinding): Finding {
  const level = rule.severity === 'warning' ? 'warning' : 'error';
  return { rule: rule.id, level, message, site: { file, line }, remedy: rule.fix };
}

/** A case for each thing that is wrong with a tape, or one that nothing is. */
function casesOf(file: string, found: readonly FileFinding[]): Case[] {
  const own = found.filter((finding) => finding.file === file);
  if (own.length === 0) return [{ name: 'lint', site: { file, line: 1 }, outcome: 'passed' }];
  return own.map(({ line, rule, message }) => ({
    name: `${rule.id} (line ${line})`,
    site: { file, line },
    outcome: rule.severity === 'warning' ? 'passed' : 'failed',
    message: `${message} (${rule.fix})`,
  }));
}

function plain({ file, line, rule, message }: FileFinding): Readonly<Record<string, unknown>> {
  return { file, line, rule: rule.id, severity: rule.severity, message, fix: rule.fix };
}
