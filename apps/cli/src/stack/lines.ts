import { type Clock, type Connection, type Handler, type Log, ProxyError } from '@shadowcat/kernel';
import { createPool, type Pool, type PoolStats } from '@shadowcat/pool';
import { isSharedKey, lineUpstream, sessionOfKey } from '@shadowcat/upstream';
import { LineClient, type OnRecovery } from '@shadowcat/wire';
import type { PartHealth } from './admin.js';
import type { ProxyConfig } from './contract.js';
import { counter, unguessableId } from './system.js';

/** Clients were drained before; what is still leased then waits for a server that does not answer. */
const LAST_LEASES_MS = 500;
/** How long an idle line that no session owns is kept. */
const UNOWNED_IDLE_MS = 300_000;

/** One server at the end of lines, and how it is. */
export interface LineTarget {
  readonly name: string;
  readonly handler: Handler;
  stats(): PoolStats;
  lateAnswers(): number;
  health(): Promise<PartHealth>;
  close(): Promise<void>;
}

export interface LineTargetOptions {
  readonly name: string;
  readonly config: ProxyConfig;
  /** Opens one line, for a session if it is known for which. */
  readonly open: (session: string | undefined, signal: AbortSignal) => Promise<Connection>;
  readonly transient?: (error: ProxyError) => boolean;
}

export interface LineTargetComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly recovered: OnRecovery;
}

/** A pool of lines to one server, and the handler that leases them. Opens nothing by itself. */
export function lineTarget(options: LineTargetOptions, components: LineTargetComponents): LineTarget {
  const { name } = options;
  const { children, limits, sessions, upstream } = options.config;
  const { clock, log, recovered } = components;
  // Ids of one run are not those of the next: a late answer to a server's question must not fit a new one.
  const newId = counter(`l${unguessableId().slice(0, 6)}.`);
  const lines = new Set<LineClient>();
  let late = 0;
  const count = (line: LineClient): void => {
    if (lines.delete(line)) late += line.stats.late;
  };
  const pool: Pool<string, LineClient> = createPool(
    {
      max: children.max,
      queueLimit: children.maxQueue,
      acquireTimeoutMs: children.queueTimeoutMs,
      // A session that is idle for longer is over anyway; so is its line.
      idleTtlMs: Math.max(sessions.idleMs, UNOWNED_IDLE_MS),
      sharing: 'shared',
    },
    {
      clock,
      log,
      open: async (key, signal) => {
        const connection = await options.open(sessionOfKey(key), signal);
        const line = new LineClient(
          connection,
          { shared: isSharedKey(key), streamQueue: limits.maxStreamQueue },
          { clock, log, newId },
        );
        lines.add(line);
        return line;
      },
      close: async (line) => {
        await line[Symbol.asyncDispose]();
        count(line);
      },
      watch: (line, gone) => line.onClosed(gone),
      // A command that dies before it said anything is backed off, also when each session has its own.
      proved: (line) => line.stats.received > 0,
      transient: options.transient ?? (() => false),
    },
  );
  const handler = lineUpstream(
    { target: name, isolation: children.isolation, onLoss: upstream.onLoss, handshakeMs: upstream.firstByteTimeoutMs },
    {
      acquire: (key, waiting) => pool.acquire(key, waiting),
      evict: (key, reason) => pool.evict(key, reason),
      clock,
      log,
      recovered,
    },
  );
  return {
    name,
    handler,
    stats: () => pool.stats,
    lateAnswers: () => [...lines].reduce((sum, line) => sum + line.stats.late, late),
    health: async () => healthOf(pool.stats),
    close: async () => {
      const timer = clock.timer(LAST_LEASES_MS, () => {
        void pool.destroy(new ProxyError('draining', 'the proxy is shutting down'));
      });
      await pool.close();
      timer.cancel();
    },
  };
}

function healthOf(stats: PoolStats): PartHealth {
  const { open, idle, leased, waiting, trouble } = stats;
  const figures = { open, idle, leased, waiting };
  return trouble === undefined ? { ok: true, ...figures } : { ok: false, ...figures, detail: trouble.message };
}
