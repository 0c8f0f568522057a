import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectV1 } from '../src/client-v1.js';
import { type ClientKind, drive } from '../src/clients.js';
import { everythingServer, fixtureServer, memoryServer, type ServerUnderTest, startFixture } from '../src/servers.js';
import { runShadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import type { Tour } from '../src/tours.js';
import { varyingServer } from '../src/varying-server.js';

/** `shadowcat verify`: recorded clients are played against live servers, and the answers compared. */

interface ToolResult {
  readonly text: string;
  readonly structured: { readonly handle?: string } | undefined;
}
type Call = (name: string, args?: Readonly<Record<string, unknown>>) => Promise<ToolResult>;

/** Records one session of an official client with the varying server; `steps` does what it does. */
async function recorded(folder: string, steps: (call: Call) => Promise<void>): Promise<readonly string[]> {
  const server = await varyingServer(folder);
  await using proxy = await startShadowcat(['record', '--out', join(folder, 't.tape.jsonl'), '--', ...server], folder);
  {
    await using client = await connectV1({ url: proxy.url });
    await client.listTools();
    await steps(async (name, args = {}) => {
      const heard: unknown[] = [];
      const options = name === 'work' ? { onProgress: (progress: unknown) => void heard.push(progress) } : {};
      const { content, structuredContent } = (await client.callTool(name, args, options)) as unknown as {
        readonly content: readonly { readonly text: string }[];
        readonly structuredContent?: { readonly handle?: string };
      };
      if (name === 'work') expect(heard).toHaveLength(3);
      return { text: content[0]?.text ?? '', structured: structuredContent };
    });
  }
  expect((await proxy.stop()).code).toBe(0);
  return server;
}

const verify = (folder: string, flags: readonly string[], server: readonly string[]): ReturnType<typeof runShadowcat> =>
  runShadowcat(['verify', 't.tape.jsonl', ...flags, '--', ...server], folder);

async function handlesAndWork(call: Call): Promise<void> {
  const found = {
    structured: (await call('open', { how: 'structured' })).structured?.handle,
    json: (JSON.parse((await call('open', { how: 'json' })).text) as { handle: string }).handle,
    sentence: /h-[\w-]+/.exec((await call('open', { how: 'sentence' })).text)?.[0],
  };
  for (const handle of Object.values(found)) expect((await call('use', { handle })).text).toBe(`used ${handle}`);
  expect((await call('add', { a: 2, b: 3 })).text).toBe('5');
  expect((await call('work')).text).toBe('worked');
}

describe('verify against a recorded server', () => {
  let folder: Awaited<ReturnType<typeof workFolder>>;
  let server: readonly string[];
  const linesOf = async (): Promise<string[]> =>
    (await readFile(join(folder.path, 't.tape.jsonl'), 'utf8')).split('\n');

  beforeAll(async () => {
    folder = await workFolder();
    server = await recorded(folder.path, handlesAndWork);
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  it('that is the same finds nothing, though it mints another handle each time', async () => {
    const ended = await verify(folder.path, [], server);
    expect(ended.stderr).toContain('10 exchanges: 10 match');
    expect(ended.code).toBe(0);
    const bound = await runShadowcat(['tape', 'bind', '--suggest', 't.tape.jsonl'], folder.path);
    expect(bound.stdout).toContain('/result/content/0/text/handle');
  });

  it('that says less misses it', async () => {
    const lines = await linesOf();
    const lineOf = (text: string): number => lines.findIndex((line) => line.includes(text)) + 1;
    const silent = await verify(folder.path, ['--env', 'SILENT=1'], server);
    expect(silent.code).toBe(1);
    expect(silent.stderr).toContain('16 exchanges: 10 match, 6 missing');
    expect(silent.stderr).toContain(`t.tape.jsonl:${lineOf('"progress":2')}: missing: notifications/progress`);
    expect(silent.stderr).toContain(`t.tape.jsonl:${lineOf('step 3')}: missing: notifications/message`);
    const rules = ['progress', 'message'].map((name) => `{ method: notifications/${name}, at: /params }`);
    await writeFile(join(folder.path, 'silent.yaml'), `ignore: [${rules.join(', ')}]\n`);
    expect((await verify(folder.path, ['--env', 'SILENT=1', '--overlay', 'silent.yaml'], server)).code).toBe(0);
  });

  it('that answers otherwise names the place, and is written into the tape when asked to', async () => {
    const before = await linesOf();
    const line = before.findIndex((text) => text.includes('"sum":5')) + 1;
    const updated = await verify(folder.path, ['--env', 'CHANGED=1', '--update'], server);
    expect(updated.stderr).toContain(`t.tape.jsonl:${line}: changed: tools/call add, at /result/structuredContent/sum`);
    expect(updated.stderr).toContain('at: ["/result/structuredContent/sum"]');
    expect(updated.stderr).toContain(`updated line ${line}`);
    expect(updated.code).toBe(0);
    const after = await linesOf();
    const differ = after.flatMap((text, index) => (text === before[index] ? [] : [index + 1]));
    expect(differ.filter((number) => !/"k":"(?:ckpt|end)"/.test(after[number - 1] ?? ''))).toEqual([line]);
    expect((await verify(folder.path, ['--env', 'CHANGED=1'], server)).code).toBe(0);
  });
});

it('verify learns what varies, and finds nothing more with what it proposed', async () => {
  await using folder = await workFolder();
  const server = await recorded(folder.path, async (call) => {
    expect((await call('now')).text).toContain('UTC');
  });
  const learned = await verify(folder.path, ['--learn', '3'], server);
  expect(learned.stderr).toContain('wrote t.overlay.yaml');
  const proposal = await readFile(join(folder.path, 't.overlay.yaml'), 'utf8');
  expect(proposal).toContain(
    'normalise:\n  - { as: timestamp, method: "tools/call", target: "now", at: ["/result/content/0/text/at"] }',
  );
  expect((await verify(folder.path, ['--overlay', 't.overlay.yaml'], server)).code).toBe(0);
});

const words = ({ target }: ServerUnderTest): string[] => [
  ...Object.entries(target.env ?? {}).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
  '--',
  target.command,
  ...target.args,
];

/** Records a tour through a real server, and verifies the server against the tape. */
async function verifiedTour(kind: ClientKind, server: ServerUnderTest, url?: string): Promise<void> {
  await using folder = await workFolder();
  await server.reset();
  const behind = url === undefined ? words(server) : ['--upstream', url];
  const flags = ['--bridge', 'off', '--record', 't.tape.jsonl'];
  await using proxy = await startShadowcat(['reverse', ...flags, ...behind], folder.path);
  await drive(kind, { url: proxy.url }, { tour: server.tour, ...(server.roots && { roots: server.roots }) });
  expect((await proxy.stop()).code).toBe(0);
  await server.reset();
  const ended = await runShadowcat(['verify', 't.tape.jsonl', '--allow-effects', ...behind], folder.path);
  expect({ code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr }).toEqual({ code: 0, stderr: '' });
}

describe.concurrent('verify against real servers that did not change', () => {
  it('server-everything', () => {
    const server = everythingServer();
    // It asks for the roots by itself 350 ms after the opening; which question of the tour that comes before is chance.
    const tour: Tour = async (scribe) => {
      await scribe.call('trigger-long-running-operation', { duration: 0.5, steps: 2 });
      await server.tour(scribe);
    };
    return verifiedTour('v1', { ...server, tour });
  });

  it('server-memory', async () => {
    await using server = await memoryServer();
    await verifiedTour('v1', server);
  });

  it.each<ClientKind>(['v2-legacy', 'v2-pinned'])('the fixture over stdio, with the client %s', (kind) =>
    verifiedTour(kind, fixtureServer()),
  );

  it.each<ClientKind>(['v1', 'v2-pinned'])('the fixture over HTTP, with the client %s', async (kind) => {
    await using fixture = await startFixture();
    await verifiedTour(kind, fixtureServer(), fixture.url);
  });
});
