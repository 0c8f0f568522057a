import { bridge, HeldQuestions } from '@shadowcat/bridge';
import type { Clock, Handler, Log } from '@shadowcat/kernel';
import { type Meter, measureUpstream } from '@shadowcat/metrics';
import type { MetadataOrigin } from '@shadowcat/pipeline';
import type { PoolStats } from '@shadowcat/pool';
import { openSsePair } from '@shadowcat/transport-http';
import { openSocket } from '@shadowcat/transport-ws';
import { type Balance, balance, type TargetState } from '@shadowcat/upstream';
import type { PartHealth } from './admin.js';
import { commandTarget, type Note } from './commands.js';
import type { ProxyConfig, UrlTarget } from './contract.js';
import { httpTarget } from './http-targets.js';
import { type LineTarget, lineTarget } from './lines.js';
import type { Owned } from './owned.js';
import type { Recoveries } from './recoveries.js';
import { unguessableId } from './system.js';

/** Figures of everything behind the proxy, for metrics. */
export interface UpstreamStats {
  readonly targets: readonly TargetState[];
  readonly pools: readonly { readonly name: string; readonly stats: PoolStats }[];
  readonly children: number;
  readonly spawns: { readonly started: number; readonly failed: number };
  readonly exits: Readonly<Record<string, number>>;
  /** Answers that nobody waited for any more, or that came for another request. */
  readonly lateAnswers: number;
}

export interface Upstreams {
  /** The innermost handler: chooses a target and sends. */
  readonly handler: Handler;
  /** Where OAuth documents come from: the HTTP servers. */
  readonly metadata: readonly MetadataOrigin[];
  stats(): UpstreamStats;
  health(): Promise<PartHealth>;
}

export interface UpstreamComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly owned: Owned;
  readonly meter: Meter;
  readonly note: Note | undefined;
  readonly recoveries: Recoveries;
}

/** What every kind of target has. */
interface Target {
  readonly name: string;
  readonly handler: Handler;
  health(): Promise<PartHealth>;
  close(): Promise<void>;
  readonly lines: LineTarget | undefined;
  lateAnswers(): number;
  readonly metadata?: MetadataOrigin;
}

/** How many exit reasons are told apart. */
const MAX_REASONS = 50;

/** Makes the targets of the configuration ready; connections and children are opened when they are needed. */
export function openUpstreams(config: ProxyConfig, components: UpstreamComponents): Upstreams {
  const { clock, log, owned, meter, note, recoveries } = components;
  const { recovered, resumed } = recoveries;
  const exits: Record<string, number> = {};
  const exited = (reason: string): void => {
    const label = reason in exits || Object.keys(exits).length < MAX_REASONS ? reason : 'other';
    exits[label] = (exits[label] ?? 0) + 1;
  };
  const [first] = config.targets;
  const targets: Target[] = [];
  if (first.kind === 'command')
    targets.push(ofLines(commandTarget(first, config, { clock, log, owned, note, exited, recovered })));
  for (const target of config.targets)
    if (target.kind === 'url') targets.push(urlTarget(target, config, { clock, log, recovered, resumed }));
  for (const target of targets) owned.add(`the upstream ${target.name}`, () => target.close());
  const served = config.upstream.bridge === 'off' ? targets : bridged(targets, { clock, log, owned });
  const measured = measureUpstream({ meter, clock });
  const chosen: Balance = balance(
    served.map(({ name, handler }) => ({ name, handler })),
    {},
    { clock, log, random: Math.random },
  );
  const pools = (): UpstreamStats['pools'] =>
    targets.flatMap(({ name, lines }) => (lines === undefined ? [] : [{ name, stats: lines.stats() }]));
  return {
    handler: measured(chosen),
    metadata: targets.flatMap(({ metadata }) => (metadata === undefined ? [] : [metadata])),
    stats: () => {
      const all = pools();
      const sum = (pick: (stats: PoolStats) => number): number =>
        all.reduce((total, { stats }) => total + pick(stats), 0);
      const commands = first.kind === 'command';
      return {
        targets: chosen.states(),
        pools: all,
        children: commands ? sum(({ open, opening }) => open - opening) : 0,
        spawns: commands ? { started: sum(({ spawned }) => spawned), failed: sum(({ failed }) => failed) } : NO_SPAWNS,
        exits,
        lateAnswers: targets.reduce((total, target) => total + target.lateAnswers(), 0),
      };
    },
    health: () => healthOf(targets, chosen),
  };
}

/** Each target with a bridge of its own, which is closed before the target is. A client may answer to any of them. */
function bridged(
  targets: readonly Target[],
  components: { readonly clock: Clock; readonly log: Log; readonly owned: Owned },
): readonly { readonly name: string; readonly handler: Handler }[] {
  const { clock, log, owned } = components;
  const parts = { clock, log, newId: unguessableId, random: Math.random };
  const held = new HeldQuestions({}, parts);
  return targets.map(({ name, handler }) => {
    const bridging = bridge({ target: name }, { ...parts, upstream: handler, held });
    owned.add(`the bridge to ${name}`, () => bridging.close());
    return { name, handler: bridging };
  });
}

const NO_SPAWNS = { started: 0, failed: 0 };

function urlTarget(
  target: UrlTarget,
  config: ProxyConfig,
  components: Recoveries & { clock: Clock; log: Log },
): Target {
  if (target.transport === 'http') {
    const http = httpTarget(target, config.upstream, components);
    return { ...http, lines: undefined, lateAnswers: () => http.handler.stats().foreign };
  }
  const { headers, connectTimeoutMs, firstByteTimeoutMs } = config.upstream;
  const { maxLine } = config.children;
  return ofLines(
    lineTarget(
      {
        name: target.name,
        config,
        open: (_session, signal) =>
          target.transport === 'ws'
            ? openSocket({ url: target.url, headers, connectTimeoutMs, maxMessage: maxLine }, components, signal)
            : openSsePair({ url: target.url, headers, connectTimeoutMs, firstByteTimeoutMs }, components, signal),
      },
      components,
    ),
  );
}

function ofLines(lines: LineTarget): Target {
  const { name, handler } = lines;
  return {
    name,
    handler,
    lines,
    health: () => lines.health(),
    lateAnswers: () => lines.lateAnswers(),
    close: () => lines.close(),
  };
}

/** Ready while at least one target is: that is what decides whether a new client can be served. */
async function healthOf(targets: readonly Target[], chosen: Balance): Promise<PartHealth> {
  const states = new Map(chosen.states().map((state) => [state.name, state]));
  const parts = await Promise.all(
    targets.map(async (target) => {
      const health = await target.health();
      const { condition, lastError } = states.get(target.name) ?? {};
      const detail = health.detail ?? lastError;
      return { name: target.name, ...health, condition, ...(detail === undefined ? {} : { detail }) };
    }),
  );
  return { ok: parts.some(({ ok }) => ok), targets: parts };
}
