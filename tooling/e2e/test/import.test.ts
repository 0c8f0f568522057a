import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientKind, drive } from '../src/clients.js';
import { findMitmdump, MITMPROXY_FOLDER, RECORDED_CLIENTS, recordedTour, recordFlows } from '../src/mitmdump.js';
import { fixtureServer, startFixture } from '../src/servers.js';
import { runShadowcat, shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import type { Transcript } from '../src/transcript.js';

const LOG_TEE = fileURLToPath(new URL('../src/log-tee.ts', import.meta.url));

/** What the clients get that no tape has to give: from the fixture, through mitmdump where it is installed. */
const live = new Map<ClientKind, Transcript>();
let folder: Awaited<ReturnType<typeof workFolder>>;
/** The folder with tour.flows and tour.har. */
let recorded: string;

beforeAll(async () => {
  folder = await workFolder();
  const mitmdump = findMitmdump();
  if (mitmdump !== undefined) {
    recorded = folder.path;
    for (const [kind, transcript] of (await recordFlows(mitmdump, recorded)).transcripts) live.set(kind, transcript);
    return;
  }
  process.stderr.write('mitmdump is not installed: tape import is tested with flows that were recorded earlier\n');
  recorded = MITMPROXY_FOLDER;
  await using fixture = await startFixture();
  for (const kind of RECORDED_CLIENTS) live.set(kind, await drive(kind, { url: fixture.url }, { tour: recordedTour }));
}, 120_000);
afterAll(() => folder[Symbol.asyncDispose]());

/** Imports files, and gives the path of the tape and what was said of it. */
async function imported(files: readonly string[], name: string): Promise<{ tape: string; said: string }> {
  const tape = join(folder.path, `${name}.tape.jsonl`);
  const { code, stderr } = await runShadowcat(['tape', 'import', ...files, '-o', tape], folder.path);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return { tape, said: stderr };
}

describe('a tape imported', { timeout: 120_000 }, () => {
  it('from flows of mitmdump, and from its HAR, is the same, and answers the clients of both eras as the server did', async () => {
    const [flows, har] = await Promise.all(
      ['tour.flows', 'tour.har'].map((name) => imported([join(recorded, name)], name)),
    );
    expect(`${flows?.said}${har?.said}`).not.toMatch(/missing|no MCP|decoded/);
    expect(await readFile(har?.tape ?? '', 'utf8')).toEqual(await readFile(flows?.tape ?? '', 'utf8'));
    expect(await runShadowcat(['tape', 'lint', flows?.tape ?? ''], folder.path)).toMatchObject({ code: 0, stdout: '' });
    await using replay = await startShadowcat(['replay', '--all-used', flows?.tape ?? ''], folder.path);
    for (const kind of RECORDED_CLIENTS)
      expect(await drive(kind, { url: replay.url }, { tour: recordedTour })).toEqual(live.get(kind));
    expect(await replay.stop()).toMatchObject({ code: 0 });
  });

  it('from a HAR that was exported from a tape is that tape', async () => {
    const { tape } = await imported([join(recorded, 'tour.flows')], 'first');
    const har = join(folder.path, 'exported.har');
    expect(await runShadowcat(['tape', 'export', tape, '--format', 'har', '-o', har], folder.path)).toMatchObject({
      code: 0,
    });
    const again = await imported([har], 'again');
    expect(await readFile(again.tape, 'utf8')).toEqual(await readFile(tape, 'utf8'));
  });

  it('from a log of a stdio server, or from what tee kept of it, answers the client as the server did', async () => {
    const { target } = fixtureServer();
    const file = (name: string): string => join(folder.path, name);
    const words = [process.execPath, LOG_TEE, file('mcp-server.log'), target.command, ...target.args];
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const line = `tee '${file('stdin.jsonl')}' | ${quoted} | tee '${file('stdout.jsonl')}'`;
    const legs = await drive('v1', { command: 'sh', args: ['-c', line] }, { tour: recordedTour });
    const { tape, said } = await imported([file('mcp-server.log')], 'logged');
    expect(said).toContain('1 line is no message');
    const replay = shadowcat(['replay', '--stdio', tape], folder.path);
    expect(await drive('v1', replay, { tour: recordedTour })).toEqual(legs);
    const teed = await imported([file('stdin.jsonl'), file('stdout.jsonl')], 'teed');
    expect(await readFile(teed.tape, 'utf8')).toEqual(await readFile(tape, 'utf8'));
  });
});
