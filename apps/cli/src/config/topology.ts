import { createHash } from 'node:crypto';
import type { CredentialMark, GroupEntry, MatchEntry, Sections } from '../sections/sections.js';
import type { Sited } from '../sections/shape.js';
import type { GroupConfig, MirrorConfig, RouteConfig, Target, Targets } from '../stack/contract.js';
import type { Build } from './build.js';
import { mirrorOf, shadowOf } from './mirror.js';
import { didYouMean } from './nearest.js';
import { commandOf, namedTarget, nameOfCommand } from './targets.js';

/** The servers, which of them stand in for each other, and what goes where. */
export interface Topology {
  readonly targets: Targets;
  readonly groups: readonly [GroupConfig, ...GroupConfig[]];
  readonly routes: readonly RouteConfig[];
  readonly mirror: MirrorConfig | undefined;
}

/** The group of all servers where none is named. */
const DEFAULT_GROUP = 'default';

/** `undefined` when no server is configured. What does not fit together is among the build's problems. */
export function topologyOf(build: Build): Topology | undefined {
  const served = targetsOf(build);
  const [first, ...rest] = served;
  if (first === undefined) return undefined;
  const { settings } = build;
  const shadow = shadowOf(build);
  const targets = typeof shadow?.value === 'object' ? [first, ...rest, shadow.value] : [first, ...rest];
  const known = new Set<string>();
  for (const { name } of targets) {
    if (known.has(name))
      build.problem(`${settings.where('upstream')}: ${name} is there twice: give each upstream once`);
    known.add(name);
  }
  const names: Names = { build, targets: known, used: new Set() };
  const groups = groupsOf(names, settings.section('groups'), nameOf(shadow?.value));
  const routes = routesOf(names, settings.section('routes'), groups);
  const fallback = groups.find(({ name }) => name === DEFAULT_GROUP) ?? groups[0];
  if (fallback === undefined) return undefined;
  const alone = (name: string): GroupConfig => aloneIn(names, name);
  const mirror = shadow && mirrorOf(build, { shadow, targets: known, groups, fallback: fallback.name, alone });
  for (const { name } of targets.filter((target) => !names.used.has(target.name))) {
    build.problem(`${settings.whereSection('groups')}: ${name} is in no group, and no route leads to it`);
  }
  return {
    targets: [first, ...targets.slice(1)],
    groups: [fallback, ...groups.filter((group) => group !== fallback)],
    routes,
    mirror,
  };
}

function nameOf(shadow: string | Target | undefined): string | undefined {
  return typeof shadow === 'object' ? shadow.name : shadow;
}

interface Names {
  readonly build: Build;
  readonly targets: ReadonlySet<string>;
  /** Targets that something leads to. */
  readonly used: Set<string>;
}

function targetsOf(build: Build): Target[] {
  const { settings } = build;
  const named = settings.section('upstreams');
  const [command, ...args] = settings.get('command');
  const listed = settings.get('upstream');
  if (named !== undefined && (command !== undefined || listed.length > 0)) {
    const other = command === undefined ? 'upstream' : 'command';
    build.problem(`${settings.whereSection('upstreams')} and ${other} exclude each other: move it to upstreams`);
  }
  if (command !== undefined) {
    const words = { command, args, name: nameOfCommand(command) };
    return [commandOf(build, { ...words, cwd: settings.get('cwd'), env: settings.get('env') })];
  }
  if (named === undefined) return [...listed];
  return [...named].flatMap(([name, entry]) => namedTarget(build, name, entry) ?? []);
}

/** `shadow`: serves no clients unless a group says so. */
function groupsOf(names: Names, section: Sections['groups'], shadow: string | undefined): GroupConfig[] {
  const { build, targets, used } = names;
  if (section === undefined) {
    const members = targets.size === 1 ? [...targets] : [...targets].filter((name) => name !== shadow);
    for (const name of members) used.add(name);
    return [{ name: DEFAULT_GROUP, members, ...sharing(build) }];
  }
  const simple = [...section].flatMap(([name, { value }]) => (combineOf(build, value) === 'off' ? [name] : []));
  return [...section].map(([name, { value, where }]) => {
    if (targets.has(name)) build.problem(`${where}: an upstream has this name already: give the group another one`);
    const members = (value.members ?? []).flatMap((member) =>
      isKnown(names, member, combineOf(build, value) === 'off' ? [] : simple) ? [member.value] : [],
    );
    const twice = members.find((member, at) => members.indexOf(member) !== at);
    if (twice !== undefined) build.problem(`${where}: ${twice} is there twice`);
    return { name, members, ...sharing(build, value) };
  });
}

/** `groups` may be named as well: those whose members stand in for each other can be a member of one that combines. */
function isKnown({ build, targets, used }: Names, { value, where }: Sited<string>, groups: readonly string[]): boolean {
  used.add(value);
  if (targets.has(value) || groups.includes(value)) return true;
  const group = build.settings.section('groups')?.get(value);
  const isNone = `there is no upstream ${value}${didYouMean(value, [...targets, ...groups])}`;
  build.problem(`${where}: ${group === undefined ? isNone : noMember(value, combineOf(build, group.value))}`);
  return false;
}

function noMember(name: string, combine: GroupConfig['combine'] | 'off'): string {
  if (combine !== 'off') return `${name} is a group that combines, and can be no member`;
  return `${name} is a group, and this one combines nothing: name upstreams, or write combine: collisions`;
}

/** Whether a group is shown as one server: its own word, else the one for all. */
function combineOf(build: Build, group?: GroupEntry): 'off' | 'collisions' | 'always' {
  return group?.combine?.value ?? build.settings.get('combine');
}

/** How a group shares: its own words, else those for all. */
function sharing(build: Build, group?: GroupEntry): Omit<GroupConfig, 'name' | 'members'> {
  const { settings } = build;
  const combine = combineOf(build, group);
  if (combine !== 'off' && settings.get('bridge') === 'off') {
    const where = group?.combine?.where ?? settings.where('combine');
    build.problem(`${where}: servers are combined by translating between revisions: leave bridge at auto`);
  }
  const balance = group?.balance?.value ?? settings.get('balance');
  const hashOn = group?.['hash-on'];
  if (hashOn !== undefined && balance !== 'hash') {
    build.problem(`${hashOn.where}: nothing is hashed here: write balance: hash as well`);
  }
  return {
    balance,
    hashOn: hashOn?.value ?? settings.get('hash-on'),
    slowStartMs: group?.['slow-start'] ?? settings.get('slow-start'),
    ...(combine === 'off' ? {} : { combine }),
  };
}

/** Adds to `groups` a group for each upstream that a route names by itself. */
function routesOf(names: Names, section: Sections['routes'], groups: GroupConfig[]): RouteConfig[] {
  const { build, targets } = names;
  return (section ?? []).flatMap(({ value: { match, to } }) => {
    if (match === undefined || to === undefined) return [];
    if (!groups.some(({ name }) => name === to.value)) {
      if (!targets.has(to.value)) {
        const known = [...groups.map(({ name }) => name), ...targets];
        build.problem(`${to.where}: there is no group and no upstream ${to.value}${didYouMean(to.value, known)}`);
        return [];
      }
      groups.push(aloneIn(names, to.value));
    }
    return [{ match: matchOf(build, match), to: to.value }];
  });
}

/** A group of one upstream, which is combined with nothing. */
function aloneIn({ build, used }: Names, name: string): GroupConfig {
  used.add(name);
  const { combine: _alone, ...alone } = sharing(build);
  return { name, members: [name], ...alone };
}

function matchOf(build: Build, { path, header, method, tool, credential }: MatchEntry): RouteConfig['match'] {
  if (path !== undefined) build.checkPath(path.value, path.where);
  if (tool !== undefined && method?.every((one) => !one.includes('*') && one !== 'tools/call')) {
    const where = build.settings.whereSection('routes');
    build.problem(`${where}: no request has this method and a tool: only tools/call has one`);
  }
  const headers = [...(header ?? [])].map(([name, { value }]) => [name.toLowerCase(), value] as const);
  return {
    ...(path === undefined ? {} : { path: path.value.replace(/(?<=.)\/$/, '') }),
    ...(header === undefined ? {} : { headers: Object.fromEntries(headers) }),
    ...(method === undefined ? {} : { methods: method }),
    ...(tool === undefined ? {} : { tools: tool }),
    ...(credential === undefined ? {} : { credentials: credential.map((mark) => fingerprintOf(build, mark)) }),
  };
}

/** As the edge marks a client's credential: the digest of what its `Authorization` says; nothing for none. */
function fingerprintOf(build: Build, { value, where }: Sited<CredentialMark>): string {
  if (value.kind === 'none') return '';
  if (value.kind === 'sha256') return Buffer.from(value.hex, 'hex').toString('base64url');
  const token = build.place.env[value.variable];
  if (token === undefined || token === '') {
    build.problem(`${where}: ${value.variable} is not set here`);
    return '';
  }
  return createHash('sha256').update(`Bearer ${token}`).digest('base64url');
}
