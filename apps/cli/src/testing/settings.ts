import { recordConfig, replayConfig, reverseConfig } from '../config/effective.js';
import { loadConfig } from '../config/load.js';
import { resolveSettings, type Settings } from '../config/settings.js';
import type { RawEntries, RawEntry } from '../config/source.js';
import { problemsError } from '../errors.js';
import { type CommandName, variableOf } from '../options/option.js';
import { type OptionName, SPECS, specsOf } from '../options/table.js';
import type { ReplayConfig, ReverseConfig } from '../stack/contract.js';
import type { TapeOptions, Upstream } from './options.js';

/** Where a test runs. */
export interface TestPlace {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * What variables and the configuration file say about these is about a proxy that people start, not about the private endpoint
 * of a test. Everything else counts as it does on the command line: what is secret above all, so that tests record as `shadowcat record` does.
 */
const PRIVATE_GROUPS = new Set(['Listening', 'Replay', 'Verify', 'Mirror', 'Logging']);

/** `record` is about such a proxy as well: the only tape that a test writes is the one it names. */
const SHARED = SPECS.filter(({ group, name }) => !PRIVATE_GROUPS.has(group) && name !== 'record').map(
  ({ name }) => name,
);

/** Free port, no drain to speak of: what is still in flight when a test has ended is nobody's any more. */
const ENDPOINT = { listen: '127.0.0.1:0', 'drain-timeout': '500ms' } as const;

/** How a tape is replayed; `tape` and the overlays are absolute paths. */
export function replaySettings(tape: string, options: TapeOptions, place: TestPlace): ReplayConfig {
  const { allUsed = true, overlay = [], time, maxRung } = options;
  const overlays = [overlay].flat().map(String);
  const flags = {
    ...ENDPOINT,
    tape,
    'all-used': String(allUsed),
    ...(overlays.length === 0 ? {} : { overlay: overlays }),
    ...(time === undefined ? {} : { time }),
    ...(maxRung === undefined ? {} : { 'max-rung': maxRung }),
  };
  return replayConfig(settingsOf('replay', flags, place), place);
}

/** A proxy in front of the real server, which records to `out`, if that is given. */
export function proxySettings(upstream: Upstream, out: string | undefined, place: TestPlace): ReverseConfig {
  const flags = { ...ENDPOINT, store: 'memory:', ...upstreamFlags(upstream) };
  if (out === undefined) return reverseConfig(settingsOf('reverse', flags, place), place);
  const recording = recordConfig(settingsOf('record', { ...flags, out, 'record-required': 'true' }, place), place);
  if (recording.stdio) throw new TypeError('a tape of a test is not recorded on stdin and stdout');
  return recording.config;
}

type Flags = Partial<Record<OptionName, string | readonly string[]>>;

function upstreamFlags(upstream: Upstream): Flags {
  if (typeof upstream === 'string' || upstream instanceof URL) return { upstream: String(upstream) };
  if ('url' in upstream) {
    const headers = Object.entries(upstream.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
    return { upstream: String(upstream.url), header: headers };
  }
  const { command, args = [], env = {}, cwd } = upstream;
  return {
    command: [command, ...args],
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...(cwd === undefined ? {} : { cwd }),
  };
}

/** Resolves options as the command does, with `flags` in the place of its flags. */
function settingsOf(command: CommandName, flags: Flags, place: TestPlace): Settings {
  const specs = specsOf(command);
  const file = loadConfig({ config: undefined, ...place });
  const { settings, problems } = resolveSettings(specs, {
    flags: new Map(Object.entries(flags).map(([name, given]) => [name, entryOf(name, given)])),
    env: Object.fromEntries(SHARED.map((name) => [variableOf(name), place.env[variableOf(name)]])),
    file: file && { ...file, entries: only(file.entries, SHARED) },
  });
  if (problems.length > 0) throw problemsError(problems);
  return settings;
}

function entryOf(name: string, given: string | readonly string[]): RawEntry {
  const where = `useTape: ${WORDS[name] ?? name}`;
  return { origin: { source: 'flag', where }, items: [given].flat().map((text) => ({ text, where })) };
}

/** How a test calls what the command line has as a flag. */
const WORDS: Readonly<Record<string, string>> = {
  'all-used': 'allUsed',
  'max-rung': 'maxRung',
  header: 'upstream.headers',
  command: 'upstream.command',
  env: 'upstream.env',
  cwd: 'upstream.cwd',
};

function only(entries: RawEntries, names: readonly string[]): RawEntries {
  return new Map([...entries].filter(([name]) => names.includes(name)));
}
