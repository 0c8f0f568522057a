import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RawConnection } from '../src/raw-connection.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/**
 * What may come over a socket, byte for byte, against the real command. The upstream counts: whatever is refused must not
 * have reached it.
 */
const JSON_TYPE = 'Content-Type: application/json';
const ACCEPT = 'Accept: application/json, text/event-stream';
const PING = '{"jsonrpc":"2.0","id":7,"method":"ping"}';
const CLAIM =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

const STRICT: readonly string[] = ['reverse', '--max-body', '64KiB', '--max-json-nodes', '1000'];
/** For requests that stop: no other one may have to be that quick. */
const IMPATIENT: readonly string[] = [...STRICT, '--headers-timeout', '500ms', '--request-timeout', '1s'];

interface Case {
  readonly name: string;
  /** The whole request; `HOST` stands for the proxy's own authority. */
  readonly raw: string | Uint8Array;
  readonly status: number;
  /** Of the JSON-RPC error. */
  readonly code?: number;
  readonly id?: number | null;
  /** Whether the connection must be closed afterwards. One that is not said to be must serve another request. */
  readonly closes?: boolean;
}

let folder: Awaited<ReturnType<typeof workFolder>>;
let upstream: Server;
let seen: IncomingMessage[] = [];
let proxy: Shadowcat;
let impatient: Shadowcat;
let host = '';

beforeAll(async () => {
  folder = await workFolder();
  // Its answers say that it keeps connections for long, and so it does.
  upstream = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const message = parsed(body);
      // The proxy may ask questions of its own, such as which era is spoken here.
      if (message === undefined || message.method === 'ping' || message.method?.startsWith('tools/'))
        seen.push(request);
      else if (message.id === undefined) return void response.writeHead(202).end();
      response.writeHead(200, {
        'content-type': 'application/json',
        connection: 'keep-alive, x-hop',
        'x-hop': 'secret',
        'keep-alive': 'timeout=77',
        'proxy-authenticate': 'Basic',
      });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message?.id, result: resultOf(message?.method) }));
      return undefined;
    });
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const { port } = upstream.address() as AddressInfo;
  const to = ['--upstream', `http://127.0.0.1:${port}/mcp`];
  [proxy, impatient] = await Promise.all([
    startShadowcat([...STRICT, ...to], folder.path),
    startShadowcat([...IMPATIENT, '--store', 'memory:', ...to], folder.path),
  ]);
  host = new URL(proxy.url).host;
});
afterAll(async () => {
  await Promise.all([proxy[Symbol.asyncDispose](), impatient[Symbol.asyncDispose]()]);
  upstream.closeAllConnections();
  upstream.close();
  await folder[Symbol.asyncDispose]();
});
beforeEach(() => {
  seen = [];
});

/** The upstream serves both eras. */
function resultOf(method: string | undefined): object {
  if (method !== 'server/discover') return {};
  const supportedVersions = ['2026-07-28', '2025-11-25'];
  return { resultType: 'complete', supportedVersions, capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' };
}

function parsed(body: string): { readonly id?: unknown; readonly method?: string } | undefined {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function post(body: string, ...fields: string[]): string {
  return head('POST /mcp HTTP/1.1', 'Host: HOST', JSON_TYPE, ACCEPT, lengthOf(body), ...fields) + body;
}

function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function lengthOf(body: string): string {
  return `Content-Length: ${Buffer.byteLength(body)}`;
}

function modern(method: string, params: string, ...fields: string[]): string {
  const body = `{"jsonrpc":"2.0","id":7,"method":"${method}","params":{${params}${params === '' ? '' : ','}${CLAIM}}}`;
  return post(body, 'MCP-Protocol-Version: 2026-07-28', ...fields);
}

const chunked = (...chunks: string[]): string =>
  head('POST /mcp HTTP/1.1', 'Host: HOST', JSON_TYPE, ACCEPT, 'Transfer-Encoding: chunked') + chunks.join('');

const utf8 = (text: string, ...more: number[]): Uint8Array =>
  Buffer.concat([Buffer.from(text.replaceAll('HOST', host)), Buffer.from(more)]);

const refused: readonly Case[] = [
  { name: 'no Host', raw: head('POST /mcp HTTP/1.1', 'Content-Length: 0'), status: 400, code: -32600, closes: true },
  {
    name: 'two equal Hosts',
    raw: head('POST /mcp HTTP/1.1', 'Host: HOST', 'Host: HOST', 'Content-Length: 0'),
    status: 400,
    code: -32600,
    closes: true,
  },
  { name: 'an empty Host', raw: post(PING).replace('Host: HOST', 'Host:'), status: 400, code: -32600 },
  { name: 'a foreign Host', raw: post(PING).replace('Host: HOST', 'Host: evil.example'), status: 403, code: -32000 },
  {
    name: 'a Host that begins like ours',
    raw: post(PING).replace('Host: HOST', 'Host: 127.0.0.1.evil.example'),
    status: 403,
    code: -32000,
  },
  {
    name: 'a Host with a user in it',
    raw: post(PING).replace('Host: HOST', 'Host: 127.0.0.1@evil.example'),
    status: 403,
    code: -32000,
  },
  { name: 'a foreign Origin', raw: post(PING, 'Origin: https://evil.example'), status: 403, code: -32000 },
  { name: 'the Origin null', raw: post(PING, 'Origin: null'), status: 403, code: -32000 },
  {
    name: 'two Origins',
    raw: post(PING, 'Origin: http://localhost', 'Origin: http://evil'),
    status: 403,
    code: -32000,
  },
  {
    name: 'an absolute target at a foreign authority, whatever Host says',
    raw: post(PING).replace('POST /mcp', 'POST http://evil.example/mcp'),
    status: 403,
    code: -32000,
  },
  {
    name: 'an absolute target with a user in it',
    raw: post(PING).replace('POST /mcp', 'POST http://localhost@evil.example/mcp'),
    status: 404,
    code: -32000,
  },
  { name: 'OPTIONS *', raw: head('OPTIONS * HTTP/1.1', 'Host: HOST'), status: 404, code: -32000 },
  { name: 'TRACE', raw: head('TRACE /mcp HTTP/1.1', 'Host: HOST'), status: 405, code: -32000 },
  {
    name: 'a length and chunks',
    raw: post(PING, 'Transfer-Encoding: chunked'),
    status: 400,
    code: -32600,
    id: null,
    closes: true,
  },
  { name: 'two lengths that differ', raw: post(PING, 'Content-Length: 3'), status: 400, code: -32600, closes: true },
  { name: 'a negative length', raw: post(PING).replace(/Length: \d+/, 'Length: -1'), status: 400, closes: true },
  { name: 'a length with a sign', raw: post(PING).replace('Length: ', 'Length: +'), status: 400, closes: true },
  { name: 'an unknown transfer coding', raw: post('', 'Transfer-Encoding: gzip'), status: 400, closes: true },
  { name: 'two transfer codings', raw: chunked('').replace(': chunked', ': gzip, chunked'), status: 400, closes: true },
  {
    name: 'chunked twice',
    raw: chunked('0\r\n\r\n').replace(': chunked', ': chunked, chunked'),
    status: 400,
    closes: true,
  },
  {
    name: 'identity and chunked in two fields',
    raw: chunked('0\r\n\r\n').replace('Transfer-', 'Transfer-Encoding: identity\r\nTransfer-'),
    status: 400,
    closes: true,
  },
  { name: 'a length in a list', raw: post(PING).replace(/Length: (\d+)/, 'Length: $1, $1'), status: 400, closes: true },
  {
    name: 'a length in hexadecimal',
    raw: post(PING).replace(/Length: \d+/, 'Length: 0x28'),
    status: 400,
    closes: true,
  },
  { name: 'two content types', raw: post(PING, 'Content-Type: text/plain'), status: 400, closes: true },
  {
    name: 'two credentials',
    raw: post(PING, 'Authorization: Bearer a', 'Authorization: Bearer b'),
    status: 400,
    closes: true,
  },
  { name: 'two sessions', raw: post(PING, 'Mcp-Session-Id: a', 'Mcp-Session-Id: b'), status: 404, code: -32001 },
  { name: 'another expectation', raw: post(PING, 'Expect: magic'), status: 417, closes: true },
  { name: 'the words of HTTP/2 in HTTP/1', raw: post(PING).replace('HTTP/1.1', 'HTTP/2.0'), status: 400, closes: true },
  { name: 'the preface of HTTP/2', raw: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: 400, closes: true },
  { name: 'the beginning of TLS', raw: Buffer.from('16030102000100', 'hex'), status: 400, closes: true },
  { name: 'HTTP/0.9', raw: 'GET /mcp\r\n\r\n', status: 400, closes: true },
  { name: 'CR alone in a field', raw: post(PING, 'X-A: b\rX-B: c'), status: 400, closes: true },
  { name: 'a field without a name', raw: post(PING, ': c'), status: 400, closes: true },
  { name: 'LF alone between chunks', raw: chunked(`28\n${PING}\n0\n\n`), status: 400, closes: true },
  {
    name: 'chunk extensions without end',
    raw: chunked(`28;${'a'.repeat(17_000)}\r\n${PING}\r\n0\r\n\r\n`),
    status: 413,
    closes: true,
  },
  {
    name: 'trailers without end',
    raw: chunked(`28\r\n${PING}\r\n0\r\n${'X-T: aaaaaaaa\r\n'.repeat(3000)}\r\n`),
    status: 431,
    closes: true,
  },
  { name: 'an escaped path', raw: post(PING).replace('/mcp', '/%6dcp'), status: 404 },
  { name: 'a path with dots', raw: post(PING).replace('/mcp', '/x/../mcp'), status: 404 },
  { name: 'a path with two slashes', raw: post(PING).replace('/mcp', '//mcp'), status: 404 },
  { name: 'a Host with a path', raw: post(PING).replace('Host: HOST', 'Host: HOST/x'), status: 403 },
  { name: 'a Host in a list', raw: post(PING).replace('Host: HOST', 'Host: localhost, evil.example'), status: 403 },
  {
    name: 'a Host with another port syntax',
    raw: post(PING).replace('Host: HOST', 'Host: localhost:80x'),
    status: 403,
  },
  { name: 'a byte order mark', raw: post(`\ufeff${PING}`), status: 400, code: -32700 },
  { name: 'a batch in a batch', raw: post(`[[${PING}]]`), status: 400, code: -32600 },
  {
    name: 'a batch that is too long',
    raw: post(`[${Array.from({ length: 101 }, () => PING).join(',')}]`),
    status: 400,
    code: -32600,
  },
  {
    name: 'more parts than allowed',
    raw: post(`{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":[${'1,'.repeat(2000)}1]}}`),
    status: 400,
    code: -32600,
  },
  {
    name: 'an upgrade elsewhere, with a request behind it',
    raw: head('GET /x HTTP/1.1', 'Host: HOST', 'Connection: Upgrade', 'Upgrade: websocket') + post(PING),
    status: 404,
    closes: true,
  },
  { name: 'a chunk size that is no number', raw: chunked('zz\r\n{}\r\n0\r\n\r\n'), status: 400, closes: true },
  { name: 'a chunk size with a sign', raw: chunked('-1\r\n{}\r\n0\r\n\r\n'), status: 400, closes: true },
  { name: 'a chunk longer than its size', raw: chunked('2\r\n{}}\r\n0\r\n\r\n'), status: 400, closes: true },
  {
    name: 'an enormous chunk size',
    raw: chunked('fffffffffffffffff\r\n{}\r\n0\r\n\r\n'),
    status: 400,
    closes: true,
  },
  { name: 'a folded field', raw: post(PING, 'X-A: b\r\n c'), status: 400, closes: true },
  { name: 'a NUL in a field', raw: post(PING, 'X-A: b\0c'), status: 400, closes: true },
  { name: 'a control character in a field', raw: post(PING, 'X-A: b\x01c'), status: 400, closes: true },
  { name: 'a space before the colon', raw: post(PING, 'X-A : b'), status: 400, closes: true },
  { name: 'a line that ends with LF alone', raw: post(PING, 'X-A: b\nX-B: c'), status: 400, closes: true },
  { name: 'a field of 20 kB', raw: post(PING, `X-A: ${'x'.repeat(20_000)}`), status: 431, closes: true },
  {
    name: '120 fields',
    raw: post(PING, ...Array.from({ length: 120 }, (_, i) => `X-${i}: 1`)),
    status: 431,
    code: -32600,
    closes: true,
  },
  { name: 'no content type', raw: post(PING).replace(`${JSON_TYPE}\r\n`, ''), status: 415, code: -32000 },
  { name: 'a form', raw: post(PING).replace('application/json\r', 'text/plain\r'), status: 415, code: -32000 },
  {
    name: 'JSON with parameters of another type',
    raw: post(PING).replace('application/json\r', 'text/plain; a=application/json\r'),
    status: 415,
    code: -32000,
  },
  { name: 'a compressed body', raw: post(PING, 'Content-Encoding: gzip'), status: 415, code: -32000 },
  { name: 'Accept of JSON alone', raw: post(PING).replace(/Accept: .*/, 'Accept: application/json'), status: 406 },
  { name: 'a body that is no JSON', raw: post('{"jsonrpc":'), status: 400, code: -32700, id: null },
  { name: 'an empty body', raw: post(''), status: 400, code: -32700, id: null },
  {
    name: 'a duplicate key',
    raw: post('{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/list"}'),
    status: 400,
    code: -32600,
  },
  {
    name: 'a duplicate key in another spelling',
    raw: post('{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":1,"\\u0061":2}}'),
    status: 400,
    code: -32600,
  },
  {
    name: 'depth over the limit',
    raw: post(`{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":${'['.repeat(70)}${']'.repeat(70)}}}`),
    status: 400,
    code: -32600,
  },
  {
    name: 'a body over the limit',
    raw: post(`{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":"${'x'.repeat(70_000)}"}}`),
    status: 413,
    code: -32000,
    closes: true,
  },
  {
    name: 'a batch under a revision without them',
    raw: post(`[${PING}]`, 'MCP-Protocol-Version: 2025-06-18'),
    status: 400,
    code: -32600,
  },
  {
    name: 'a modern batch',
    raw: post(`[${PING}]`, 'MCP-Protocol-Version: 2026-07-28'),
    status: 400,
    code: -32600,
  },
  {
    name: 'a modern request without Mcp-Method',
    raw: modern('tools/list', ''),
    status: 400,
    code: -32020,
    id: 7,
  },
  {
    name: 'a modern request with another Mcp-Method',
    raw: modern('tools/list', '', 'Mcp-Method: tools/call'),
    status: 400,
    code: -32020,
    id: 7,
  },
  {
    name: 'a modern request with another version in its header',
    raw: modern('tools/list', '', 'Mcp-Method: tools/list').replace('Version: 2026-07-28', 'Version: 2025-11-25'),
    status: 400,
    code: -32020,
    id: 7,
  },
  {
    name: 'a modern call with another Mcp-Name',
    raw: modern('tools/call', '"name":"add"', 'Mcp-Method: tools/call', 'Mcp-Name: remove'),
    status: 400,
    code: -32020,
    id: 7,
  },
  {
    name: 'a modern call with another Mcp-Name in Base64',
    raw: modern('tools/call', '"name":"add"', 'Mcp-Method: tools/call', 'Mcp-Name: =?base64?cmVtb3Zl?='),
    status: 400,
    code: -32020,
    id: 7,
  },
  {
    name: 'a modern call with Base64 that is none',
    raw: modern('tools/call', '"name":"add"', 'Mcp-Method: tools/call', 'Mcp-Name: =?base64?YWR?='),
    status: 400,
    code: -32020,
    id: 7,
  },
  {
    name: 'a modern GET',
    raw: head('GET /mcp HTTP/1.1', 'Host: HOST', 'MCP-Protocol-Version: 2026-07-28'),
    status: 405,
  },
];

const stopping: readonly Case[] = [
  { name: 'a request that stops in its head', raw: 'POST /mcp HTTP/1.1\r\nHost: HOST\r\n', status: 408, closes: true },
  { name: 'a request that stops in its body', raw: post(PING).slice(0, -5), status: 408, closes: true },
];

interface RpcError {
  readonly jsonrpc: string;
  readonly id: unknown;
  readonly error: { readonly code: number };
}

/** Upgrades are refused in plain text. */
function bodyOf(text: string): RpcError {
  return text.startsWith('{') ? JSON.parse(text) : { jsonrpc: '2.0', id: null, error: { code: 0 } };
}

async function refuses({ raw, status, code, id, closes = false }: Case, by: string): Promise<void> {
  using wire = new RawConnection(by);
  wire.write(raw);
  const answer = await wire.answer();
  expect(answer?.status).toBe(status);
  const body = bodyOf(answer?.body ?? '');
  expect(body.jsonrpc).toBe('2.0');
  expect(body.error.code).toBe(code ?? body.error.code);
  if (id !== undefined) expect(body.id).toBe(id);
  // Where the body has not been read, the rest of the connection cannot be either.
  const last = answer?.fields.includes('connection: close') === true;
  if (closes) expect(last).toBe(true);
  if (last) await wire.closed();
  else {
    wire.write(head('OPTIONS /mcp HTTP/1.1', 'Host: HOST'));
    expect((await wire.answer())?.status).toBe(204);
  }
  expect(seen).toEqual([]);
}

describe('refused before it reaches the upstream:', () => {
  it.each(refused)('$name', (what) => refuses(what, host));
  it.each(stopping)('$name', (what) => refuses(what, new URL(impatient.url).host));

  it('bytes that are no UTF-8', async () => {
    const [start, end] = ['{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":"', '"}}'];
    using wire = new RawConnection(host);
    const fields = head(
      'POST /mcp HTTP/1.1',
      'Host: HOST',
      JSON_TYPE,
      ACCEPT,
      `Content-Length: ${start.length + 2 + 3}`,
    );
    wire.write(Buffer.concat([utf8(fields + start, 0xc3, 0x28), Buffer.from(end)]));
    const answer = await wire.answer();
    expect(answer?.status).toBe(400);
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ error: { code: -32700 } });
    expect(seen).toEqual([]);
  });

  it('CONNECT, by closing the connection', async () => {
    using wire = new RawConnection(host);
    wire.write(head('CONNECT example.com:443 HTTP/1.1', 'Host: HOST'));
    await wire.closed();
    expect(seen).toEqual([]);
  });
});

const served: readonly { readonly name: string; readonly raw: string; readonly closes?: boolean }[] = [
  { name: 'a content type in capitals with parameters', raw: post(PING).replace('/json\r', '/JSON ; Charset=UTF-8\r') },
  { name: 'Accept with wildcards', raw: post(PING).replace(/Accept: .*/, 'Accept: */*') },
  { name: 'no Accept', raw: post(PING).replace(/Accept: .*\r\n/, '') },
  {
    name: 'Accept in two fields',
    raw: post(PING).replace(/Accept: .*/, 'Accept: text/event-stream\r\nAccept: application/json'),
  },
  { name: 'an Origin of this machine', raw: post(PING, 'Origin: http://localhost:6274') },
  { name: 'a Host in capitals', raw: post(PING).replace('Host: HOST', 'Host: LocalHost:1') },
  { name: 'an absolute target', raw: post(PING).replace('POST /mcp', 'POST http://HOST/mcp') },
  {
    name: 'an absolute target of ours with a foreign Host, which is to be ignored',
    raw: post(PING).replace('POST /mcp', 'POST http://HOST/mcp?a=1').replace('Host: HOST', 'Host: evil.example'),
  },
  { name: 'empty lines before it', raw: `\r\n\r\n${post(PING)}` },
  { name: 'fields named like members of objects', raw: post(PING, '__proto__: x', 'constructor: y') },
  {
    name: 'members named like those of objects',
    raw: post('{"jsonrpc":"2.0","id":7,"method":"ping","params":{"__proto__":{"a":1},"constructor":1}}'),
  },
  { name: 'two equal fields that are no list', raw: post(PING, 'X-A: 1', 'X-A: 1') },
  { name: 'chunks with an extension and a trailer', raw: chunked(`28;a=b\r\n${PING}\r\n0\r\nX-Trailer: 1\r\n\r\n`) },
  { name: 'HTTP/1.0', raw: post(PING).replace('HTTP/1.1', 'HTTP/1.0'), closes: true },
  {
    name: 'an escape of half a character',
    raw: post('{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":"\\ud800"}}'),
  },
  {
    name: 'a modern call whose Mcp-Name is in Base64',
    raw: modern('tools/call', '"name":"add"', 'Mcp-Method: tools/call', 'Mcp-Name: =?base64?YWRk?='),
  },
  {
    name: 'an upgrade to what is not spoken here',
    raw: post(PING, 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c'),
  },
];

describe('served once:', () => {
  it.each(served)('$name', async ({ raw, closes = false }) => {
    using wire = new RawConnection(host);
    wire.write(raw);
    const answer = await wire.answer();
    expect(answer?.status).toBe(200);
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ jsonrpc: '2.0', id: 7, result: {} });
    expect(seen.length).toBe(1);
    if (closes) await wire.closed();
    else {
      wire.write(post(PING));
      expect((await wire.answer())?.status).toBe(200);
    }
  });

  it('pipelined requests, in order, with a refused one among them', async () => {
    using wire = new RawConnection(host);
    wire.write(post(PING) + post('{') + post(PING));
    const answers = [await wire.answer(), await wire.answer(), await wire.answer()];
    expect(answers.map((answer) => answer?.status)).toEqual([200, 400, 200]);
    expect(seen.length).toBe(2);
  });

  it('a request whose client waits to be told to go on', async () => {
    using wire = new RawConnection(host);
    wire.write(head('POST /mcp HTTP/1.1', 'Host: HOST', JSON_TYPE, ACCEPT, lengthOf(PING), 'Expect: 100-continue'));
    expect((await wire.answer())?.status).toBe(100);
    wire.write(PING);
    expect((await wire.answer())?.status).toBe(200);
  });

  it('with the fields of the connection left out, those that Connection names too, both ways', async () => {
    using wire = new RawConnection(host);
    wire.write(
      post(
        PING,
        'Connection: keep-alive, X-Request-Id, Traceparent',
        'X-Request-Id: hop',
        'Traceparent: hop',
        'Keep-Alive: timeout=5',
        'TE: trailers',
        'Proxy-Authorization: Basic eA==',
        'Proxy-Connection: keep-alive',
        'Mcp-Param-Kept: yes',
      ),
    );
    const answer = await wire.answer();
    expect(answer?.status).toBe(200);
    const [request] = seen;
    const names = Object.keys(request?.headers ?? {});
    for (const name of ['x-request-id', 'traceparent', 'keep-alive', 'te', 'proxy-authorization', 'proxy-connection']) {
      expect(names).not.toContain(name);
    }
    expect(request?.headers['mcp-param-kept']).toBe('yes');
    for (const name of ['x-hop', 'timeout=77', 'proxy-authenticate']) expect(answer?.fields).not.toContain(name);
  });
});
