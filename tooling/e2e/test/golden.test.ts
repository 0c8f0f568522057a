import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
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
  expect(await runShadowcat(['tape', 'lint', tape], folder.path)).toMatchObject({ code: 0, stdout: '' });
  return (await readFile(tape, 'utf8')).split('\n');
}

const words = ({ target }: ServerUnderTest): string[] => ['--', target.command, ...target.args];

describe.each<ClientKind>(['v1', 'v2-pinned'])('recordings of %s over HTTP', { timeout: 120_000 }, (kind) => {
  it('have the golden form of those of their replay: streams are streams, and tell when to come back', async () => {
    await using folder = await workFolder();
    await using server = await startFixture();
    const first = await golden(kind, 'first', { folder, behind: ['--upstream', server.url] });
    await using replay = await startShadowcat(['replay', `${folder.path}/first.tape.jsonl`, '--all-used'], folder.path);
    expect(await golden(kind, 'second', { folder, behind: ['--upstream', replay.url] })).toEqual(first);
    expect((await replay.stop()).code).toBe(0);
  });
});

describe.each<ClientKind>(['v1', 'v2-legacy', 'v2-pinned'])('recordings of %s', { timeout: 120_000 }, (kind) => {
  it('of the fixture have the same golden form, and so has one of its replay', async () => {
    await using folder = await workFolder();
    const server = fixtureServer();
    const first = await golden(kind, 'first', { folder, behind: words(server) });
    const second = await golden(kind, 'second', { folder, behind: words(server) });
    expect(second).toEqual(first);

    await using replay = await startShadowcat(['replay', `${folder.path}/first.tape.jsonl`], folder.path);
    const third = await golden(kind, 'third', { folder, behind: ['--upstream', replay.url] });
    expect((await replay.stop()).code).toBe(0);
    expect(third).toEqual(first);
  });
});
