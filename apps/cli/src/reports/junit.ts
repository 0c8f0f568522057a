import { type Case, type Report, siteText } from './report.js';

/** A report as JUnit XML: a suite for each file, a test case for each thing that was tried. */
export function junitReport({ command, cases, findings }: Report): string {
  const suites = Map.groupBy(cases, ({ site }) => site?.file ?? command);
  const loose = findings.filter(({ level }) => level === 'error');
  const all = [...suites].map(([file, own]) => suite(file, own));
  const total = figures(cases);
  const problems = loose.map(({ message, site }) => `${site === undefined ? '' : `${siteText(site)}: `}${message}`);
  const output = problems.length === 0 ? '' : `  <system-err>${escaped(problems.join('\n'))}</system-err>\n`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="shadowcat ${command}" ${total}>\n${all.join('')}${output}</testsuites>\n`;
}

function suite(file: string, cases: readonly Case[]): string {
  return `  <testsuite name="${escaped(file)}" ${figures(cases)}>\n${cases.map((one) => testcase(one, file)).join('')}  </testsuite>\n`;
}

function testcase({ name, site, outcome, message = '' }: Case, suiteName: string): string {
  const place = site === undefined ? '' : ` file="${escaped(site.file)}" line="${site.line}"`;
  const head = `    <testcase classname="${escaped(suiteName)}" name="${escaped(name)}"${place}`;
  if (outcome === 'passed') return `${head}/>\n`;
  const tag = outcome === 'failed' ? 'failure' : outcome;
  const text = site === undefined ? message : `${siteText(site)}: ${message}`;
  return `${head}>\n      <${tag} message="${escaped(message)}">${escaped(text)}</${tag}>\n    </testcase>\n`;
}

function figures(cases: readonly Case[]): string {
  const count = (outcome: Case['outcome']): number => cases.filter((one) => one.outcome === outcome).length;
  return `tests="${cases.length}" failures="${count('failed')}" errors="${count('error')}" skipped="${count('skipped')}"`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
};

/** Characters that XML 1.0 does not have at all become U+FFFD. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/\p{Cc}|[\ufffe\uffff]/gu, (char) => (SPACES.has(char) ? char : '\ufffd'))
    .replaceAll(/[&<>"\n]/g, (char) => ENTITIES[char] ?? char);
}

const SPACES: ReadonlySet<string> = new Set(['\t', '\n', '\r']);
