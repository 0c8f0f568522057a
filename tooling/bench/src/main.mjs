// pnpm bench: Shadowcat side by side with the runtime's floor and its peers, in one run, in turns.
//   node tooling/bench/src/main.mjs [--rounds 5] [--requests 6000] [--clients 16] [--only http|stdio] [--write]
// Absolute times belong to the machine; the ratios and the CPU time per request are what to compare.
import { parseArgs } from 'node:util';
import { demandBuild, httpContenders, startUpstream, stdioContenders } from './contenders.mjs';
import { describeMachine } from './machine.mjs';
import { measure } from './measure.mjs';
import { writeFigures } from './page.mjs';
import { Problem, run } from './problem.mjs';
import { budgets, table } from './report.mjs';

const SECTIONS = ['http', 'stdio'];

const say = (text) => process.stderr.write(`${text}\n`);

function readOptions() {
  const text = (value) => ({ type: 'string', default: value });
  const options = { rounds: text('5'), requests: text('6000'), clients: text('16'), only: { type: 'string' } };
  let values;
  try {
    ({ values } = parseArgs({ options: { ...options, write: { type: 'boolean', default: false } } }));
  } catch (error) {
    throw new Problem(error.message);
  }
  const number = (name) => {
    if (!/^[1-9]\d{0,6}$/.test(values[name])) throw new Problem(`--${name} takes a number from 1 on`);
    return Number(values[name]);
  };
  if (values.only !== undefined && !SECTIONS.includes(values.only)) {
    throw new Problem(`--only takes one of ${SECTIONS.join(', ')}`);
  }
  const { only, write } = values;
  if (write && only !== undefined) throw new Problem('--write needs the figures of all sections: leave out --only');
  return { rounds: number('rounds'), requests: number('requests'), clients: number('clients'), only, write };
}

async function inFrontOfHttp(section, options) {
  const upstream = await startUpstream();
  try {
    return await measure({ ...section, contenders: httpContenders, argument: upstream.url }, options);
  } finally {
    await upstream.stop();
  }
}

function inFrontOfCommand(section, options) {
  return measure({ ...section, contenders: stdioContenders, argument: undefined }, options);
}

async function main() {
  if (process.platform !== 'linux')
    throw new Problem('the benchmark reads CPU times from /proc: it runs on Linux only');
  const options = readOptions();
  demandBuild();
  const of = (name) => ({ say: (text) => say(`${name}: ${text}`) });
  const http = options.only === 'stdio' ? undefined : await inFrontOfHttp(of('http'), options);
  const stdio = options.only === 'http' ? undefined : await inFrontOfCommand(of('stdio'), options);
  const done = [http, stdio].filter((section) => section !== undefined);
  const others = Math.max(...done.map((section) => section.others));
  const { clients, requests, rounds } = options;
  const report = [
    `${clients} clients, ${requests} small \`tools/call\` a round, medians of ${rounds} rounds in turns, on ${describeMachine()}. Other processes took ${Math.round(others * 100)} % of the machine meanwhile.`,
    ...(http === undefined ? [] : [`### HTTP in front of HTTP\n\n${table(http.measured, 'floor')}`]),
    ...(stdio === undefined ? [] : [`### HTTP in front of a stdio command\n\n${table(stdio.measured, 'mcp-proxy')}`]),
    `### Budgets\n\n${budgets({ http: http?.measured, stdio: stdio?.measured })}`,
    ...done.flatMap(({ missing }) => missing.map((why) => `Left out: ${why}`)),
  ].join('\n\n');
  process.stdout.write(`${report}\n`);
  if (options.write) writeFigures('figures', report);
}

await run(main);
