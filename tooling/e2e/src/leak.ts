import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Holding } from './probe.js';
import { run, startWithUrl } from './processes.js';
import { shadowcat, workFolder } from './shadowcat.js';
import { tinyServer } from './tiny-server.js';

export interface LeakOptions {
  readonly calls: number;
  readonly sessions: number;
}

/** What the proxy holds, with the watcher among its children. */
export type Held = Holding & { readonly children: number };

/** What the proxy held before and after the load, and what was asked of it. */
export interface LeakReport {
  readonly before: Held;
  readonly after: Held;
  readonly calls: number;
  readonly sessions: number;
  /** Calls that were not answered, and sessions that were not opened. Not one is expected. */
  readonly failures: readonly string[];
  readonly seconds: number;
}

/** More than idle timers of the proxy's own take, on a busy machine, too. */
const QUIET_MS = 60_000;
/** More than this share of heap is a leak; garbage that was not found yet is less. */
const HEAP_SHARE = 1.2;
const LOAD = fileURLToPath(new URL('../dist/leak-load.js', import.meta.url));

/**
 * Opens and closes sessions in front of a command and sends calls over others, then waits until the proxy is idle. Whatever it
 * holds more than before is a leak. It is warmed up first, with a tenth of the load.
 */
export async function measureLeaks({ calls, sessions }: LeakOptions): Promise<LeakReport> {
  await using folder = await workFolder();
  const tiny = await tinyServer(folder.path);
  const args = ['reverse', '--listen', '127.0.0.1:0', '--store', 'memory:', '--log-level', 'warn', '--'];
  const env = { NODE_OPTIONS: `--expose-gc --import ${new URL('../dist/probe.js', import.meta.url).href}` };
  await using proxy = await startWithUrl({ ...shadowcat([...args, ...tiny.command], folder.path), env });
  const failures: string[] = [];
  // A process of its own, whose connections end with it.
  const load = async (share: number): Promise<void> => {
    const counts = [Math.ceil(calls * share), Math.ceil(sessions * share)].map(String);
    const { code, stdout, stderr } = await run({
      command: process.execPath,
      args: [LOAD, proxy.url, ...counts],
      timeoutMs: 600_000,
    });
    failures.push(...stdout.split('\n').filter((line) => line !== ''), ...(code === 0 ? [] : [stderr]));
  };
  const holding = async (): Promise<Held> => {
    const told = proxy.stderr.split('PROBE ').length;
    process.kill(proxy.pid, 'SIGUSR2');
    while (proxy.stderr.split('PROBE ').length === told || !proxy.stderr.endsWith('\n')) await delay(10);
    const line = proxy.stderr.slice(proxy.stderr.lastIndexOf('PROBE ') + 'PROBE '.length);
    return { ...(JSON.parse(line.slice(0, line.indexOf('\n'))) as Holding), children: proxy.descendants().length };
  };
  const started = performance.now();
  await load(0.1);
  const before = await quiet(holding, undefined);
  await load(1);
  const after = await quiet(holding, before);
  return { before, after, calls, sessions, failures, seconds: (performance.now() - started) / 1000 };
}

/** What there is more of than there was, a line each. */
export function heldMore(before: Held, after: Held): string[] {
  const figures = [
    ...Object.entries(after.handles).map(([kind, count]) => [`handles: ${kind}`, before.handles[kind] ?? 0, count]),
    ['timers', before.timers, after.timers],
    ['descriptors', before.descriptors, after.descriptors],
    ['children', before.children, after.children],
    ['bytes of heap', Math.floor(before.heap * HEAP_SHARE), after.heap],
  ] as const;
  return figures.flatMap(([what, most, now]) => (now > most ? [`${what}: ${now}, at most ${most} expected`] : []));
}

/** What is held when nothing more is given up: the same twice in a row, without sockets, and no more than before if it can be. */
async function quiet(holding: () => Promise<Held>, before: Held | undefined): Promise<Held> {
  const end = performance.now() + QUIET_MS;
  let last = '';
  for (;;) {
    const now = await holding();
    const { heap: _, ...counts } = now;
    const text = JSON.stringify(counts);
    const idle = text === last && (now.handles['TCPSocketWrap'] ?? 0) === 0 && now.children <= 1;
    const back = before === undefined || heldMore(before, now).length === 0;
    if ((idle && back) || performance.now() > end) return now;
    last = text;
    await delay(300);
  }
}
