// How fast a replay answers from a tape of 10,000 recordings: milliseconds an answer, in this process and over HTTP.
//   node tooling/bench/src/replay-answers.mjs [--write]
import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Client } from 'undici';
import { writeFigures } from './page.mjs';
import { Problem, run } from './problem.mjs';
import { makeFolder, start } from './processes.mjs';

const RECORDINGS = 10_000;
/** The best of them counts: what else the machine does only adds. */
const ROUNDS = 5;
const encoder = new TextEncoder();

async function built(name) {
  const file = new URL(`../../../packages/${name}/dist/index.js`, import.meta.url);
  if (!existsSync(file)) throw new Problem(`${file.pathname} is not built; run npm run build`);
  return import(file);
}

const call = (number, at) => ({
  jsonrpc: '2.0',
  id: number,
  method: 'tools/call',
  params: { name: `tool-${number % 20}`, arguments: { path: `/srv/data/${number}.txt`, limit: 100, at } },
});

/** A finished tape of so many calls, all different. */
function tapeText() {
  const lines = ['{"k":"head","v":1,"form":"capture","requires":[],"scope":"all"}'];
  for (let number = 1; number <= RECORDINGS; number += 1) {
    const of = `"s":"-","x":"${number}"`;
    const answer = {
      jsonrpc: '2.0',
      id: number,
      result: { content: [{ type: 'text', text: `${number} `.repeat(80) }] },
    };
    lines.push(
      `{"k":"msg","t":10,${of},"from":"client","m":${JSON.stringify(call(number, 'recorded'))}}`,
      `{"k":"msg","t":500,${of},"from":"server","m":${JSON.stringify(answer)}}`,
      `{"k":"x-","t":1,${of},"end":"answered"}`,
    );
  }
  const body = `${lines.join('\n')}\n`;
  const end = `{"k":"end","lines":${lines.length},"lost":0`;
  return `${body}${end},"sha":"${createHash('sha256').update(body).update(end).digest('hex')}"}\n`;
}

function newDigest() {
  const hash = createHash('sha256');
  return { update: (bytes) => void hash.update(bytes), with: (suffix) => hash.copy().update(suffix).digest('hex') };
}

/** Milliseconds of each answer, sorted; the first thousand, in which code is compiled, apart. */
async function times({ overlay, at }, tape, parts) {
  const { replayHandler, createRedactor, classifiedExchange, silentLog, clock } = parts;
  const redactor = createRedactor({}, () => '0'.repeat(64));
  const replay = replayHandler([tape], { overlay }, { redactor, keyId: '', clock, log: silentLog, newId: () => 'n' });
  const taken = [];
  for (const number of ORDER) {
    const exchange = classifiedExchange({ body: call(number, at) });
    const started = performance.now();
    const reply = await replay(exchange);
    for await (const _ of reply.body.bytes());
    await reply[Symbol.asyncDispose]();
    taken.push(performance.now() - started);
  }
  const { served } = replay.summary();
  if (served !== RECORDINGS) throw new Problem(`${served} of ${RECORDINGS} requests were answered`);
  replay.close();
  return sorted(taken);
}

const ORDER = Array.from({ length: RECORDINGS }, (_, index) => ((index * 7919) % RECORDINGS) + 1);

function sorted(taken) {
  return taken.slice(1000).sort((a, b) => a - b);
}

/** The same of the command line, asked by one client on one connection, one request after the other. */
async function timesOverHttp(path) {
  const main = fileURLToPath(new URL('../../../apps/cli/dist/main.js', import.meta.url));
  const replay = start(process.execPath, [main, 'replay', path, '--listen', '127.0.0.1:0', '--log-level', 'warn']);
  try {
    const url = new URL(await replay.firstLine());
    const client = new Client(url.origin);
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const taken = [];
    for (const number of ORDER) {
      const body = JSON.stringify(call(number, 'recorded'));
      const started = performance.now();
      const response = await client.request({ method: 'POST', path: url.pathname, headers, body });
      const text = await response.body.text();
      taken.push(performance.now() - started);
      if (!text.includes('"result"')) throw new Problem(`not answered: ${text}`);
    }
    await client.close();
    return sorted(taken);
  } finally {
    await replay.stop();
  }
}

await run(async () => {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
  const [tapes, kit, kernel] = await Promise.all([built('tape'), built('testkit'), built('kernel')]);
  const { readTape, replayHandler, createRedactor, NO_OVERLAY } = tapes;
  const clock = new kit.ManualClock();
  const parts = {
    replayHandler,
    createRedactor,
    classifiedExchange: kit.classifiedExchange,
    silentLog: kernel.silentLog,
    clock,
  };
  const text = tapeText();
  const tape = readTape(encoder.encode(text), { name: 'bench.tape.jsonl', newDigest });
  if (tape.problems.length > 0) throw new Problem(tape.problems[0].message);
  const ignore = [{ where: 'bench', method: 'tools/call', at: [['arguments', 'at']] }];
  const rows = [];
  const row = async (name, measure) => {
    const rounds = [];
    for (let round = 0; round < ROUNDS; round += 1) rounds.push(await measure());
    const at = (share) => Math.min(...rounds.map((times) => times[Math.floor((times.length - 1) * share)])).toFixed(3);
    rows.push(`| ${name} | ${at(0.5)} | ${at(0.99)} | ${at(0.999)} |`);
  };
  await row('exact', () => times({ overlay: NO_OVERLAY, at: 'recorded' }, tape, parts));
  await row('by a rule of an overlay', () => times({ overlay: { ...NO_OVERLAY, ignore }, at: 'now' }, tape, parts));
  const path = join(makeFolder(), 'bench.tape.jsonl');
  writeFileSync(path, text);
  await row('exact, over HTTP', () => timesOverHttp(path));
  const report = ['| match | p50, ms | p99, ms | p99.9, ms |', '|---|---|---|---|', ...rows].join('\n');
  process.stdout.write(`${report}\n`);
  if (values.write) writeFigures('replay-answers', report);
});
