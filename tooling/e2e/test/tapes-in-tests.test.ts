import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Exit, run } from '../src/processes.js';
import { workFolder } from '../src/shadowcat.js';
import { varyingServer } from '../src/varying-server.js';

/** `shadowcat/vitest`: tapes in tests that real Vitest and `node --test` run (src/tape-tests). */

const TESTS = fileURLToPath(new URL('../dist/tape-tests', import.meta.url));
const VITEST = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

/**
 * What is installed Vitest takes as it is; a package of this repository it would transform first. Its cache of what it has transformed
 * does not notice that a dependency has gone elsewhere. A test that starts a process may take longer than the 5 s that are the default.
 */
const AS_INSTALLED = '{ server: { deps: { external: [/\\/dist\\//] } }, fsModuleCache: false, testTimeout: 30_000 }';

let work: Awaited<ReturnType<typeof workFolder>>;
let server: string;
/** What every test here begins with: a tape of the unchanged server. */
let recorded: Exit;
let tape: string;
beforeAll(async () => {
  work = await workFolder();
  server = (await varyingServer(work.path)).at(-1) ?? '';
  recorded = await runTests(RECORDING, 'recorded', { SHADOWCAT_MODE: 'once' });
  tape = await readFile(tapeAt('recorded'), 'utf8');
});
afterAll(() => work[Symbol.asyncDispose]());

const tapeAt = (name: string): string => join(work.path, `${name}.tape.jsonl`);

/** Runs tests in a process of their own, as a person would; what this run was told about CI and colours is not passed on. */
function runTests(words: readonly string[], tape: string, env: Readonly<Record<string, string>> = {}): Promise<Exit> {
  return run({
    command: process.execPath,
    args: words,
    cwd: work.path,
    env: { CI: '', GITHUB_ACTIONS: '', NO_COLOR: '1', FORCE_COLOR: '', TAPE: tapeAt(tape), SERVER: server, ...env },
  });
}

const nodeTests = (file: string): string => join(TESTS, `${file}.node-test.js`);
/** Without `--test`: one process fewer. */
const RECORDING = [nodeTests('recording')];

const record = (tape: string, env: Readonly<Record<string, string>> = {}): Promise<Exit> =>
  runTests(RECORDING, tape, { SHADOWCAT_MODE: 'record', ...env });

describe.concurrent('SHADOWCAT_MODE', () => {
  it('records a golden tape once, and replays it without the server', async () => {
    expect(recorded).toMatchObject({ code: 0, stdout: expect.stringContaining('record says {"sum":3}') });
    expect(tape).toContain('"form":"golden"');
    const gone = { SERVER: join(work.path, 'no-such-server.mjs') };
    const replayed = await runTests(RECORDING, 'recorded', { SHADOWCAT_MODE: 'once', ...gone });
    expect(replayed).toMatchObject({ code: 0, stdout: expect.stringContaining('replay says {"sum":3}') });
  });

  it('records again what the server changed, and nothing else', async () => {
    await writeFile(tapeAt('again'), tape);
    await record('again');
    expect(await readFile(tapeAt('again'), 'utf8')).toBe(tape);
    await record('again', { CHANGED: '1' });
    const changed = (await readFile(tapeAt('again'), 'utf8')).split('\n');
    expect(tape.split('\n').filter((line, at) => line !== changed[at])).toHaveLength(2);
  });

  it('leaves the tape alone when the test that records it fails', async () => {
    await writeFile(tapeAt('failed'), tape);
    const failed = await record('failed', { SERVER: join(work.path, 'no-such-server.mjs') });
    expect(failed).toMatchObject({ code: 1, stderr: expect.not.stringContaining('unexpected') });
    expect(await readFile(tapeAt('failed'), 'utf8')).toBe(tape);
  });

  it('passes through to the server without a tape', async () => {
    const live = await runTests(RECORDING, 'live', { SHADOWCAT_MODE: 'live', CHANGED: '1' });
    expect(live).toMatchObject({ code: 0, stdout: expect.stringContaining('live says {"sum":4}') });
    expect(existsSync(tapeAt('live'))).toBe(false);
  });
});

describe('shadowcat/node-test', () => {
  it('can be required by tests in CommonJS, and sends those of Vitest to their own module', () => {
    const required = createRequire(import.meta.url)('shadowcat/node-test') as Record<string, () => unknown>;
    expect(Object.keys(required).sort()).toEqual(['TapeError', 'openTape', 'useTape']);
    expect(required['useTape']).toThrow("Vitest runs this file: import { useTape } from 'shadowcat/vitest'");
  });
});

describe.concurrent('what a test is blamed for', () => {
  let config: string;
  beforeAll(async () => {
    await writeFile(tapeAt('cases'), tape);
    config = join(work.path, 'vitest.config.mjs');
    await writeFile(config, `export default { test: ${AS_INSTALLED} };`);
  });

  it('is what it missed or left unused, in Vitest', async () => {
    const file = join(work.path, 'vitest.json');
    const where = ['--root', TESTS, '--config', config];
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const { code, stderr } = await runTests([VITEST, 'run', ...where, ...reporters, 'cases.test.js'], 'cases');
    expect(code).toBe(1);
    const report = JSON.parse(await readFile(file, 'utf8')) as VitestReport;
    const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
    const failures = tests.filter(({ status }) => status === 'failed');
    const told = Object.fromEntries(failures.map(({ title, failureMessages }) => [title, firstLines(failureMessages)]));
    expect(told).toEqual({
      'is asked for something else': ['TapeError: 1 request was not on the tape cases.tape.jsonl'],
      'is asked for something else by a command': ['TapeError: 1 request was not on the tape cases.tape.jsonl'],
      'is asked for nothing': ['TapeError: cases.tape.jsonl was not played to its end'],
      'is not there': [expect.stringMatching(/^TapeError: there is no tape .*nowhere\.tape\.jsonl$/)],
      'is not waited for': [expect.stringMatching(/^Error: the tape is not open: in a test, and at the top/)],
      'is left open by a test that fails': ['Error: its own fault'],
      'do not say who they are': [
        expect.stringMatching(/^Error: useTape in a concurrent test has to know whose it is/),
      ],
      'one asks wrong': ['TapeError: 1 request was not on the tape cases.tape.jsonl'],
      second: ['TapeError: 1 request was not on the tape cases.tape.jsonl'],
    });
    const missed = failures.find(({ title }) => title === 'is asked for something else by a command');
    const [message = ''] = missed?.failureMessages ?? [];
    expect(message).toMatch(
      /\n {2}error: cases\.tape\.jsonl:\d+: not on the tape: tools\/call add \(arguments-differ: /,
    );
    expect(message).toContain('\n    /arguments/a: recorded 1, got 7\n    /arguments/b: recorded 2, got 3\n');
    expect(message).toContain(
      '\n    overlay: ignore: [{ method: "tools/call", target: "add", at: ["/arguments/a", "/arguments/b"] }]\n',
    );
    expect(message).toMatch(/\n {4}at .*cases\.test/);
    expect(tests.filter(({ status }) => status === 'passed').map(({ title }) => title)).toEqual([
      'is asked in this process',
      'is asked over HTTP',
      'is asked by a command',
      'is asked by a client that knows both eras, in this process',
      'is asked by a client that knows both eras, over HTTP',
      'may be asked for nothing',
      'one asks right',
      'first',
      'third',
      'is connected to',
      'is connected to',
      'left',
      'right',
      'is not used',
    ]);
    // Where it cannot be one test, the suite is told.
    expect(stderr).toContain('not on the tape cases.tape.jsonl, while these tests ran: left, right\n');
    expect(stderr).toMatch(/do not use up\nTapeError: cases\.tape\.jsonl was not played to its end\n/);
  });

  it('is what it missed or left unused, in node:test', async () => {
    const { code, stdout } = await runTests(['--test', '--test-reporter=tap', nodeTests('cases')], 'cases');
    expect(code).toBe(1);
    const outcomes = [...stdout.matchAll(/^ *(ok|not ok) \d+ - (.*)$/gm)].map(
      ([, outcome, name]) => `${outcome}: ${name}`,
    );
    expect(outcomes).toEqual([
      'ok: asks what is on the tape',
      'not ok: asks for something else',
      'not ok: asks for nothing',
      'not ok: fails by itself',
      'ok: asks right',
      'not ok: asks wrong',
      'not ok: two at once',
      'ok: first of them',
      'not ok: second of them',
      'ok: third of them',
      'not ok: a shared tape',
      'ok: is connected to',
      'not ok: a shared tape that is not used up',
    ]);
    expect(stdout.match(/1 request was not on the tape cases\.tape\.jsonl/g)).toHaveLength(3);
    expect(stdout.match(/cases\.tape\.jsonl was not played to its end/g)).toHaveLength(2);
    expect(stdout).toMatch(/error: cases\.tape\.jsonl:\d+: not asked for: tools\/call add/);
  });
});

interface VitestReport {
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

function firstLines(messages: readonly string[]): (string | undefined)[] {
  return messages.map((message) => message.split('\n', 1)[0]);
}
