// What the event log holds for a stream that its client can come back to: bytes per idle and per active stream.
//   node --expose-gc tooling/bench/src/kept-streams.mjs [--write]
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { writeFigures } from './page.mjs';
import { Problem, run } from './problem.mjs';

const IDLE = 2_000;
const ACTIVE = 500;
const EVENTS = 100;
const EVENT = Buffer.from(`data: {"jsonrpc":"2.0","method":"notifications/message","params":"${'x'.repeat(130)}"}\n\n`);

async function built(name) {
  const file = new URL(`../../../packages/${name}/dist/index.js`, import.meta.url);
  if (!existsSync(file)) throw new Problem(`${file.pathname} is not built; run npm run build`);
  return import(file);
}

/** Bytes in use after a collection. */
async function held() {
  // Buffers are let go of a turn after the objects that had them.
  for (let at = 0; at < 3; at += 1) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A stream that sends `events` events and no end. */
async function* source(events) {
  // Each is a buffer of its own, as it comes from a socket.
  for (let at = 0; at < events; at += 1) yield Uint8Array.from(EVENT);
  await new Promise(() => {});
}

function sessionOf(id) {
  const ends = new Set();
  return {
    id,
    protocolVersion: '2025-11-25',
    ended: false,
    onEnd: (done) => ends.add(done) && (() => ends.delete(done)),
  };
}

/** Bytes for each of `count` streams, of which a client reads all events and stays. */
async function measured({ count, events, kept }, parts) {
  const { classifiedExchange, streamReply, ManualClock, resumption, sessionSlot, silentLog } = parts;
  let names = 0;
  const components = { clock: new ManualClock(), log: silentLog, newId: () => `n${names++}` };
  const layer = resumption({ totalBytes: 1e9 }, components);
  const upstream = async () => streamReply(source(events));
  const handler = kept ? layer(upstream) : upstream;
  const clients = [];
  const before = await held();
  for (let at = 0; at < count; at += 1) {
    const body = { jsonrpc: '2.0', id: at, method: 'tools/call', params: { name: 'x' } };
    const exchange = classifiedExchange({ body });
    // Five streams share a session: within the limits of one.
    exchange.context.set(sessionSlot, sessions(at));
    const reply = await handler(exchange);
    const chunks = reply.body.bytes()[Symbol.asyncIterator]();
    // The priming event comes on top.
    for (let read = 0; read < events + (kept ? 1 : 0); read += 1) await chunks.next();
    clients.push(exchange, reply, chunks, chunks.next());
  }
  const bytes = (await held()) - before;
  const { events: inLog } = layer.stats();
  if (kept && inLog !== count * (events + 1)) throw new Error(`${inLog} events are kept, not ${count * (events + 1)}`);
  await layer.close();
  return { each: bytes / count, clients };
}

const made = new Map();
const sessions = (at) => {
  const id = `s${Math.floor(at / 5)}`;
  if (!made.has(id)) made.set(id, sessionOf(id));
  return made.get(id);
};

async function main() {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
  if (globalThis.gc === undefined) throw new Problem('collections are needed: run node with --expose-gc');
  const names = ['kernel', 'wire', 'testkit', 'transport-sse'];
  const parts = Object.assign({}, ...(await Promise.all(names.map(built))));
  // Once for what is compiled and loaded on the way.
  await measured({ count: 200, events: EVENTS, kept: true }, parts);
  const kib = (bytes) => (bytes / 1024).toFixed(1);
  const rows = [];
  for (const [name, count, events] of [
    ['idle', IDLE, 0],
    [`active, ${EVENTS} events of ${EVENT.length} bytes`, ACTIVE, EVENTS],
  ]) {
    const { each: passed } = await measured({ count, events, kept: false }, parts);
    const { each: kept } = await measured({ count, events, kept: true }, parts);
    const an = events === 0 ? '-' : Math.round((kept - passed) / events - EVENT.length);
    rows.push(`| ${[name, kib(passed), kib(kept), kib(kept - passed), an].join(' | ')} |`);
  }
  const head =
    '| stream | passed on, KiB | kept, KiB | added, KiB | bytes an event besides its own |\n|---|---|---|---|---|';
  const report = `${IDLE} idle and ${ACTIVE} active streams, five to a session, after a collection, Node ${process.version}.\n\n${head}\n${rows.join('\n')}`;
  process.stdout.write(`${report}\n`);
  if (values.write) writeFigures('kept-streams', report);
}

await run(main);
