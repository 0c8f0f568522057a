import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectModern } from '../src/modern-client.js';
import { postModern } from '../src/raw-mcp.js';
import { fixtureServer, startFixture } from '../src/servers.js';
import { shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** Modern clients in front of legacy servers in other settings than one server and a session for each client. */

const LEGACY = ['--era', 'legacy'];
const { target } = fixtureServer(LEGACY);

let folder: Awaited<ReturnType<typeof workFolder>>;
let old: Awaited<ReturnType<typeof startFixture>>;
let fresh: Awaited<ReturnType<typeof startFixture>>;

beforeAll(async () => {
  [folder, old, fresh] = await Promise.all([workFolder(), startFixture(LEGACY), startFixture(['--era', 'modern'])]);
});

afterAll(async () => {
  await Promise.all([old, fresh, folder].map((owned) => owned[Symbol.asyncDispose]()));
});

it('questions find the target that asked them, when a legacy and a modern one take turns', async () => {
  await using proxy = await startShadowcat(['reverse', '--upstream', old.url, '--upstream', fresh.url], folder.path);
  await using modern = await connectModern(proxy.url);
  for (let turn = 0; turn < 6; turn += 1) {
    expect(await modern.call('test_sampling', { prompt: `turn ${turn}` })).toContain('sampled');
  }
  const together = Array.from({ length: 8 }, (_, at) => modern.call('test_sampling', { prompt: `at once ${at}` }));
  for (const answer of await Promise.all(together)) expect(answer).toContain('sampled');
});

describe.each(['shared', 'request'])('with --isolation %s', (isolation) => {
  it('lists, calls and cancels reach the command', async () => {
    const behind = ['--isolation', isolation, '--', target.command, ...target.args];
    await using proxy = await startShadowcat(['reverse', ...behind], folder.path);
    await using modern = await connectModern(proxy.url);
    expect((await modern.client.listTools()).tools.length).toBeGreaterThan(5);
    const leaving = new AbortController();
    const call = modern.call('sleep', { ms: 60_000 }, leaving.signal);
    call.catch(() => undefined);
    await proxy.line(/sleep started/, { from: 'stderr' });
    leaving.abort();
    await proxy.line(/sleep cancelled/, { from: 'stderr' });
    expect((await proxy.stop()).code).toBe(0);
    expect(proxy.survivors()).toEqual([]);
  });

  it('a tool that asks its client fails in plain words or is answered, and the next call works', async () => {
    const behind = ['--isolation', isolation, '--', target.command, ...target.args];
    await using proxy = await startShadowcat(['reverse', ...behind], folder.path);
    await using modern = await connectModern(proxy.url);
    const asked = await modern.call('test_sampling', { prompt: 'hi' }).catch((error: Error) => error.message);
    expect(asked).toMatch(isolation === 'shared' ? /sampling|support|client/i : /sampled/);
    expect(await modern.call('cancel_count')).toContain('started');
  });
});

it('different clients one after the other are served, however few children there may be', async () => {
  const behind = ['--max-children', '2', '--queue-timeout', '30s', '--', target.command, ...target.args];
  await using proxy = await startShadowcat(['reverse', ...behind], folder.path);
  for (const client of ['a', 'b', 'c', 'd']) {
    const capabilities = { experimental: { [client]: {} } };
    const answer = await postModern(proxy.url, {
      method: 'tools/call',
      params: { name: 'cancel_count', arguments: {} },
      capabilities,
    });
    expect({ client, status: answer.status, text: await answer.text() }).toMatchObject({ client, status: 200 });
  }
});

describe('record --stdio in front of a legacy command', () => {
  const connect = () => {
    const out = `${folder.path}/modern-stdio.tape.jsonl`;
    const { command, args, cwd } = shadowcat(
      ['record', '--stdio', '--out', out, '--', target.command, ...target.args],
      folder.path,
    );
    const transport = new StdioClientTransport({ command, args, cwd, stderr: 'pipe' });
    return { transport, modern: connectModern(transport, { answer: { name: 'Ada' } }) };
  };

  it('serves a modern client: lists, questions, cancellation', async () => {
    const { transport, modern: connecting } = connect();
    await using modern = await connecting;
    expect((await modern.client.listTools()).tools.length).toBeGreaterThan(5);
    expect(await modern.call('test_sampling', { prompt: 'hi' })).toContain('sampled');
    const said: string[] = [];
    transport.stderr?.on('data', (chunk) => said.push(String(chunk)));
    const leaving = new AbortController();
    const call = modern.call('sleep', { ms: 60_000 }, leaving.signal);
    call.catch(() => undefined);
    await expect.poll(() => said.join('')).toMatch(/sleep started/);
    leaving.abort();
    await expect.poll(() => said.join('')).toMatch(/sleep cancelled/);
  });

  it('tells a modern client that listens', async () => {
    await using modern = await connect().modern;
    const subscription = await modern.client.listen({ toolsListChanged: true });
    expect(subscription.honoredFilter).toEqual({ toolsListChanged: true });
    await subscription.close();
    expect(await modern.call('cancel_count')).toContain('started');
  });
});
