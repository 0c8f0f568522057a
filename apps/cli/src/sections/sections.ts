import { TARGET } from '../options/audience.js';
import { balancePolicy, hashKey } from '../options/balance-types.js';
import { upstreamUrl, urlPath } from '../options/network-types.js';
import type { CommandName, Group } from '../options/option.js';
import { BadValue, type OptionType } from '../options/option-type.js';
import { envPair, header } from '../options/pair-types.js';
import { duration, int, oneOf, text } from '../options/scalar-types.js';
import { MIRROR_SECTION } from './mirror-section.js';
import { name } from './names.js';
import { list, mapping, pairs, record, type Shape, scalar, shorthand, sited } from './shape.js';

/** A key of the configuration file that holds more than an option can: there is no flag and no variable for it. */
export interface SectionSpec<N extends string = string, T = unknown> {
  readonly name: N;
  readonly group: Group;
  readonly commands: readonly CommandName[];
  /** One line, as of an option. */
  readonly help: string;
  /** YAML that shows all of it; for the documentation and a new file. */
  readonly example: string;
  /** The keys within, for the documentation. */
  readonly keys: Readonly<Record<string, { readonly help: string; readonly shape: { readonly label: string } }>>;
  readonly shape: Shape<T>;
}

/** A client's credential without the credential: in the file it would be a secret at rest. */
export type CredentialMark =
  | { readonly kind: 'none' }
  | { readonly kind: 'sha256'; readonly hex: string }
  | { readonly kind: 'env'; readonly variable: string };

const credential: OptionType<CredentialMark> = {
  label: 'sha256:HEX|env:NAME|none',
  parse(value) {
    if (value === 'none') return { kind: 'none' };
    const [, kind, rest = ''] = /^(sha256|env):(.*)$/.exec(value) ?? [];
    if (kind === 'sha256' && /^[0-9a-fA-F]{64}$/.test(rest)) return { kind, hex: rest.toLowerCase() };
    if (kind === 'env' && /^[A-Za-z_]\w*$/.test(rest)) return { kind, variable: rest };
    // It may be the credential itself, so it is not repeated.
    throw new BadValue(
      'this does not stand for a credential: write env:NAME for a token in a variable, sha256: and the hex digest of "Bearer <token>", or none',
    );
  },
  show: (value) =>
    value.kind === 'none' ? 'none' : value.kind === 'env' ? `env:${value.variable}` : `sha256:${value.hex}`,
  schema: { type: 'string', pattern: '^(none|env:[A-Za-z_]\\w*|sha256:[0-9a-fA-F]{64})$' },
};

const pattern = scalar(text('pattern'));
const WEIGHT = int({ min: 0, max: 1_000_000 });

const UPSTREAM_KEYS = {
  url: { shape: scalar(upstreamUrl), help: 'Address, as for --upstream' },
  command: { shape: list(scalar(text('word'))), help: 'Or a command: it and its arguments, as a list' },
  headers: { shape: pairs(header), help: 'Headers for this address, over those of --header' },
  env: { shape: pairs(envPair), help: 'Variables for this command, besides those of --env' },
  cwd: { shape: scalar(text('dir')), help: 'Where this command runs' },
  'max-children': {
    shape: scalar(int({ min: 1, max: 10_000 })),
    help: 'Its children at the same time, instead of --max-children',
  },
  weight: {
    shape: scalar(WEIGHT),
    help: 'Its share of what is new; default 1, and 0 is nothing. Read again on SIGHUP',
  },
  priority: {
    shape: scalar(int({ min: 0, max: 100 })),
    help: 'Default 0; a higher number is used only while no member with a lower one is available',
  },
} as const;

const upstreamEntry = record('keys of an upstream', UPSTREAM_KEYS);
export type UpstreamEntry = NonNullable<ReturnType<typeof upstreamEntry.read>>;

const NO_ENTRY: UpstreamEntry = {
  url: undefined,
  command: undefined,
  headers: undefined,
  env: undefined,
  cwd: undefined,
  'max-children': undefined,
  weight: undefined,
  priority: undefined,
};

const GROUP_KEYS = {
  members: { shape: list(sited(scalar(name))), help: 'Names of upstreams', required: true },
  balance: { shape: sited(scalar(balancePolicy)), help: 'How they share, instead of --balance' },
  'hash-on': { shape: sited(scalar(hashKey)), help: 'What the hash is made of, instead of --hash-on' },
  combine: {
    shape: sited(scalar(oneOf('off', 'collisions', 'always'))),
    help: 'Show the members, which may be groups, as one server, instead of --combine',
  },
  'slow-start': {
    shape: scalar(duration({ zero: true })),
    help: 'How long a member that comes back takes to its whole share, instead of --slow-start',
  },
} as const;

const groupEntry = record('keys of a group', GROUP_KEYS);
export type GroupEntry = NonNullable<ReturnType<typeof groupEntry.read>>;

const MATCH_KEYS = {
  path: { shape: sited(scalar(urlPath)), help: 'Path that the client uses; the proxy serves it besides --path' },
  header: { shape: mapping(pattern, '^[A-Za-z0-9-]+$'), help: 'Header fields and their values' },
  method: { shape: list(pattern), help: 'JSON-RPC methods' },
  tool: { shape: list(pattern), help: 'Names of tools; only tools/call matches then' },
  credential: { shape: list(sited(scalar(credential))), help: 'Credentials of the client' },
} as const;

const matchEntry = record('keys to match', MATCH_KEYS);
export type MatchEntry = NonNullable<ReturnType<typeof matchEntry.read>>;

const ROUTE_KEYS = {
  match: {
    shape: matchEntry,
    help: 'What a request must have, all of it; * stands for any characters',
    required: true,
  },
  to: { shape: sited(scalar(name)), help: 'The group, or the upstream', required: true },
} as const;

const routeEntry = record('keys of a route', ROUTE_KEYS);

const UPSTREAMS_SECTION = {
  name: 'upstreams',
  group: 'Target',
  commands: TARGET,
  help: 'several servers by name, instead of --upstream: an address, or keys',
  example: `upstreams:
  a: http://localhost:3001/mcp
  b: { url: http://localhost:3002/mcp, weight: 3 }
  spare: { url: https://other-region.example.com/mcp, priority: 1, headers: { x-api-key: secret } }
  files: { command: [npx, -y, "@modelcontextprotocol/server-filesystem", /data], max-children: 8 }`,
  keys: UPSTREAM_KEYS,
  shape: mapping(shorthand(scalar(upstreamUrl), upstreamEntry, (url) => ({ ...NO_ENTRY, url }))),
} as const;

const GROUPS_SECTION = {
  name: 'groups',
  group: 'Target',
  commands: TARGET,
  help: 'upstreams that can stand in for each other; without groups all are one, named default',
  example: `groups:
  main: { members: [a, b, spare], balance: least-connections, slow-start: 30s }
  disk: { members: files }`,
  keys: GROUP_KEYS,
  shape: mapping(groupEntry),
} as const;

const ROUTES_SECTION = {
  name: 'routes',
  group: 'Target',
  commands: TARGET,
  help: 'which requests go to which group: the first that matches; what matches none goes to the group default, or the first',
  example: `routes:
  - match: { path: /files/mcp }
    to: disk
  - match: { tool: [read_*, list_*], header: { x-team: a } }
    to: disk`,
  keys: {
    match: ROUTE_KEYS.match,
    ...Object.fromEntries(Object.entries(MATCH_KEYS).map(([key, value]) => [`match.${key}`, value])),
    to: ROUTE_KEYS.to,
  },
  shape: list(sited(routeEntry)),
} as const;

const SECTIONS = [UPSTREAMS_SECTION, GROUPS_SECTION, ROUTES_SECTION, MIRROR_SECTION] as const;

type SectionValue<S> = S extends { readonly shape: Shape<infer T> } ? T : never;

/** What the file says; a section that is not there is `undefined`. */
export type Sections = {
  readonly [S in (typeof SECTIONS)[number] as S['name']]?: SectionValue<S>;
};

/** The same table without the types of the values, for code that treats all alike. */
export const SECTION_SPECS: readonly SectionSpec[] = SECTIONS as readonly unknown[] as readonly SectionSpec[];

export function sectionOf(key: string): SectionSpec | undefined {
  return SECTION_SPECS.find((spec) => spec.name === key);
}
