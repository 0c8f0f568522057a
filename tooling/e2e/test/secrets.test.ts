import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectV1 } from '../src/client-v1.js';
import { connectV2 } from '../src/client-v2.js';
import { leakyServer } from '../src/leaky-server.js';
import { runShadowcat, startShadowcat, tapesIn, workFolder } from '../src/shadowcat.js';
import type { Target, TestClient } from '../src/test-client.js';

const PLANTED = 'pl4nted-S3cret-9';
const OF_SERVER = 'serv3r-Env-S3cret';

type Connect = (target: Target) => Promise<TestClient>;
const v1: Connect = (target) => connectV1(target);
const clients: Readonly<Record<string, Connect>> = {
  v1,
  'v2-legacy': (target) => connectV2(target, { mode: 'legacy' }),
};

const HELLO = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };

/** What a client does that has a secret: the same while it is recorded and when it is replayed. `before`: before it leaves. */
async function use(connect: Connect, url: string, before?: () => Promise<void>): Promise<string> {
  const headers = { authorization: `Bearer ${PLANTED}`, 'x-api-key': PLANTED, cookie: `a=${PLANTED}` };
  const opened = await fetch(url, {
    method: 'POST',
    headers: { ...headers, accept: 'application/json, text/event-stream', 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: HELLO }),
  });
  await using client = await connect({ url: `${url}?token=${PLANTED}` });
  const answers = [
    await opened.text(),
    await client.listTools(),
    await client.callTool('login', { password: PLANTED, note: `use Bearer ${PLANTED} badge EMP-1234` }),
    await client.callTool('large', { password: PLANTED, argv: ['--api-key', PLANTED] }),
  ];
  await before?.();
  return JSON.stringify(answers);
}

/** All that is in a folder's files, those in folders below too, apart from the key. */
async function everythingIn(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name !== 'tape.key');
  return (await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), 'latin1')))).join('\n');
}

describe.each(Object.entries(clients))(
  'secrets that client %s and its server speak of',
  { timeout: 60_000 },
  (_, connect) => {
    it('are in no file of the recording, golden or not; and the replay still answers', async () => {
      await using folder = await workFolder();
      await using elsewhere = await workFolder();
      const command = await leakyServer(elsewhere.path);
      const tapes = join(folder.path, 'tapes');
      await mkdir(tapes);
      const rules = ['--redact-pattern', 'EMP-\\d{4}'];
      const flags = ['--record', tapes, '--store', 'memory:', '--env', `UPSTREAM_SECRET=${OF_SERVER}`, ...rules];
      await using proxy = await startShadowcat(['reverse', ...flags, '--', ...command], folder.path);
      // When a client leaves, the file of its session gets another name.
      const live = await use(connect, proxy.url, async () => {
        const soFar = await everythingIn(tapes);
        expect(soFar).toContain('"large"');
        expect(soFar).not.toContain(PLANTED);
      });
      expect(live).toContain(PLANTED);
      expect((await proxy.stop()).code).toBe(0);

      const written = await everythingIn(folder.path);
      for (const secret of [PLANTED, btoa(`API_KEY=${PLANTED}`), OF_SERVER, 'EMP-1234'])
        expect(written).not.toContain(secret);
      expect(written).toContain('~redacted.');
      const recorded = await tapesIn(tapes);
      expect((await runShadowcat(['tape', 'scan', ...recorded, ...rules], folder.path)).code).toBe(0);

      // The project's own pattern is not said again: what is hidden on the tape tells.
      await using replay = await startShadowcat(['replay', '--all-used', ...recorded], folder.path);
      const replayed = await use(connect, replay.url);
      expect(replayed).not.toContain(PLANTED);
      expect(replayed.replaceAll(/~redacted\.[0-9a-f]{16}~/g, PLANTED)).toContain('see https://user:');
      const ended = await replay.stop();
      expect({ code: ended.code, stderr: ended.code === 0 ? '' : ended.stderr }).toEqual({ code: 0, stderr: '' });
      expect(ended.stderr).not.toContain(PLANTED);

      for (const tape of recorded) expect((await runShadowcat(['tape', 'fmt', tape], folder.path)).code).toBe(0);
      expect(await everythingIn(tapes)).not.toContain(PLANTED);
      expect((await runShadowcat(['tape', 'scan', tapes], folder.path)).code).toBe(0);
    });
  },
);

describe('a tape that was recorded with its secrets', { timeout: 60_000 }, () => {
  it('is found by scan, cleaned by redact, and answers before and after', async () => {
    await using folder = await workFolder();
    const command = await leakyServer(folder.path);
    const tape = join(folder.path, 'a.tape.jsonl');
    await using proxy = await startShadowcat(['record', '--no-redact', '--out', tape, '--', ...command], folder.path);
    await use(v1, proxy.url);
    await proxy.stop();
    expect(await readFile(tape, 'utf8')).toContain(PLANTED);

    const found = await runShadowcat(['tape', 'scan', tape], folder.path);
    expect(found.code).toBe(6);
    expect(found.stdout).toMatch(/a\.tape\.jsonl:\d+: \/m\/params\/arguments\/password: key password\n/);
    expect(found.stdout + found.stderr).not.toContain(PLANTED);

    const replayed = async (): Promise<number | null> => {
      await using replay = await startShadowcat(['replay', '--all-used', tape], folder.path);
      await use(v1, replay.url);
      return (await replay.stop()).code;
    };
    expect(await replayed()).toBe(0);
    expect((await runShadowcat(['tape', 'redact', tape], folder.path)).code).toBe(0);
    expect(await readFile(tape, 'utf8')).not.toContain(PLANTED);
    expect((await runShadowcat(['tape', 'scan', tape], folder.path)).code).toBe(0);
    expect(await replayed()).toBe(0);
  });
});
