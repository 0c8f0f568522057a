import type { OptionSpec } from '../options/option.js';

/** Where a value came from, and the words for it: `--listen`, `SHADOWCAT_LISTEN`, `shadowcat.yaml:3:9`. */
export interface Origin {
  readonly source: 'flag' | 'environment' | 'file' | 'default';
  readonly where: string;
}

/** One text of an option, not parsed yet. `where` names its own place in messages. */
export interface RawItem {
  readonly text: string;
  readonly where: string;
}

/** What one source says about one option. */
export interface RawEntry {
  readonly origin: Origin;
  readonly items: readonly RawItem[];
}

/** What one source says, by option name. */
export type RawEntries = ReadonlyMap<string, RawEntry>;

/** What the file says about a section, read and right. */
export interface SectionEntry {
  readonly origin: Origin;
  readonly value: unknown;
}

export type SectionEntries = ReadonlyMap<string, SectionEntry>;

/** Parsed values of an entry, and what is wrong with those that have none. */
export function parseEntry(spec: OptionSpec, entry: RawEntry): { values: unknown[]; problems: string[] } {
  const values: unknown[] = [];
  const problems: string[] = [];
  for (const item of entry.items) {
    try {
      values.push(spec.type.parse(item.text));
    } catch (error) {
      problems.push(`${item.where}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { values, problems };
}
