import type { Finding, Level, Report } from './report.js';
import { siteText } from './report.js';

/** GitHub shows no more of them. */
const MAX_ANNOTATIONS = 50;
const COMMANDS: Readonly<Record<Level, string>> = { error: 'error', warning: 'warning', note: 'notice' };

/** Workflow commands that GitHub shows beside the lines of a change; one a line. */
export function annotations({ command, findings }: Report): string[] {
  return findings.slice(0, MAX_ANNOTATIONS).map(({ level, rule, message, site, remedy }) => {
    const place = site === undefined ? '' : `file=${property(site.file)},line=${site.line},`;
    const text = remedy === undefined ? message : `${message}\n${remedy}`;
    return `::${COMMANDS[level]} ${place}title=${property(`shadowcat ${command}: ${rule}`)}::${data(text)}`;
  });
}

/** The page of a job, in Markdown. */
export function stepSummary({ command, headline, findings, exitCode }: Report): string {
  const lines = [`### shadowcat ${command}: ${exitCode === 0 ? 'passed' : 'failed'}`, '', headline, ''];
  if (findings.length > 0) {
    lines.push('| | where | what |', '|---|---|---|', ...findings.slice(0, MAX_ANNOTATIONS).map(row));
    if (findings.length > MAX_ANNOTATIONS) lines.push('', `and ${findings.length - MAX_ANNOTATIONS} more`);
    lines.push('');
  }
  return `${lines.join('\n')}\n`;
}

function row({ level, site, message, remedy }: Finding): string {
  const where = site === undefined ? '' : `\`${cell(siteText(site))}\``;
  return `| ${level} | ${where} | ${cell(message)}${remedy === undefined ? '' : `<br>\`${cell(remedy)}\``} |`;
}

const cell = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');
const data = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
