import { printable } from '../tapes/render.js';
import { junitReport } from './junit.js';
import { type Finding, type Report, siteText } from './report.js';
import { sarifReport } from './sarif.js';

/** Formats of reports that are files. */
export type ReportFormat = 'junit' | 'sarif' | 'json' | 'text';

/** A report in a format. */
export function formatted(report: Report, format: ReportFormat): string {
  switch (format) {
    case 'junit':
      return junitReport(report);
    case 'sarif':
      return sarifReport(report);
    case 'json':
      return `${JSON.stringify(jsonOf(report), null, 2)}\n`;
    case 'text':
      return textReport(report);
  }
}

function jsonOf({ command, headline, exitCode, figures, findings, cases }: Report): object {
  return { command, headline, exitCode, ...figures, findings, cases };
}

/** How many of each rule are listed in full on a terminal. */
export const LISTED = 20;

/** A report for people: the headline, then a line for each finding. `listed`: of each rule. Default: all. */
export function textReport({ command, headline, findings }: Report, listed = Number.POSITIVE_INFINITY): string {
  const lines = [printable(`${command}: ${headline}`)];
  for (const own of Map.groupBy(findings, ({ rule }) => rule).values()) {
    for (const finding of own.slice(0, listed)) lines.push(...linesOf(finding));
    if (own.length > listed) lines.push(`  and ${own.length - listed} more`);
  }
  return `${lines.join('\n')}\n`;
}

/** A finding for people: where, what, and what would mend it. */
export function linesOf({ level, message, site, remedy }: Finding): string[] {
  const place = site === undefined ? '' : `${siteText(site)}: `;
  return [`  ${level}: ${place}${message}`, ...(remedy === undefined ? [] : [`    ${remedy}`])].map(printable);
}
