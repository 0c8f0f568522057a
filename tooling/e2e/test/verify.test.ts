import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectV1 } from '../src/client-v1.js';
import { connectV2 } from '../src/client-v2.js';
import { type ClientKind, drive } from '../src/clients.js';
import { everythingServer, fixtureServer, memoryServer, type ServerUnderTest, startFixture } from '../src/servers.js';
import { runShadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
import type { TestClient } from '../src/test-client.js';
import type { Tour } from '../src/tours.js';
import { varyingServer } from '../src/varying-server.js';

/** `shadowcat verify`: recorded clients are played against live servers, and the answers compared. */

interface ToolResult {
  readonly text: string;
  readonly structured: { readonly handle?: string } | undefined;
}
type Call = (name: string, args?: Readonly<Record<string, unknown>>) => Promise<ToolResult>;

/** Records one session of an official client with the varying server; `steps` does what it does. */
async function recorded(
  folder: string,
  steps: (call: Call) => Promise<void>,
  connect: (target: { readonly url: string }) => Promise<TestClient> = connectV1,
): Promise<readonly string[]> {
  const server = await varyingServer(folder);
  await using proxy = await startShadowcat(['record', '--out', join(folder, 't.tape.jsonl'), '--', ...server], folder);
  {
    await using client = await connect({ url: proxy.url });
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

describe('verify', () => {
  it.each([
    ['SDK v1', connectV1],
    ['client v2', (target: { readonly url: string }) => connectV2(target, { mode: 'legacy' })],
  ])('finds nothing at the same server, though it mints another handle each time (%s)', async (_, connect) => {
    await using folder = await workFolder();
    const steps = async (call: Call): Promise<void> => {
      const found = {
        structured: (await call('open', { how: 'structured' })).structured?.handle,
        json: (JSON.parse((await call('open', { how: 'json' })).text) as { handle: string }).handle,
        sentence: /h-[\w-]+/.exec((await call('open', { how: 'sentence' })).text)?.[0],
      };
      for (const handle of Object.values(found)) {
        expect((await call('use', { handle })).text).toBe(`used ${handle}`);
      }
    };
    const server = await recorded(folder.path, steps, connect);
    const ended = await verify(folder.path, [], server);
    expect(ended.stderr).toContain('8 exchanges: 8 match');
    expect(ended.code).toBe(0);
    const bound = await runShadowcat(['tape', 'bind', '--suggest', 't.tape.jsonl'], folder.path);
    expect(bound.stdout).toContain('/result/content/0/text/handle');
  });

  it('names the place where an answer is another one, and writes it into the tape when asked to', async () => {
    await using folder = await workFolder();
    const server = await recorded(folder.path, async (call) => {
      expect((await call('add', { a: 2, b: 3 })).text).toBe('5');
    });
    const before = (await readFile(join(folder.path, 't.tape.jsonl'), 'utf8')).split('\n');
    const line = before.findIndex((text) => text.includes('"sum":5')) + 1;

    const changed = await verify(folder.path, ['--env', 'CHANGED=1'], server);
    expect(changed.code).toBe(1);
    expect(changed.stderr).toContain(`t.tape.jsonl:${line}: changed: tools/call add, at /result/structuredContent/sum`);
    expect(changed.stderr).toContain('at: ["/result/structuredContent/sum"]');
    expect((await verify(folder.path, ['--env', 'CHANGED=1', '--level', 'shape'], server)).code).toBe(0);
    expect((await verify(folder.path, ['--env', 'CHANGED=1', '--level', 'contract'], server)).code).toBe(0);

    const updated = await verify(folder.path, ['--env', 'CHANGED=1', '--update'], server);
    expect(updated.stderr).toContain(`updated line ${line}`);
    expect(updated.code).toBe(0);
    const after = (await readFile(join(folder.path, 't.tape.jsonl'), 'utf8')).split('\n');
    const differ = after.flatMap((text, index) => (text === before[index] ? [] : [index + 1]));
    expect(differ.filter((number) => !/"k":"(?:ckpt|end)"/.test(after[number - 1] ?? ''))).toEqual([line]);
    expect((await verify(folder.path, ['--env', 'CHANGED=1', '--level', 'bytes'], server)).code).toBe(0);
    expect((await verify(folder.path, [], server)).code).toBe(1);
  });

  it('misses what the server does not say any more', async () => {
    await using folder = await workFolder();
    const server = await recorded(folder.path, async (call) => {
      expect((await call('work')).text).toBe('worked');
    });
    const lines = (await readFile(join(folder.path, 't.tape.jsonl'), 'utf8')).split('\n');
    const lineOf = (text: string): number => lines.findIndex((line) => line.includes(text)) + 1;
    const rules = ['progress', 'message'].map((name) => `{ method: notifications/${name}, at: /params }`);
    await writeFile(join(folder.path, 't.tape.jsonl.overlay.yaml'), `ignore: [${rules.join(', ')}]\n`);
    const silent = await verify(folder.path, ['--env', 'SILENT=1'], server);
    expect(silent.code).toBe(1);
    expect(silent.stderr).toContain('only used with --overlay t.tape.jsonl.overlay.yaml');
    expect(silent.stderr).toContain('9 exchanges: 3 match, 6 missing');
    expect(silent.stderr).toContain(`t.tape.jsonl:${lineOf('"progress":2')}: missing: notifications/progress`);
    expect(silent.stderr).toContain(`t.tape.jsonl:${lineOf('step 3')}: missing: notifications/message`);
    const flags = ['--env', 'SILENT=1', '--overlay', 't.tape.jsonl.overlay.yaml'];
    expect((await verify(folder.path, flags, server)).code).toBe(0);
  });

  it('writes no secret into the tape, and hides none with another key', async () => {
    await using folder = await workFolder();
    const server = await recorded(folder.path, async (call) => {
      expect((await call('whoami')).text).toBe('you are nobody');
    });
    const tape = join(folder.path, 't.tape.jsonl');
    const before = await readFile(tape, 'utf8');
    const key = join(folder.path, '.shadowcat', 'tape.key');
    const flags = ['--update', '--env', 'API_TOKEN=planted-7f31c9'];
    await rename(key, `${key}.away`);
    const keyless = await verify(folder.path, flags, server);
    expect(keyless).toMatchObject({ code: 2, stderr: expect.stringContaining('SHADOWCAT_TAPE_KEY') });
    expect(await readFile(tape, 'utf8')).toBe(before);
    await rename(`${key}.away`, key);
    expect((await verify(folder.path, flags, server)).code).toBe(0);
    const after = await readFile(tape, 'utf8');
    expect(after).toMatch(/you are ~redacted\.[0-9a-f]{16}~/);
    expect(after).not.toContain('planted-7f31c9');
  });

  it('learns what varies, and finds nothing more with what it proposed', async () => {
    await using folder = await workFolder();
    const server = await recorded(folder.path, async (call) => {
      expect((await call('now')).text).toContain('UTC');
    });
    expect((await verify(folder.path, [], server)).code).toBe(1);
    const learned = await verify(folder.path, ['--learn', '3'], server);
    expect(learned.stderr).toContain('wrote t.overlay.yaml');
    const overlay = join(folder.path, 't.overlay.yaml');
    const proposal = await readFile(overlay, 'utf8');
    expect(proposal).toContain(
      'normalise:\n  - { as: timestamp, method: "tools/call", target: "now", at: ["/result/content/0/text/at"] }',
    );
    expect((await verify(folder.path, ['--overlay', 't.overlay.yaml'], server)).code).toBe(0);

    await writeFile(overlay, 'seed: 7\n');
    const again = await verify(folder.path, ['--learn', '2'], server);
    expect(again.stdout).toContain('target: "now"');
    expect(await readFile(overlay, 'utf8')).toBe('seed: 7\n');
  });

  it('does not call what may have effects, and says that the result is incomplete', async () => {
    await using folder = await workFolder();
    const server = await recorded(folder.path, async (call) => {
      expect((await call('write')).text).toBe('written');
    });
    const guarded = await verify(folder.path, [], server);
    expect(guarded.code).toBe(4);
    expect(guarded.stderr).toContain('not called without --allow-effects: write');
    expect((await verify(folder.path, ['--allow-effects'], server)).code).toBe(0);
  });

  it('tells a server that is not there from one that answers otherwise', async () => {
    await using folder = await workFolder();
    await recorded(folder.path, async (call) => {
      await call('add', { a: 1, b: 1 });
    });
    const to = async (...flags: string[]): Promise<number | null> =>
      (await runShadowcat(['verify', 't.tape.jsonl', ...flags], folder.path)).code;
    expect(await to('--upstream', 'http://127.0.0.1:9/mcp')).toBe(5);
    expect(await to('--', process.execPath, '-e', 'process.exit(3)')).toBe(5);
    expect(await to('--', 'no-such-command-anywhere')).toBe(2);
    expect(await to()).toBe(2);
    await writeFile(join(folder.path, 't.tape.jsonl'), '{"k":"head","v":1,"form":"capture","requires":[]}\n');
    expect(await to('--upstream', 'http://127.0.0.1:9/mcp')).toBe(3);
  });
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

describe('verify against real servers that did not change', () => {
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
