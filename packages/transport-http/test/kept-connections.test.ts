import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { classifiedExchange } from '@shadowcat/testkit';
import { expect, it, onTestFinished } from 'vitest';
import { eventually, nodeServer, REQUEST, upstreamAt } from './support.js';

type Fate = 'answer' | 'break' | 'hold' | 'break later';

/** A server that deals with each request as it is told, and the ports of its clients, in the order of the requests. */
async function server() {
  const fates: Fate[] = [];
  const ports: unknown[] = [];
  const held: (() => void)[] = [];
  const { url } = await nodeServer((request, response) => {
    request.resume();
    ports.push(request.socket.remotePort);
    const answer = (): void => {
      const result = { jsonrpc: '2.0', id: REQUEST.id, result: {} };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result));
    };
    const fate = fates.shift() ?? 'answer';
    if (fate === 'break') request.socket.destroy();
    else if (fate === 'hold') held.push(answer);
    else if (fate === 'break later') held.push(() => request.socket.destroy());
    else answer();
  });
  const upstream = upstreamAt(url);
  const ask = (fate: Fate): Promise<number> => {
    fates.push(fate);
    return upstream(classifiedExchange({ body: REQUEST })).then(async (reply) => {
      await reply[Symbol.asyncDispose]();
      // A connection is free again in the turn after the one in which its answer ended.
      await new Promise((resolve) => setImmediate(resolve));
      return reply.head.status;
    });
  };
  /** Two at a time, so that two connections stand. */
  const two = async (): Promise<void> => {
    const asked = [ask('hold'), ask('hold')];
    await eventually(() => held.length === 2);
    for (const answer of held.splice(0)) answer();
    await Promise.all(asked);
  };
  return { ask, two, ports, held, upstream };
}

it('uses its connections again', async () => {
  const { ask, two, ports } = await server();
  await two();
  await ask('answer');
  await ask('answer');
  expect(new Set(ports).size).toBe(2);
});

it('sends nothing more on any of them when one has broken', async () => {
  const { ask, two, ports, upstream } = await server();
  await two();
  await expect(ask('break')).rejects.toMatchObject({ code: 'upstream_closed' });
  await two();
  const before = new Set(ports.slice(0, 3));
  expect(ports.slice(3).filter((port) => before.has(port))).toEqual([]);
  // The one that was left is closed, not forgotten.
  await eventually(() => upstream.stats().connections === 2);
  await two();
  expect(new Set(ports.slice(5))).toEqual(new Set(ports.slice(3, 5)));
});

it('takes the end of one that it had given up already for a sign as well', async () => {
  const { ask, held, two, ports, upstream } = await server();
  const old = ask('break later');
  await eventually(() => held.length === 1);
  const breakOld = held.shift();
  await expect(ask('break')).rejects.toMatchObject({ code: 'upstream_closed' });
  await two();
  breakOld?.();
  await expect(old).rejects.toMatchObject({ code: 'upstream_closed' });
  await two();
  expect(new Set(ports.slice(2)).size).toBe(4);
  await eventually(() => upstream.stats().connections === 2);
});

it('lets what is under way on the others come to its end, and breaks it off when it is closed itself', async () => {
  const { ask, held, upstream } = await server();
  const first = ask('hold');
  await eventually(() => held.length === 1);
  await expect(ask('break')).rejects.toMatchObject({ code: 'upstream_closed' });
  expect(upstream.stats()).toMatchObject({ inFlight: 1, connections: 1 });
  held.shift()?.();
  expect(await first).toBe(200);
  const second = ask('hold');
  await eventually(() => held.length === 1);
  await expect(ask('break')).rejects.toMatchObject({ code: 'upstream_closed' });
  await Promise.all([upstream.close(), expect(second).rejects.toMatchObject({ code: 'draining' })]);
  expect(upstream.stats()).toMatchObject({ inFlight: 0, connections: 0 });
});

/** A server in a thread of its own, so that it can close its connections while nothing is read here. */
const IN_A_THREAD = `
import { createServer } from 'node:http';
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
const sockets = new Set();
const server = createServer((request, response) => {
  request.resume();
  sockets.add(request.socket);
  const result = { jsonrpc: '2.0', id: ${REQUEST.id}, result: {} };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result));
});
parentPort.on('message', async () => {
  // Longer than a connection counts as one that was just used.
  await new Promise((resolve) => setTimeout(resolve, 150));
  await Promise.all([...sockets].map((socket) => (socket.destroy(), once(socket, 'close'))));
  Atomics.store(workerData, 0, 1);
  Atomics.notify(workerData, 0);
});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

it('sees that a connection was closed in a silence before it writes to it, however busy this process was', async () => {
  const closed = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(IN_A_THREAD)}`), { workerData: closed });
  onTestFinished(async () => void (await worker.terminate()));
  const [port] = (await once(worker, 'message')) as [number];
  const upstream = upstreamAt(`http://127.0.0.1:${port}/mcp`);
  const ask = async (): Promise<number> => {
    await using reply = await upstream(classifiedExchange({ body: REQUEST }));
    return reply.head.status;
  };
  expect(await ask()).toBe(200);
  worker.postMessage('close');
  expect(Atomics.wait(closed, 0, 0, 30_000)).not.toBe('timed-out');
  expect(await ask()).toBe(200);
});
