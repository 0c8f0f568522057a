import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drive } from '../src/clients.js';
import { openSession, postRaw } from '../src/raw-mcp.js';
import { everythingServer, startEverything } from '../src/servers.js';
import { runShadowcat, type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** What users and clients get wrong: one clear message each, the right exit code or status, and the proxy lives on. */

describe('the command line', () => {
  const cases: readonly [what: string, args: readonly string[], code: number, message: RegExp][] = [
    ['no upstream', ['reverse'], 2, /upstream/],
    ['an unknown option', ['reverse', '--upstraem', 'http://localhost:1/mcp'], 2, /--upstream/],
    [
      'a bad duration',
      ['reverse', '--session-idle', 'soon', '--upstream', 'http://localhost:1/mcp'],
      2,
      /30s|duration/,
    ],
    ['a tape that does not exist', ['replay', 'nowhere.tape.jsonl'], 2, /nowhere\.tape\.jsonl/],
    ['record without --out', ['record', '--', 'node'], 2, /--out/],
  ];
  it.each(cases)('%s', async (_what, args, code, message) => {
    await using folder = await workFolder();
    const exit = await runShadowcat(args, folder.path);
    expect(exit.stderr).toMatch(message);
    expect(exit.stderr).not.toMatch(/^\s+at /m);
    expect({ code: exit.code, stdout: exit.stdout }).toEqual({ code, stdout: '' });
    expect(exit.stderr.trim().split('\n').length).toBeLessThanOrEqual(3);
  });

  it('a port in use', async () => {
    await using folder = await workFolder();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const exit = await runShadowcat(
      ['reverse', '--listen', `127.0.0.1:${port}`, '--upstream', 'http://localhost:1/mcp'],
      folder.path,
    );
    server.close();
    expect(exit.stderr).toContain(String(port));
    expect(exit.stderr).not.toMatch(/^\s+at /m);
    expect(exit.code).toBe(1);
  });

  it('a broken YAML line names file, line and key', async () => {
    await using folder = await workFolder();
    await writeFile(
      `${folder.path}/shadowcat.yaml`,
      'listen: 127.0.0.1:0\nsession-idle: soon\nupstream: [http://localhost:1/mcp\n',
    );
    const exit = await runShadowcat(['reverse'], folder.path);
    expect(exit.stderr).toMatch(/shadowcat\.yaml:\d+/);
    expect(exit.code).toBe(2);
    await writeFile(`${folder.path}/shadowcat.yaml`, 'upstream: http://localhost:1/mcp\nsession-idle: soon\n');
    const second = await runShadowcat(['config', 'check'], folder.path);
    expect(second.stderr).toMatch(/shadowcat\.yaml:2.*session-idle/);
    expect(second.code).toBe(2);
  });

  it('a tape cut in half', async () => {
    await using folder = await workFolder();
    const { target, tour } = everythingServer();
    const tape = `${folder.path}/t.tape.jsonl`;
    await using proxy = await startShadowcat(
      ['record', '--out', tape, '--', target.command, ...target.args],
      folder.path,
    );
    await drive('v1', { url: proxy.url }, { tour });
    await proxy.stop();
    const text = await readFile(tape, 'utf8');
    await writeFile(`${folder.path}/half.tape.jsonl`, text.slice(0, text.length / 2));
    const exit = await runShadowcat(
      ['replay', '--listen', '127.0.0.1:0', `${folder.path}/half.tape.jsonl`],
      folder.path,
    );
    expect(exit.stderr).toMatch(/half\.tape\.jsonl:\d+/);
    expect({ code: exit.code, stdout: exit.stdout }).toEqual({ code: 3, stdout: '' });
  });
});

describe('the endpoint', () => {
  let folder: Awaited<ReturnType<typeof workFolder>>;
  let everything: Awaited<ReturnType<typeof startEverything>>;
  let proxy: Shadowcat;

  beforeAll(async () => {
    folder = await workFolder();
    everything = await startEverything();
    proxy = await startShadowcat(['reverse', '--max-body', '64KiB', '--upstream', everything.url], folder.path);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await everything[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  const request = (id: number, method: string, params: unknown = {}): string =>
    JSON.stringify({ jsonrpc: '2.0', id, method, params });

  const cases: readonly [what: string, body: string, headers: Record<string, string>, status: number, code: number][] =
    [
      ['invalid JSON', '{"jsonrpc":', {}, 400, -32700],
      ['a body over the limit', request(1, 'ping', { pad: 'x'.repeat(70_000) }), {}, 413, -32000],
      ['a foreign Origin', request(1, 'ping'), { origin: 'https://evil.example' }, 403, -32000],
      ['a content type that is not JSON', request(1, 'ping'), { 'content-type': 'text/plain' }, 415, -32000],
      ['an unknown session', request(1, 'ping'), { 'mcp-session-id': 'nope' }, 404, -32001],
      ['deep nesting', request(1, 'ping', JSON.parse(`${'['.repeat(80)}${']'.repeat(80)}`)), {}, 400, -32600],
      ['a duplicate key', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}', {}, 400, -32600],
      ['invalid batch', '[]', {}, 400, -32600],
    ];
  it.each(cases)('%s', async (_what, body, headers, status, code) => {
    const response = await postRaw(proxy.url, body, { headers });
    const answer = (await response.json()) as { jsonrpc: string; error: { code: number; message: string } };
    expect({ status: response.status, jsonrpc: answer.jsonrpc }).toEqual({ status, jsonrpc: '2.0' });
    expect(answer.error.code).toBe(code);
    expect(answer.error.message.length).toBeGreaterThan(10);
    const session = await openSession(proxy.url);
    expect((await session.post(request(2, 'ping'))).status).toBe(200);
  });

  it('a foreign Host', async () => {
    const { request: httpRequest } = await import('node:http');
    const { hostname, port } = new URL(proxy.url);
    const outgoing = httpRequest({
      hostname,
      port,
      path: '/mcp',
      method: 'POST',
      headers: { host: 'evil.example', 'content-type': 'application/json' },
    });
    outgoing.end(request(1, 'ping'));
    const [response] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage];
    expect(response.statusCode).toBe(403);
    response.resume();
    await once(response, 'end');
  });
});

it('a command that does not exist is said at once', async () => {
  await using folder = await workFolder();
  const exit = await runShadowcat(
    ['reverse', '--listen', '127.0.0.1:0', '--', 'no-such-command-anywhere'],
    folder.path,
  );
  expect(exit.stderr).toMatch(/no-such-command-anywhere/);
  expect(exit.code).toBe(2);
});
