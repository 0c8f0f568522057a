import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { run } from '../src/processes.js';
import { runShadowcat, shadowcat, workFolder } from '../src/shadowcat.js';
import { varyingServer } from '../src/varying-server.js';

/** action.yml, the GitHub Action: its inputs and outputs, and its scripts, run by bash as GitHub runs them. */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

interface Step {
  readonly id?: string;
  readonly name: string;
  readonly if?: string;
  readonly uses?: string;
  readonly shell?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly run?: string;
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly description: string; readonly default: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly Step[] };
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

describe('action.yml', () => {
  it('uses every input, by way of variables, and has an output for every step', () => {
    const text = JSON.stringify(action.runs.steps);
    for (const name of Object.keys(action.inputs)) expect(text).toContain(`inputs.${name}`);
    // What a user writes must not become a part of a script.
    for (const { run = '' } of action.runs.steps) expect(run).not.toContain('${{');
    const ids = action.runs.steps.flatMap(({ id }) => id ?? []);
    for (const { value } of Object.values(action.outputs)) {
      expect(ids).toContain(/^\$\{\{ steps\.(\w+)\.outputs\.[\w-]+ \}\}$/.exec(value)?.[1]);
    }
  });

  it('pins what it brings along', async () => {
    const manifest = JSON.parse(await readFile(join(ROOT, 'apps/cli/package.json'), 'utf8')) as { version: string };
    expect(action.inputs['version']?.default).toBe(manifest.version);
    expect(action.inputs['node-version']?.default).toBe((await readFile(join(ROOT, '.node-version'), 'utf8')).trim());
    const uses = action.runs.steps.flatMap((step) => step.uses ?? []);
    expect(uses).not.toEqual([]);
    for (const used of uses) expect(used).toMatch(/^actions\/[\w-]+@[0-9a-f]{40}$/);
  });

  it.for([
    ['lint', 'tape lint'],
    ['scan', 'tape scan'],
    ['verify', 'verify'],
    ['replay', 'replay'],
  ] as const)('calls %s with options that it has', async ([id, command]) => {
    const script = action.runs.steps.find((step) => step.id === id)?.run ?? '';
    expect(script).toContain(`shadowcat ${command} `);
    const { stdout } = await runShadowcat([...command.split(' '), '--help'], work.path);
    for (const [flag] of script.matchAll(/(?<=[ (])--[a-z-]+/g)) expect(stdout).toContain(`${flag} `);
  });
});

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
    await run({ command: process.execPath, args: ['--test', test], cwd: work.path, env });
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

  it('replays the tapes to a command', async () => {
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
