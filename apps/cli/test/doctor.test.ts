import { readdirSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { Body, type Connection, type ConnectionSink, type Exchange, ProxyError, reply } from '@shadowcat/kernel';
import { type JsonObject, jsonFraming, sseFraming } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { lineDialogue } from '../src/doctor/dialogue.js';
import { directoryFinding, listenFinding, nodeFinding } from '../src/doctor/findings.js';
import { shakeHands } from '../src/doctor/handshake.js';
import { httpDialogue } from '../src/doctor/http-dialogue.js';
import { emptyDirectory, shadowcat } from './support/fake-host.js';

type Ask = { readonly id?: number; readonly method: string; readonly params?: JsonObject };
type Answer = { readonly result: JsonObject } | { readonly error: { code: number; message: string } };

const LEGACY = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {} },
  serverInfo: { name: 'example', version: '1.2.3' },
};
const PAGES: Record<string, JsonObject> = {
  first: { tools: [{ name: 'a' }, { name: 'b' }], nextCursor: 'more' },
  more: { tools: [{ name: 'c' }] },
};

/** A legacy server. */
function legacyServer({ method, params }: Ask): Answer {
  if (method === 'initialize') return { result: LEGACY };
  if (method === 'tools/list') return { result: PAGES[String(params?.['cursor'] ?? 'first')] ?? {} };
  return { error: { code: -32601, message: `no ${method}` } };
}

/** A server that knows 2026-07-28 only. */
function modernServer({ method, params }: Ask): Answer {
  const claimed = (params?.['_meta'] as JsonObject | undefined)?.['io.modelcontextprotocol/protocolVersion'];
  if (claimed !== '2026-07-28') return { error: { code: -32022, message: 'unsupported protocol version' } };
  if (method === 'tools/list') return { result: { tools: [{ name: 'a' }] } };
  const serverInfo = { name: 'modern', version: '2' };
  return {
    result: {
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {} },
      _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo },
    },
  };
}

/** A line to a server that answers in the next turn. */
function lineTo(server: (ask: Ask) => Answer | undefined, log: string[] = []): Connection & { sink?: ConnectionSink } {
  return {
    name: 'test',
    listen(sink) {
      this.sink = sink;
    },
    async send(text) {
      const ask = JSON.parse(text) as Ask;
      log.push(ask.method ?? text);
      const answer = ask.id === undefined ? undefined : server(ask);
      if (answer !== undefined)
        queueMicrotask(() => this.sink?.message(JSON.stringify({ jsonrpc: '2.0', id: ask.id, ...answer })));
    },
    destroy() {},
    async [Symbol.asyncDispose]() {
      log.push('(closed)');
    },
  };
}

describe('a handshake', () => {
  it('over a line tells name, version, protocol and the number of tools, all pages of them', async () => {
    const log: string[] = [];
    const dialogue = lineDialogue(lineTo(legacyServer, log));
    expect(await shakeHands(dialogue)).toEqual({
      name: 'example',
      version: '1.2.3',
      protocolVersion: '2025-11-25',
      tools: 3,
    });
    await dialogue.close();
    expect(log).toEqual(['initialize', 'notifications/initialized', 'tools/list', 'tools/list', '(closed)']);
  });

  it('turns to the modern way when the legacy one is refused', async () => {
    const facts = await shakeHands(lineDialogue(lineTo(modernServer)));
    expect(facts).toEqual({ name: 'modern', version: '2', protocolVersion: '2026-07-28', tools: 1 });
  });

  it('does not ask for tools where there are none', async () => {
    const log: string[] = [];
    const server = (): Answer => ({
      result: { protocolVersion: '2024-11-05', capabilities: {}, serverInfo: { name: 'a', version: '1' } },
    });
    expect(await shakeHands(lineDialogue(lineTo(server, log)))).toMatchObject({ tools: undefined });
    expect(log).not.toContain('tools/list');
  });

  it('says what a server that refuses everything said first', async () => {
    const server = ({ method }: Ask): Answer => ({ error: { code: -32000, message: `refused ${method}` } });
    await expect(shakeHands(lineDialogue(lineTo(server)))).rejects.toThrow('refused initialize (-32000)');
  });

  it('answers ping and refuses what else the server asks', async () => {
    const log: string[] = [];
    const line = lineTo(() => undefined, log);
    lineDialogue(line);
    line.sink?.message('{"jsonrpc":"2.0","id":"p","method":"ping"}');
    line.sink?.message('{"jsonrpc":"2.0","id":7,"method":"roots/list"}');
    expect(log).toEqual([
      '{"jsonrpc":"2.0","id":"p","result":{}}',
      expect.stringContaining('"id":7,"error":{"code":-32601'),
    ]);
  });

  it('ends with the reason when the line ends', async () => {
    const line = lineTo(() => undefined);
    const facts = shakeHands(lineDialogue(line));
    line.sink?.closed(new ProxyError('child_exited', 'the server process exited with code 3'));
    await expect(facts).rejects.toThrow('exited with code 3');
  });

  it('over HTTP keeps the session, reads JSON and streams, and deletes the session', async () => {
    const seen: string[] = [];
    const handler = async (exchange: Exchange): Promise<ReturnType<typeof reply>> => {
      const { method, headers } = exchange.head;
      const text = new TextDecoder().decode(await exchange.body.collect(10_000));
      const ask = text === '' ? undefined : (JSON.parse(text) as Ask);
      seen.push(
        `${method} ${ask?.method ?? ''} ${headers['mcp-session-id'] ?? '-'} ${headers['mcp-protocol-version'] ?? '-'}`,
      );
      if (ask?.id === undefined) return reply({ status: 202, headers: {} });
      const answer = JSON.stringify({ jsonrpc: '2.0', id: ask.id, ...legacyServer(ask) });
      if (ask.method === 'initialize') {
        return reply(
          { status: 200, headers: { 'mcp-session-id': 's1' } },
          Body.whole(new TextEncoder().encode(answer), jsonFraming),
        );
      }
      const events = `: hello\n\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\ndata: ${answer}\n\n`;
      return reply({ status: 200, headers: {} }, Body.whole(new TextEncoder().encode(events), sseFraming));
    };
    const dialogue = httpDialogue(handler, new AbortController().signal);
    expect(await shakeHands(dialogue)).toMatchObject({ name: 'example', tools: 3 });
    await dialogue.close();
    expect(seen).toEqual([
      'POST initialize - -',
      'POST notifications/initialized s1 2025-11-25',
      'POST tools/list s1 2025-11-25',
      'POST tools/list s1 2025-11-25',
      'DELETE  s1 2025-11-25',
    ]);
  });

  it('over HTTP sends the headers of a modern request', async () => {
    const seen: unknown[] = [];
    const handler = async (exchange: Exchange): Promise<ReturnType<typeof reply>> => {
      const ask = JSON.parse(new TextDecoder().decode(await exchange.body.collect(10_000))) as Ask;
      const answer = modernServer(ask);
      seen.push([ask.method, exchange.head.headers['mcp-protocol-version'], exchange.head.headers['mcp-method']]);
      const text = JSON.stringify({ jsonrpc: '2.0', id: ask.id, ...answer });
      return reply(
        { status: 'error' in answer ? 400 : 200, headers: {} },
        Body.whole(new TextEncoder().encode(text), jsonFraming),
      );
    };
    expect(await shakeHands(httpDialogue(handler, new AbortController().signal))).toMatchObject({
      name: 'modern',
      tools: 1,
    });
    expect(seen).toEqual([
      ['initialize', undefined, undefined],
      ['server/discover', '2026-07-28', 'server/discover'],
      ['tools/list', '2026-07-28', 'tools/list'],
    ]);
  });

  it('over HTTP says so when the address is no MCP endpoint', async () => {
    const handler = async (): Promise<ReturnType<typeof reply>> =>
      reply({ status: 404, headers: {} }, Body.whole(new TextEncoder().encode('<h1>Not found</h1>'), jsonFraming));
    await expect(shakeHands(httpDialogue(handler, new AbortController().signal))).rejects.toThrow(
      'the server gave HTTP 404; is this the address of an MCP endpoint?',
    );
  });
});

describe('findings', () => {
  it('tell an old Node', () => {
    expect(nodeFinding('24.1.0')).toEqual({ subject: 'node', verdict: 'ok', text: '24.1.0' });
    expect(nodeFinding('20.1.0')).toMatchObject({ verdict: 'fail', text: expect.stringContaining('needs Node') });
  });

  it('tell a free port from one in use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await listenFinding({ host: '127.0.0.1', port })).toMatchObject({
      verdict: 'fail',
      text: expect.stringContaining(`127.0.0.1:${port} is in use`),
    });
    await new Promise((resolve) => server.close(resolve));
    expect(await listenFinding({ host: '127.0.0.1', port })).toMatchObject({ verdict: 'ok' });
  });

  it('look at the directory that a path will be made in', () => {
    const directory = emptyDirectory({ file: '' });
    expect(directoryFinding('store', join(directory, 'not', 'yet'))).toMatchObject({
      verdict: expect.stringMatching(/ok|warn/),
      text: expect.stringContaining('can be written'),
    });
    expect(readdirSync(directory)).toEqual(['file']);
  });

  it('is not content with a place where nothing can be made, whatever it says of itself', () => {
    expect(directoryFinding('store', '/proc/shadowcat-no-such-process')).toMatchObject({
      verdict: 'fail',
      text: '/proc cannot be written to by this user',
    });
  });
});

describe('doctor', () => {
  it('reports on this machine and exits with 0', async () => {
    const { code, out, err } = await shadowcat(['doctor', '--listen', '127.0.0.1:0']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.split('\n').map((line) => line.slice(6).split(' ')[0])).toEqual([
      'node',
      'config',
      'listen',
      'store',
      '',
    ]);
  });

  it('talks to a command and tells what it is', async () => {
    const script = `
      require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
        const { id, method } = JSON.parse(line);
        if (id === undefined) return;
        const result = method === 'initialize' ? ${JSON.stringify(LEGACY)} : { tools: [{ name: 'a' }] };
        console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
      });`;
    const { code, out } = await shadowcat(['doctor', '--listen', '127.0.0.1:0', '--', process.execPath, '-e', script]);
    expect(out).toContain('ok    command      node is example 1.2.3, protocol 2025-11-25, 1 tool\n');
    expect(code).toBe(0);
  });

  it('tells of a command that does not exist among its findings', async () => {
    const { code, out, err } = await shadowcat([
      'doctor',
      '--listen',
      '127.0.0.1:0',
      '--',
      'shadowcat-no-such-command',
    ]);
    expect(out).toMatch(/fail {2}command {6}there is no command "shadowcat-no-such-command" on PATH/);
    expect({ code, err }).toEqual({ code: 1, err: '' });
  });

  it('exits with 1 and the last words of a command that ends', async () => {
    const script = 'console.error("no database"); process.exit(3)';
    const { code, out } = await shadowcat(['doctor', '--listen', '127.0.0.1:0', '--', process.execPath, '-e', script]);
    expect(out).toMatch(/fail {2}command {6}node: .*exited with code 3.*no database/);
    expect(code).toBe(1);
  });

  it('talks to a server of the legacy pair', async () => {
    let stream: ServerResponse | undefined;
    const server = createServer(async (request, response) => {
      if (request.method === 'GET') {
        stream = response.writeHead(200, { 'content-type': 'text/event-stream' });
        stream.write('event: endpoint\ndata: /message\n\n');
        return;
      }
      const { id, method } = (await json(request)) as JsonObject;
      response.writeHead(202).end();
      const result = method === 'initialize' ? LEGACY : { tools: [{ name: 'a' }] };
      if (id !== undefined) stream?.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const url = `sse+http://127.0.0.1:${port}/sse`;
    const { code, out } = await shadowcat(['doctor', '--listen', '127.0.0.1:0', '--upstream', url]);
    await new Promise((resolve) => server.close(resolve));
    expect(out).toContain(`ok    upstream     ${url} is example 1.2.3, protocol 2025-11-25, 1 tool\n`);
    expect(code).toBe(0);
  });

  it('exits with 1 when nothing listens at the upstream', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const { code, out } = await shadowcat([
      'doctor',
      '--listen',
      '127.0.0.1:0',
      '--upstream',
      `http://127.0.0.1:${port}/mcp`,
    ]);
    expect(out).toMatch(/fail {2}upstream {5}http:\/\/127.0.0.1:\d+\/mcp cannot be reached: connection refused/);
    expect(code).toBe(1);
  });
});
