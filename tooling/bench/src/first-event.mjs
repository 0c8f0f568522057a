// How long the first event of a stream takes from the server that writes it to the client that reads it, direct and through
// the proxy, side by side in turns.
//   node tooling/bench/src/first-event.mjs [--rounds 10] [--calls 50] [--write]
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { demandBuild, startShadowcat } from './contenders.mjs';
import { openSession } from './load.mjs';
import { describeMachine, foreignShare, usage } from './machine.mjs';
import { writeFigures } from './page.mjs';
import { Problem, run } from './problem.mjs';
import { start } from './processes.mjs';

const SCRIPT = fileURLToPath(new URL('./stamping-upstream.mjs', import.meta.url));
const STDIO = ['--', process.execPath, SCRIPT, 'stdio'];
/** Calls before anything counts. */
const WARM_UP = 100;

const request = (id) => {
  const params = { name: 'stamp', arguments: {}, _meta: { progressToken: id } };
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
};

/** Milliseconds from when the step in `text` was written until now; `undefined` when there is none in it. */
function delayIn(text, now) {
  const stamp = /"at (\d+)"/.exec(text)?.[1];
  return stamp === undefined ? undefined : Number(now - BigInt(stamp)) / 1e6;
}

/** Calls over HTTP, each on an SSE stream of its own. */
async function overHttp(url, stop) {
  const { origin, pathname: path } = new URL(url);
  const pool = new Pool(origin, { connections: 1 });
  const headers = await openSession(pool, path);
  let id = 0;
  const call = async () => {
    id += 1;
    const { body } = await pool.request({ path, method: 'POST', headers, body: request(id) });
    let delay;
    for await (const chunk of body) delay ??= delayIn(chunk.toString(), process.hrtime.bigint());
    return delay;
  };
  return { call, stop: () => pool.destroy().finally(stop) };
}

/** Calls over the pipes of a child. */
async function overPipes() {
  const child = spawn(process.execPath, [SCRIPT, 'stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let heard = () => {};
  createInterface({ input: child.stdout }).on('line', (line) => heard(line, process.hrtime.bigint()));
  let id = 0;
  const call = () => {
    id += 1;
    return new Promise((resolve) => {
      let delay;
      heard = (line, now) => {
        delay ??= delayIn(line, now);
        if (line.includes('"result"')) resolve(delay);
      };
      child.stdin.write(`${request(id)}\n`);
    });
  };
  return { call, stop: async () => void child.kill() };
}

async function proxied(args) {
  const proxy = await startShadowcat(args);
  return overHttp(proxy.url, () => proxy.stop());
}

const contenders = (upstream) => [
  { name: 'HTTP server, direct', start: () => overHttp(upstream.url, async () => {}) },
  { name: 'HTTP server, through the proxy', start: () => proxied(() => ['--upstream', upstream.url]), base: 0 },
  {
    name: 'HTTP server, recorded',
    start: () => proxied((folder) => ['--upstream', upstream.url, '--record', join(folder, 'tapes')]),
    base: 0,
  },
  { name: 'command, direct (pipes)', start: overPipes },
  { name: 'command, through the proxy', start: () => proxied(() => STDIO), base: 3 },
  {
    name: 'command, recorded',
    start: () => proxied((folder) => ['--record', join(folder, 'tapes'), ...STDIO]),
    base: 3,
  },
];

async function times(count, call) {
  const delays = [];
  for (let at = 0; at < count; at += 1) {
    const delay = await call();
    if (delay === undefined) throw new Error('a stream came without its first event');
    delays.push(delay);
  }
  return delays;
}

function at(values, quantile) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))];
}

function table(rows) {
  const line = ({ name, base, delays }) => {
    const added = (quantile) =>
      base === undefined ? '-' : (at(delays, quantile) - at(rows[base].delays, quantile)).toFixed(2);
    const own = [at(delays, 0.5), at(delays, 0.99)].map((ms) => ms.toFixed(2));
    return `| ${[name, ...own, added(0.5), added(0.99)].join(' | ')} |`;
  };
  return ['| first event of a stream | median ms | p99 ms | added, median | added, p99 |', '|---|---|---|---|---|']
    .concat(rows.map(line))
    .join('\n');
}

async function main() {
  const number = (name, value) => {
    if (!/^[1-9]\d{0,5}$/.test(value)) throw new Problem(`--${name} takes a number from 1 on`);
    return Number(value);
  };
  const text = (value) => ({ type: 'string', default: value });
  const options = { rounds: text('10'), calls: text('50'), write: { type: 'boolean', default: false } };
  const { values } = parseArgs({ options });
  const [rounds, calls] = [number('rounds', values.rounds), number('calls', values.calls)];
  demandBuild();
  const server = start(process.execPath, [SCRIPT, 'http', '0']);
  const running = [];
  try {
    const upstream = { url: await server.firstLine() };
    for (const contender of contenders(upstream)) {
      const run = await contender.start();
      running.push({ ...contender, ...run, delays: [] });
      await times(WARM_UP, run.call);
    }
    const before = usage();
    for (let round = 0; round < rounds; round += 1) {
      for (const row of running) row.delays.push(...(await times(calls, row.call)));
    }
    const others = Math.round(foreignShare(before, usage()) * 100);
    const how = `${rounds * calls} streams each, one after the other, in turns, on ${describeMachine()}.`;
    const report = `${how} Other processes took ${others} % of the machine meanwhile.\n\n${table(running)}`;
    process.stdout.write(`${report}\n`);
    if (values.write) writeFigures('first-event', report);
  } finally {
    for (const { stop } of running) await stop();
    await server.stop();
  }
}

await run(main);
