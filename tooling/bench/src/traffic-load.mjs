// The load of the traffic scenarios, in a process of its own: N clients, each with a connection and a session of its own, each
// calling one small tool after the other.
//   node traffic-load.mjs URL --clients 1000 --seconds 5 [--from 10]
// With `--from` only so many clients begin; the others come all at once after a third of the time. Prints one line of JSON, and
// stays until it is told to end, so that the CPU time that it took can be read.
import { parseArgs } from 'node:util';
import { Client } from 'undici';
import { callTool, endSession, openSession } from './load.mjs';
import { Problem, run } from './problem.mjs';

/** So many connections are opened at the same time where nothing else is asked for. */
const AT_ONCE = 100;
/** As long as a client of a proxy that refuses waits at least, in milliseconds. */
const PATIENCE_MS = 1000;
/** How many kinds of failure are told apart. */
const MAX_KINDS = 10;

/** What clients saw. Times in milliseconds. */
class Tally {
  latencies = [];
  refused = 0;
  failed = 0;
  /** @type {Record<string, number>} */
  kinds = {};

  /** An error or a refusal; resolves with whether it was a refusal, which is an answer. */
  note(error) {
    const refusal = error.status === 503 || error.status === 429;
    if (refusal) this.refused += 1;
    else this.failed += 1;
    const kind = `${error.code ?? error.name}: ${error.message.replace(/"id":\d+/, '"id":…')}`.slice(0, 200);
    if (kind in this.kinds || Object.keys(this.kinds).length < MAX_KINDS)
      this.kinds[kind] = (this.kinds[kind] ?? 0) + 1;
    return refusal;
  }
}

/** Runs `work` for each of `items`, `most` at a time. */
async function each(items, most, work) {
  const queue = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: most }, worker));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One client: it opens a session when it is needed, and again when that did not work. */
class Caller {
  #pool;
  #path;
  #headers;
  #tally;
  #id = 0;

  constructor(url, tally) {
    const { origin, pathname } = new URL(url);
    this.#pool = new Client(origin, { pipelining: 1, headersTimeout: 60_000, connect: { timeout: 30_000 } });
    this.#path = pathname;
    this.#tally = tally;
  }

  async open() {
    try {
      this.#headers ??= await openSession(this.#pool, this.#path);
      return true;
    } catch (error) {
      this.#tally.note(error);
      return false;
    }
  }

  async callUntil(isOver) {
    while (!isOver()) {
      try {
        if (this.#headers === undefined && !(await this.open())) {
          await pause(PATIENCE_MS);
          continue;
        }
        this.#id += 1;
        this.#tally.latencies.push(
          await callTool({ pool: this.#pool, path: this.#path, headers: this.#headers }, this.#id),
        );
      } catch (error) {
        this.#tally.note(error);
        await pause(PATIENCE_MS);
      }
    }
  }

  async close() {
    if (this.#headers !== undefined) await endSession(this.#pool, this.#path, this.#headers);
    await this.#pool.destroy();
  }
}

async function load({ url, clients, seconds, from }) {
  const tally = new Tally();
  const callers = Array.from({ length: clients }, () => new Caller(url, tally));
  const first = callers.slice(0, from);
  await each(first, AT_ONCE, (caller) => caller.open());
  const started = performance.now();
  let over = false;
  setTimeout(() => {
    over = true;
  }, seconds * 1000);
  const running = first.map((caller) => caller.callUntil(() => over));
  if (from < clients) await pause((seconds * 1000) / 3);
  running.push(...callers.slice(from).map((caller) => caller.callUntil(() => over)));
  await Promise.all(running);
  const took = (performance.now() - started) / 1000;
  await each(callers, AT_ONCE, (caller) => caller.close());
  return { ...figures(tally, took), refused: tally.refused, failed: tally.failed, kinds: tally.kinds };
}

function figures({ latencies }, took) {
  const sorted = Float64Array.from(latencies).sort();
  const at = (quantile) => sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? 0;
  const answered = latencies.length;
  return { answered, perSecond: answered / took, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

await run(async () => {
  const number = { type: 'string' };
  const options = { clients: { ...number, default: '1000' }, seconds: { ...number, default: '5' }, from: number };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [url] = positionals;
  if (url === undefined) throw new Problem('usage: traffic-load.mjs URL --clients N --seconds S [--from N]');
  const clients = Number(values.clients);
  const from = Math.min(clients, Number(values.from ?? clients));
  process.stdout.write(`${JSON.stringify(await load({ url, clients, seconds: Number(values.seconds), from }))}\n`);
  setInterval(() => {}, 60_000);
});
