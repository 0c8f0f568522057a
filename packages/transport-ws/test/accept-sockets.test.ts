import { once } from 'node:events';
import { connect } from 'node:net';
import process from 'node:process';
import { silentLog } from '@shadowcat/kernel';
import { ManualClock } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { acceptSockets, openSocket } from '../src/index.js';
import { accepting, httpServer, Listener, rawExchange, realClock, upgradeRequest } from './support.js';

const components = { clock: realClock, log: silentLog };

async function clientSocket(url: string, protocols?: string[]): Promise<WebSocket> {
  const socket = new WebSocket(url, protocols);
  await once(socket, 'open');
  return socket;
}

/** The code and text of the close frame that a client gets. */
async function closeOf(socket: WebSocket): Promise<{ code: number; text: string }> {
  const [code, text] = await once(socket, 'close');
  return { code, text: String(text) };
}

describe('a server that takes sockets', () => {
  it('agrees on mcp when it is offered, and takes clients that offer nothing', async () => {
    await using peer = await accepting();
    const first = await clientSocket(peer.url(), ['other', 'mcp']);
    expect(first.protocol).toBe('mcp');
    const plain = await clientSocket(peer.url('/mcp/?x=1'));
    expect(plain.protocol).toBe('');
    expect(peer.acceptor.count).toBe(2);
    const lines = [await peer.next(), await peer.next()];
    expect(lines[0]?.name).toMatch(/^WebSocket client 127\.0\.0\.1:\d+$/);
    for (const line of lines) new Listener(line);
    for (const socket of [first, plain]) {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    }
  });

  it.each([
    ['another path', upgradeRequest('/other'), 404],
    ['only other subprotocols', upgradeRequest('/mcp', { 'Sec-WebSocket-Protocol': 'graphql-ws' }), 400],
    ['no key', upgradeRequest('/mcp', { 'Sec-WebSocket-Key': '' }), 400],
    ['an old version', upgradeRequest('/mcp', { 'Sec-WebSocket-Version': '7' }), 400],
    ['a foreign origin', upgradeRequest('/mcp', { Origin: 'http://evil.example' }), 403],
    ['a check that gives its own answer', upgradeRequest('/mcp', { Origin: 'nobody' }), 401],
    ['a check that fails', upgradeRequest('/mcp', { Origin: 'throw' }), 500],
  ])('answers %s with a status and closes', async (_what, request, status) => {
    await using peer = await accepting({
      verify: ({ headers }) => {
        if (headers.origin === 'throw') throw new Error('broken');
        return headers.origin === 'nobody'
          ? { status: 401, message: 'a token is needed' }
          : headers.origin === undefined;
      },
    });
    expect(await rawExchange(peer.port, request)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(peer.acceptor.count).toBe(0);
  });

  it('leaves requests alone that offer another protocol by the way, as Java clients do with h2c', async () => {
    await using peer = await accepting();
    const request = 'GET /mcp HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n';
    const answer = await rawExchange(peer.port, request);
    const told = 'shouldUpgradeCallback' in peer.server;
    expect(answer).toMatch(told ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 426 /);
  });

  it('takes only so many at a time', async () => {
    await using peer = await accepting({ maxSockets: 1 });
    await using line = await openSocket({ url: peer.url() }, components);
    new Listener(line);
    new Listener(await peer.next());
    const answer = await rawExchange(peer.port, upgradeRequest('/mcp'));
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toContain('\r\nRetry-After: 5\r\n');
  });

  it('closes with 1009 over a message that is too large', async () => {
    await using peer = await accepting({ maxMessage: 100 });
    const socket = await clientSocket(peer.url(), ['mcp']);
    const heard = new Listener(await peer.next());
    const closed = closeOf(socket);
    socket.send('x'.repeat(101));
    expect((await closed).code).toBe(1009);
    expect(await heard.closed()).toMatchObject({ code: 'body_too_large' });
  });

  it('closes with 1003 over a binary frame and delivers nothing of it', async () => {
    await using peer = await accepting();
    const socket = await clientSocket(peer.url(), ['mcp']);
    const heard = new Listener(await peer.next());
    const closed = closeOf(socket);
    socket.send(Buffer.from('{"id":1}'));
    socket.send('{"id":2}');
    expect((await closed).code).toBe(1003);
    expect(await heard.closed()).toMatchObject({ code: 'invalid_request' });
    expect(heard.messages).toEqual([]);
  });

  it('closes with 1002 over bytes that are no WebSocket frames, and serves the next client', async () => {
    await using peer = await accepting();
    const socket = connect(peer.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write(upgradeRequest('/mcp'));
    const heard = new Listener(await peer.next());
    socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x00, 0x01]));
    expect(await heard.closed()).toMatchObject({ code: 'invalid_request' });
    await using line = await openSocket({ url: peer.url() }, components);
    new Listener(line);
    const next = new Listener(await peer.next());
    await line.send('{"id":1}');
    expect(await next.received(1)).toEqual(['{"id":1}']);
  });

  it('survives clients that vanish, also in the middle of the opening', async () => {
    await using peer = await accepting();
    for (const bytes of [upgradeRequest('/other'), upgradeRequest('/mcp').slice(0, 40)]) {
      const socket = connect(peer.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(bytes);
      socket.resetAndDestroy();
    }
    const socket = await clientSocket(peer.url(), ['mcp']);
    const heard = new Listener(await peer.next());
    socket.terminate();
    expect(await heard.closed()).toMatchObject({ code: 'cancelled' });
  });

  it('closes a socket with 1011 when serving it throws', async () => {
    await using http = await httpServer();
    const acceptor = acceptSockets(
      http.server,
      { path: '/mcp' },
      {
        ...components,
        onConnection: () => {
          throw new Error('broken');
        },
      },
    );
    const socket = new WebSocket(http.url('/mcp'), ['mcp']);
    socket.on('error', () => {});
    expect((await closeOf(socket)).code).toBe(1011);
    await acceptor.close();
  });

  it('pings its clients and lets go of dead ones', async () => {
    const clock = new ManualClock();
    await using peer = await accepting({}, clock);
    const socket = new WebSocket(peer.url(), ['mcp'], { autoPong: false });
    const heard = new Listener(await peer.next());
    for (let ping = 1; ping <= 2; ping += 1) {
      const pinged = once(socket, 'ping');
      clock.advance(30_000);
      await pinged;
    }
    const closed = once(socket, 'close');
    clock.advance(30_000);
    expect(await heard.closed()).toMatchObject({ code: 'cancelled' });
    await closed;
    expect(peer.acceptor.count).toBe(0);
    expect(clock.pending).toBe(0);
  });
});

describe('a client that does not read', () => {
  /** More than the kernel's buffers take. */
  const pieces = Array.from({ length: 64 }, (_, id) => JSON.stringify({ id, pad: 'x'.repeat(512 * 1024) }));

  it('is dropped when too much waits for it and nothing leaves for 30 s', async () => {
    const clock = new ManualClock();
    await using peer = await accepting({ queueLimit: 64 * 1024, pingMs: 1_000_000 }, clock);
    const socket = await clientSocket(peer.url(), ['mcp']);
    socket.pause();
    const line = await peer.next();
    const heard = new Listener(line);
    const sent = Promise.allSettled(pieces.map((text) => line.send(text)));
    clock.advance(29_999);
    expect(heard.endings).toEqual([]);
    clock.advance(1);
    expect(await heard.closed()).toMatchObject({ code: 'slow_client' });
    expect((await sent).some(({ status }) => status === 'rejected')).toBe(true);
    socket.terminate();
    await peer.acceptor.close();
    expect(clock.pending).toBe(0);
  });

  it('for a while only gets everything, in order, when it reads on', async () => {
    const clock = new ManualClock();
    await using peer = await accepting({ queueLimit: 64 * 1024, pingMs: 1_000_000 }, clock);
    const socket = await clientSocket(peer.url(), ['mcp']);
    socket.pause();
    const line = await peer.next();
    const heard = new Listener(line);
    const got: number[] = [];
    const all = Promise.withResolvers<void>();
    socket.on('message', (data) => {
      got.push((JSON.parse(String(data)) as { id: number }).id);
      if (got.length === pieces.length) all.resolve();
    });
    const sent = Promise.all(pieces.map((text) => line.send(text)));
    clock.advance(29_999);
    socket.resume();
    await Promise.all([sent, all.promise]);
    clock.advance(30_000);
    expect(heard.endings).toEqual([]);
    expect(got).toEqual(pieces.map((_, id) => id));
    socket.terminate();
    await heard.closed();
  });
});

describe('closing', () => {
  it('says goodbye with 1001, frees everything, and gives the server back', async () => {
    const handles = (): string[] => process.getActiveResourcesInfo().filter((name) => name.includes('TCP'));
    // A server says that it is closed a moment before its handle is: that of the test before this one, too.
    await expect.poll(handles).toEqual([]);
    const clock = new ManualClock();
    {
      await using peer = await accepting({}, clock);
      const sockets = await Promise.all([clientSocket(peer.url(), ['mcp']), clientSocket(peer.url(), ['mcp'])]);
      const heard = [new Listener(await peer.next()), new Listener(await peer.next())];
      const closes = sockets.map(closeOf);
      const closing = peer.acceptor.close();
      expect(peer.acceptor.close()).toBe(closing);
      await closing;
      expect((await Promise.all(closes)).map(({ code }) => code)).toEqual([1001, 1001]);
      expect(await Promise.all(heard.map((one) => one.closed()))).toEqual([undefined, undefined]);
      expect(peer.acceptor.count).toBe(0);
      expect(peer.server.listenerCount('upgrade')).toBe(0);
    }
    await expect.poll(handles).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('does not wait long for a client that does not answer', async () => {
    const clock = new ManualClock();
    await using peer = await accepting({}, clock);
    const socket = connect(peer.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(upgradeRequest('/mcp'));
    new Listener(await peer.next());
    const closing = peer.acceptor.close();
    clock.advance(2000);
    await closing;
    socket.destroy();
  });
});
