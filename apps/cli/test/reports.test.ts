import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatted } from '../src/reports/formats.js';
import { annotations, stepSummary } from '../src/reports/github.js';
import { publish } from '../src/reports/publish.js';
import type { Finding, Report } from '../src/reports/report.js';

const site = { file: 'tapes/a b.tape.jsonl', line: 12 };
const REPORT: Report = {
  command: 'replay',
  headline: '1 answered, 1 missed',
  exitCode: 1,
  findings: [
    { rule: 'miss/arguments-differ', level: 'error', message: 'at /a: "<&|\n%,:', site, remedy: 'overlay: x' },
    { rule: 'unused', level: 'note', message: 'not asked for: tools/call x', site },
    { rule: 'reused', level: 'note', message: 'again', site: undefined },
  ],
  cases: [
    { name: 'tools/call a', site, outcome: 'passed' },
    { name: 'tools/call b', site, outcome: 'failed', message: 'a < b & "c"\u0007' },
    { name: 'tools/call c', site: { file: 'other.tape.jsonl', line: 3 }, outcome: 'skipped', message: 'nobody' },
    { name: 'sampling', site, outcome: 'error', message: 'waits' },
  ],
  figures: { served: 1 },
};

describe('a report', () => {
  it('as JUnit has a suite a file, a case each, and nothing that is not in junit-10.xsd', () => {
    expect(formatted(REPORT, 'junit')).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="shadowcat replay" tests="4" failures="1" errors="1">
  <testsuite name="tapes/a b.tape.jsonl" file="tapes/a b.tape.jsonl" tests="3" failures="1" errors="1" skipped="0">
    <testcase classname="tapes/a b.tape.jsonl" name="tools/call a"/>
    <testcase classname="tapes/a b.tape.jsonl" name="tools/call b">
      <failure message="a &lt; b &amp; &quot;c&quot;\ufffd">tapes/a b.tape.jsonl:12: a &lt; b &amp; &quot;c&quot;\ufffd</failure>
    </testcase>
    <testcase classname="tapes/a b.tape.jsonl" name="sampling">
      <error message="waits">tapes/a b.tape.jsonl:12: waits</error>
    </testcase>
    <system-err>tapes/a b.tape.jsonl:12: at /a: &quot;&lt;&amp;|&#10;%,:</system-err>
  </testsuite>
  <testsuite name="other.tape.jsonl" file="other.tape.jsonl" tests="1" failures="0" errors="0" skipped="1">
    <testcase classname="other.tape.jsonl" name="tools/call c">
      <skipped message="nobody">other.tape.jsonl:3: nobody</skipped>
    </testcase>
  </testsuite>
</testsuites>
`);
  });

  it('as JUnit keeps errors that are of no case', () => {
    const loose = { ...REPORT, cases: [], findings: [{ ...REPORT.findings[0], site: undefined } as Finding] };
    expect(formatted(loose, 'junit')).toContain(
      '  <testsuite name="replay" tests="0" failures="0" errors="0" skipped="0">\n    <system-err>at /a',
    );
  });

  it('as SARIF has a result a finding, with rule, level, file and line', () => {
    const sarif = JSON.parse(formatted(REPORT, 'sarif'));
    expect(sarif).toMatchObject({ version: '2.1.0', runs: [{ tool: { driver: { name: 'shadowcat' } } }] });
    const [run] = sarif.runs;
    expect(run.tool.driver.rules.map(({ id }: { id: string }) => id)).toEqual([
      'replay/miss/arguments-differ',
      'replay/reused',
      'replay/unused',
    ]);
    expect(run.results[0]).toEqual({
      ruleId: 'replay/miss/arguments-differ',
      ruleIndex: 0,
      level: 'error',
      message: { text: 'at /a: "<&|\n%,:\noverlay: x' },
      locations: [
        { physicalLocation: { artifactLocation: { uri: 'tapes/a%20b.tape.jsonl' }, region: { startLine: 12 } } },
      ],
    });
    expect(run.results[2]).not.toHaveProperty('locations');
    expect(run.invocations).toEqual([{ executionSuccessful: true, exitCode: 1 }]);
  });

  it('as JSON has all of it', () => {
    expect(JSON.parse(formatted(REPORT, 'json'))).toMatchObject({
      command: 'replay',
      exitCode: 1,
      served: 1,
      findings: [{ rule: 'miss/arguments-differ', site }, {}, {}],
      cases: [{ outcome: 'passed' }, {}, {}, {}],
    });
  });

  it('for people has a line a finding', () => {
    expect(formatted(REPORT, 'text').split('\n').slice(0, 4)).toEqual([
      'replay: 1 answered, 1 missed',
      '  error: tapes/a b.tape.jsonl:12: at /a: "<&|\\u000a%,:',
      '    overlay: x',
      '  note: tapes/a b.tape.jsonl:12: not asked for: tools/call x',
    ]);
  });

  it('on GitHub is annotations that no text can break out of, and a table', () => {
    expect(annotations(REPORT)).toEqual([
      '::error file=tapes/a b.tape.jsonl,line=12,title=shadowcat replay%3A miss/arguments-differ::at /a: "<&|%0A%25,:%0Aoverlay: x',
      '::notice file=tapes/a b.tape.jsonl,line=12,title=shadowcat replay%3A unused::not asked for: tools/call x',
      '::notice title=shadowcat replay%3A reused::again',
    ]);
    expect(stepSummary(REPORT)).toContain(
      '| error | `tapes/a b.tape.jsonl:12` | at /a: "&lt;&amp;\\| %,:<br>`overlay: x` |',
    );
  });

  it('on GitHub names files as the repository does, wherever in it the command runs', () => {
    const { findings } = REPORT;
    const files = (root: string | undefined, cwd: string): (string | undefined)[] =>
      annotations({ ...REPORT, findings: findings.slice(0, 1) }, { root, cwd }).map(
        (line) => /file=([^,]*)/.exec(line)?.[1],
      );
    expect(files('/srv/runner/work/x', '/srv/runner/work/x/packages/notes')).toEqual([
      'packages/notes/tapes/a b.tape.jsonl',
    ]);
    expect(files('/srv/runner/work/x', '/srv/runner/work/x')).toEqual(['tapes/a b.tape.jsonl']);
    for (const elsewhere of [undefined, '', '/srv/runner/other'])
      expect(files(elsewhere, '/srv/runner/work/x')).toEqual(['tapes/a b.tape.jsonl']);
  });

  it('of a hostile tape steers no terminal, and is only text on a page', () => {
    const message = 'got "\u001b]0;x\u0007\u009b2J\u202e" ![i](http://e/i.png) [l](http://e) <img src=x>';
    const finding: Finding = { rule: 'changed', level: 'error', message, site, remedy: 'overlay: `|`` \u001b[2J' };
    const report = { ...REPORT, headline: 'a\u001bb', findings: [finding] };
    const steering = /(?!\n)[\p{Cc}\u202a-\u202e]/u;
    for (const text of [formatted(report, 'text'), annotations(report).join('\n'), stepSummary(report)])
      expect(text).not.toMatch(steering);
    const page = stepSummary(report);
    expect(page).toContain('\\!\\[i\\](http://e/i.png) \\[l\\](http://e) &lt;img src=x>');
    expect(page).toContain('``` overlay: `\\|`` \\u001b[2J ```');
  });

  it('goes to files whose folders it makes, and to the page of a job; what cannot be written is told', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'shadowcat-reports-'));
    const told: string[] = [];
    const page = join(folder, 'page.md');
    const publishing = {
      env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: page },
      cwd: folder,
      tell: (text: string) => void told.push(text),
    };
    const target = { format: 'sarif', path: join(folder, 'deep', 'r.sarif') } as const;
    expect(await publish(REPORT, { ...publishing, targets: [target] })).toBe(true);
    expect(await readFile(target.path, 'utf8')).toBe(formatted(REPORT, 'sarif'));
    expect(await readFile(page, 'utf8')).toBe(stepSummary(REPORT));
    expect(told.filter((line) => line.startsWith('::'))).toEqual(annotations(REPORT));
    // In `/proc`, `mkdir` with `recursive` tries again for ever.
    for (const path of [join(target.path, 'below-a-file.xml'), '/proc/no/r.xml']) {
      const impossible = { format: 'junit', path } as const;
      if (path.startsWith('/proc/') && process.platform !== 'linux') continue;
      expect(await publish(REPORT, { ...publishing, env: {}, targets: [impossible] })).toBe(false);
      expect(told.at(-1)).toContain(`${path} cannot be written`);
    }
    await rm(folder, { recursive: true });
  });
});
