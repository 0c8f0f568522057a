import { EXIT } from '../errors.js';
import { VERSION } from '../version.js';
import type { Finding, Report, Site } from './report.js';

/** Usage, a tape that cannot be read, a server that cannot be reached. */
const FAILURES: ReadonlySet<number> = new Set([EXIT.usage, EXIT.tapeInvalid, EXIT.targetFailed]);

/** A report as SARIF 2.1.0 (OASIS), which code hosts show beside the lines. */
export function sarifReport({ command, findings, exitCode }: Report): string {
  const rules = [...new Set(findings.map(({ rule }) => rule))].sort();
  const run = {
    tool: {
      driver: {
        name: 'shadowcat',
        version: VERSION,
        rules: rules.map((rule) => ({ id: idOf(command, rule) })),
      },
    },
    // That something was found is no failure of the tool's.
    invocations: [{ executionSuccessful: !FAILURES.has(exitCode), exitCode }],
    results: findings.map((finding) => resultOf(finding, command, rules)),
  };
  return `${JSON.stringify({ $schema: 'https://json.schemastore.org/sarif-2.1.0.json', version: '2.1.0', runs: [run] }, null, 2)}\n`;
}

function resultOf({ rule, level, message, site, remedy }: Finding, command: string, rules: readonly string[]): object {
  return {
    ruleId: idOf(command, rule),
    ruleIndex: rules.indexOf(rule),
    level,
    message: { text: remedy === undefined ? message : `${message}\n${remedy}` },
    ...(site === undefined ? {} : { locations: [{ physicalLocation: locationOf(site) }] }),
  };
}

const idOf = (command: string, rule: string): string => `${command.replaceAll(' ', '-')}/${rule}`;

function locationOf({ file, line }: Site): object {
  const uri = file.split(/[\\/]/).map(encodeURIComponent).join('/');
  return { artifactLocation: { uri: file.startsWith('/') ? `file://${uri}` : uri }, region: { startLine: line } };
}
