import { execFile } from 'node:child_process';
import { copyFile, cp, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientKind, drive } from '../src/clients.js';
import { fixtureServer, type ServerUnderTest, startFixture } from '../src/servers.js';
import { runShadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import type { Tour } from '../src/tours.js';

/**
 * A bit of everything that is the same each time: what a server asks while it waits for another answer comes before or after
 * that answer, as it happens.
 */
const tour: Tour = async (scribe) => {
  await scribe.listTools();
  await scribe.call('echo', { text: 'Grüße, 世界 ☃', list: [1, 2.5, null, true] });
  await Promise.all([scribe.call('echo', { n: 1 }), scribe.call('echo', { n: 2 }), scribe.call('echo', { n: 3 })]);
  await scribe.call('big', { bytes: 100_000 });
  await scribe.read('test://static-binary');
  await scribe.prompt('test_input_required_result_prompt');
  await scribe.call('progress', { steps: 5, delayMs: 20 }, { progress: true });
  await scribe.call('log', { message: 'hello', level: 'warning', count: 3 });
  await scribe.call('test_sampling', { prompt: 'Say hello' });
  await scribe.call('test_input_required_result_multi_round');
  await scribe.call('list_roots', { stream: 'call' });
  if (scribe.era === 'legacy') await scribe.call('list_roots', { stream: 'get' });
  await scribe.call('no_such_tool');
};

/** A folder for the tapes of one test. */
type Folder = Awaited<ReturnType<typeof workFolder>>;

/** Records a tour of a real client, and gives back the lines of the golden form. */
async function golden(kind: ClientKind, name: string, at: { folder: Folder; behind: string[] }): Promise<string[]> {
  const { folder, behind } = at;
  const tape = `${folder.path}/${name}.tape.jsonl`;
  await using proxy = await startShadowcat(['record', '--bridge', 'off', '--out', tape, ...behind], folder.path);
  await drive(kind, { url: proxy.url }, { tour });
  const { code } = await proxy.stop();
  expect(code).toBe(0);
  const made = await runShadowcat(['tape', 'fmt', tape], folder.path);
  expect(made).toMatchObject({ code: 0 });
  return (await readFile(tape, 'utf8')).split('\n');
}

/** No rule has anything against the tapes of these names. */
async function expectSound({ path }: Folder, ...names: string[]): Promise<void> {
  const tapes = names.map((name) => `${name}.tape.jsonl`);
  expect(await runShadowcat(['tape', 'lint', ...tapes], path)).toMatchObject({ code: 0, stdout: '' });
}

/** Commits one golden tape, puts the other in its place, and edits that: what git says to each. */
async function gitDiffs(folder: Folder, one: string, other: string): Promise<{ again: string; edited: string }> {
  const cwd = `${folder.path}/repository`;
  const tape = `${cwd}/s.tape.jsonl`;
  const user = ['-c', 'user.name=e2e', '-c', 'user.email=e2e@localhost'];
  const git = (...args: string[]): Promise<string> =>
    promisify(execFile)('git', [...user, ...args], { cwd }).then(({ stdout }) => stdout);
  await promisify(execFile)('git', ['init', '-q', cwd]);
  await cp(`${folder.path}/blobs`, `${cwd}/blobs`, { recursive: true });
  await copyFile(`${folder.path}/${one}.tape.jsonl`, tape);
  await git('add', '.');
  await git('commit', '-qm', 'tape');
  await copyFile(`${folder.path}/${other}.tape.jsonl`, tape);
  const again = await git('diff', '--stat');
  await writeFile(tape, (await readFile(tape, 'utf8')).replace('Say hello', 'Say goodbye'));
  expect((await runShadowcat(['tape', 'fmt', tape], cwd)).code).toBe(0);
  return { again, edited: await git('diff', '--numstat') };
}

let fixture: Awaited<ReturnType<typeof startFixture>>;
beforeAll(async () => {
  fixture = await startFixture();
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

const words = ({ target }: ServerUnderTest): string[] => ['--', target.command, ...target.args];

describe.each<ClientKind>(['v1', 'v2-pinned'])('recordings of %s over HTTP', { timeout: 120_000 }, (kind) => {
  it('have the golden form of those of their replay: streams are streams, and tell when to come back', async () => {
    await using folder = await workFolder();
    const first = await golden(kind, 'first', { folder, behind: ['--upstream', fixture.url] });
    await using replay = await startShadowcat(['replay', `${folder.path}/first.tape.jsonl`, '--all-used'], folder.path);
    expect(await golden(kind, 'second', { folder, behind: ['--upstream', replay.url] })).toEqual(first);
    expect((await replay.stop()).code).toBe(0);
    await expectSound(folder, 'first', 'second');
  });
});

describe.each<ClientKind>(['v1', 'v2-legacy', 'v2-pinned'])('recordings of %s', { timeout: 120_000 }, (kind) => {
  it('of the fixture are an empty git diff, and so is one of its replay; an edited record is one line and the last', async () => {
    await using folder = await workFolder();
    const server = fixtureServer();
    const first = await golden(kind, 'first', { folder, behind: words(server) });
    await using replay = await startShadowcat(['replay', `${folder.path}/first.tape.jsonl`], folder.path);
    const [second, third] = await Promise.all([
      golden(kind, 'second', { folder, behind: words(server) }),
      golden(kind, 'third', { folder, behind: ['--upstream', replay.url] }),
    ]);
    expect((await replay.stop()).code).toBe(0);
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    await expectSound(folder, 'first', 'second', 'third');
    // One edited record is one changed line, and the last, which seals the tape.
    const edited = '2\t2\ts.tape.jsonl\n';
    if (kind !== 'v2-legacy') expect(await gitDiffs(folder, 'first', 'second')).toEqual({ again: '', edited });
  });
});
