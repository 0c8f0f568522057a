import { type Connection, silentLog } from '@shadowcat/kernel';
import { ownStdio } from '@shadowcat/transport-stdio';
import { openSocket } from '@shadowcat/transport-ws';
import { systemClock } from '../stack/system.js';

/*
 * What clients that launch servers launch: `node relay-main.js ws://127.0.0.1:PORT/mcp` is a server on stdin and stdout that
 * is really in the test's own process, so that what the client asks for and misses is known there. Ends with either side.
 */

const [url = ''] = process.argv.slice(2);
const components = { clock: systemClock, log: silentLog };

try {
  const socket = await openSocket({ url }, components);
  join(ownStdio({ input: process.stdin, output: process.stdout }, components), socket);
} catch (error) {
  process.stderr.write(`shadowcat: the tape is not open: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

/** What one end says the other is told, and so is the end of it. */
function join(client: Connection, server: Connection): void {
  const pass = (from: Connection, to: Connection): void =>
    from.listen({
      message: (text) => void to.send(text).catch(() => {}),
      closed: () => void to[Symbol.asyncDispose]().then(() => from[Symbol.asyncDispose]()),
    });
  pass(client, server);
  pass(server, client);
}
