import type { CombineStats } from '@shadowcat/combine';
import type { Clock, Handler, Log } from '@shadowcat/kernel';
import { INSTRUMENTS, type Meter, measureUpstream, type Observe } from '@shadowcat/metrics';
import type { MetadataOrigin } from '@shadowcat/pipeline';
import type { PoolStats } from '@shadowcat/pool';
import type { MirrorStats } from '@shadowcat/shadow';
import { openSsePair } from '@shadowcat/transport-http';
import { openSocket } from '@shadowcat/transport-ws';
import { isSharedKey, OpeningGate } from '@shadowcat/upstream';
import { knownRevisions, type SessionHandle, toolParamHeaders } from '@shadowcat/wire';
import type { PartHealth } from './admin.js';
import { type Bridging, type BridgingStats, bridged } from './bridging.js';
import { combinedGroup } from './combining.js';
import { type ChildStats, type ChildTarget, commandTarget, type Note, watchChildren } from './commands.js';
import type { CommandTarget, ProxyConfig, UrlTarget } from './contract.js';
import { httpTarget } from './http-targets.js';
import { type Drops, type LineComponents, type LineTarget, lineTarget } from './lines.js';
import { type Mirroring, openMirror } from './mirroring.js';
import type { Owned } from './owned.js';
import { openProtection, type ProbeTarget, type ProtectionStats } from './protection.js';
import type { Recoveries } from './recoveries.js';
import { openRouting, type Routing, type TargetState } from './routing.js';
import { shadowTargets } from './shadow-targets.js';

/** Figures of everything behind the proxy, for metrics. */
export interface UpstreamStats {
  readonly targets: readonly TargetState[];
  readonly pools: readonly { readonly name: string; readonly max: number; readonly stats: PoolStats }[];
  /** Of the targets that are commands. */
  readonly children: readonly TargetChildren[];
  readonly drops: readonly (Drops & { readonly name: string })[];
  /** What is translated between the eras; absent where nothing is. */
  readonly bridge: BridgingStats | undefined;
  /** Absent where nothing is mirrored. */
  readonly mirror: MirrorStats | undefined;
  /** Groups that are shown as one server. */
  readonly combined: readonly (CombineStats & { readonly name: string })[];
  readonly protection: ProtectionStats;
}

export interface TargetChildren extends ChildStats {
  readonly name: string;
  /** Ends, by exit code or signal. */
  readonly exits: Readonly<Record<string, number>>;
}

export interface Upstreams {
  /** The innermost handler: chooses a target and sends. */
  readonly handler: Handler;
  /** Where OAuth documents come from: the HTTP servers. */
  readonly metadata: readonly MetadataOrigin[];
  /** Ends upstream what is left of a session that ended before this process served it. */
  farewell(session: SessionHandle): void;
  stats(): UpstreamStats;
  health(): Promise<PartHealth>;
  /** See {@link Routing.setWeights}. */
  readonly setWeights: Routing['setWeights'];
}

export interface UpstreamComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly owned: Owned;
  readonly meter: Meter;
  readonly note: Note | undefined;
  readonly recoveries: Recoveries;
  /** Where children are listed for the next start. */
  readonly listFolder: string;
}

/** What every kind of target has. */
interface Target {
  readonly name: string;
  readonly handler: Handler;
  health(): Promise<PartHealth>;
  close(): Promise<void>;
  readonly lines: LineTarget | undefined;
  /** Of a command. */
  children?(): Omit<TargetChildren, 'name'>;
  drops(): Drops;
  /** Absent where nothing outlives this process. */
  farewell?(session: SessionHandle): void;
  readonly metadata?: MetadataOrigin;
  /** How it is asked in the background whether it lives; `none`: its own process tells. */
  readonly probe: ProbeTarget['probe'];
}

/** How many exit reasons of a target are told apart. */
const MAX_REASONS = 50;

/** Makes the targets of the configuration ready; connections and children are opened when they are needed. */
export function openUpstreams(config: ProxyConfig, components: UpstreamComponents): Upstreams {
  const { clock, log, owned, meter, listFolder } = components;
  const { resumed } = components.recoveries;
  const waited = waits(meter);
  const watcher = watchChildren(listFolder, { log, owned });
  const shadows = shadowTargets(config);
  const protection = openProtection(config, { clock, log, owned, meter });
  const targets = config.targets.map((target) => {
    const { note, recovered } = told(components, shadows.has(target.name));
    if (target.kind === 'url') return urlTarget(target, config, { clock, log, recovered, resumed, waited });
    const { exits, exited } = exitCounts();
    const { name } = target;
    const gate = new OpeningGate({ name, isShared: isSharedKey }, protection.gate(name));
    const parts = { clock, log, watcher, gate, note, exited, recovered, waited };
    return ofCommand(commandTarget(target, ofTarget(config, target), parts), exits);
  });
  for (const target of targets) owned.add(`the upstream ${target.name}`, () => target.close());
  const bridging = bridgings(targets, config, { clock, log, owned, shadows });
  const measured = measureUpstream({ meter, clock });
  let mirroring: Mirroring | undefined;
  const routing = openRouting(config, bridging.targets, {
    clock,
    log,
    gateOf: protection.gate,
    combine: (group, members) =>
      combinedGroup(group, members, {
        clock,
        log,
        owned,
        bridging,
        listTimeoutMs: config.upstream.listTimeoutMs,
      }),
    mirror: (mirror, shadow) => {
      mirroring = openMirror(mirror, { clock, log, owned, meter, shadow: measured(shadow) });
      return mirroring.layer;
    },
  });
  protection.watch(targets);
  const maxOf = (name: string): number => {
    const target = config.targets.find((one) => one.name === name);
    return (target?.kind === 'command' ? target.maxChildren : undefined) ?? config.children.max;
  };
  const pools = (): UpstreamStats['pools'] =>
    targets.flatMap(({ name, lines }) =>
      lines === undefined ? [] : [{ name, max: maxOf(name), stats: lines.stats() }],
    );
  return {
    handler: protection.layer(measured(routing.handler)),
    metadata: targets.flatMap(({ name, metadata }) => (metadata && !shadows.has(name) ? [metadata] : [])),
    farewell: (session) => targets.find(({ name }) => name === session.upstream?.target)?.farewell?.(session),
    stats: () => {
      return {
        targets: routing.states(),
        pools: pools(),
        children: targets.flatMap(({ name, children }) => (children === undefined ? [] : [{ name, ...children() }])),
        bridge: bridging.stats(),
        mirror: mirroring?.stats(),
        combined: routing.combined.map(({ name, stats }) => ({ name, ...stats() })),
        protection: protection.stats(),
        drops: targets.map(({ name, drops }) => ({ name, ...drops() })),
      };
    },
    health: () => healthOf(targets, routing, { breakers: protection.stats().breakers, shadows }),
    setWeights: (weights) => routing.setWeights(weights),
  };
}

/** Who hears of a target: what becomes of copies is on nobody's tape. */
function told(
  { note, recoveries }: Pick<UpstreamComponents, 'note' | 'recoveries'>,
  isShadow: boolean,
): { readonly note: Note | undefined; readonly recovered: Recoveries['recovered'] } {
  if (!isShadow) return { note, recovered: recoveries.recovered };
  return { note: undefined, recovered: (event) => recoveries.recovered({ ...event, sessions: [] }) };
}

/** Targets as clients of both eras see them. Questions of shadows have a room of their own, so that they take nobody's place. */
function bridgings(
  targets: readonly Target[],
  config: ProxyConfig,
  { shadows, ...parts }: Pick<UpstreamComponents, 'clock' | 'log' | 'owned'> & { shadows: ReadonlySet<string> },
): Omit<Bridging, 'stats'> & { stats(): BridgingStats | undefined } {
  if (config.upstream.bridge === 'off') return { targets, front: (_name, modern) => modern, stats: () => undefined };
  const own = targets.filter(({ name }) => !shadows.has(name));
  const serving = bridged(own, config, parts);
  if (own.length === targets.length) return serving;
  const copied = targets.filter(({ name }) => shadows.has(name));
  const aside = bridged(copied, config, parts);
  return {
    targets: [...serving.targets, ...aside.targets],
    front: (name, modern) => (name === config.mirror?.to ? aside : serving).front(name, modern),
    stats: () => serving.stats(),
  };
}

/** What is said for all, with what is said for this one. */
function ofTarget(config: ProxyConfig, { maxChildren: max }: CommandTarget): ProxyConfig {
  if (max === undefined) return config;
  const { children } = config;
  const { maxPerCredential, warm } = children;
  const bounded = { max, maxPerCredential: Math.min(maxPerCredential, max), warm: Math.min(warm, max) };
  return { ...config, children: { ...children, ...bounded } };
}

/** Counts how the children of one target ended. Signals and exit codes are the server's to choose, so they are bounded. */
function exitCounts(): { readonly exits: Readonly<Record<string, number>>; readonly exited: (reason: string) => void } {
  const exits: Record<string, number> = {};
  const exited = (reason: string): void => {
    const label = reason in exits || Object.keys(exits).length < MAX_REASONS ? reason : 'other';
    exits[label] = (exits[label] ?? 0) + 1;
  };
  return { exits, exited };
}

/** Measures waiting, by target and outcome. */
function waits(meter: Meter): LineComponents['waited'] {
  const observers = new Map<string, Observe>();
  return (target, ms, outcome) => {
    const key = `${outcome} ${target}`;
    const observe = observers.get(key) ?? meter.histogram(INSTRUMENTS.poolWait, target, outcome);
    observers.set(key, observe);
    observe(ms / 1000);
  };
}

function ofCommand(lines: ChildTarget, exits: TargetChildren['exits']): Target {
  return { ...ofLines(lines), probe: 'none', children: () => ({ ...lines.children(), exits }) };
}

function urlTarget(target: UrlTarget, config: ProxyConfig, components: Recoveries & LineComponents): Target {
  const headers = { ...config.upstream.headers, ...target.headers };
  if (target.transport === 'http') {
    const http = httpTarget(target, { ...config.upstream, headers }, components);
    // Clients on lines send no headers; the server wants them.
    const handler = toolParamHeaders({ validate: false })(http.handler);
    const { farewell, stats } = http.handler;
    // Its streams go at the pace of who reads them.
    const drops = (): Drops => ({ late: stats().foreign, homeless: 0, slowClients: 0 });
    return { ...http, handler, probe: 'http', lines: undefined, drops, farewell };
  }
  const { connectTimeoutMs, firstByteTimeoutMs } = config.upstream;
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
  const { name } = lines;
  return {
    name,
    // Headers do not travel on a line: what a server at its end would have to validate is validated here.
    handler: toolParamHeaders({ validate: true })(knownRevisions()(lines.handler)),
    lines,
    probe: 'line',
    health: () => lines.health(),
    drops: () => lines.drops(),
    close: () => lines.close(),
  };
}

/** Ready while at least one target is that serves clients: that decides whether a new one can be served. */
async function healthOf(
  targets: readonly Target[],
  routing: Routing,
  { breakers, shadows }: { breakers: ProtectionStats['breakers']; shadows: ReadonlySet<string> },
): Promise<PartHealth> {
  const states = new Map(routing.states().map((state) => [state.name, state]));
  const parts = await Promise.all(
    targets.map(async (target) => {
      const health = await target.health();
      const { condition, lastError, weight } = states.get(target.name) ?? {};
      const detail = health.detail ?? lastError;
      const breaker = breakers.find(({ name }) => name === target.name)?.state;
      const ok = health.ok && breaker !== 'open';
      const said = { condition, breaker, weight, ...(detail === undefined ? {} : { detail }) };
      return { name: target.name, ...health, ok, ...said };
    }),
  );
  return { ok: parts.some(({ ok, name }) => ok && !shadows.has(name)), targets: parts };
}
