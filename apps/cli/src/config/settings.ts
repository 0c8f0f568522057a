import { flagOf, type OptionSpec, variableOf } from '../options/option.js';
import { type OptionName, SPECS, type Values } from '../options/table.js';
import type { Sections } from '../sections/sections.js';
import { type Environment, readEnvironment } from './environment.js';
import type { ConfigFile } from './file.js';
import { type Origin, parseEntry, type RawEntries, type RawEntry, type SectionEntries } from './source.js';

/** One option's effective value and where it came from. */
export interface Setting {
  readonly spec: OptionSpec;
  /** Typed by the option; see {@link Settings.get}. */
  readonly value: unknown;
  readonly origin: Origin;
}

/** The effective values of a command's options. */
export class Settings {
  readonly #settings: ReadonlyMap<string, Setting>;
  readonly #sections: SectionEntries;

  constructor(settings: ReadonlyMap<string, Setting>, sections: SectionEntries = new Map()) {
    this.#settings = settings;
    this.#sections = sections;
  }

  /** What the file says about a section, if the command has it and nothing from a higher source stands in its place. */
  section<N extends keyof Sections>(name: N): Sections[N] {
    return this.#sections.get(name)?.value as Sections[N];
  }

  /** Where a section is, for messages. */
  whereSection(name: keyof Sections): string {
    return `${this.#sections.get(name)?.origin.where ?? 'the configuration'}: ${name}`;
  }

  sections(): SectionEntries {
    return this.#sections;
  }

  /** The value of an option; its default when the command that runs does not have the option. */
  get<N extends OptionName>(name: N): Values[N] {
    return this.setting(name).value as Values[N];
  }

  setting(name: OptionName): Setting {
    const setting = this.#settings.get(name);
    if (setting === undefined) throw new RangeError(`there is no option ${name}`);
    return setting;
  }

  /** How the user gave this option, for messages: `--listen`, `shadowcat.yaml:3:9`, or the flag where it is a default. */
  where(name: OptionName): string {
    const { origin, spec } = this.setting(name);
    return origin.source === 'default' ? placeOf(spec) : origin.where;
  }

  all(): Iterable<Setting> {
    return this.#settings.values();
  }
}

export interface SettingSources {
  readonly flags: RawEntries;
  readonly env: Environment;
  readonly file: ConfigFile | undefined;
}

/**
 * Decides each option: flag, environment, file, default, the first that has it. Options that are not in `specs`, which the
 * command does not have, get their default. Everything that is wrong is collected in `problems`; `settings` holds defaults
 * in the places concerned then.
 */
export function resolveSettings(
  specs: readonly OptionSpec[],
  sources: SettingSources,
): { settings: Settings; problems: string[] } {
  const problems: string[] = [...(sources.file?.problems ?? [])];
  const environment = readEnvironment(sources.env, specs);
  const settings = new Map<string, Setting>();
  for (const spec of SPECS) {
    const entry = specs.includes(spec)
      ? (sources.flags.get(spec.name) ?? environment.get(spec.name) ?? sources.file?.entries.get(spec.name))
      : undefined;
    settings.set(spec.name, settingOf(spec, entry, problems));
  }
  problems.push(...settleRivals(settings));
  return { settings: new Settings(settings, sectionsOf(specs, settings, sources.file)), problems };
}

/** Servers that a flag or a variable names stand in the place of all that the file says about servers and groups of them. */
function sectionsOf(
  specs: readonly OptionSpec[],
  settings: ReadonlyMap<string, Setting>,
  file: ConfigFile | undefined,
): SectionEntries {
  const targets = ['upstream', 'command'];
  if (file === undefined || !specs.some((spec) => targets.includes(spec.name))) return new Map();
  const replaced = targets.some((name) => RANK[settings.get(name)?.origin.source ?? 'default'] > RANK.file);
  return replaced ? new Map() : file.sections;
}

function settingOf(spec: OptionSpec, entry: RawEntry | undefined, problems: string[]): Setting {
  if (entry === undefined) return defaultOf(spec);
  const parsed = parseEntry(spec, entry);
  problems.push(...parsed.problems);
  if (parsed.problems.length > 0) return defaultOf(spec);
  return { spec, origin: entry.origin, value: spec.kind === 'many' ? parsed.values : parsed.values.at(-1) };
}

function defaultOf(spec: OptionSpec): Setting {
  const origin: Origin = { source: 'default', where: 'default' };
  if (spec.kind === 'many') return { spec, origin, value: [] };
  return { spec, origin, value: spec.fallback === undefined ? undefined : spec.type.parse(spec.fallback) };
}

const RANK: Readonly<Record<Origin['source'], number>> = { flag: 3, environment: 2, file: 1, default: 0 };

/** Of options that exclude each other, the one from the higher source stays; two from the same source are a problem. */
function settleRivals(settings: Map<string, Setting>): string[] {
  const problems: string[] = [];
  for (const [name, setting] of settings) {
    for (const rivalName of setting.spec.rivals) {
      const rival = settings.get(rivalName);
      if (rival === undefined || !given(setting) || !given(rival)) continue;
      const difference = RANK[setting.origin.source] - RANK[rival.origin.source];
      if (difference > 0) settings.set(rivalName, defaultOf(rival.spec));
      else if (difference === 0 && name < rivalName) problems.push(rivalry(setting, rival));
    }
  }
  return problems;
}

function given({ value, origin }: Setting): boolean {
  return (
    origin.source !== 'default' &&
    value !== false &&
    value !== undefined &&
    !(Array.isArray(value) && value.length === 0)
  );
}

function rivalry(one: Setting, other: Setting): string {
  return `${nameIn(one)} and ${nameIn(other)} exclude each other: give one of them`;
}

function nameIn({ spec, origin }: Setting): string {
  if (origin.source === 'flag') return placeOf(spec);
  return origin.source === 'environment' ? variableOf(spec.name) : `${origin.where}: ${spec.name}`;
}

/** How the command line has an option. */
export function placeOf(spec: OptionSpec): string {
  if (spec.place === 'words') return 'a command after --';
  return spec.place === 'arguments' ? `<${spec.name}...>` : flagOf(spec.name);
}
