import { fileURLToPath } from 'node:url';
import type { Clock, Connection, Handler, Log } from '@shadowcat/kernel';
import { drainLines, type LineServer, serveLine } from '@shadowcat/wire';
import type { AdminSources } from '../stack/admin.js';
import { lineStack, type StackParts } from '../stack/layers.js';
import type { Owned } from '../stack/owned.js';
import { type ServingConfig, serveHttp } from '../stack/serve-http.js';
import { counter } from '../stack/system.js';
import { clientTransport, type TapeTransport } from './client-transport.js';

/** What a client that launches servers is told to launch. */
export interface StdioCommand {
  command: string;
  args: string[];
  env: Record<string, string>;
}

/** The three ways to one server; all of them lead to the same sessions. */
export interface Endpoint {
  /** Streamable HTTP on loopback, at a port of its own. WebSocket clients connect to the same address. */
  readonly url: string;
  /** For clients that launch servers, such as `new StdioClientTransport(tape.command)`. */
  readonly command: StdioCommand;
  /** For clients in this process: `await client.connect(tape.transport())`. Each client needs its own. */
  transport(): TapeTransport;
}

export interface EndpointComponents {
  readonly parts: StackParts;
  /** The handler behind all layers. */
  readonly innermost: Handler;
  readonly admin: AdminSources;
  readonly clock: Clock;
  readonly log: Log;
  /** Closes the endpoint and every client's line. */
  readonly owned: Owned;
}

const RELAY = fileURLToPath(new URL('./relay-main.js', import.meta.url));

/** Serves the stack to clients of a test. */
export async function openEndpoint(config: ServingConfig, components: EndpointComponents): Promise<Endpoint> {
  const { parts, innermost, clock, log, owned } = components;
  const handler = lineStack(parts)(innermost);
  const newId = counter('t');
  const lines = new Set<LineServer>();
  let closed = false;
  const serve = (connection: Connection): void => {
    if (closed) {
      throw new Error(
        'the tape is closed: it ends with the test, or the describe, that asked for it\n' +
          '(a beforeEach of node:test ends before its test begins: call useTape in the test)',
      );
    }
    const options = { target: config.path, afterEnd: 'abandon' } as const;
    const line = serveLine(connection, handler, { clock, log, newId, options });
    lines.add(line);
    void line.done.then(() => lines.delete(line));
  };
  const listener = await serveHttp(config, components);
  owned.add('the clients in this process', async () => {
    closed = true;
    await drainLines(lines, config.drainMs, clock);
    await Promise.all([...lines].map((line) => line[Symbol.asyncDispose]()));
  });
  const url = `${listener.url}${config.path}`;
  return {
    url,
    command: { command: process.execPath, args: [RELAY, url.replace(/^http/, 'ws')], env: {} },
    transport: () => clientTransport(serve),
  };
}
