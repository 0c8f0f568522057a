import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import process from 'node:process';
import { silentLog } from '@shadowcat/kernel';
import { connectionCompliance, type FarEnd } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { openChild, ownStdio } from '../src/index.js';
import { allGone, processesNaming, realClock, scripts } from './support.js';

const LIMIT = 2 * 1024 * 1024;
const components = { clock: realClock, log: silentLog };

/**
 * A child that hands its stdin to a socket of the test and what comes from there to its stdout, so that the test is the far
 * end. It ends with its stdin; a deaf one does not, nor when it is told to.
 */
const RELAY = `
import { closeSync } from 'node:fs';
import { connect } from 'node:net';
const [port, deaf] = process.argv.slice(2);
const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
socket.on('error', () => {});
process.stdout.on('error', () => {});
socket.pipe(process.stdout, { end: false });
socket.on('end', () => process.stdout.write('', () => closeSync(1)));
if (deaf === 'deaf') {
  process.on('SIGTERM', () => {});
  setInterval(() => {}, 1000);
} else {
  process.stdin.pipe(socket);
  process.stdin.on('end', () => socket.end(() => process.exit(0)));
}
`;

/** Lines over a socket. */
function farEnd(socket: Socket, vanish: () => void): FarEnd {
  socket.on('error', () => {});
  return {
    send: (text) => new Promise((resolve) => socket.write(`${text}\n`, () => resolve())),
    read: (message) => readLines(socket, message),
    finish: () => void socket.end(),
    vanish,
  };
}

function readLines(socket: Socket, message: (text: string) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) message(line);
  });
  socket.resume();
}

/** Two connected sockets, each of which may be half closed. */
async function sockets(): Promise<{ near: Socket; far: Socket; port: number }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection');
  const near = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [far] = (await accepted) as [Socket];
  server.close();
  return { near, far, port };
}

connectionCompliance(
  { describe, it, expect },
  {
    name: 'the line to a child',
    finished: 'upstream_closed',
    vanished: 'child_exited',
    limit: { bytes: LIMIT, beyond: 'upstream_protocol' },
    open: async ({ deaf }) => {
      const dir = scripts();
      const script = dir.write('relay.mjs', RELAY);
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const accepted = once(server, 'connection');
      const near = await openChild(
        {
          command: process.execPath,
          args: [script, String(port), ...(deaf ? ['deaf'] : [])],
          maxLine: LIMIT,
          // One that is not deaf ends by itself, however busy the machine is.
          grace: { stdinMs: deaf ? 20 : 60_000, termMs: 20 },
        },
        components,
      );
      const [socket] = (await accepted) as [Socket];
      server.close();
      return {
        near,
        far: farEnd(socket, () => process.kill(near.pid, 'SIGKILL')),
        close: async () => {
          socket.destroy();
          // Destroyed children are reaped a moment later; a test that waits in vain here is one that leaves them.
          await allGone(script);
          const left = await processesNaming(script);
          dir[Symbol.dispose]();
          return left.map((pid) => `child ${pid}`);
        },
      };
    },
  },
);

connectionCompliance(
  { describe, it, expect },
  {
    name: 'the line on our own stdin and stdout',
    finished: undefined,
    vanished: 'upstream_closed',
    halfOpen: true,
    limit: { bytes: LIMIT, beyond: 'skipped' },
    open: async () => {
      const { near: stdio, far } = await sockets();
      return {
        near: ownStdio({ input: stdio, output: stdio, maxLine: LIMIT }, components),
        far: farEnd(far, () => void far.resetAndDestroy()),
        close: async () => {
          const left = ['data', 'end', 'drain'].filter(
            (event) => stdio.listenerCount(event) > (event === 'end' ? 1 : 0),
          );
          stdio.destroy();
          far.destroy();
          return left.map((event) => `a listener for ${event}`);
        },
      };
    },
  },
);
