import { once } from 'node:events';
import type { Server } from 'node:http';
import { freePort } from './processes.js';

/** A server of a test's own, which can go away and come back at the same address. */
export interface OwnPort extends AsyncDisposable {
  readonly port: number;
  /** Breaks all connections and refuses others, until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** Makes a server listen on a port of its own on loopback; disposing takes it down. */
export async function onOwnPort(server: Server): Promise<OwnPort> {
  // Not one of those that the system gives away: it would have given it to somebody else while the server is down.
  const port = await freePort();
  const up = async (): Promise<void> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await up();
  const down = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { port, down, up, [Symbol.asyncDispose]: down };
}
