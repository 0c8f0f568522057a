import { type Case, type Finding, type Report, type Site, siteText } from './report.js';

/**
 * A report as JUnit XML: a suite for each file, a test case for each thing that was tried. Only what the schema of Jenkins'
 * xUnit plugin has (junit-10.xsd), which is the strictest in use: places are in names and texts, as it has no `line`.
 */
export function junitReport({ command, cases, findings }: Report): string {
  const suiteOf = (site: Site | undefined): string => site?.file ?? command;
  const errors = Map.groupBy(
    findings.filter(({ level }) => level === 'error'),
    ({ site }) => suiteOf(site),
  );
  const suites = Map.groupBy(cases, ({ site }) => suiteOf(site));
  const names = new Set([...suites.keys(), ...errors.keys()]);
  const all = [...names].map((name) => suite(name, suites.get(name) ?? [], errors.get(name) ?? []));
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="shadowcat ${command}" ${figures(cases)}>\n${all.join('')}</testsuites>\n`;
}

function suite(name: string, cases: readonly Case[], errors: readonly Finding[]): string {
  const file = [...cases, ...errors].some(({ site }) => site?.file === name) ? ` file="${escaped(name)}"` : '';
  const skipped = cases.filter(({ outcome }) => outcome === 'skipped').length;
  const head = `  <testsuite name="${escaped(name)}"${file} ${figures(cases)} skipped="${skipped}">\n`;
  const problems = errors.map(({ message, site }) => `${site === undefined ? '' : `${siteText(site)}: `}${message}`);
  const output = problems.length === 0 ? '' : `    <system-err>${escaped(problems.join('\n'))}</system-err>\n`;
  return `${head}${cases.map((one) => testcase(one, name)).join('')}${output}  </testsuite>\n`;
}

function testcase({ name, site, outcome, message = '' }: Case, suiteName: string): string {
  const head = `    <testcase classname="${escaped(suiteName)}" name="${escaped(name)}"`;
  if (outcome === 'passed') return `${head}/>\n`;
  const tag = outcome === 'failed' ? 'failure' : outcome;
  const text = site === undefined ? message : `${siteText(site)}: ${message}`;
  return `${head}>\n      <${tag} message="${escaped(message)}">${escaped(text)}</${tag}>\n    </testcase>\n`;
}

function figures(cases: readonly Case[]): string {
  const count = (outcome: Case['outcome']): number => cases.filter((one) => one.outcome === outcome).length;
  return `tests="${cases.length}" failures="${count('failed')}" errors="${count('error')}"`;
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
