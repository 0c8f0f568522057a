import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readiness, toolCall, toolText } from '../src/calls.js';
import { openSession, postRaw } from '../src/raw-mcp.js';
import { FIXTURE_MAIN, startFixture } from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** Servers that break the rules: each request has one outcome that says what is wrong, and the next one is served. */

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 'i',
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } },
};
const RESULT = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 's', version: '1' } };

describe('an HTTP server that', () => {
  type Misdeed = (response: ServerResponse, answer: string) => void;
  const json = { 'content-type': 'application/json' };
  const sse = { 'content-type': 'text/event-stream' };
  const event = (text: string): string => `data: ${text}\n\n`;
  const cases: readonly [what: string, misdeed: Misdeed, status: number, said: RegExp][] = [
    ['redirects', (r) => r.writeHead(302, { location: 'http://evil.example/' }).end(), 502, /redirects/],
    [
      'compresses unasked',
      (r, a) => r.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(gzipSync(a)),
      502,
      /content-encoding gzip/,
    ],
    ['shows a page', (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), 502, /text\/html/],
    ['takes a request for a notification', (r) => r.writeHead(202).end(), 502, /HTTP 202/],
    [
      'answers another request',
      (r, a) => r.writeHead(200, json).end(a.replace('"id":1', '"id":"other"')),
      502,
      /another request/,
    ],
    ['resets the connection', (r) => void r.socket?.resetAndDestroy(), 502, /closed the connection before/],
    [
      'breaks a stream off',
      (r) => void r.writeHead(200, sse).write(': hi\n\n', () => r.destroy()),
      200,
      /in the middle/,
    ],
    ['ends a stream without an answer', (r) => r.writeHead(200, sse).end(), 200, /before it answered/],
    [
      'ends a stream in the middle of an event',
      (r) => r.writeHead(200, sse).end('data: {"jsonrpc":'),
      200,
      /before it answered/,
    ],
  ];

  /** At the same time: each waits for most of its time. */
  const AT_ONCE = { concurrent: true };

  let misdeed: Misdeed | undefined;
  const server = createServer((request, response) => void serve(request, response));
  let folder: Awaited<ReturnType<typeof workFolder>>;
  let proxy: Shadowcat;
  let upstream = '';

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const message = text === '' ? {} : (JSON.parse(text) as { id?: unknown; method?: string });
    const answer = (result: unknown): string => JSON.stringify({ jsonrpc: '2.0', id: message.id, result });
    if (message.method === 'initialize') {
      response.writeHead(200, { ...json, 'mcp-session-id': 's' }).end(answer(RESULT));
    } else if (message.id === undefined) response.writeHead(202).end();
    else if (misdeed === undefined) response.writeHead(200, sse).end(event(answer({ ok: true })));
    else misdeed(response, answer({ ok: true }));
  }

  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    folder = await workFolder();
    upstream = `http://127.0.0.1:${port}/mcp`;
    proxy = await startShadowcat(['reverse', '--upstream', upstream], folder.path);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
  });

  type Said = { readonly status: number; readonly said: RegExp };
  async function isSaid(by: Shadowcat, does: Misdeed, { status, said }: Said): Promise<void> {
    const session = await openSession(by.url);
    misdeed = does;
    const response = await session.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    const text = await response.text();
    misdeed = undefined;
    expect({ status: response.status, text }).toEqual({ status, text: expect.stringMatching(said) });
    expect(text).toMatch(/"id":1,"error"/);
    const again = await session.post({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
    expect(await again.text()).toContain('"ok":true');
  }

  it.each(cases)('%s', async (_what, does, status, said) => isSaid(proxy, does, { status, said }));

  it('never begins to answer', AT_ONCE, async () => {
    await using own = await workFolder();
    // What it does answer has to come within the same time, on a busy machine, too.
    const patience = ['--first-byte-timeout', '2s'];
    await using impatient = await startShadowcat(['reverse', ...patience, '--upstream', upstream], own.path);
    await isSaid(impatient, () => {}, { status: 504, said: /did not begin to answer within 2 s/ });
  });

  it('closes the standing stream of a session that its client deleted', AT_ONCE, async () => {
    await using fixture = await startFixture();
    await using own = await workFolder();
    await using before = await startShadowcat(['reverse', '--upstream', fixture.url], own.path);
    const session = await openSession(before.url);
    const stream = await session.get();
    const rest = stream.text();
    expect((await session.delete()).status).toBe(200);
    // The event that clients can come back to has no data.
    expect(await rest).not.toMatch(/^data: \S/m);
    expect(before.stderr).not.toMatch(/opened again/);
  });
});

describe('a command that', () => {
  const reads = `import { createInterface } from 'node:readline';
const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize') say({ jsonrpc: '2.0', id, result: ${JSON.stringify(RESULT)} });
  else if (id !== undefined) answer(id, params);
});
`;
  const cases: readonly [what: string, code: string, said: RegExp][] = [
    [
      'talks nonsense around its answers',
      `${reads}console.log('Starting…'); console.log('{half'); console.log('[1,');
function answer(id) { console.log('noise'); say({ jsonrpc: '2.0', id: 'nobody', result: {} });
  say({ jsonrpc: '2.0', id, result: { said: 'yes' } }); say({ jsonrpc: '2.0', id, result: { said: 'twice' } }); }`,
      /^\{"jsonrpc":"2.0","id":1,"result":\{"said":"yes"\}\}$/,
    ],
    [
      'answers with 5 MiB',
      `${reads}function answer(id) { say({ jsonrpc: '2.0', id, result: { text: 'x'.repeat(5 << 20) } }); }`,
      /^.{5242880,}$/,
    ],
    [
      'writes more than the limit',
      `${reads}function answer(id) { say({ jsonrpc: '2.0', id, result: { text: 'x'.repeat(11 << 20) } }); }`,
      /"id":1,"error".*more than 10485760 bytes/,
    ],
    [
      'ends with its answer, without a line end',
      `${reads}function answer(id) {
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result: { said: 'bye' } }), () => process.exit(0)); }`,
      /"said":"bye"/,
    ],
    ['is killed', `${reads}function answer() { process.kill(process.pid, 'SIGKILL'); }`, /"id":1,"error".*SIGKILL/],
    [
      'floods stderr',
      `${reads}function answer(id) { for (let i = 0; i < 5000; i++) console.error('x'.repeat(200));
  say({ jsonrpc: '2.0', id, result: { said: 'done' } }); }`,
      /"said":"done"/,
    ],
  ];
  it.each(cases)('%s', async (_what, code, said) => {
    await using folder = await workFolder();
    const script = `${folder.path}/server.mjs`;
    await writeFile(script, code);
    await using proxy = await startShadowcat(['reverse', '--', process.execPath, script], folder.path);
    const session = await openSession(proxy.url);
    expect(await (await session.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' })).text()).toMatch(said);
    const exit = await proxy.stop();
    expect({ code: exit.code, left: proxy.survivors() }).toEqual({ code: 0, left: [] });
  });

  it('cannot start properly is said to the client and by health', async () => {
    await using folder = await workFolder();
    const failing = ['-e', 'console.error("boom: no configuration"); process.exit(7)'];
    await using proxy = await startShadowcat(['reverse', '--', process.execPath, ...failing], folder.path);
    const response = await postRaw(proxy.url, JSON.stringify(INITIALIZE));
    expect(response.status).toBe(502);
    expect(await response.text()).toMatch(/"id":"i","error".*code 7.*boom: no configuration/);
    const { status, body } = await readiness(proxy.url);
    expect({ status, detail: body.upstreams.targets[0]?.detail }).toEqual({
      status: 503,
      detail: expect.stringMatching(/code 7.*boom: no configuration/),
    });
  });

  it('floods stdout with what is no message fills neither the log nor memory', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(['reverse', '--drain-timeout', '100ms', '--', 'yes'], folder.path);
    const leave = new AbortController();
    const asked = postRaw(proxy.url, JSON.stringify(INITIALIZE), { signal: leave.signal }).catch(() => undefined);
    await proxy.line(/only counted/, { from: 'stderr' });
    expect((await readiness(proxy.url)).status).toBe(200);
    leave.abort();
    await asked;
    const exit = await proxy.stop({ graceMs: 20_000 });
    expect(exit.code).toBe(0);
    expect(exit.stderr.split('\n').filter((line) => line.includes('no message')).length).toBeLessThanOrEqual(6);
  });

  it('is evicted for another session is opened again for its own', async () => {
    await using folder = await workFolder();
    await using proxy = await startShadowcat(
      ['reverse', '--max-children', '1', '--', process.execPath, FIXTURE_MAIN, 'stdio'],
      folder.path,
    );
    const pids = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const session = await openSession(proxy.url);
        return toolText(await session.post(toolCall(1, 'pid')), 1);
      }),
    );
    expect(pids.filter((pid) => !/^\d+$/.test(pid))).toEqual([]);
  });
});
