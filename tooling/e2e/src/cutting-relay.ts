import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface RelayOptions {
  /** Where to. On 127.0.0.1. */
  readonly port: number;
  /** Called for each event stream: so many bytes after its first event it is cut; `undefined`: never. */
  readonly cutAfter: () => number | undefined;
}

/** A TCP relay that cuts connections in the middle of the event streams that the server sends. */
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
    const fuse = new Fuse(options.cutAfter);
    upstream.on('data', (chunk: Buffer) => {
      const at = fuse.burn(chunk);
      if (at === undefined) {
        client.write(chunk);
        return;
      }
      cuts += 1;
      upstream.removeAllListeners('data');
      upstream.pause();
      // A reset would take back what was sent before it.
      client.end(chunk.subarray(0, at), end);
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

const HEAD = 'HTTP/1.1 ';
/** Ends an event; the lines of a head end with CR LF. */
const EVENT_END = '\n\n';

/** Where one connection is to be cut. */
class Fuse {
  readonly #draw: () => number | undefined;
  /** Bytes to go, once an event has passed of the current stream. */
  #left: number | undefined;
  #tail = '';

  constructor(draw: () => number | undefined) {
    this.#draw = draw;
  }

  /** Where in this chunk the connection is to be cut, if it is. */
  burn(chunk: Buffer): number | undefined {
    const before = this.#tail.length;
    const text = this.#tail + chunk.toString('latin1');
    this.#tail = text.slice(-(HEAD.length - 1));
    const head = text.lastIndexOf(HEAD);
    if (head >= 0) this.#left = undefined;
    let counted = chunk.length;
    if (this.#left === undefined) {
      const event = text.indexOf(EVENT_END, Math.max(0, head));
      if (event < 0) return undefined;
      this.#left = this.#draw() ?? Number.POSITIVE_INFINITY;
      counted = text.length - event - EVENT_END.length;
    }
    if (counted <= this.#left) {
      this.#left -= counted;
      return undefined;
    }
    return Math.max(0, text.length - before - counted + this.#left);
  }
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
