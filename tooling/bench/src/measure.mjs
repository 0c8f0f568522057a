// One section of the report: all contenders at the same time, measured in turns.
import { makeLoad } from './load.mjs';
import { cpuSeconds, foreignShare, memoryMiB, openDescriptors, usage } from './machine.mjs';
import { Problem } from './problem.mjs';

/** Calls before anything is counted, so that the engines have compiled what they are going to. */
const WARM_UP = 10_000;

/**
 * @typedef {{ name: string, rounds: Round[], memory: number, descriptors: number }} Measured
 * @typedef {{ cpu: number, perSecond: number, p50: number, p95: number, p99: number }} Round `cpu` in µs a request
 */

/**
 * Starts the contenders that can be started, puts the same load on each in turns, and stops them again.
 * @returns {Promise<{ measured: Measured[], others: number, missing: string[] }>} `others`: the share of the machine's CPU
 *   time that processes of somebody else's used meanwhile, 0 to 1
 */
export async function measure(section, options) {
  const { contenders, argument, say } = section;
  const running = [];
  const missing = [];
  try {
    for (const contender of contenders) {
      say(`${contender.name}: starting and warming up`);
      const why = contender.missing?.() ?? (await begin({ contender, argument, running }, options));
      if (why === undefined) continue;
      missing.push(`${contender.name}: ${why}`);
      say(`${contender.name} is left out: ${why}`);
    }
    const before = usage();
    for (let round = 0; round < options.rounds; round += 1) {
      for (let turn = 0; turn < running.length; turn += 1) {
        const entry = running[(round + turn) % running.length];
        const measured = await measureRound(entry, options.requests);
        entry.rounds.push(measured);
        const figures = `${measured.cpu.toFixed(0)} us CPU a request, ${measured.perSecond.toFixed(0)} requests/s`;
        say(`round ${round + 1} of ${options.rounds}: ${entry.name}: ${figures}`);
      }
    }
    const others = foreignShare(before, usage());
    return { measured: running.map(figuresOf), others, missing };
  } finally {
    for (const { load } of running) await load.close();
    for (const { proxy } of running) await proxy.stop();
  }
}

/** Adds a contender to those that run; resolves with why that is not possible. */
async function begin({ contender, argument, running }, { clients }) {
  let proxy;
  try {
    proxy = await contender.start(argument);
  } catch (error) {
    if (error instanceof Problem && contender.name !== 'shadowcat') return error.message;
    throw error;
  }
  try {
    const load = await makeLoad(proxy.url, clients);
    running.push({ name: contender.name, proxy, load, rounds: [] });
    await load.run(WARM_UP);
    return undefined;
  } catch (error) {
    if (running.at(-1)?.proxy !== proxy) await proxy.stop();
    throw new Error(`${contender.name} does not work: ${error.message}`, { cause: error });
  }
}

async function measureRound({ proxy, load }, requests) {
  const before = cpuSeconds(proxy.cpuPid);
  const figures = await load.run(requests);
  return { ...figures, cpu: ((cpuSeconds(proxy.cpuPid) - before) / requests) * 1e6 };
}

function figuresOf({ name, proxy, rounds }) {
  return { name, rounds, memory: memoryMiB(proxy.cpuPid), descriptors: openDescriptors(proxy.cpuPid) };
}
