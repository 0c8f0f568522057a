import { resolve } from 'node:path';
import { MIRRORED_METHODS } from '../sections/mirror-section.js';
import type { Sited } from '../sections/shape.js';
import type { GroupConfig, MirrorConfig, UrlTarget } from '../stack/contract.js';
import type { Build } from './build.js';
import { didYouMean } from './nearest.js';

const TIMEOUT_MS = 30_000;
const MAX_IN_FLIGHT = 50;

/** Whom a second time everything is asked of: a flag or a variable counts more than the file's section. */
export function shadowOf(build: Build): Sited<string | UrlTarget> | undefined {
  const { settings } = build;
  const section = settings.section('mirror');
  const { value, origin } = settings.setting('mirror-to');
  const given = value as UrlTarget | undefined;
  if (given === undefined) {
    if (section !== undefined && section.to === undefined) {
      build.problem(`${settings.whereSection('mirror')}: "to" is missing: the group or upstream that is asked as well`);
    }
    return section?.to;
  }
  if (section?.to !== undefined && origin.source === 'file') {
    build.problem(`${section.to.where} and mirror-to exclude each other: give one of them`);
  }
  return { value: given, where: settings.where('mirror-to') };
}

export interface MirrorPlace {
  readonly shadow: Sited<string | UrlTarget>;
  readonly targets: ReadonlySet<string>;
  /** Gets one more where an upstream is named by itself. */
  readonly groups: GroupConfig[];
  /** Where everything goes that matches no route. */
  readonly fallback: string;
  /** Makes a group of one upstream. */
  readonly alone: (name: string) => GroupConfig;
}

/** Who is mirrored to whom; `undefined` after a problem. */
export function mirrorOf(build: Build, place: MirrorPlace): MirrorConfig | undefined {
  const { settings } = build;
  const { shadow, groups, fallback } = place;
  const section = settings.section('mirror');
  const to = typeof shadow.value === 'string' ? shadow.value : shadow.value.name;
  const from = section?.from?.value ?? fallback;
  const whereFrom = section?.from?.where ?? shadow.where;
  if (!isThere(build, place, { value: to, where: shadow.where })) return undefined;
  if (!isThere(build, place, { value: from, where: whereFrom })) return undefined;
  const ours = new Set(reached(from, groups));
  const shared = reached(to, groups).find((name) => ours.has(name));
  if (shared !== undefined) {
    build.problem(`${shadow.where}: ${shared} would be compared with itself: name a server that is not in ${from}`);
    return undefined;
  }
  return {
    from,
    to,
    share: section?.percent ?? settings.get('mirror-percent'),
    methods: section?.methods ?? MIRRORED_METHODS,
    effects: section?.effects ?? false,
    ignore: [...settings.get('mirror-ignore'), ...(section?.ignore ?? [])],
    timeoutMs: section?.timeout ?? TIMEOUT_MS,
    maxInFlight: section?.['max-in-flight'] ?? MAX_IN_FLIGHT,
    findings: resolve(build.place.cwd, settings.get('mirror-findings')),
  };
}

/** An upstream that is named by itself becomes a group of one. */
function isThere(build: Build, { groups, targets, alone }: MirrorPlace, { value, where }: Sited<string>): boolean {
  if (groups.some(({ name }) => name === value)) return true;
  if (targets.has(value)) {
    groups.push(alone(value));
    return true;
  }
  const known = [...groups.map(({ name }) => name), ...targets];
  build.problem(`${where}: there is no group and no upstream ${value}${didYouMean(value, known)}`);
  return false;
}

/** The upstreams behind a name. */
function reached(name: string, groups: readonly GroupConfig[]): readonly string[] {
  const members = groups.find((group) => group.name === name)?.members ?? [];
  return members.flatMap((member) =>
    groups.some((group) => group.name === member && !group.members.includes(member))
      ? reached(member, groups)
      : [member],
  );
}
