import { once } from 'node:events';
import { createServer } from 'node:net';
import { ProxyError, silentLog } from '@shadowcat/kernel';
import { ManualClock, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { openSocket, type SocketOptions } from '../src/index.js';
import { accepting, httpServer, Listener, realClock } from './support.js';

const components = { clock: realClock, log: silentLog };
const open = (url: string, more: Partial<SocketOptions> = {}) => openSocket({ url, ...more }, components);

describe('a socket to a server', () => {
  it('carries messages both ways, in order, one a frame', async () => {
    await using peer = await accepting();
    await using line = await open(peer.url());
    const heard = new Listener(line);
    const far = await peer.next();
    const farHeard = new Listener(far);
    const texts = Array.from({ length: 100 }, (_, id) => JSON.stringify({ id, text: 'é€😀' }));
    for (const text of texts) await line.send(text);
    expect(await farHeard.received(100)).toEqual(texts);
    for (const text of texts) await far.send(text);
    expect(await heard.received(100)).toEqual(texts);
    expect(line.name).toBe(peer.url());
  });

  it('agrees on the subprotocol mcp and sends the headers it was given', async () => {
    await using http = await httpServer();
    await using server = ownedServer(new WebSocketServer({ server: http.server }));
    const connected = once(server.sockets, 'connection');
    await using line = await open(http.url('/x?token=secret'), { headers: { authorization: 'Bearer t' } });
    const [socket, request] = await connected;
    expect(socket.protocol).toBe('mcp');
    expect(request.headers.authorization).toBe('Bearer t');
    expect(line.name).toBe(http.url('/x'));
  });

  it('works with a server that knows nothing but WebSockets', async () => {
    await using http = await httpServer();
    await using server = ownedServer(new WebSocketServer({ server: http.server }));
    server.sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data.toString())));
    await using line = await open(http.url('/'));
    const heard = new Listener(line);
    await line.send('{"id":1}');
    expect(await heard.received(1)).toEqual(['{"id":1}']);
  });

  it('keeps what comes before somebody listens', async () => {
    await using peer = await accepting();
    await using line = await open(peer.url());
    const far = await peer.next();
    new Listener(far);
    await far.send('{"id":1}');
    await far.send('{"id":2}');
    await settled();
    expect(await new Listener(line).received(2)).toEqual(['{"id":1}', '{"id":2}']);
  });

  it('says goodbye when it is disposed: no reason on either side, what was sent has arrived', async () => {
    await using peer = await accepting();
    const line = await open(peer.url());
    const heard = new Listener(line);
    const farHeard = new Listener(await peer.next());
    void line.send('{"id":1}');
    await line[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
    expect(await farHeard.closed()).toBeUndefined();
    expect(farHeard.messages).toEqual(['{"id":1}']);
    expect(heard.endings).toEqual([undefined]);
    await expect(line.send('{}')).rejects.toMatchObject({ code: 'upstream_closed' });
    expect(peer.acceptor.count).toBe(0);
  });

  it('tells why the server closed it', async () => {
    await using http = await httpServer();
    await using server = ownedServer(new WebSocketServer({ server: http.server }));
    server.sockets.on('connection', (socket) => socket.close(1012, 'update'));
    await using line = await open(http.url('/mcp'));
    expect(await new Listener(line).closed()).toMatchObject({
      code: 'upstream_closed',
      message: `${http.url('/mcp')} closed the WebSocket: it is restarting (code 1012, "update")`,
    });
    await expect(line.send('{}')).rejects.toMatchObject({ message: expect.stringContaining('restarting') });
  });

  it('tells that the connection was lost', async () => {
    await using http = await httpServer();
    await using server = ownedServer(new WebSocketServer({ server: http.server }));
    server.sockets.on('connection', (socket) => socket.terminate());
    await using line = await open(http.url('/mcp'));
    expect(await new Listener(line).closed()).toMatchObject({ code: 'upstream_closed', data: { closeCode: 1006 } });
  });

  it('ends over a message that is too large, and over a binary frame', async () => {
    for (const [sent, words] of [
      ['x'.repeat(101), 'larger than the limit'],
      [Buffer.from('{}'), 'binary'],
    ] as const) {
      await using http = await httpServer();
      await using server = ownedServer(new WebSocketServer({ server: http.server }));
      server.sockets.on('connection', (socket) => socket.send(sent));
      await using line = await open(http.url('/mcp'), { maxMessage: 100 });
      expect(await new Listener(line).closed()).toMatchObject({
        code: 'upstream_protocol',
        message: expect.stringContaining(words),
      });
    }
  });

  it('makes senders wait for a server that does not read, and the wait ends with the line', async () => {
    await using peer = await accepting();
    await using line = await open(peer.url());
    new Listener(line);
    // Nobody listens at the far end, so nothing is read there.
    await peer.next();
    // More than the buffers of the kernel take, so that the last one has to wait.
    const text = JSON.stringify({ pad: 'x'.repeat(1024 * 1024) });
    const sent = Array.from({ length: 48 }, () => line.send(text));
    const waiting = sent.at(-1) ?? line.send(text);
    expect(await isSettled(waiting)).toBe(false);
    const rejected = expect(waiting).rejects.toMatchObject({ code: 'upstream_closed' });
    line.destroy(new ProxyError('draining', 'over'));
    await rejected;
  });

  it('lets waiting senders go on when the server reads again', async () => {
    await using peer = await accepting();
    await using line = await open(peer.url());
    new Listener(line);
    const far = await peer.next();
    const text = JSON.stringify({ pad: 'x'.repeat(1024 * 1024) });
    let count = 1;
    let waiting = line.send(text);
    for (; count < 64 && (await isSettled(waiting)); count += 1) waiting = line.send(text);
    const heard = new Listener(far);
    await waiting;
    expect(await heard.received(count)).toHaveLength(count);
  });

  it('pings, and ends when two pings were not answered', async () => {
    const clock = new ManualClock();
    await using http = await httpServer();
    await using server = ownedServer(new WebSocketServer({ server: http.server, autoPong: false }));
    const connected = once(server.sockets, 'connection');
    const line = await openSocket({ url: http.url('/mcp') }, { clock, log: silentLog });
    const heard = new Listener(line);
    const [socket] = await connected;
    for (let ping = 1; ping <= 2; ping += 1) {
      const pinged = once(socket, 'ping');
      clock.advance(30_000);
      await pinged;
    }
    clock.advance(30_000);
    expect(await heard.closed()).toMatchObject({
      code: 'upstream_closed',
      message: `${http.url('/mcp')} answered no WebSocket ping for 60 s`,
    });
    await line[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });

  it('lives on as long as pings are answered', async () => {
    const clock = new ManualClock();
    await using http = await httpServer();
    await using server = ownedServer(new WebSocketServer({ server: http.server }));
    const connected = once(server.sockets, 'connection');
    const line = await openSocket({ url: http.url('/mcp') }, { clock, log: silentLog });
    const heard = new Listener(line);
    const [socket] = await connected;
    for (let round = 0; round < 6; round += 1) {
      const pinged = once(socket, 'ping');
      clock.advance(30_000);
      await pinged;
      // What the far end sends after its pong arrives after it.
      socket.send(`{"round":${round}}`);
      await heard.received(round + 1);
    }
    expect(heard.endings).toEqual([]);
    await line[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });
});

describe('a socket that cannot be opened', () => {
  it('names the URL and the reason when nobody listens there', async () => {
    const http = await httpServer();
    const url = http.url('/mcp');
    await http[Symbol.asyncDispose]();
    await expect(open(`${url}?token=secret`)).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: `cannot reach ${url}: the connection was refused; is the server running, and is the port right?`,
    });
  });

  it.each([
    [404, 'upstream_protocol'],
    [401, 'upstream_protocol'],
    [503, 'upstream_unreachable'],
  ] as const)('tells that the server answered %i', async (status, code) => {
    await using http = await httpServer((_request, response) => response.writeHead(status).end());
    await expect(open(http.url('/mcp'))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(`answered HTTP ${status}`),
    });
  });

  it('tells that the server does not know the subprotocol', async () => {
    await using http = await httpServer();
    await using _server = ownedServer(new WebSocketServer({ server: http.server, handleProtocols: () => false }));
    await expect(open(http.url('/mcp'))).rejects.toMatchObject({
      code: 'upstream_protocol',
      message: expect.stringContaining('subprotocol'),
    });
  });

  it('gives up after its time, and when it is cancelled', async () => {
    const clock = new ManualClock();
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const url = `ws://127.0.0.1:${port}/mcp`;
    const accepted = once(silent, 'connection');
    const opening = openSocket({ url }, { clock, log: silentLog });
    const late = expect(opening).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: `cannot reach ${url}: it did not answer within 5000 ms`,
    });
    await accepted;
    clock.advance(5000);
    await late;
    const abort = new AbortController();
    const cancelled = expect(openSocket({ url }, { clock, log: silentLog }, abort.signal)).rejects.toMatchObject({
      code: 'cancelled',
    });
    abort.abort();
    await cancelled;
    await expect(openSocket({ url }, { clock, log: silentLog }, abort.signal)).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(clock.pending).toBe(0);
    await new Promise((resolve) => silent.close(resolve));
  });

  it('refuses what is no WebSocket URL', async () => {
    await expect(open('no url')).rejects.toMatchObject({ code: 'upstream_protocol' });
  });
});

function ownedServer(sockets: WebSocketServer): AsyncDisposable & { readonly sockets: WebSocketServer } {
  return {
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets.clients) socket.terminate();
      await new Promise((resolve) => sockets.close(resolve));
    },
  };
}

/** Whether a promise settles within a few turns of the event loop, in which sockets get to write. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let done = false;
  void promise.then(
    () => {
      done = true;
    },
    () => {
      done = true;
    },
  );
  for (let turn = 0; turn < 20 && !done; turn += 1) await settled();
  return done;
}
