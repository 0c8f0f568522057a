import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectV1 } from '../src/client-v1.js';
import { connectV2 } from '../src/client-v2.js';
import { callThroughCuts, readSome } from '../src/cutting.js';
import { LineClient } from '../src/line-client.js';
import { mintingServer } from '../src/minting-server.js';
import { OwnedProcess } from '../src/processes.js';
import { answerText, openSession, postRaw } from '../src/raw-mcp.js';
import { startFixture } from '../src/servers.js';
import { runShadowcat, shadowcat, startShadowcat, tapesIn, workFolder } from '../src/shadowcat.js';
import type { TestClient } from '../src/test-client.js';

/** What a real session needs of its replay: other ids, other tokens, other handles, cuts, and honest reports. */

let fixture: Awaited<ReturnType<typeof startFixture>>;
beforeAll(async () => {
  fixture = await startFixture();
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

type Folder = Awaited<ReturnType<typeof workFolder>>;

/** Records what `drive` does through the proxy in front of the fixture, or of a command. */
async function taped(
  folder: Folder,
  drive: (url: string) => Promise<void>,
  command?: readonly string[],
): Promise<string> {
  const tape = `${folder.path}/t.tape.jsonl`;
  const behind = command === undefined ? ['--upstream', fixture.url] : ['--', ...command];
  await using proxy = await startShadowcat(['record', '--bridge', 'off', '--out', tape, ...behind], folder.path);
  await drive(proxy.url);
  expect((await proxy.stop()).code).toBe(0);
  return tape;
}

const call = (id: number, name: string, args: object = {}, token?: string) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, ...(token && { _meta: { progressToken: token } }) },
});

const textOf = (result: unknown): string => (result as { content: [{ text: string }] }).content[0].text;

async function progressOf(client: TestClient): Promise<number[]> {
  const seen: number[] = [];
  await client.callTool('progress', { steps: 4, delayMs: 5 }, { onProgress: ({ progress }) => seen.push(progress) });
  return seen;
}

describe('a client that behaves a little otherwise than the recorded one', () => {
  it('gets every progress callback, although its ids and tokens are others', async () => {
    await using folder = await workFolder();
    const tape = await taped(folder, async (url) => {
      await using client = await connectV1({ url });
      expect(await progressOf(client)).toHaveLength(4);
    });
    await using replay = await startShadowcat(['replay', tape], folder.path);
    for (const connect of [connectV1, (target: { url: string }) => connectV2(target, { mode: 'legacy' })]) {
      await using client = await connect({ url: replay.url });
      // Not on the tape as such, and ids go on counting with each.
      await client.listTools().catch(() => undefined);
      expect(await progressOf(client)).toEqual([1, 2, 3, 4]);
    }
  });

  it('uses the handles that it is given, whatever they are: recorded over stdio, replayed over HTTP and over stdio', async () => {
    await using folder = await workFolder();
    const command = await mintingServer(folder.path);
    const tape = `${folder.path}/s.tape.jsonl`;
    const drive = async (client: TestClient): Promise<string> => {
      const { handle } = JSON.parse(textOf(await client.callTool('mint', {}))) as { handle: string };
      expect(textOf(await client.callTool('use', { handle }))).toBe(`used ${handle}`);
      return handle;
    };
    {
      await using client = await connectV1(
        shadowcat(['record', '--stdio', '--out', tape, '--', ...command], folder.path),
      );
      await drive(client);
    }
    const [only] = await tapesIn(folder.path);
    expect(only).toBe(tape);
    const overlay = `${folder.path}/o.overlay.yaml`;
    await writeFile(
      overlay,
      `replace:\n  - { method: tools/call, target: mint, at: /result/content/0/text, with: '{"handle":"another-handle"}' }\n  - { method: tools/call, target: mint, at: /result/structuredContent/handle, with: another-handle }\n`,
    );
    await using replay = await startShadowcat(['replay', tape, '--overlay', overlay, '--all-used'], folder.path);
    {
      await using client = await connectV1({ url: replay.url });
      expect(await drive(client)).toBe('another-handle');
    }
    const ended = await replay.stop();
    expect(ended.stderr).toContain('1 by bound');
    expect(ended.code).toBe(0);
    await using client = await connectV1(shadowcat(['replay', '--stdio', tape], folder.path));
    await drive(client);
  });
});

describe('a miss', () => {
  it('says what would mend it: the overlay that it proposes makes it a match', async () => {
    await using folder = await workFolder();
    const tape = await taped(folder, async (url) => {
      await using client = await connectV1({ url });
      await client.callTool('echo', { path: '/a', n: 1 });
    });
    const junit = `${folder.path}/out/replay.xml`;
    const reports = ['--report', `junit=${junit}`, '--report', `sarif=${folder.path}/replay.sarif`];
    await using strict = await startShadowcat(['replay', tape, '--max-rung', 'exact', ...reports], folder.path);
    const session = await openSession(strict.url);
    const answer = await answerText(await session.post(call(7, 'echo', { path: '/b', n: 1 })), 7);
    const { data } = (JSON.parse(answer) as { error: { data: Record<string, unknown> } }).error;
    expect(data).toMatchObject({
      reason: 'arguments-differ',
      line: expect.stringMatching(/t\.tape\.jsonl:\d+$/),
      differences: [{ pointer: '/arguments/path', recorded: '/a', got: '/b' }],
    });
    const missed = await strict.stop();
    expect(missed.code).toBe(1);
    expect(missed.stderr).toMatch(/error: t\.tape\.jsonl:\d+: .*arguments-differ/);
    expect(await readFile(junit, 'utf8')).toMatch(/<failure message="[^"]*arguments-differ[^"]*">t\.tape\.jsonl:\d+: /);
    const sarif = JSON.parse(await readFile(`${folder.path}/replay.sarif`, 'utf8'));
    expect(sarif.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri).toBe('t.tape.jsonl');

    const overlay = `${folder.path}/t.overlay.yaml`;
    await writeFile(overlay, `${String(data['overlay'])}\n`);
    const dry = await runShadowcat(['replay', tape, '--overlay', overlay, '--dry-run'], folder.path);
    expect({ code: dry.code, stdout: dry.stdout }).toEqual({
      code: 0,
      stdout: 't.overlay.yaml:1:10: ignore tools/call echo /arguments/path: touches 1\n',
    });
    await using lenient = await startShadowcat(['replay', tape, '--overlay', overlay], folder.path);
    const again = await openSession(lenient.url);
    expect(await answerText(await again.post(call(7, 'echo', { path: '/b', n: 1 })), 7)).toContain('"result"');
    expect((await lenient.stop()).code).toBe(0);
  });
});

describe('a client that is cut', () => {
  const slowly = call(1, 'progress', { steps: 5, delayMs: 5 }, 'p');
  const recording = async (url: string): Promise<void> => {
    const session = await openSession(url);
    expect(await callThroughCuts(session, slowly, { cuts: [] })).toHaveLength(6);
    await callThroughCuts(session, call(2, 'progress', { steps: 5, delayMs: 5 }, 'q'), { cuts: [] });
  };

  it('finds the rest with Last-Event-ID, as often as it is cut', async () => {
    await using folder = await workFolder();
    await using replay = await startShadowcat(['replay', await taped(folder, recording)], folder.path);
    const session = await openSession(replay.url);
    const messages = await callThroughCuts(session, slowly, { cuts: [1, 2, 2] });
    expect(messages).toHaveLength(6);
    const unknown = await session.get({ lastEventId: 'of-another-server' });
    expect([unknown.status, await unknown.text()]).toEqual([400, expect.stringContaining('Last-Event-ID')]);
  });

  it.each(['disconnect', 'close'])('by an overlay (%s), comes back by itself and misses nothing', async (fault) => {
    await using folder = await workFolder();
    const tape = await taped(folder, async (url) => {
      await using client = await connectV1({ url });
      await progressOf(client);
    });
    const back = fault === 'close' ? ', retry-after: 20ms' : '';
    const rule = `{ method: tools/call, fault: ${fault}, event: 3, nth: 1${back} }`;
    await writeFile(`${folder.path}/cut.overlay.yaml`, `faults: [${rule}]\n`);
    const flags = ['--overlay', 'cut.overlay.yaml', '--all-used'];
    await using replay = await startShadowcat(['replay', tape, ...flags], folder.path);
    {
      await using client = await connectV1({ url: replay.url });
      expect(await progressOf(client)).toEqual([1, 2, 3, 4]);
    }
    const ended = await replay.stop();
    expect(ended.stderr).toContain('1 failed on purpose');
    expect(ended.code).toBe(0);
  });
});

describe('a replay that ends while it waits', () => {
  it('for the answer to a question of the server names it, and exits with 4 without waiting on', async () => {
    await using folder = await workFolder();
    const tape = await taped(folder, async (url) => {
      await using client = await connectV1({ url }, { roots: [{ uri: 'file:///srv/data' }] });
      expect(textOf(await client.callTool('list_roots', {}))).toContain('file:///srv/data');
    });
    await using replay = await startShadowcat(['replay', tape, '--report', 'json=replay.json'], folder.path);
    const session = await openSession(replay.url, { capabilities: { roots: {} } });
    const asked = await readSome(await session.post(call(1, 'list_roots')), 3);
    expect(JSON.parse(asked.at(-1)?.data ?? '')).toMatchObject({ method: 'roots/list' });
    const ended = await replay.stop();
    expect(ended.stderr).toMatch(/error: t\.tape\.jsonl:\d+: still waiting for the client: roots\/list/);
    expect(ended.code).toBe(4);
    const report = JSON.parse(await readFile(`${folder.path}/replay.json`, 'utf8'));
    expect(report).toMatchObject({
      exitCode: 4,
      waiting: 1,
      findings: [{ rule: 'waiting', site: { file: 't.tape.jsonl' } }],
    });
  });

  it('ends by itself where it is told not to wait for long, over HTTP and over stdio', async () => {
    await using folder = await workFolder();
    const tape = await taped(folder, async (url) => {
      await using client = await connectV1({ url }, { roots: [] });
      await client.callTool('list_roots', {});
    });
    const words = ['replay', tape, '--give-up-after', '50ms'];
    await using replay = await startShadowcat(words, folder.path);
    const session = await openSession(replay.url, { capabilities: { roots: {} } });
    await readSome(await session.post(call(1, 'list_roots')), 3);
    const stdio = await OwnedProcess.start({ ...shadowcat([...words, '--stdio'], folder.path), stdin: 'pipe' });
    await using _ = stdio;
    const line = new LineClient(stdio);
    await line.initialize();
    line.call(1, 'list_roots');
    for (const ended of await Promise.all([replay.exited, stdio.exited])) {
      expect(ended.stderr).toContain('still waiting for the client: roots/list');
      expect(ended.code).toBe(4);
    }
  });

  it('for input that a modern answer asked for names what for, and exits with 4', async () => {
    await using folder = await workFolder();
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'e2e', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
    };
    const name = 'test_input_required_result_elicitation';
    const ask = (id: number, more: object = {}) => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name, arguments: {}, ...more, _meta: meta },
    });
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name };
    const post = (url: string, body: { id: number }): Promise<string> =>
      postRaw(url, JSON.stringify(body), { headers }).then((response) => answerText(response, body.id));
    let methods: string[] = [];
    const tape = await taped(folder, async (url) => {
      const { result } = JSON.parse(await post(url, ask(1))) as {
        result: { inputRequests: Record<string, { method: string }>; requestState?: string };
      };
      methods = Object.values(result.inputRequests).map(({ method }) => method);
      const inputResponses = Object.fromEntries(
        Object.keys(result.inputRequests).map((key) => [key, { action: 'accept', content: { name: 'x' } }]),
      );
      const { requestState } = result;
      await post(url, ask(2, { inputResponses, ...(requestState === undefined ? {} : { requestState }) }));
    });
    await using replay = await startShadowcat(['replay', tape], folder.path);
    expect(await post(replay.url, ask(9))).toContain('input_required');
    const ended = await replay.stop();
    expect(ended.stderr).toContain(`still waiting for the client: ${methods[0]} in the retry of tools/call ${name}`);
    expect(ended.code).toBe(4);
  });
});
