// Traffic as it comes: few clients, many, a burst, a long time; through the proxy and, as control, directly.
//   node tooling/bench/src/traffic.mjs [--write] [--quick] [--seconds 15] [--minutes 10] [--only http|stdio]
// Each client has a connection and a session of its own and calls one small tool after the other. The proxy runs through all
// scenarios of a table: what it has before and after each is what it holds, not what it had at its start.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { demandBuild, startShadowcat, startUpstream, stdioServer } from './contenders.mjs';
import { childPids, describeMachine, foreignShare, memoryMiB, openDescriptors, usage } from './machine.mjs';
import { writeFigures } from './page.mjs';
import { Problem, run } from './problem.mjs';
import { start } from './processes.mjs';

const LOAD = fileURLToPath(new URL('./traffic-load.mjs', import.meta.url));
/** Node's own default: idle connections to the upstream are gone before a scenario has settled. */
const KEEP_ALIVE_MS = 5000;
/** How long what a scenario leaves behind may take to go. */
const SETTLE_MS = 20_000;
const SAMPLE_MS = 200;
/** How much longer than its time a scenario may take to open and end its sessions, in seconds. */
const LATE_S = 120;
/** Two for each of 5,000 clients, and some; Node raises its soft limit to the hard one by itself. */
const DESCRIPTORS = 12_000;

const say = (text) => process.stderr.write(`${text}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The scenarios in their order; the first one warms up and is not shown. */
function scenarios({ seconds, sustained }) {
  const steady = (clients) => ({ name: count(clients), clients, seconds });
  const burst = { name: 'burst from 10 to 1,000', clients: 1000, from: 10, seconds };
  const long = { name: `500 for ${timeText(sustained)}`, clients: 500, seconds: sustained };
  const warm = { name: 'warming up', clients: 1000, seconds, hidden: true };
  return [warm, ...[1, 10, 100, 500, 1000, 5000].map(steady), burst, long];
}

const timeText = (seconds) => (seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`);

function readOptions() {
  const options = {
    write: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    minutes: { type: 'string' },
    only: { type: 'string' },
  };
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new Problem(error.message);
  }
  const { write, quick, only } = values;
  const number = (name, fallback) => {
    const value = Number(values[name] ?? fallback);
    if (!(value > 0)) throw new Problem(`--${name} takes a number above 0`);
    return value;
  };
  if (only !== undefined && only !== 'http' && only !== 'stdio') throw new Problem('--only takes http or stdio');
  const seconds = number('seconds', quick ? 3 : 15);
  return { write, only, seconds, sustained: number('minutes', quick ? 0.25 : 10) * 60 };
}

/** What the process holds. */
function holding(pid) {
  return { memory: memoryMiB(pid), descriptors: openDescriptors(pid), children: childPids(pid).length };
}

/** Waits until the proxy has no more descriptors than before, as long as that may take; resolves with what it holds. */
async function settled(pid, before) {
  const deadline = performance.now() + SETTLE_MS;
  while (openDescriptors(pid) > before.descriptors && performance.now() < deadline) await pause(SAMPLE_MS);
  // Sessions and sockets that are gone are collected a little later.
  await pause(1000);
  return holding(pid);
}

/** Puts one scenario on `url`; with `pid` also looks at that process meanwhile. */
async function put(url, { clients, seconds, from }, pid) {
  const before = pid === undefined ? undefined : holding(pid);
  const begun = usage();
  const args = [url, '--clients', String(clients), '--seconds', String(seconds)];
  const clientsOf = start(process.execPath, [LOAD, ...args, ...(from === undefined ? [] : ['--from', String(from)])]);
  let peak = 0;
  const sampling = setInterval(() => {
    if (pid !== undefined) peak = Math.max(peak, memoryMiB(pid));
  }, SAMPLE_MS);
  try {
    const line = await clientsOf.firstLine((seconds + LATE_S) * 1000);
    const others = foreignShare(begun, usage());
    return { ...JSON.parse(line), others, before, peak, after: before && (await settled(pid, before)) };
  } finally {
    clearInterval(sampling);
    await clientsOf.stop();
  }
}

/** All scenarios through the proxy and, where there is a `direct`, directly, in turns. */
async function table(name, { url, pid, direct }, { list, seconds }) {
  const rows = [];
  for (const scenario of list) {
    say(`${name}: ${scenario.name}`);
    const through = await put(url, scenario, pid);
    // A long time tells about what is held, and that is the proxy's.
    const short = { ...scenario, seconds: Math.min(scenario.seconds, seconds) };
    const control = direct === undefined ? undefined : await put(direct, short);
    if (scenario.hidden) continue;
    rows.push({ scenario, through, control });
    const { answered, refused, failed, kinds, p95 } = through;
    say(`  ${answered} answered, ${refused} refused, ${failed} failed, p95 ${p95.toFixed(1)} ms ${kindsText(kinds)}`);
  }
  return rows;
}

const kindsText = (kinds) =>
  Object.entries(kinds)
    .map(([kind, count]) => `${count} × ${kind}`)
    .join('; ');

const ms = (value) => (value < 10 ? value.toFixed(1) : value.toFixed(0));
const count = (value) => Math.round(value).toLocaleString('en');

function markdown(rows) {
  const controlled = rows.some(({ control }) => control !== undefined);
  const head = ['clients', 'calls', 'refused', 'failed', 'calls/s', 'p50 ms', 'p95 ms', 'p99 ms'];
  head.push(...(controlled ? ['direct: failed', 'calls/s', 'p95 ms'] : []));
  head.push('memory MiB', 'descriptors', 'children');
  const lines = rows.map(({ scenario, through, control }) => {
    const { answered, refused, failed, perSecond, p50, p95, p99, before, peak, after } = through;
    const cells = [
      scenario.name,
      count(answered),
      count(refused),
      count(failed),
      count(perSecond),
      ms(p50),
      ms(p95),
      ms(p99),
    ];
    if (control !== undefined) cells.push(count(control.failed), count(control.perSecond), ms(control.p95));
    cells.push(
      `${before.memory.toFixed(0)}, ${peak.toFixed(0)}, ${after.memory.toFixed(0)}`,
      `${before.descriptors}, ${after.descriptors}`,
      `${before.children}, ${after.children}`,
    );
    return `| ${cells.join(' | ')} |`;
  });
  return [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...lines].join('\n');
}

function reasons(rows) {
  return rows.flatMap(({ scenario, through, control }) =>
    Object.entries({ through: through.kinds, directly: control?.kinds ?? {} }).flatMap(([where, kinds]) =>
      Object.keys(kinds).length === 0 ? [] : [`* ${scenario.name}, ${where}: ${kindsText(kinds)}`],
    ),
  );
}

async function overHttp(plan) {
  const upstream = await startUpstream(KEEP_ALIVE_MS);
  const proxy = await startShadowcat(() => ['--upstream', upstream.url]).catch(async (error) => {
    await upstream.stop();
    throw error;
  });
  try {
    return await table('HTTP', { url: proxy.url, pid: proxy.cpuPid, direct: upstream.url }, plan);
  } finally {
    await proxy.stop();
    await upstream.stop();
  }
}

async function overStdio(plan) {
  const proxy = await startShadowcat(() => ['--isolation', 'shared', ...stdioServer]);
  try {
    return await table('a command that all share', { url: proxy.url, pid: proxy.cpuPid }, plan);
  } finally {
    await proxy.stop();
  }
}

function demandDescriptors() {
  const [, hard = ''] = readFileSync('/proc/self/limits', 'utf8').match(/^Max open files\s+\S+\s+(\S+)/m) ?? [];
  if (hard === 'unlimited' || Number(hard) >= DESCRIPTORS) return;
  throw new Problem(
    `5,000 clients need ${DESCRIPTORS} descriptors, and this shell allows ${hard}; raise it with ulimit -Hn`,
  );
}

async function main() {
  if (process.platform !== 'linux')
    throw new Problem('what the proxy holds is read from /proc: this runs on Linux only');
  const options = readOptions();
  demandBuild();
  demandDescriptors();
  const plan = { list: scenarios(options), seconds: options.seconds };
  for (const [name, title, make] of [
    ['http', 'In front of an HTTP server', overHttp],
    ['stdio', 'In front of a command, `--isolation shared`', overStdio],
  ]) {
    if (options.only !== undefined && options.only !== name) continue;
    const rows = await make(plan);
    const others = Math.max(...rows.map(({ through }) => through.others));
    const report = [
      `### ${title}`,
      `${timeText(options.seconds)} each unless said otherwise, on ${describeMachine()}. Other processes took up to ${Math.round(others * 100)} % of the machine meanwhile. Memory is before, at most, and after; descriptors and children before and after.`,
      markdown(rows),
      ...(reasons(rows).length === 0 ? [] : [reasons(rows).join('\n')]),
    ].join('\n\n');
    process.stdout.write(`${report}\n`);
    if (options.write) writeFigures(`traffic-${name}`, report);
  }
}

await run(main);
