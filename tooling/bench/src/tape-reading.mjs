// How fast a tape is read and verified: megabytes a second, of wall time and of CPU time.
//   node tooling/bench/src/tape-reading.mjs [--write]
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeFigures } from './page.mjs';
import { Problem, run } from './problem.mjs';

const BYTES = 50_000_000;
const ROUNDS = 5;
/** Characters of text in each answer, by the name of the row. */
const ANSWERS = { 'small calls': 200, 'answers of 4 KB': 4_000 };
const HEADERS = '{"accept":"application/json, text/event-stream","content-type":"application/json"}';

async function built(name) {
  const file = new URL(`../../../packages/${name}/dist/index.js`, import.meta.url);
  if (!existsSync(file)) throw new Problem(`${file.pathname} is not built; run npm run build`);
  return import(file);
}

/** The records of one call whose answer holds so much text. */
function call(number, length) {
  const text = 'a line of "text" that a tool gave, ünïcode too; '.repeat(Math.ceil(length / 48)).slice(0, length);
  const of = `"s":"s1","x":"${number}"`;
  const asked = {
    jsonrpc: '2.0',
    id: number,
    method: 'tools/call',
    params: { name: 'read', arguments: { n: number } },
  };
  const answer = { jsonrpc: '2.0', id: number, result: { content: [{ type: 'text', text }] } };
  return [
    `{"k":"http","t":12,${of},"from":"client","method":"POST","target":"/mcp","headers":${HEADERS}}`,
    `{"k":"msg","t":0,${of},"from":"client","m":${JSON.stringify(asked)}}`,
    `{"k":"http","t":812,${of},"from":"server","status":200,"headers":{"content-type":"application/json"}}`,
    `{"k":"msg","t":3,${of},"from":"server","m":${JSON.stringify(answer)}}`,
    `{"k":"x-","t":1,${of},"end":"answered"}`,
  ];
}

/** A tape with a checkpoint every 256 lines. */
function tapeOf(length) {
  const lines = ['{"k":"head","v":1,"form":"capture","requires":[],"scope":"all"}'];
  let segment = createHash('sha256');
  let size = 0;
  const put = (line) => {
    lines.push(line);
    size += line.length;
  };
  segment.update(`${lines[0]}\n`);
  const sealed = (line) => `${line},"sha":"${segment.copy().update(line).digest('hex')}"}`;
  for (let number = 1; size < BYTES; number += 1) {
    for (const line of call(number, length)) {
      put(line);
      segment.update(`${line}\n`);
      if (lines.length % 256 !== 0) continue;
      put(sealed(`{"k":"ckpt","lines":${lines.length}`));
      segment = createHash('sha256').update(`${lines.at(-1)}\n`);
    }
  }
  put(sealed(`{"k":"end","lines":${lines.length},"lost":0`));
  return `${lines.join('\n')}\n`;
}

/** The best of some rounds: what else the machine does only adds. */
async function readingOf(read, path, megabytes) {
  const walls = [];
  const cpus = [];
  const threads = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = performance.now();
    const before = process.cpuUsage();
    const own = process.threadCpuUsage();
    await read(path);
    const { user, system } = process.cpuUsage(before);
    walls.push(megabytes / ((performance.now() - started) / 1000));
    cpus.push(megabytes / ((user + system) / 1e6));
    const thread = process.threadCpuUsage(own);
    threads.push(megabytes / ((thread.user + thread.system) / 1e6));
  }
  return { wall: Math.max(...walls), cpu: Math.max(...cpus), thread: Math.max(...threads) };
}

async function main() {
  const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
  const { readTapeFile } = await built('tape-file');
  const folder = await mkdtemp(join(tmpdir(), 'tape-reading-'));
  const rows = ['| tape of 50 MB | MB/s | MB per second of CPU | of its own thread |', '|---|---|---|---|'];
  try {
    for (const [name, length] of Object.entries(ANSWERS)) {
      const path = join(folder, 'x.tape.jsonl');
      const text = tapeOf(length);
      await writeFile(path, text);
      const { wall, cpu, thread } = await readingOf(readTapeFile, path, Buffer.byteLength(text) / 1e6);
      rows.push(`| ${name} | ${wall.toFixed(0)} | ${cpu.toFixed(0)} | ${thread.toFixed(0)} |`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${rows.join('\n')}\n`);
  if (values.write) writeFigures('tape-reading', rows.join('\n'));
}

await run(main);
