// What recording adds: to the latency of calls at a steady rate, appends a second, and memory as a tape grows. (Its share of a
// request's CPU time is measured by main.mjs, reading by tape-reading.mjs.)
//   node tooling/bench/src/recording.mjs [--seconds 4] [--rounds 5] [--calls 3000000] [--write]
import { setInterval, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { demandBuild, startShadowcat, startUpstream } from './contenders.mjs';
import { callTool, openSession } from './load.mjs';
import { describeMachine, foreignShare, usage } from './machine.mjs';
import { writeFigures } from './page.mjs';
import { Problem, run } from './problem.mjs';
import { start } from './processes.mjs';
import { openWriter, recordingRig } from './recorder-rig.mjs';

const SELF = fileURLToPath(import.meta.url);
/** A call is a message and its answer. */
const MESSAGES_A_SECOND = 1000;
const APPENDS = 500_000;
const WARM_UP = 3000;
/** Calls after which memory is looked at, beside the last one. */
const MARKS = [10_000, 100_000, 1_000_000, 2_000_000];

/** Calls at a steady rate, whether earlier ones are answered or not; milliseconds each took, sorted. */
async function paced(target, seconds) {
  const gap = 2000 / MESSAGES_A_SECOND;
  const total = (seconds * 1000) / gap;
  const calls = [];
  for await (const began of setInterval(1, performance.now())) {
    const due = Math.min(total, (performance.now() - began) / gap);
    while (calls.length < due) calls.push(callTool(target, calls.length + 1));
    if (calls.length >= total) break;
  }
  return (await Promise.all(calls)).sort((a, b) => a - b);
}

const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

/** What a call and its records take of the event loop, in CPU time, which does not depend on what else the machine does. */
async function ownTime(seconds) {
  const rig = await recordingRig();
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  for (let n = 0; n < WARM_UP; n += 1) {
    await rig.call(n);
    await turn();
  }
  const taken = [];
  for (let n = 0; n < (seconds * MESSAGES_A_SECOND) / 2; n += 1) {
    await sleep(2000 / MESSAGES_A_SECOND);
    const before = process.cpuUsage();
    await rig.call(n);
    await turn();
    const { user, system } = process.cpuUsage(before);
    taken.push((user + system) / 1000);
  }
  await rig.close();
  taken.sort((a, b) => a - b);
  return [quantile(taken, 0.5), quantile(taken, 0.99)];
}

async function latency({ seconds, rounds }) {
  const upstream = await startUpstream();
  const running = [];
  try {
    for (const recording of [[], ['--record', 'tapes']]) {
      const proxy = await startShadowcat(() => ['--upstream', upstream.url, ...recording]);
      const { origin, pathname: path } = new URL(proxy.url);
      const pool = new Pool(origin, { connections: 16, pipelining: 1 });
      running.push({ pool, path, proxy, headers: await openSession(pool, path), p50: [], p99: [] });
      for (let n = 0; n < WARM_UP; n += 1) await callTool(running.at(-1), n);
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const row of running) {
        const taken = await paced(row, seconds);
        row.p50.push(quantile(taken, 0.5));
        row.p99.push(quantile(taken, 0.99));
      }
    }
  } finally {
    for (const { pool, proxy } of running) {
      await pool.destroy();
      await proxy.stop();
    }
    await upstream.stop();
  }
  // The best of the rounds: what else the machine does only adds.
  const [plain, recorded] = running.map(({ p50, p99 }) => [Math.min(...p50), Math.min(...p99)]);
  const alone = await ownTime(seconds);
  const row = (name, values) => `| ${name} | ${values.map((ms) => ms.toFixed(2)).join(' | ')} |`;
  return [
    `| HTTP, ${MESSAGES_A_SECOND} messages a second | p50, ms | p99, ms |`,
    '|---|---|---|',
    row('through the proxy', plain),
    row('recorded', recorded),
    row(
      'added',
      recorded.map((ms, at) => ms - plain[at]),
    ),
    row('the recorder alone, CPU time', alone),
  ];
}

async function appendsOnce() {
  const { writer, remove } = await openWriter();
  const before = process.cpuUsage();
  const started = performance.now();
  for (let n = 0; n < APPENDS; n += 1) {
    const m = `{"jsonrpc":"2.0","id":${n},"result":{"content":[{"type":"text","text":"echo m${n}"}]}}`;
    writer.append(`{"k":"msg","t":12,"s":"s1","x":"${n}","from":"server","m":${m}}`);
    const room = writer.room();
    if (room !== undefined) await room;
  }
  await writer.finish();
  const wall = performance.now() - started;
  const { user, system } = process.cpuUsage(before);
  const { lost, error } = writer.state();
  remove();
  if (lost > 0) throw new Problem(`${lost} records were lost: ${error}`);
  return { wall: (APPENDS / wall) * 1000, cpu: (APPENDS / (user + system)) * 1e6 };
}

async function appends({ rounds }) {
  const taken = [];
  for (let round = 0; round < rounds; round += 1) taken.push(await appendsOnce());
  const best = (key) => Math.round(Math.max(...taken.map((round) => round[key]))).toLocaleString('en');
  return [
    '| appends | a second | per second of CPU |',
    '|---|---|---|',
    `| records | ${best('wall')} | ${best('cpu')} |`,
  ];
}

/** In a process of its own: records so many calls and tells what it holds on the way, after a collection each. */
async function hold(calls) {
  const rig = await recordingRig();
  const held = [];
  for (let n = 1; n <= calls; n += 1) {
    await rig.call(n);
    if (n % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (MARKS.includes(n) || n === calls) {
      globalThis.gc();
      const { heapUsed, external, rss } = process.memoryUsage();
      held.push([n, ...[heapUsed, external, rss].map((bytes) => (bytes / 1_048_576).toFixed(1))]);
    }
  }
  await rig.close();
  process.stdout.write(`${JSON.stringify(held)}\n`);
}

async function memory({ calls }) {
  const child = start(process.execPath, ['--expose-gc', SELF, '--hold', String(calls)]);
  try {
    const held = JSON.parse(await child.firstLine(600_000));
    return [
      '| calls on the tape | heap, MiB | buffers, MiB | process, MiB |',
      '|---|---|---|---|',
      ...held.map(([n, ...sizes]) => `| ${n.toLocaleString('en')} | ${sizes.join(' | ')} |`),
    ];
  } finally {
    await child.stop();
  }
}

function readOptions() {
  const text = (value) => ({ type: 'string', default: value });
  const { values } = parseArgs({
    options: {
      seconds: text('4'),
      rounds: text('5'),
      calls: text('3000000'),
      hold: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const number = (name) => {
    if (!/^[1-9]\d{0,7}$/.test(values[name])) throw new Problem(`--${name} takes a number from 1 on`);
    return Number(values[name]);
  };
  const held = values.hold === undefined ? undefined : number('hold');
  return { seconds: number('seconds'), rounds: number('rounds'), calls: number('calls'), held, write: values.write };
}

await run(async () => {
  const options = readOptions();
  if (options.held !== undefined) return hold(options.held);
  demandBuild();
  const before = usage();
  const tables = [await latency(options), await appends(options), await memory(options)];
  const others = Math.round(foreignShare(before, usage()) * 100);
  const how = `On ${describeMachine()}. Other processes took ${others} % of the machine meanwhile.`;
  const report = [how, ...tables.map((rows) => rows.join('\n'))].join('\n\n');
  process.stdout.write(`${report}\n`);
  if (options.write) writeFigures('recording', report);
});
