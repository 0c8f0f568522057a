import { relative, resolve } from 'node:path';
import { printable } from '../tapes/render.js';
import type { Finding, Level, Report } from './report.js';
import { siteText } from './report.js';

/** GitHub shows no more of them. */
const MAX_ANNOTATIONS = 50;
const COMMANDS: Readonly<Record<Level, string>> = { error: 'error', warning: 'warning', note: 'notice' };

/** Where a command runs. */
export interface CheckoutPlace {
  /** Absolute, of the repository; what GitHub calls the workspace. */
  readonly root: string | undefined;
  /** What the files of findings are relative to. */
  readonly cwd: string;
}

/** A file as GitHub knows it: relative to the repository, whichever directory of it the command runs in. */
function inCheckout(file: string, place: CheckoutPlace | undefined): string {
  if (place?.root === undefined || place.root === '') return file;
  const below = relative(place.root, resolve(place.cwd, file));
  return below.startsWith('..') ? file : below;
}

/** Workflow commands that GitHub shows beside the lines of a change; one a line. */
export function annotations({ command, findings }: Report, place?: CheckoutPlace): string[] {
  return findings.slice(0, MAX_ANNOTATIONS).map(({ level, rule, message, site, remedy }) => {
    const where = site === undefined ? '' : `file=${property(inCheckout(site.file, place))},line=${site.line},`;
    const text = [message, ...(remedy === undefined ? [] : [remedy])].map(shown).join('\n');
    return `::${COMMANDS[level]} ${where}title=${property(`shadowcat ${command}: ${rule}`)}::${data(text)}`;
  });
}

/** The page of a job, in Markdown. */
export function stepSummary({ command, headline, findings, exitCode }: Report): string {
  const lines = [`### shadowcat ${command}: ${exitCode === 0 ? 'passed' : 'failed'}`, '', prose(headline), ''];
  if (findings.length > 0) {
    lines.push('| | where | what |', '|---|---|---|', ...findings.slice(0, MAX_ANNOTATIONS).map(row));
    if (findings.length > MAX_ANNOTATIONS) lines.push('', `and ${findings.length - MAX_ANNOTATIONS} more`);
    lines.push('');
  }
  return `${lines.join('\n')}\n`;
}

function row({ level, site, message, remedy }: Finding): string {
  const where = site === undefined ? '' : code(siteText(site));
  return `| ${level} | ${where} | ${prose(message)}${remedy === undefined ? '' : `<br>${code(remedy)}`} |`;
}

/** Text in a cell that is nothing but text: no link, image or emphasis of a tape's. */
const prose = (text: string): string =>
  line(text)
    .replaceAll(/[\\`*_{}[\]#~|!]/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;');

/** Code in a cell, in more backticks than it has itself. */
function code(text: string): string {
  const inner = line(text).replaceAll('|', '\\|');
  const longest = Math.max(0, ...[...inner.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return longest === 0 ? `${fence}${inner}${fence}` : `${fence} ${inner} ${fence}`;
}

const line = (text: string): string => printable(text.replaceAll(/\s+/g, ' '));
/** Without what would steer the terminal of whoever reads the log. */
const shown = (text: string): string => text.split('\n').map(printable).join('\n');
const data = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
