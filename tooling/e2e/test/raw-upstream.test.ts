import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postRaw } from '../src/raw-mcp.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** What a server may send, byte for byte: a client gets one well-formed answer or a broken connection, and the proxy goes on. */

const ANSWER = '{"jsonrpc":"2.0","id":7,"result":{"ok":true}}';
const JSON_TYPE = 'Content-Type: application/json';
const LENGTH = `Content-Length: ${ANSWER.length}`;

const head = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const ok = (...fields: readonly string[]): string => head('HTTP/1.1 200 OK', JSON_TYPE, LENGTH, ...fields) + ANSWER;
const chunks = (...parts: readonly string[]): string =>
  head('HTTP/1.1 200 OK', JSON_TYPE, 'Transfer-Encoding: chunked') + parts.join('');
const ALL = `2d\r\n${ANSWER}\r\n`;

interface Case {
  readonly name: string;
  readonly raw: string;
  /** Whether the server closes the connection after it. */
  readonly ends?: boolean;
}

const passed: readonly Case[] = [
  { name: 'early hints before it', raw: head('HTTP/1.1 103 Early Hints', 'Link: </x>') + ok() },
  { name: 'two Connection fields', raw: ok('Connection: keep-alive', 'Connection: x-hop', 'X-Hop: secret') },
  { name: 'two session ids', raw: ok('Mcp-Session-Id: a', 'Mcp-Session-Id: b') },
  { name: 'an encoding that is none', raw: ok('Content-Encoding: Identity') },
  { name: 'trailers', raw: chunks('2d;a=b\r\n', ANSWER, '\r\n0\r\nX-Hop: secret\r\nSet-Cookie: a=secret\r\n\r\n') },
  { name: 'no length', raw: head('HTTP/1.1 200 OK', JSON_TYPE) + ANSWER, ends: true },
  { name: 'HTTP/1.0', raw: head('HTTP/1.0 200 OK', JSON_TYPE) + ANSWER, ends: true },
  { name: 'another answer behind it', raw: ok() + ok().replace('true', '"smuggled"') },
  { name: 'bytes beyond ASCII in a field', raw: ok('X-A: \xe9\xff') },
  { name: 'fields named like members of objects', raw: ok('__proto__: x', 'constructor: y') },
  { name: '500 fields', raw: ok(...Array.from({ length: 500 }, (_, i) => `X-${i}: 1`)) },
];

const refused: readonly Case[] = [
  { name: 'a switch of protocols', raw: head('HTTP/1.1 101 Switching', 'Connection: upgrade', 'Upgrade: websocket') },
  { name: 'two types', raw: ok('Content-Type: text/event-stream') },
  { name: 'a length and chunks', raw: chunks(ALL, '0\r\n\r\n').replace('Transfer', 'Content-Length: 5\r\nTransfer') },
  { name: 'two lengths', raw: ok('Content-Length: 5') },
  {
    name: 'a transfer coding that nobody asked for',
    raw: ok('X: y').replace(LENGTH, 'Transfer-Encoding: gzip'),
    ends: true,
  },
  { name: 'compression in one of two fields', raw: ok('Content-Encoding: identity', 'Content-Encoding: gzip') },
  { name: 'a chunk size that is no number', raw: chunks('zz\r\n') },
  { name: 'another protocol', raw: 'SSH-2.0-OpenSSH_9\r\n\r\n' },
  { name: 'lines that end with LF alone', raw: ok().replace('OK\r\n', 'OK\n') },
  { name: 'a folded field', raw: ok('X-A: b\r\n c') },
  { name: 'a NUL in a field', raw: ok('X-A: b\0c') },
  { name: 'a field of 100 kB', raw: ok(`X-A: ${'x'.repeat(100_000)}`) },
  { name: 'status 099', raw: ok().replace('200', '099') },
  { name: 'status 600', raw: ok().replace('200', '600') },
  { name: 'status 204', raw: head('HTTP/1.1 204 No Content') },
  { name: 'status 304', raw: head('HTTP/1.1 304 Not Modified') },
  { name: 'interim answers without end', raw: head('HTTP/1.1 100 Continue').repeat(1000) },
];

const cut: readonly Case[] = [
  { name: 'a body shorter than its length', raw: ok().replace(LENGTH, 'Content-Length: 500'), ends: true },
  { name: 'chunks without the last one', raw: chunks(ALL), ends: true },
];

let folder: Awaited<ReturnType<typeof workFolder>>;
let server: Server;
let proxy: Shadowcat;
let sends: Case = { name: '', raw: ok() };

beforeAll(async () => {
  folder = await workFolder();
  server = createServer((socket) => answering(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  proxy = await startShadowcat(['reverse', '--store', 'memory:', '--upstream', upstream], folder.path);
});
afterAll(async () => {
  const exit = await proxy.stop();
  server.close();
  await folder[Symbol.asyncDispose]();
  // Nothing that was sent here is the proxy's own fault.
  expect({ code: exit.code, faults: /"level":"(error|fatal)"/.test(exit.stderr) }).toEqual({ code: 0, faults: false });
});

/** Answers each request on a connection with what is to be sent. */
function answering(socket: Socket): void {
  let bytes = '';
  socket.setEncoding('latin1').on('error', () => {});
  socket.on('data', (chunk: string) => {
    bytes += chunk;
    const end = bytes.indexOf('\r\n\r\n');
    const length = Number(/^content-length: (\d+)/im.exec(bytes.slice(0, end))?.[1] ?? 0);
    if (end < 0 || bytes.length < end + 4 + length) return;
    bytes = bytes.slice(end + 4 + length);
    socket.write(sends.raw, 'latin1');
    if (sends.ends === true) socket.end();
  });
}

function ask(what: Case): Promise<Response> {
  sends = what;
  return postRaw(proxy.url, '{"jsonrpc":"2.0","id":7,"method":"ping"}');
}

async function servesOn(): Promise<void> {
  expect(await (await ask({ name: '', raw: ok() })).text()).toBe(ANSWER);
}

describe('an answer is passed on that has', () => {
  it.each(passed)('$name', async (what) => {
    const response = await ask(what);
    expect({ status: response.status, text: await response.text() }).toEqual({ status: 200, text: ANSWER });
    expect(JSON.stringify([...response.headers])).not.toMatch(/secret|x-hop|set-cookie/);
    await servesOn();
  });
});

describe('an answer is refused in plain words that has', () => {
  it.each(refused)('$name', async (what) => {
    const response = await ask(what);
    const { id, error } = (await response.json()) as { id: unknown; error: { code: number; message: string } };
    expect({ status: response.status, id }).toEqual({ status: 502, id: 7 });
    expect([-32013, -32014]).toContain(error.code);
    expect(error.message).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp [^\n]{10,300}$/);
    await servesOn();
  });
});

describe('an answer is broken off, and never taken for a whole one, that is', () => {
  it.each(cut)('$name', async (what) => {
    await expect(ask(what).then((response) => response.text())).rejects.toThrow();
    await servesOn();
  });
});
