import { spawn } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { run } from '../src/processes.js';
import { shadowcat, workFolder } from '../src/shadowcat.js';
import { varyingServer } from '../src/varying-server.js';

/** action.yml, the GitHub Action: its scripts, run by bash as GitHub runs them. */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

interface Step {
  readonly id?: string;
  readonly if?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly run?: string;
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly default: string }>>;
  readonly runs: { readonly steps: readonly Step[] };
}

let action: Action;
let work: Awaited<ReturnType<typeof workFolder>>;
let server: readonly string[];
beforeAll(async () => {
  action = parse(await readFile(join(ROOT, 'action.yml'), 'utf8')) as Action;
  work = await workFolder();
  server = await varyingServer(work.path);
  const bin = join(work.path, 'bin', 'shadowcat');
  const { command, args } = shadowcat([], work.path);
  await mkdir(dirname(bin));
  await writeFile(bin, `#!/bin/sh\nexec "${command}" "${args[0]}" "$@"\n`);
  await chmod(bin, 0o755);
});
afterAll(() => work[Symbol.asyncDispose]());

interface Ran {
  /** By step. */
  readonly codes: Readonly<Record<string, number>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
  readonly log: string;
}

/** Runs the action's own scripts in `cwd`, with its conditions. */
async function runAction(cwd: string, given: Readonly<Record<string, string>>): Promise<Ran> {
  const inputs = {
    ...Object.fromEntries(Object.entries(action.inputs).map(([name, it]) => [name, it.default])),
    ...given,
  };
  const summary = join(cwd, 'summary.md');
  await writeFile(summary, '');
  const outputs: Record<string, string> = {};
  const codes: Record<string, number> = {};
  let log = '';
  let found = false;
  for (const { id = '', if: condition, env = {}, run: script } of action.runs.steps) {
    if (script === undefined || id === 'install') continue;
    const goes = condition === undefined || judged(condition, inputs, found);
    if (!goes) continue;
    const output = join(cwd, `output-${id}`);
    await writeFile(output, '');
    const ended = await bash(script, cwd, {
      ...Object.fromEntries(Object.entries(env).map(([name, text]) => [name, filled(text, inputs)])),
      GITHUB_OUTPUT: output,
      GITHUB_STEP_SUMMARY: summary,
    });
    codes[id] = ended.code;
    log += ended.text;
    if (id === 'tapes') found = ended.code === 0;
    for (const line of (await readFile(output, 'utf8')).split('\n').filter((text) => text !== '')) {
      const [name = '', value = ''] = line.split('=');
      outputs[`${id}.${name}`] = value;
    }
  }
  return { codes, outputs, summary: await readFile(summary, 'utf8'), log };
}

function filled(text: string, inputs: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{\{ inputs\.([\w-]+) \}\}/g, (_whole, name: string) => inputs[name] ?? '');
}

/** The few expressions that the action's conditions are made of. */
function judged(condition: string, inputs: Readonly<Record<string, string>>, found: boolean): boolean {
  const terms = condition.replaceAll(/^\$\{\{ !cancelled\(\) && | \}\}$/g, '').split(' && ');
  return terms.every((term) =>
    term
      .replaceAll(/^\(|\)$/g, '')
      .split(' || ')
      .some((one) => {
        if (one === "steps.tapes.outcome == 'success'") return found;
        const [, name = '', operator, wanted] = /^inputs\.([\w-]+) (==|!=) '(.*)'$/.exec(one) ?? [];
        if (operator === undefined) throw new Error(`not understood: ${one}`);
        return (inputs[name] === wanted) === (operator === '==');
      }),
  );
}

/** As GitHub runs a step with `shell: bash`. */
function bash(
  script: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<{ code: number; text: string }> {
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script], {
    cwd,
    env: {
      ...process.env,
      PATH: `${join(work.path, 'bin')}:${dirname(process.execPath)}:${process.env['PATH']}`,
      RUNNER_TEMP: join(work.path, 'runner'),
      GITHUB_ACTIONS: 'true',
      ...env,
    },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (text += chunk));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code: code ?? -1, text })));
}

describe('the action, run by bash', () => {
  let tape: string;
  let ask: string;
  beforeAll(async () => {
    const file = join(work.path, 'adds.tape.jsonl');
    const test = fileURLToPath(new URL('../dist/tape-tests/recording.node-test.js', import.meta.url));
    const env = { CI: '', SHADOWCAT_MODE: 'record', TAPE: file, SERVER: server.at(-1) ?? '' };
    await run({ command: process.execPath, args: [test], cwd: work.path, env });
    tape = await readFile(file, 'utf8');
    ask = join(work.path, 'ask.mjs');
    const client = new URL('../dist/tape-tests/client.js', import.meta.url).href;
    const lines = [
      `import { adderAt } from '${client}';`,
      'const client = await adderAt(process.env.MCP_URL);',
      'await client.add(1, Number(process.argv[2])).catch(() => {});',
      'await client[Symbol.asyncDispose]();',
    ];
    await writeFile(ask, lines.join('\n'));
  });

  /** A repository with this tape. */
  async function repository(name: string, text = tape): Promise<string> {
    const cwd = join(work.path, name);
    await mkdir(join(cwd, 'test', 'node_modules'), { recursive: true });
    await writeFile(join(cwd, 'test', 'adds.tape.jsonl'), text);
    await writeFile(join(cwd, 'test', 'node_modules', 'other.tape.jsonl'), 'no tape of ours');
    return cwd;
  }

  it('lints and scans the tapes of a repository', async () => {
    const ran = await runAction(await repository('clean'), {});
    expect(ran.codes).toEqual({ tapes: 0, lint: 0, scan: 0 });
    expect(ran.outputs).toEqual({ 'tapes.count': '1', 'lint.exit-code': '0', 'scan.exit-code': '0' });
    expect(ran.summary).toContain('### shadowcat tape lint: passed');
  });

  it('takes names as they are, and none of them for an option or a command', async () => {
    const cwd = await repository('names');
    const names = ['--strict.tape.jsonl', 'test/a \'b\' "c".tape.jsonl', 'test/$(touch pwned) `id` *.tape.jsonl'];
    for (const name of names) await writeFile(join(cwd, name), tape);
    const ran = await runAction(cwd, { scan: 'false', tapes: '*.tape.jsonl\r\n  test/*.tape.jsonl\n\n*.tape.jsonl' });
    expect(ran).toMatchObject({ codes: { tapes: 0, lint: 0 }, outputs: { 'tapes.count': '4' } });
    expect(await readdir(cwd)).not.toContain('pwned');
  });

  it('installs the version that it is told, and says where it cannot run', async () => {
    const script = action.runs.steps.find(({ id }) => id === 'install')?.run ?? '';
    const npm = join(work.path, 'npm-bin', 'npm');
    await mkdir(dirname(npm));
    await writeFile(npm, '#!/bin/sh\nprintf "<%s>" "$@"\n');
    await chmod(npm, 0o755);
    const path = join(work.path, 'path');
    const env = { PATH: `${dirname(npm)}:${process.env['PATH']}`, GITHUB_PATH: path, VERSION: '1.2.3; touch pwned' };
    const linux = await bash(script, work.path, { ...env, RUNNER_OS: 'Linux' });
    expect(linux).toEqual({ code: 0, text: expect.stringMatching(/<shadowcat@1\.2\.3; touch pwned>$/) });
    expect(await readFile(path, 'utf8')).toBe(`${join(work.path, 'runner', 'shadowcat', 'bin')}\n`);
    const windows = await bash(script, work.path, { ...env, RUNNER_OS: 'Windows' });
    expect(windows).toEqual({ code: 2, text: '::error title=shadowcat::this action runs on Linux and macOS\n' });
  });

  it('annotates what is wrong, and goes on', async () => {
    const edited = tape.replace('"arguments":{', '"arguments":{"password":"correct horse",');
    const ran = await runAction(await repository('edited', edited), {});
    expect(ran.codes).toEqual({ tapes: 0, lint: 1, scan: 6 });
    expect(ran.outputs).toMatchObject({ 'lint.exit-code': '1', 'scan.exit-code': '6' });
    expect(ran.log).toMatch(/^::error file=test\/adds\.tape\.jsonl,line=\d+,title=shadowcat tape lint%3A /m);
    expect(ran.log).toMatch(/^::error file=test\/adds\.tape\.jsonl,line=\d+,title=shadowcat tape scan%3A /m);
    expect(ran.summary).toContain('### shadowcat tape lint: failed');
    expect(ran.summary).toContain('### shadowcat tape scan: failed');
    expect(ran.log + ran.summary).not.toContain('correct horse');
  });

  it('verifies a server, and writes reports', async () => {
    const cwd = await repository('verified');
    const rest = { lint: 'false', scan: 'false', 'allow-effects': 'true', reports: 'reports' };
    const same = await runAction(cwd, { ...rest, command: server.join(' ') });
    expect(same.codes).toEqual({ tapes: 0, verify: 0 });
    expect(await readFile(join(cwd, 'reports', 'verify.xml'), 'utf8')).toContain('<testsuite');
    const changed = await runAction(cwd, { ...rest, command: `CHANGED=1 ${server.join(' ')}`, level: 'json' });
    expect(changed.codes).toEqual({ tapes: 0, verify: 1 });
    expect(changed.log).toMatch(/^::error file=test\/adds\.tape\.jsonl,line=\d+,title=shadowcat verify%3A /m);
    expect(changed.outputs).toMatchObject({ 'verify.exit-code': '1' });
  });

  it('replays the tapes to a command', { timeout: 120_000 }, async () => {
    const cwd = await repository('replayed');
    const rest = { lint: 'false', scan: 'false', 'all-used': 'true' };
    const all = await runAction(cwd, { ...rest, replay: `node ${ask} 2` });
    expect(all).toMatchObject({ codes: { tapes: 0, replay: 0 }, outputs: { 'replay.exit-code': '0' } });
    const missed = await runAction(cwd, { ...rest, replay: `node ${ask} 9` });
    expect(missed).toMatchObject({ codes: { tapes: 0, replay: 1 }, outputs: { 'replay.exit-code': '1' } });
    expect(missed.summary).toContain('### shadowcat replay: failed');
    const failed = await runAction(cwd, { ...rest, 'all-used': 'false', replay: `node ${ask} 2; exit 7` });
    expect(failed).toMatchObject({ codes: { replay: 7 }, outputs: { 'replay.exit-code': '0' } });
  });

  it('says when there is no tape, or no such overlay', async () => {
    const cwd = await repository('empty');
    const none = await runAction(cwd, { tapes: 'elsewhere/*.tape.jsonl' });
    expect(none).toMatchObject({ codes: { tapes: 2 }, outputs: { 'tapes.count': '0' } });
    const overlay = await runAction(cwd, { lint: 'false', scan: 'false', overlay: 'no.yaml', replay: 'true' });
    expect(overlay).toMatchObject({ codes: { replay: 2 }, outputs: { 'replay.exit-code': '2' } });
    expect(overlay.log).toContain('there is no file no.yaml');
  });
});
