import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metric, toolCall } from '../src/calls.js';
import { RawConnection } from '../src/raw-connection.js';
import { handshake, OPCODE, type OpenOptions, type RawClose, RawWebSocket } from '../src/raw-web-socket.js';
import { FIXTURE_MAIN } from '../src/servers.js';
import { type Shadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';

/** WebSocket clients frame by frame: what no library would send, and what libraries hide. */

const fixture = ['--', process.execPath, FIXTURE_MAIN, 'stdio', '--allow-crash'];
const MODERN = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'e2e-ws', version: '1.0.0' },
};

let folder: Awaited<ReturnType<typeof workFolder>>;
let proxy: Shadowcat;

beforeAll(async () => {
  folder = await workFolder();
  proxy = await startShadowcat(
    ['reverse', '--max-children', '200', '--max-stream-queue', '1MiB', ...fixture],
    folder.path,
  );
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** A session of this revision. */
async function opened(protocolVersion = '2025-11-25', options: OpenOptions = {}): Promise<RawWebSocket> {
  const socket = await RawWebSocket.open(proxy.url, options);
  initialize(socket, protocolVersion);
  await socket.answerTo('init');
  socket.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return socket;
}

function initialize(socket: RawWebSocket, protocolVersion: string, id = 'init'): void {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'e2e-ws', version: '1.0.0' } };
  socket.send({ jsonrpc: '2.0', id, method: 'initialize', params });
}

const children = (): Promise<number> => metric(proxy.url, 'shadowcat_children');
const spawns = (): Promise<number> => metric(proxy.url, 'shadowcat_spawns_total');
/** Well before the half minute after which also a socket is given up whose client does not say goodbye. */
const noChildren = (): Promise<void> => expect.poll(children, { timeout: 20_000 }).toBe(0);
const inFlight = (): Promise<number> => metric(proxy.url, 'shadowcat_exchanges_in_flight');

describe('a handshake is refused', () => {
  const refused: readonly (OpenOptions & { readonly name: string; readonly status: number })[] = [
    { name: 'from a foreign page', status: 403, fields: { Origin: 'https://evil.example' } },
    { name: 'from the Origin null', status: 403, fields: { Origin: 'null' } },
    { name: 'from two Origins', status: 403, fields: { Origin: 'http://localhost\r\nOrigin: http://evil.example' } },
    { name: 'for a foreign Host', status: 403, fields: { Host: 'evil.example' } },
    { name: 'for two Hosts', status: 400, fields: { Host: 'HOST\r\nHost: HOST' } },
    { name: 'without Host', status: 400, fields: { Host: undefined } },
    { name: 'at another path', status: 404, path: '/elsewhere' },
    { name: 'with other subprotocols only', status: 400, fields: { 'Sec-WebSocket-Protocol': 'graphql-ws, soap' } },
    { name: 'without a key', status: 400, fields: { 'Sec-WebSocket-Key': undefined } },
    { name: 'with a key that is too short', status: 400, fields: { 'Sec-WebSocket-Key': 'c2hvcnQ=' } },
    { name: 'of an old version', status: 400, fields: { 'Sec-WebSocket-Version': '7' } },
  ];
  it.each(refused)('$name', async ({ status, name: _name, ...options }) => {
    const before = await spawns();
    using wire = new RawConnection(new URL(proxy.url).host);
    wire.write(handshake(options));
    expect((await wire.answer())?.status).toBe(status);
    await wire.closed();
    expect(await spawns()).toBe(before);
  });

  it('with another method than GET', async () => {
    using wire = new RawConnection(new URL(proxy.url).host);
    wire.write(handshake({}).replace('GET', 'POST'));
    expect((await wire.answer())?.status).toBe(405);
    await wire.closed();
  });
});

describe('a handshake is taken', () => {
  it.each([
    { name: 'without a subprotocol', fields: { 'Sec-WebSocket-Protocol': undefined } },
    { name: 'with mcp among others', fields: { 'Sec-WebSocket-Protocol': 'soap, mcp' } },
    { name: 'from a page of this machine', fields: { Origin: 'http://localhost:6274' } },
    { name: 'with an extension that is not agreed on', fields: { 'Sec-WebSocket-Extensions': 'permessage-deflate' } },
    { name: 'at the path with a slash more', path: '/mcp/' },
  ])('$name', async ({ name: _name, ...options }) => {
    using socket = await opened('2025-11-25', options);
    socket.send(toolCall(1, 'pid'));
    expect(await socket.answerTo(1)).toMatchObject({ result: {} });
  });
});

describe('a socket is closed', () => {
  const cases: readonly {
    readonly name: string;
    readonly code: number;
    readonly send: (socket: RawWebSocket) => void;
  }[] = [
    { name: '1003: a binary frame', code: 1003, send: (socket) => socket.frame('{}', { opcode: OPCODE.binary }) },
    { name: '1007: text that is not UTF-8', code: 1007, send: (socket) => socket.frame(Buffer.from([0xc3, 0x28])) },
    { name: '1009: a message over the limit', code: 1009, send: (socket) => socket.frame(Buffer.alloc(4_194_305, 32)) },
    {
      name: '1009: a message over the limit in pieces',
      code: 1009,
      send: (socket) => {
        socket.frame(Buffer.alloc(3_000_000, 32), { fin: false });
        socket.frame(Buffer.alloc(3_000_000, 32), { opcode: 0 });
      },
    },
    { name: '1002: an unknown opcode', code: 1002, send: (socket) => socket.frame('{}', { opcode: 5 }) },
    { name: '1002: a piece of nothing', code: 1002, send: (socket) => socket.frame('{}', { opcode: 0 }) },
    {
      name: '1002: a ping of 126 bytes',
      code: 1002,
      send: (socket) => socket.frame(Buffer.alloc(126), { opcode: OPCODE.ping }),
    },
    {
      name: '1002: an unmasked frame',
      code: 1002,
      send: ({ wire }) => wire.write(Buffer.from([0x81, 0x02, 0x7b, 0x7d])),
    },
    {
      name: '1002: a close code that may not be sent',
      code: 1002,
      send: (socket) => socket.frame(Buffer.from([0x03, 0xed]), { opcode: OPCODE.close }),
    },
    {
      name: '1000: a goodbye',
      code: 1000,
      send: (socket) => socket.frame(Buffer.from([0x03, 0xe8]), { opcode: OPCODE.close }),
    },
  ];
  it.each(cases)('$name', async ({ code, send }) => {
    using socket = await opened();
    // Those of the tests before may still be ending.
    await expect.poll(children).toBe(1);
    send(socket);
    const closed: RawClose = await socket.closed();
    expect(closed.code).toBe(code);
    expect(Buffer.byteLength(closed.text)).toBeLessThanOrEqual(123);
    await noChildren();
  });
});

describe('a message', () => {
  const refused: readonly {
    readonly name: string;
    readonly text: string;
    readonly code: number;
    readonly id: unknown;
  }[] = [
    { name: 'that is no JSON', text: '{"jsonrpc":', code: -32700, id: null },
    { name: 'that is no object', text: '42', code: -32600, id: null },
    {
      name: 'with a duplicate key',
      text: '{"jsonrpc":"2.0","id":7,"method":"ping","method":"x"}',
      code: -32600,
      id: 7,
    },
    {
      name: 'that is too deep',
      text: `{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":${'['.repeat(70)}${']'.repeat(70)}}}`,
      code: -32600,
      id: 7,
    },
    { name: 'that is an empty batch', text: '[]', code: -32600, id: null },
  ];
  it.each(refused)('$name is refused on the line, which goes on', async ({ text, code, id }) => {
    using socket = await opened();
    socket.frame(text);
    const error = JSON.parse(await socket.text()) as { id: unknown; error: { code: number } };
    expect({ code: error.error.code, id: error.id === id || error.id === null }).toEqual({ code, id: true });
    socket.send(toolCall(1, 'pid'));
    expect(await socket.answerTo(1)).toMatchObject({ result: {} });
  });

  it('in pieces with a ping between them is one message, and the ping is answered', async () => {
    using socket = await opened();
    const text = JSON.stringify(toolCall(1, 'echo', { text: 'zwölf €😀' }));
    const bytes = Buffer.from(text);
    socket.frame(bytes.subarray(0, 90), { fin: false });
    socket.frame('are you there', { opcode: OPCODE.ping });
    socket.frame(bytes.subarray(90), { opcode: 0 });
    const answer = await socket.answerTo(1);
    expect(JSON.stringify(answer)).toContain('zwölf €😀');
    expect(socket.control.map(({ opcode, payload }) => [opcode, payload.toString()])).toEqual([
      [OPCODE.pong, 'are you there'],
    ]);
  });

  it('may be a batch where the revision has them, and is refused with all its ids where it has none', async () => {
    const batch = [toolCall(1, 'pid'), toolCall(2, 'pid')];
    using old = await opened('2025-03-26');
    old.send(batch);
    const answers = JSON.parse(await old.text()) as { id: number }[];
    expect(answers.map(({ id }) => id).toSorted()).toEqual([1, 2]);
    using later = await opened('2025-06-18');
    later.send(batch);
    const refusals = JSON.parse(await later.text()) as object[];
    expect(refusals).toMatchObject([1, 2].map((id) => ({ id, error: { code: -32600 } })));
  });
});

describe('a line', () => {
  it('brings all progress, in order, before the answer', async () => {
    using socket = await opened();
    const call = { name: 'progress', arguments: { steps: 200, delayMs: 0 }, _meta: { progressToken: 'p' } };
    socket.send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: call });
    const others: string[] = [];
    await socket.answerTo(1, others);
    const steps = others.map((text) => JSON.parse(text) as { params: { progress: number; progressToken: string } });
    expect(steps.map(({ params }) => params.progress)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(new Set(steps.map(({ params }) => params.progressToken))).toEqual(new Set(['p']));
  });

  it('cancels a legacy request by the notification', async () => {
    using socket = await opened();
    socket.send(toolCall('mine', 'sleep', { ms: 60_000 }));
    socket.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'mine', reason: 'enough' } });
    await proxy.line(/sleep cancelled/, { from: 'stderr' });
    socket.send(toolCall(2, 'cancel_count'));
    const others: string[] = [];
    expect(await socket.answerTo(2, others)).toMatchObject({
      result: { structuredContent: { started: 1, cancelled: 1 } },
    });
    expect(others).toEqual([]);
  });

  it('cancels a modern request by the notification, and others go on', async () => {
    // What serves modern requests stays for the next one.
    await using own = await startShadowcat(['reverse', ...fixture], folder.path);
    using socket = await RawWebSocket.open(own.url);
    const modern = (id: number, name: string, args: object = {}): object => ({
      ...toolCall(id, name),
      params: { name, arguments: args, _meta: MODERN },
    });
    const counts = async (id: number): Promise<unknown> => {
      socket.send(modern(id, 'cancel_count'));
      const others: string[] = [];
      const answer = await socket.answerTo(id, others);
      expect(others).toEqual([]);
      return (answer['result'] as { structuredContent: unknown }).structuredContent;
    };
    let id = 10;
    socket.send(modern(1, 'sleep', { ms: 60_000 }));
    await expect.poll(() => counts(id++)).toMatchObject({ started: 1, cancelled: 0 });
    socket.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1, _meta: MODERN } });
    await expect.poll(() => counts(id++)).toMatchObject({ started: 1, cancelled: 1 });
    await expect.poll(() => metric(own.url, 'shadowcat_exchanges_in_flight')).toBe(0);
  });

  it('that opens a second session ends its first', async () => {
    using socket = await opened();
    initialize(socket, '2025-11-25', 'again');
    await socket.answerTo('again');
    socket.send(toolCall(1, 'pid'));
    await socket.answerTo(1);
    await expect.poll(children).toBe(1);
  });

  it('that is cut gives back everything at once, with requests in flight', async () => {
    const socket = await opened();
    for (let id = 0; id < 20; id += 1) socket.send(toolCall(id, 'sleep', { ms: 60_000 }));
    await expect.poll(inFlight).toBe(21);
    socket.wire.socket.resetAndDestroy();
    await noChildren();
    expect(await inFlight()).toBe(0);
  });

  it('whose client only closes its sending half is over, too', async () => {
    using socket = await opened();
    socket.wire.socket.end();
    expect((await socket.closed()).code).toBeGreaterThan(999);
    await noChildren();
  });

  it('whose client reads late brings everything, and others do not wait for it', async () => {
    using socket = await opened();
    socket.wire.socket.pause();
    // Together far more than the bound and the buffers of the kernel take.
    const ids = Array.from({ length: 40 }, (_, id) => id);
    for (const id of ids) socket.send(toolCall(id, 'big', { bytes: 1_000_000 }));
    using other = await opened();
    other.send(toolCall(1, 'pid'));
    expect(await other.answerTo(1)).toMatchObject({ result: {} });
    socket.wire.socket.resume();
    const got = [];
    for (const _ of ids) got.push((JSON.parse(await socket.text()) as { id: number }).id);
    expect(got.toSorted((a, b) => a - b)).toEqual(ids);
  });

  it('is one of a hundred that all use the same ids, and gets its own answers only', async () => {
    const shared = await startShadowcat(['reverse', '--isolation', 'shared', ...fixture], folder.path);
    try {
      const all = await Promise.all(Array.from({ length: 100 }, () => RawWebSocket.open(shared.url)));
      await Promise.all(
        all.map(async (socket, mine) => {
          initialize(socket, '2025-11-25');
          await socket.answerTo('init');
          socket.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
          for (let id = 0; id < 10; id += 1) socket.send(toolCall(id, 'echo', { mine, id }));
          const got = await Promise.all(Array.from({ length: 10 }, () => socket.text()));
          const answers = got.map((text) => JSON.parse(text) as { id: number; result: { structuredContent: object } });
          for (const { id, result } of answers) expect(result.structuredContent).toEqual({ mine, id });
          expect(answers.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
          socket[Symbol.dispose]();
        }),
      );
      await expect.poll(() => metric(shared.url, 'shadowcat_exchanges_in_flight')).toBe(0);
    } finally {
      await shared[Symbol.asyncDispose]();
    }
  });
});
