import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { type ClientKind, drive } from '../src/clients.js';
import { fixtureServer, type ServerUnderTest } from '../src/servers.js';
import { runShadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** A folder for the tapes of one test. */
type Folder = Awaited<ReturnType<typeof workFolder>>;

/** Records a tour of a real client, and gives back the lines of the golden form. */
async function golden(
  kind: ClientKind,
  name: string,
  at: { server: ServerUnderTest; folder: Folder; behind: string[] },
): Promise<string[]> {
  const { server, folder, behind } = at;
  await server.reset();
  const tape = `${folder.path}/${name}.tape.jsonl`;
  await using proxy = await startShadowcat(['record', '--bridge', 'off', '--out', tape, ...behind], folder.path);
  await drive(kind, { url: proxy.url }, { tour: server.tour, ...(server.roots && { roots: server.roots }) });
  const { code } = await proxy.stop();
  expect(code).toBe(0);
  const made = await runShadowcat(['tape', 'fmt', tape], folder.path);
  expect(made).toMatchObject({ code: 0 });
  expect(await runShadowcat(['tape', 'lint', tape], folder.path)).toMatchObject({ code: 0, stdout: '' });
  return (await readFile(tape, 'utf8')).split('\n');
}

const words = ({ target }: ServerUnderTest): string[] => ['--', target.command, ...target.args];

describe.each<ClientKind>(['v1', 'v2-legacy', 'v2-pinned'])('recordings of %s', { timeout: 120_000 }, (kind) => {
  it('of the fixture have the same golden form, and so has one of its replay', async () => {
    await using folder = await workFolder();
    const server = fixtureServer();
    const first = await golden(kind, 'first', { server, folder, behind: words(server) });
    const second = await golden(kind, 'second', { server, folder, behind: words(server) });
    expect(second).toEqual(first);

    await using replay = await startShadowcat(['replay', `${folder.path}/first.tape.jsonl`], folder.path);
    const third = await golden(kind, 'third', { server, folder, behind: ['--upstream', replay.url] });
    expect((await replay.stop()).code).toBe(0);
    expect(third).toEqual(first);
  });
});
