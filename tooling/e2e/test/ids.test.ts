import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { metric, toolCall, toolText } from '../src/calls.js';
import { connectV1 } from '../src/client-v1.js';
import { connectV2 } from '../src/client-v2.js';
import { openSession, postModern, type RawSession } from '../src/raw-mcp.js';
import { FIXTURE_MAIN, startEverything, startFixture } from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** Ids are unique only among one sender's requests in flight, and not even there for some clients. */

/**
 * A server that is quick to start, because dozens of them are at the same time, and answers in another order than it was asked:
 * the later of four requests the sooner. A shell loop that reads what the proxy writes, without white space between tokens.
 */
const ECHO = `
count=0
while IFS= read -r line; do
  case $line in *'"method":"'*'"id":'* | *'"id":'*'"method":"'*) ;; *) continue ;; esac
  id=\${line#*'"id":'}
  id=\${id%%[,\\}]*}
  case $line in
    *'"method":"initialize"'*)
      result='{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}}' ;;
    *)
      said=\${line#*'"message":"'}
      said=\${said%%\\"*}
      result='{"content":[{"type":"text","text":"{\\"message\\":\\"'$said'\\"}"}]}' ;;
  esac
  count=$((count + 1))
  { sleep 0.0$((4 - count % 4)); printf '{"jsonrpc":"2.0","id":%s,"result":%s}\\n' "$id" "$result"; } &
done
wait
`;

type Server = Shadowcat | undefined;

/** Ways to a server: what the proxy is started with, and how the server's `echo` says what it was told. */
const WAYS = {
  'a child for each session': { said: (message: string) => JSON.stringify({ message }), modern: false },
  'a child that all share': { said: (message: string) => JSON.stringify({ message }), modern: true },
  'the fixture over HTTP': { said: (message: string) => JSON.stringify({ message }), modern: true },
  'server-everything over HTTP': { said: (message: string) => `Echo: ${message}`, modern: false },
} as const;

async function serverFor(way: keyof typeof WAYS): Promise<Server> {
  if (way === 'the fixture over HTTP') return startFixture();
  return way === 'server-everything over HTTP' ? startEverything() : undefined;
}

async function argumentsFor(way: keyof typeof WAYS, server: Server, folder: string): Promise<string[]> {
  if (server !== undefined) return ['--upstream', server.url];
  if (way === 'a child that all share') {
    return ['--isolation', 'shared', '--', process.execPath, FIXTURE_MAIN, 'stdio'];
  }
  await writeFile(`${folder}/echo.sh`, ECHO);
  return ['--max-children', '60', '--', 'sh', `${folder}/echo.sh`];
}

const textOf = (result: unknown): string => (result as { content: { text: string }[] }).content[0]?.text ?? '';
const times = <T>(count: number, make: (n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, n) => make(n)));

/** An SDK client, whose ids count from 0 like all the others' do. */
async function sdkClient(url: string, n: number, modern: boolean): Promise<[string, string][]> {
  const mode = modern && n % 3 === 2 ? 'pinned' : 'legacy';
  await using client = await (n % 3 === 0 ? connectV1({ url }) : connectV2({ url }, { mode }));
  return await times<[string, string]>(4, async (k) => {
    const message = `sdk ${n} ${k}`;
    return [message, textOf(await client.callTool('echo', { message }))];
  });
}

/** A session that many use, all with the id 1, as chats of one client do. */
async function crowdedSession(url: string, n: number): Promise<[string, string][]> {
  const session = await openSession(url);
  const said = await times<[string, string]>(10, async (k) => {
    const message = `crowd ${n} ${k}`;
    return [message, await toolText(await session.post(toolCall(1, 'echo', { message })), 1)];
  });
  await session.delete();
  return said;
}

/** Together they take a while where there is little of the processor. */
const MANY = { timeout: 120_000 };

describe('clients that all use the same ids', MANY, () => {
  it.each(Object.entries(WAYS))('get their own answers from %s', async (name, { said, modern }) => {
    const way = name as keyof typeof WAYS;
    await using folder = await workFolder();
    await using server = await serverFor(way);
    await using proxy = await startShadowcat(
      ['reverse', ...(await argumentsFor(way, server, folder.path))],
      folder.path,
    );
    const all = await Promise.all([
      ...Array.from({ length: 30 }, (_, n) => sdkClient(proxy.url, n, modern)),
      ...Array.from({ length: 5 }, (_, n) => crowdedSession(proxy.url, n)),
    ]);
    const answers = all.flat();
    expect(answers).toHaveLength(30 * 4 + 5 * 10);
    expect(answers.filter(([message, text]) => text !== said(message))).toEqual([]);
    expect(await metric(proxy.url, 'shadowcat_late_answers_total')).toBe(0);
  });
});

describe('requests in flight with one id on one session', () => {
  it('of an HTTP server that would mix them up are both answered, with progress of their own', async () => {
    await using folder = await workFolder();
    await using server = await startEverything();
    await using proxy = await startShadowcat(['reverse', '--upstream', server.url], folder.path);
    const session = await openSession(proxy.url);
    const params = (steps: number) => ({
      name: 'trigger-long-running-operation',
      arguments: { duration: 0.3, steps },
      _meta: { progressToken: 1 },
    });
    const replies = await times(3, async (n) => {
      const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: params(n + 2) };
      return (await session.post(body)).text();
    });
    for (const [n, text] of replies.entries()) {
      const steps = n + 2;
      expect(text.match(/"progressToken":1[,}]/g)).toHaveLength(steps);
      expect(text.match(new RegExp(`"total":${steps}[,}]`, 'g'))).toHaveLength(steps);
      expect(text).toContain(`Steps: ${steps}.`);
      expect(text.match(/"id":1[,}]/g)).toHaveLength(1);
    }
  });
});

describe('a request that is given up', () => {
  const ways = ['http', 'stdio'] as const;
  const behind = (server: Server): string[] =>
    server === undefined ? ['--', process.execPath, FIXTURE_MAIN, 'stdio'] : ['--upstream', server.url];

  it.each(ways)('over %s is cancelled by the notification: the newest one with its id', async (way) => {
    await using folder = await workFolder();
    await using server = way === 'http' ? await startFixture() : undefined;
    await using proxy = await startShadowcat(['reverse', ...behind(server)], folder.path);
    const session = await openSession(proxy.url);
    const older = session.post(toolCall(1, 'sleep', { ms: 1500 }));
    await heard(server ?? proxy, /sleep started/);
    const gone = new AbortController();
    session.post(toolCall(1, 'sleep', { ms: 60_000 }), { signal: gone.signal }).catch(() => {});
    await expect.poll(async () => (await sleeps(session)).started).toBe(2);
    await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    await heard(server ?? proxy, /sleep cancelled/);
    expect(await toolText(await older, 1)).toBe('slept 1500 ms');
    gone.abort();
  });

  it.each(ways)('over %s is cancelled by leaving in the modern era only', async (way) => {
    await using folder = await workFolder();
    await using server = way === 'http' ? await startFixture() : undefined;
    await using proxy = await startShadowcat(['reverse', ...behind(server)], folder.path);
    const gone = new AbortController();
    const params = { name: 'sleep', arguments: { ms: 60_000 } };
    postModern(proxy.url, { id: 1, method: 'tools/call', params }, { signal: gone.signal }).catch(() => {});
    await heard(server ?? proxy, /sleep started/);
    gone.abort();
    await heard(server ?? proxy, /sleep cancelled/);

    const session = await openSession(proxy.url);
    const { started, finished, cancelled } = await sleeps(session);
    const left = new AbortController();
    session.post(toolCall(1, 'sleep', { ms: 700 }), { signal: left.signal }).catch(() => {});
    await expect.poll(async () => (await sleeps(session)).started).toBe(started + 1);
    left.abort();
    await expect.poll(async () => (await sleeps(session)).finished).toBe(finished + 1);
    expect((await sleeps(session)).cancelled).toBe(cancelled);
  });
});

/** Resolves when the server, or the proxy that its stderr goes to, has written such a line. */
const heard = (by: Shadowcat, pattern: RegExp): Promise<unknown> => by.line(pattern, { from: 'stderr' });

/** What the fixture counted. */
async function sleeps(session: RawSession): Promise<{ started: number; finished: number; cancelled: number }> {
  return JSON.parse(await toolText(await session.post(toolCall('count', 'cancel_count')), 'count'));
}
