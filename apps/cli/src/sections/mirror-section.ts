import type { MirroredMethod } from '@shadowcat/shadow';
import { PROXY } from '../options/audience.js';
import { pointer } from '../options/mirror-types.js';
import { upstreamUrl } from '../options/network-types.js';
import type { OptionType } from '../options/option-type.js';
import { duration, flag, int, oneOf, percent } from '../options/scalar-types.js';
import type { UrlTarget } from '../stack/contract.js';
import { name } from './names.js';
import { list, NAME, record, scalar, shorthand, sited } from './shape.js';

/** What can be asked twice and compared. */
export const MIRRORED_METHODS = [
  'tools/call',
  'tools/list',
  'prompts/get',
  'prompts/list',
  'resources/read',
  'resources/list',
  'resources/templates/list',
  'completion/complete',
  'server/discover',
] as const satisfies readonly MirroredMethod[];

/** The name of a group or upstream, or an address. */
const destination: OptionType<string | UrlTarget> = {
  label: 'name or url',
  parse: (value) => (value.includes('://') ? upstreamUrl.parse(value) : name.parse(value)),
  show: (value) => (typeof value === 'string' ? value : upstreamUrl.show(value)),
  conceal: (value) => (typeof value === 'string' ? value : (upstreamUrl.conceal ?? upstreamUrl.show)(value)),
  schema: { anyOf: [{ type: 'string', pattern: NAME }, upstreamUrl.schema] },
};

const MIRROR_KEYS = {
  to: {
    shape: sited(scalar(destination)),
    help: 'The group or upstream that is asked as well, or an address; an upstream that is only named here serves no clients',
  },
  from: {
    shape: sited(scalar(name)),
    help: 'The group whose requests these are; without it the one that everything goes to which matches no route',
  },
  percent: { shape: scalar(percent({ min: 0 })), help: 'Share of them, instead of --mirror-percent' },
  methods: {
    shape: list(scalar(oneOf(...MIRRORED_METHODS))),
    help: 'JSON-RPC methods; without it all of these. Of tools/call only tools with readOnlyHint in the last tools/list',
  },
  effects: {
    shape: scalar(flag),
    help: 'Call all other tools as well: what they do is done by both servers. Default false',
  },
  ignore: {
    shape: list(scalar(pointer)),
    help: 'JSON pointers within the result that are not compared, besides --mirror-ignore; * is any one step',
  },
  timeout: { shape: scalar(duration()), help: 'How long the second server may take for an answer; default 30s' },
  'max-in-flight': {
    shape: scalar(int({ min: 1, max: 10_000 })),
    help: 'Mirrored requests at the same time; those beyond are not mirrored. Default 50',
  },
} as const;

const mirrorEntry = record('keys of a mirror', MIRROR_KEYS);
export type MirrorEntry = NonNullable<ReturnType<typeof mirrorEntry.read>>;

const NO_ENTRY: MirrorEntry = {
  to: undefined,
  from: undefined,
  percent: undefined,
  methods: undefined,
  effects: undefined,
  ignore: undefined,
  timeout: undefined,
  'max-in-flight': undefined,
};

export const MIRROR_SECTION = {
  name: 'mirror',
  group: 'Mirror',
  commands: PROXY,
  help: 'ask a second server the same as the first, unseen by clients, and compare the answers: a name, an address, or keys',
  example: `mirror:
  to: http://localhost:3001/mcp
  percent: 10
  ignore: [/content/*/text/timestamp]`,
  keys: MIRROR_KEYS,
  shape: shorthand(sited(scalar(destination)), mirrorEntry, (to) => ({ ...NO_ENTRY, to })),
} as const;
