// pnpm bench: Shadowcat side by side with the runtime's floor and its peers, in one run, in turns.
//   node tooling/bench/src/main.mjs [--rounds 3] [--requests 6000] [--clients 16] [--only http|stdio] [--write]
// Absolute times belong to the machine; the ratios and the CPU time per request are what to compare.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  cpuSeconds,
  httpContenders,
  memoryMiB,
  openDescriptors,
  startUpstream,
  stdioContenders,
} from './contenders.mjs';
import { makeLoad } from './load.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    requests: { type: 'string', default: '6000' },
    clients: { type: 'string', default: '16' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const requests = Number(options.requests);
const clients = Number(options.clients);
const say = (text) => process.stderr.write(`${text}\n`);

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function measure(name, list, upstreamUrl) {
  const running = [];
  try {
    for (const contender of list) {
      if (contender.needs !== undefined && spawnSync(contender.needs, ['-v']).error !== undefined) {
        say(`${contender.needs} is not installed: ${contender.name} is left out (Debian: apt-get install nginx-light)`);
        continue;
      }
      const proxy = await contender.start(upstreamUrl);
      running.push({ contender, proxy });
      running.at(-1).load = await makeLoad(proxy.url, clients);
      running.at(-1).rows = [];
      await running.at(-1).load.run(Math.min(3000, requests));
    }
    for (let round = 1; round <= rounds; round++) {
      for (const entry of running) {
        const before = cpuSeconds(entry.proxy.cpuPid);
        const row = await entry.load.run(requests);
        const cpu = cpuSeconds(entry.proxy.cpuPid) - before;
        entry.rows.push({ ...row, cpuMicros: (cpu / requests) * 1e6 });
        say(
          `${name} round ${round}/${rounds}: ${entry.contender.name}: ${((cpu / requests) * 1e6).toFixed(0)} us CPU a request, ${row.perSecond.toFixed(0)}/s`,
        );
      }
    }
    return running.map(({ contender, proxy, rows }) => ({
      name: contender.name,
      cpu: median(rows.map((row) => row.cpuMicros)),
      perSecond: median(rows.map((row) => row.perSecond)),
      p50: median(rows.map((row) => row.p50)),
      p95: median(rows.map((row) => row.p95)),
      p99: median(rows.map((row) => row.p99)),
      memory: memoryMiB(proxy.cpuPid),
      descriptors: openDescriptors(proxy.cpuPid),
    }));
  } finally {
    for (const entry of running) {
      await entry.load?.close();
      await entry.proxy.stop();
    }
  }
}

function table(rows, base) {
  const unit = rows.find((row) => row.name.startsWith(base))?.cpu;
  const ratio = (row) => (unit === undefined ? '-' : (row.cpu / unit).toFixed(2));
  const lines = rows.map(
    (row) =>
      `| ${row.name} | ${row.cpu.toFixed(0)} | ${ratio(row)} | ${row.perSecond.toFixed(0)} | ${row.p50.toFixed(2)} | ${row.p95.toFixed(2)} | ${row.p99.toFixed(2)} | ${row.memory.toFixed(0)} | ${row.descriptors} |`,
  );
  return [
    `| | CPU µs a request | against ${base} | requests/s | p50 ms | p95 ms | p99 ms | memory MiB | descriptors |`,
    '|---|---|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
}

const sections = [];
if (options.only !== 'stdio') {
  const upstream = await startUpstream();
  try {
    sections.push(
      `### HTTP in front of HTTP\n\n${table(await measure('http', httpContenders, upstream.url), 'floor')}`,
    );
  } finally {
    await upstream.stop();
  }
}
if (options.only !== 'http') {
  sections.push(
    `### HTTP in front of a stdio command\n\n${table(await measure('stdio', stdioContenders), 'mcp-proxy')}`,
  );
}
const head = `${clients} clients, ${requests} small \`tools/call\` a round, median of ${rounds} rounds in turns, on ${cpus().length} cores (${cpus()[0]?.model.trim()}), Node ${process.version}.`;
const report = `${head}\n\n${sections.join('\n\n')}\n`;
process.stdout.write(report);

if (options.write) {
  const file = fileURLToPath(new URL('../../../docs/performance.md', import.meta.url));
  const page = readFileSync(file, 'utf8');
  const marked = /(<!-- figures -->\n)[\s\S]*(<!-- \/figures -->)/;
  if (!marked.test(page)) throw new Error(`${file} has no <!-- figures --> markers`);
  writeFileSync(
    file,
    page.replace(marked, (_all, open, close) => `${open}\n${report}\n${close}`),
  );
  say(`written to docs/performance.md`);
}
