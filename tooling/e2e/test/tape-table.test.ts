import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectV1 } from '../src/client-v1.js';
import { connectV2 } from '../src/client-v2.js';
import { mintingServer } from '../src/minting-server.js';
import { answerText, openSession } from '../src/raw-mcp.js';
import { fixtureServer, startFixture } from '../src/servers.js';
import { runShadowcat, shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import type { Target, TestClient } from '../src/test-client.js';

/*
 * What a tape must do, one `describe` a row of the table in the design of tapes. Rows that are shown elsewhere: what SIGKILL
 * leaves on disk, what can be read of a torn or damaged tape, and that recording repeats nothing, in recording.test.ts;
 * placeholders of secrets, in secrets.test.ts; that recording again is an empty git diff, in golden.test.ts.
 */

const CLIENTS: Readonly<Record<string, (target: Target) => Promise<TestClient>>> = {
  'SDK v1': (target) => connectV1(target),
  'client v2, legacy': (target) => connectV2(target, { mode: 'legacy' }),
  'client v2, 2026-07-28': (target) => connectV2(target, { mode: 'pinned' }),
};
const EVERYONE = Object.entries(CLIENTS);
const WITH_SESSIONS = EVERYONE.filter(([name]) => !name.includes('2026'));

let fixture: Awaited<ReturnType<typeof startFixture>>;
let folder: Awaited<ReturnType<typeof workFolder>>;
beforeAll(async () => {
  [fixture, folder] = await Promise.all([startFixture(), workFolder()]);
});
afterAll(async () => {
  await Promise.all([fixture[Symbol.asyncDispose](), folder[Symbol.asyncDispose]()]);
});

let tapes = 0;

/** Records what clients do through the proxy in front of the fixture, or of a command. */
async function taped(drive: (url: string) => Promise<void>, command?: readonly string[]): Promise<string> {
  tapes += 1;
  const tape = join(folder.path, `t${tapes}.tape.jsonl`);
  const behind = command === undefined ? ['--upstream', fixture.url] : ['--', ...command];
  await using proxy = await startShadowcat(['record', '--bridge', 'off', '--out', tape, ...behind], folder.path);
  await drive(proxy.url);
  expect((await proxy.stop()).code).toBe(0);
  return tape;
}

const textOf = (result: unknown): string => (result as { content: [{ text: string }] }).content[0].text;

async function progressOf(client: TestClient, steps = 4): Promise<number[]> {
  const seen: number[] = [];
  await client.callTool('progress', { steps, delayMs: 5 }, { onProgress: ({ progress }) => seen.push(progress) });
  return seen;
}

/** What the tape of a client holds, besides its progress and its list. */
interface Usual {
  readonly tape: string;
  /** What each session was told about itself. */
  readonly sessions: readonly string[];
}

const usuals = new Map<string, Promise<Usual>>();

/** The tape of a client that lists, calls and waits; where there are sessions, of two at the same time that do the same. */
function usual(name: string): Promise<Usual> {
  let made = usuals.get(name);
  if (made === undefined) {
    made = recordUsual(name);
    usuals.set(name, made);
  }
  return made;
}

async function recordUsual(name: string): Promise<Usual> {
  const sessions: string[] = [];
  const tape = await taped(async (url) => {
    await atOnce(name, url, async (client) => {
      await client.listTools();
      await client.callTool('echo', { a: 1 });
      expect(await progressOf(client)).toHaveLength(4);
      sessions.push(textOf(await client.callTool('whoami', {})));
    });
  });
  return { tape, sessions };
}

/** Two sessions of a client, or one client where there are none. */
async function atOnce(name: string, url: string, use: (client: TestClient) => Promise<void>): Promise<void> {
  const connect = CLIENTS[name];
  if (connect === undefined) throw new TypeError(`no client ${name}`);
  const count = WITH_SESSIONS.some(([one]) => one === name) ? 2 : 1;
  const clients = await Promise.all(Array.from({ length: count }, () => connect({ url })));
  await Promise.all(clients.map(use));
  for (const client of clients) await client[Symbol.asyncDispose]();
}

describe('an unrecorded tool', () => {
  it.each(EVERYONE)('is a miss, and never the answer of another tool: %s', async (kind, connect) => {
    const { tape } = await usual(kind);
    await using replay = await startShadowcat(['replay', tape], folder.path);
    {
      await using client = await connect({ url: replay.url });
      for (const [name, args] of [
        ['log', { a: 1 }],
        ['echo', { a: 2 }],
      ] as const) {
        await expect(client.callTool(name, args)).rejects.toMatchObject({
          code: -32004,
          message: expect.stringContaining(`not on the tape: tools/call ${name}`),
          data: { reason: name === 'echo' ? 'arguments-differ' : 'unknown-target', line: expect.any(String) },
        });
      }
      expect(textOf(await client.callTool('echo', { a: 1 }))).toBe('{"a":1}');
    }
    const ended = await replay.stop();
    expect(ended.stderr).toContain('from the tape, 2 missed');
    expect(ended.code).toBe(1);
  });
});

describe('two sessions with equal ids, on one tape', () => {
  it.each(WITH_SESSIONS)('each get their own answers, at the same time: %s', async (kind) => {
    const { tape, sessions } = await usual(kind);
    expect(new Set(sessions).size).toBe(2);
    await using replay = await startShadowcat(['replay', tape], folder.path);
    const told: string[] = [];
    await atOnce(kind, replay.url, async (client) => {
      const [whoami] = await Promise.all([client.callTool('whoami', {}), client.listTools()]);
      told.push(textOf(whoami));
    });
    expect(new Set(told).size).toBe(2);
    expect((await replay.stop()).code).toBe(0);
  });
});

describe('requests that were not recorded and shift every id', () => {
  it.each(EVERYONE)('cost none of 4 progress callbacks: %s', async (kind, connect) => {
    const { tape } = await usual(kind);
    await using replay = await startShadowcat(['replay', tape], folder.path);
    {
      await using client = await connect({ url: replay.url });
      if (client.era === 'legacy') await client.ping();
      await client.listTools();
      await client.listTools();
      expect(await progressOf(client)).toEqual([1, 2, 3, 4]);
    }
    expect((await replay.stop()).code).toBe(0);
  });
});

describe('a server that mints handles', () => {
  it.each(WITH_SESSIONS)('is found equal by verify, although its handles are others: %s', async (_, connect) => {
    const command = await mintingServer(folder.path);
    const tape = await taped(async (url) => {
      await using client = await connect({ url });
      const { handle } = JSON.parse(textOf(await client.callTool('mint', {}))) as { handle: string };
      expect(textOf(await client.callTool('use', { handle }))).toBe(`used ${handle}`);
    }, command);
    const verified = await runShadowcat(['verify', tape, '--allow-effects', '--', ...command], folder.path);
    expect({ code: verified.code, stderr: verified.code === 0 ? '' : verified.stderr }).toEqual({
      code: 0,
      stderr: '',
    });
  });
});

describe('the text of the wire', () => {
  /** What JSON.parse and JSON.stringify would change. */
  const RESULT =
    '{"z":1.0,"a":9007199254740993,"e":1E400,"n":-0,"content":[{"type":"text","text":"\\u00e9\\/ \\ud83d\\ude00"}],"_":{"b":1,"a":2}}';

  it('comes back from the tape byte for byte, ids apart, from a capture and from its golden form', async () => {
    const script = join(folder.path, 'verbatim.mjs');
    await writeFile(
      script,
      `import { createInterface } from 'node:readline';
const info = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'verbatim', version: '1' } };
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method } = JSON.parse(line);
  const result = method === 'initialize' ? JSON.stringify(info) : ${JSON.stringify(RESULT)};
  if (id !== undefined) process.stdout.write('{"result":' + result + ',"jsonrpc":"2.0","id":' + JSON.stringify(id) + '}\\n');
}
`,
    );
    const ARGUMENTS = '{"big":12345678901234567890,"one":1.0,"b":{"y":1,"x":"\\u0041"}}';
    const ask = async (url: string, id: number): Promise<string> => {
      const session = await openSession(url);
      const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"any","arguments":${ARGUMENTS}}}`;
      return answerText(await session.post(body), id);
    };
    let live = '';
    const tape = await taped(
      async (url) => {
        live = await ask(url, 7);
      },
      [process.execPath, script],
    );
    expect(live).toBe(`{"result":${RESULT},"jsonrpc":"2.0","id":7}`);
    expect(await readFile(tape, 'utf8')).toContain(`"arguments":${ARGUMENTS}`);
    const golden = join(folder.path, 'verbatim.tape.jsonl');
    expect((await runShadowcat(['tape', 'fmt', tape, '-o', golden], folder.path)).code).toBe(0);
    for (const form of [tape, golden]) {
      await using replay = await startShadowcat(['replay', form, '--all-used'], folder.path);
      expect(await ask(replay.url, 41)).toBe(live.replace('"id":7', '"id":41'));
      expect((await replay.stop()).code).toBe(0);
    }
  });
});

describe('a tape of one transport', () => {
  it('is replayed over the other, and back', async () => {
    const use = async (target: Target): Promise<unknown[]> => {
      await using client = await connectV1(target, { roots: [{ uri: 'file:///srv/data' }] });
      const seen = await progressOf(client);
      // Elsewhere SDK v1 loses progress that it reads in one chunk with the answer.
      if ('url' in target && /^http.*\/mcp$/.test(target.url)) expect(seen).toEqual([1, 2, 3, 4]);
      return [
        textOf(await client.callTool('test_sampling', { prompt: 'Say hello' })),
        textOf(await client.callTool('list_roots', {})),
        (await client.callTool('no_such_tool', {}).catch((error: unknown) => ({ failed: String(error) }))) as unknown,
      ];
    };
    const stdio = join(folder.path, 'stdio.tape.jsonl');
    const { command, args } = fixtureServer().target;
    const live = await use(shadowcat(['record', '--stdio', '--out', stdio, '--', command, ...args], folder.path));
    await using first = await startShadowcat(['replay', stdio, '--all-used'], folder.path);
    const http = join(folder.path, 'http.tape.jsonl');
    {
      const flags = ['--bridge', 'off', '--out', http, '--upstream', first.url];
      await using proxy = await startShadowcat(['record', ...flags], folder.path);
      expect(await use({ url: proxy.url })).toEqual(live);
      expect((await proxy.stop()).code).toBe(0);
    }
    // The legacy pair, and WebSocket.
    expect(await use({ url: first.url.replace(/mcp$/, 'sse') })).toEqual(live);
    expect(await use({ url: first.url.replace('http:', 'ws:') })).toEqual(live);
    expect((await first.stop()).code).toBe(0);
    expect(await use(shadowcat(['replay', '--stdio', '--all-used', http], folder.path))).toEqual(live);
  });
});
