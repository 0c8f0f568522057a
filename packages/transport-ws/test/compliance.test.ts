import { once } from 'node:events';
import { type Connection, silentLog } from '@shadowcat/kernel';
import { connectionCompliance, type FarEnd, ManualClock, type OpenedLine } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { openSocket } from '../src/index.js';
import { accepting, httpServer } from './support.js';

const LIMIT = 2 * 1024 * 1024;
/** Longer than any goodbye takes. */
const LONG_MS = 10_000;

/** The other end, made of the library alone. */
function farEnd(socket: WebSocket, deaf: boolean): FarEnd {
  // Nothing is read, so no goodbye is answered either.
  socket.pause();
  socket.on('error', () => {});
  return {
    send: (text) => new Promise((resolve) => socket.send(text, () => resolve())),
    read: (message) => {
      socket.on('message', (data) => message(data.toString()));
      if (!deaf) socket.resume();
    },
    finish: () => {
      socket.resume();
      socket.close(1000);
    },
    vanish: () => socket.terminate(),
  };
}

async function opened(near: Connection, socket: WebSocket, parts: Parts): Promise<OpenedLine> {
  const { clock, end, deaf } = parts;
  const far = farEnd(socket, deaf);
  return {
    near,
    far,
    pass: () => {
      if (deaf) clock.advance(LONG_MS);
      else socket.resume();
    },
    close: async () => {
      socket.terminate();
      await end();
      return clock.pending === 0 ? [] : [`${clock.pending} timers`];
    },
  };
}

interface Parts {
  readonly clock: ManualClock;
  readonly deaf: boolean;
  readonly end: () => Promise<void>;
}

connectionCompliance(
  { describe, it, expect },
  {
    name: 'a WebSocket to a server',
    finished: undefined,
    vanished: 'upstream_closed',
    limit: { bytes: LIMIT, beyond: 'upstream_protocol' },
    open: async ({ deaf }) => {
      const clock = new ManualClock();
      const http = await httpServer();
      const server = new WebSocketServer({ server: http.server, maxPayload: 64 * LIMIT });
      const connected = once(server, 'connection');
      const near = await openSocket({ url: http.url('/mcp'), maxMessage: LIMIT }, { clock, log: silentLog });
      const [socket] = (await connected) as [WebSocket];
      const end = async (): Promise<void> => {
        await new Promise((resolve) => server.close(resolve));
        await http[Symbol.asyncDispose]();
      };
      return opened(near, socket, { clock, deaf, end });
    },
  },
);

connectionCompliance(
  { describe, it, expect },
  {
    name: 'a WebSocket of a client',
    finished: undefined,
    vanished: 'cancelled',
    limit: { bytes: LIMIT, beyond: 'body_too_large' },
    open: async ({ deaf }) => {
      const clock = new ManualClock();
      const peer = await accepting({ maxMessage: LIMIT }, clock);
      const socket = new WebSocket(peer.url(), 'mcp', { perMessageDeflate: false });
      const [near] = await Promise.all([peer.next(), once(socket, 'open')]);
      const end = async (): Promise<void> => {
        expect(peer.acceptor.count).toBe(0);
        await peer[Symbol.asyncDispose]();
      };
      return opened(near, socket, { clock, deaf, end });
    },
  },
);
