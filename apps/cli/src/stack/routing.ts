import type { Clock, Handler, Layer, Log } from '@shadowcat/kernel';
import { type Destination, type Gate, type GateState, Group, router, UpstreamMember } from '@shadowcat/upstream';
import type { CombinedGroup } from './combining.js';
import type { GroupConfig, MirrorConfig, ProxyConfig } from './contract.js';

/** A target as health and metrics see it. */
export interface TargetState extends GateState {
  readonly name: string;
  /** Its share of what is new, as it is now. */
  readonly weight: number;
  /** Exchanges whose answers have not ended; standing streams not counted. */
  readonly inFlight: number;
}

/** New weights by the names of targets. */
export type Weights = Readonly<Record<string, number>>;

export interface Routing {
  readonly handler: Handler;
  states(): readonly TargetState[];
  /** Groups that are shown as one server. */
  readonly combined: readonly CombinedGroup[];
  /** From now on; names that are not there are passed over. */
  setWeights(weights: Weights): void;
}

export interface RoutingComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** Judges a target. */
  readonly gateOf: (name: string) => Gate;
  /** Makes a group that is shown as one server. */
  readonly combine: (group: GroupConfig, members: readonly Member[]) => CombinedGroup;
  /** Makes the layer around the group that is mirrored, from what answers for the other one. */
  readonly mirror: (config: MirrorConfig, shadow: Handler) => Layer;
}

interface Member {
  readonly name: string;
  readonly handler: Handler;
}

/** Puts the targets into their groups and the groups behind the routes. */
export function openRouting(
  config: Pick<ProxyConfig, 'targets' | 'groups' | 'routes' | 'mirror' | 'upstream'>,
  handlers: readonly { readonly name: string; readonly handler: Handler }[],
  components: RoutingComponents,
): Routing {
  const { clock, log, gateOf } = components;
  const parts = { clock, log, random: Math.random };
  const members = new Map<string, UpstreamMember>();
  for (const { name, kind, weight, priority } of config.targets) {
    const handler = handlers.find((one) => one.name === name)?.handler;
    if (handler === undefined) throw new TypeError(`there is no handler for ${name}`);
    // A command's children live and die apart from each other.
    const gated = kind === 'command' ? 'openings' : 'exchanges';
    members.set(name, new UpstreamMember({ name, handler, weight, priority, gated }, gateOf(name)));
  }
  const groups = new Map<string, Destination>(
    config.groups.filter(standsIn).map(({ name, members: names, balance, hashOn, slowStartMs }) => {
      const group = new Group(
        names.map((member) => known(members, member)),
        { name, balance, hashOn, slowStartMs, onLoss: config.upstream.onLoss },
        parts,
      );
      return [name, group];
    }),
  );
  const combined = config.groups
    .filter((group) => !standsIn(group))
    .map((group) => {
      const all = group.members.map((name): Member => {
        const member = members.get(name);
        return {
          name,
          handler: member === undefined ? known(groups, name).handle : (exchange) => member.ask(exchange),
        };
      });
      return components.combine(group, all);
    });
  for (const group of combined) groups.set(group.name, group);
  const { mirror } = config;
  if (mirror !== undefined) {
    const mirrored = known(groups, mirror.from);
    const layer = components.mirror(mirror, known(groups, mirror.to).handle);
    groups.set(mirror.from, {
      name: mirrored.name,
      has: (name) => mirrored.has(name),
      handle: layer(mirrored.handle),
    });
  }
  const [{ name: fallback }] = config.groups;
  const routes = config.routes.map(({ match, to }) => ({ match, to: known(groups, to) }));
  return {
    handler: router({ routes, otherwise: known(groups, fallback) }),
    states: () => [...members.values()].map(stateOf),
    combined,
    setWeights: (weights) => setWeights(members, weights, log),
  };
}

/** Whether the members stand in for each other. */
function standsIn({ combine }: GroupConfig): boolean {
  return combine === undefined;
}

function stateOf(member: UpstreamMember): TargetState {
  return { name: member.name, weight: member.weight(), inFlight: member.inFlight(), ...member.gate.state() };
}

function setWeights(members: ReadonlyMap<string, UpstreamMember>, weights: Weights, log: Log): void {
  const fresh = Object.keys(weights).filter((name) => !members.has(name));
  const gone = [...members.keys()].filter((name) => !Object.hasOwn(weights, name));
  if (fresh.length > 0) log.warn({ targets: fresh }, 'new upstreams get nothing before the next start');
  if (gone.length > 0)
    log.warn({ targets: gone }, 'upstreams that are not configured any more go on until the next start');
  for (const [name, member] of members) {
    const weight = Object.hasOwn(weights, name) ? weights[name] : undefined;
    if (weight === undefined || weight === member.weight()) continue;
    log.info({ target: name, weight, before: member.weight() }, `${name} has another weight`);
    member.setWeight(weight);
  }
}

/** The configuration names nothing that is not there. */
function known<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new TypeError(`there is no ${name}`);
  return value;
}
