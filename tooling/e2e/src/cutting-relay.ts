import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface RelayOptions {
  /** Where to. On 127.0.0.1. */
  readonly port: number;
  /** Called for each connection: after so many bytes from the server it is cut; `undefined`: never. */
  readonly cutAfter: () => number | undefined;
}

/** A TCP relay that cuts connections in the middle of what the server says. */
export interface CuttingRelay extends AsyncDisposable {
  readonly port: number;
  /** Connections that were cut so far. */
  readonly cuts: number;
}

/** Listens on 127.0.0.1, on a port of its own. */
export async function cuttingRelay(options: RelayOptions): Promise<CuttingRelay> {
  const sockets = new Set<Socket>();
  let cuts = 0;
  const own = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    own(client);
    const upstream = own(connect({ port: options.port, host: '127.0.0.1' }));
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    client.once('close', end);
    upstream.once('close', end);
    client.pipe(upstream);
    let left = options.cutAfter() ?? Number.POSITIVE_INFINITY;
    upstream.on('data', (chunk: Buffer) => {
      if (chunk.length <= left) {
        left -= chunk.length;
        client.write(chunk);
        return;
      }
      cuts += 1;
      upstream.removeAllListeners('data');
      upstream.pause();
      // A reset would take back what was sent before it.
      client.end(chunk.subarray(0, left), end);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get cuts() {
      return cuts;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
