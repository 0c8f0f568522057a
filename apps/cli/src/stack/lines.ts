import { setImmediate } from 'node:timers';
import { type Clock, type Connection, type Handler, type Log, ProxyError } from '@shadowcat/kernel';
import { type CrashLoop, createPool, type Pool, type PoolStats, type WaitOutcome } from '@shadowcat/pool';
import { isSharedKey, lineUpstream, type OpeningGate, sessionOfKey } from '@shadowcat/upstream';
import { LineClient, type OnRecovery } from '@shadowcat/wire';
import type { PartHealth } from './admin.js';
import type { ProxyConfig } from './contract.js';
import { counter, unguessableId } from './system.js';

/** Clients were drained before; what is still leased then waits for a server that does not answer. */
const LAST_LEASES_MS = 500;

/** Clients send their first few requests one right after the other. */
const SPARE_MS = 250;

/** What came from a server and did not get to a client. */
export interface Drops {
  /** Answers that nobody waited for any more, or that came for another request. */
  readonly late: number;
  /** Messages that are for no request, of clients without an open stream: too many waited. */
  readonly homeless: number;
  /** Streams that were ended because their clients did not read them. */
  readonly slowClients: number;
}

/** One server at the end of lines, and how it is. */
export interface LineTarget {
  readonly name: string;
  readonly handler: Handler;
  stats(): PoolStats;
  drops(): Drops;
  health(): Promise<PartHealth>;
  close(): Promise<void>;
}

export interface LineTargetOptions {
  readonly name: string;
  readonly config: ProxyConfig;
  /** Opens one line, for a session if it is known for which. */
  readonly open: (session: string | undefined, signal: AbortSignal) => Promise<Connection>;
  readonly transient?: (error: ProxyError) => boolean;
  /** Decides whether more may be opened, and sees how those that are do. */
  readonly gate?: OpeningGate;
  /** Told when a line is closed, and its place free. */
  readonly closed?: () => void;
}

export interface LineComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly recovered: OnRecovery;
  /** Told how long an exchange waited for a line of this target, if it had to. */
  readonly waited: (target: string, ms: number, outcome: WaitOutcome) => void;
}

/** A pool of lines to one server, and the handler that leases them. Opens nothing by itself. */
export function lineTarget(options: LineTargetOptions, components: LineComponents): LineTarget {
  const { name, gate } = options;
  const { children, limits, sessions, upstream } = options.config;
  const { clock, log, recovered, waited } = components;
  // Ids of one run are not those of the next: a late answer to a server's question must not fit a new one.
  const newId = counter(`l${unguessableId().slice(0, 6)}.`);
  const lines = new Set<LineClient>();
  let dropped: Drops = { late: 0, homeless: 0, slowClients: 0 };
  const count = (line: LineClient): void => {
    if (lines.delete(line)) dropped = sumOf(dropped, line.stats);
  };
  const pool: Pool<string, LineClient> = createPool(
    {
      name,
      max: children.max,
      maxPerGroup: children.maxPerCredential,
      queueLimit: children.maxQueue,
      acquireTimeoutMs: children.queueTimeoutMs,
      // A session that is idle for longer is over anyway; so is its line.
      idleTtlMs: sessions.idleMs,
      ...(children.maxAgeMs === Number.POSITIVE_INFINITY ? {} : { maxLifetimeMs: children.maxAgeMs }),
      sharing: 'shared',
      spareMs: SPARE_MS,
      remedy: 'try again later, or raise --max-children',
    },
    {
      clock,
      log,
      open: async (key, signal) => {
        const connect = (): Promise<Connection> => options.open(sessionOfKey(key), signal);
        const connection = await (gate === undefined ? connect() : gate.open(key, connect));
        const line = new LineClient(
          connection,
          { shared: isSharedKey(key), streamQueue: limits.maxStreamQueue },
          { clock, log, newId },
        );
        lines.add(line);
        return line;
      },
      close: async (line) => {
        try {
          await line[Symbol.asyncDispose]();
        } finally {
          count(line);
          // The pool frees the place when this has settled.
          if (options.closed !== undefined) setImmediate(options.closed);
        }
      },
      watch: (line, gone) => line.onClosed(gone),
      // A command that dies before it said anything is backed off, also when each session has its own.
      proved: (line) => line.stats.received > 0,
      transient: options.transient ?? (() => false),
      waited: (ms, outcome) => waited(name, ms, outcome),
    },
  );
  const handler = lineUpstream(
    { target: name, isolation: children.isolation, onLoss: upstream.onLoss, handshakeMs: upstream.firstByteTimeoutMs },
    {
      acquire: (key, waiting, group) => {
        const lease = (): ReturnType<typeof pool.acquire> => pool.acquire(key, waiting, group);
        return gate === undefined ? lease() : gate.acquire(key, lease);
      },
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
    drops: () => [...lines].reduce((sum, line) => sumOf(sum, line.stats), dropped),
    health: async () => healthOf(pool.stats, pool.crashLoops(), children.max),
    close: async () => {
      const timer = clock.timer(LAST_LEASES_MS, () => {
        void pool.destroy(new ProxyError('draining', 'the proxy is shutting down'));
      });
      await pool.close();
      timer.cancel();
    },
  };
}

function sumOf(one: Drops, other: Drops): Drops {
  return {
    late: one.late + other.late,
    homeless: one.homeless + other.homeless,
    slowClients: one.slowClients + other.slowClients,
  };
}

/** How many crash loops are told one by one. */
const MAX_LOOPS = 10;

/**
 * Not ready when a new client could not be served: nothing can be opened, or what all clients share dies again and again. A
 * session whose own server does that is told, and does not concern the others.
 */
function healthOf(stats: PoolStats, loops: readonly CrashLoop<string>[], max: number): PartHealth {
  const { open, idle, leased, waiting, reopened, trouble } = stats;
  const figures = { max, open, idle, leased, waiting, restarts: reopened };
  const shared = loops.find(({ key }) => key !== undefined && isSharedKey(key));
  const detail = (trouble ?? shared?.error ?? loops[0]?.error)?.message;
  return {
    ok: trouble === undefined && shared === undefined,
    ...figures,
    ...(loops.length === 0 ? {} : { crashLoops: loops.slice(0, MAX_LOOPS).map(loopHealth) }),
    ...(detail === undefined ? {} : { detail }),
  };
}

/** Session ids are secrets of their clients. */
function loopHealth({ key, failures, error, nextMs }: CrashLoop<string>): object {
  const of = key === undefined ? 'every start' : isSharedKey(key) ? 'the shared server' : 'the server of one session';
  return { of, failures, nextStartMs: nextMs, error: error.message };
}
