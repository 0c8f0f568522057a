import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { silentLog } from '@shadowcat/kernel';
import { connectionCompliance, type FarEnd } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { openSsePair } from '../src/open-sse-pair.js';
import { bodyOf, eventually, nodeServer, realClock } from './support.js';

const components = { clock: realClock, log: silentLog };

/** The server of a pair, made of node's own HTTP alone. Before it reads, no POST is answered. */
async function pairServer(deaf: boolean) {
  const reading = Promise.withResolvers<(text: string) => void>();
  const stream = Promise.withResolvers<ServerResponse>();
  const posted = new Set<ServerResponse>();
  const { server, port } = await nodeServer(async (request, response) => {
    response.on('error', () => {});
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: endpoint\ndata: /message?sessionId=1\n\n');
      if (deaf) response.socket?.on('end', () => {});
      stream.resolve(response);
      return;
    }
    posted.add(response);
    const [text, message] = await Promise.all([bodyOf(request).catch(() => undefined), reading.promise]);
    if (text === undefined) return;
    message(text);
    response.writeHead(202).end();
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const far: FarEnd = {
    send: async (text) => {
      const response = await stream.promise;
      await new Promise<void>((resolve) => response.write(`event: message\ndata: ${text}\n\n`, () => resolve()));
    },
    read: (message) => reading.resolve(message),
    finish: async () => void (await stream.promise).end(),
    vanish: async () => {
      (await stream.promise).socket?.resetAndDestroy();
      for (const response of posted) response.socket?.destroy();
    },
  };
  return { sockets, port, far };
}

connectionCompliance(
  { describe, it, expect },
  {
    name: 'the legacy pair of a server',
    finished: 'upstream_closed',
    vanished: 'upstream_closed',
    // Each message is a POST of its own, after the one before it.
    messages: 2_000,
    open: async ({ deaf }) => {
      const { sockets, port, far } = await pairServer(deaf);
      const near = await openSsePair({ url: `http://127.0.0.1:${port}/sse` }, components);
      return {
        near,
        far,
        close: async () => {
          // The near end's connections end with it; the server notices a moment later.
          await eventually(() => sockets.size === 0);
          return [];
        },
      };
    },
  },
);
