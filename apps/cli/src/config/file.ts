import { isAlias, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml';
import type { OptionSpec } from '../options/option.js';
import { SPECS, specOf } from '../options/table.js';
import { SECTION_SPECS, type SectionSpec, sectionOf } from '../sections/sections.js';
import { didYouMean } from './nearest.js';
import {
  parseEntry,
  type RawEntries,
  type RawEntry,
  type RawItem,
  type SectionEntries,
  type SectionEntry,
} from './source.js';
import { readYaml } from './yaml-document.js';

/** A configuration file as read. `entries` holds only what is right; `problems` names place, key and remedy of the rest. */
export interface ConfigFile {
  /** As the user named it. */
  readonly name: string;
  readonly entries: RawEntries;
  readonly sections: SectionEntries;
  readonly problems: readonly string[];
}

/** Larger files are no configuration. */
export const MAX_CONFIG_BYTES = 1024 * 1024;

/** Reads the text of a YAML configuration. Never throws: every problem is listed, with `file:line:column` and key. */
export function readConfig(name: string, text: string): ConfigFile {
  const nothing = { name, entries: new Map<string, RawEntry>(), sections: new Map<string, SectionEntry>() };
  const document = readYaml(name, text);
  if ('problem' in document) return { ...nothing, problems: [document.problem] };
  const { root, at } = document;
  if (root === undefined) return { ...nothing, problems: [] };
  if (!isMap(root)) {
    const problem = `${at(root.range?.[0] ?? 0)}: the file must hold "key: value" lines, such as "listen: 127.0.0.1:8787"`;
    return { ...nothing, problems: [problem] };
  }
  const reader = new EntryReader(at);
  for (const pair of root.items) reader.read(pair as Pair<Node, Node | null>);
  return { name, entries: reader.entries, sections: reader.sections, problems: reader.problems };
}

class EntryReader {
  readonly entries = new Map<string, RawEntry>();
  readonly sections = new Map<string, SectionEntry>();
  readonly problems: string[] = [];
  readonly #at: (offset: number) => string;

  constructor(at: (offset: number) => string) {
    this.#at = at;
  }

  read(pair: Pair<Node, Node | null>): void {
    const key = isScalar(pair.key) ? String(pair.key.value) : '';
    const keyAt = this.#at(pair.key.range?.[0] ?? 0);
    const spec = specOf(key);
    if (spec === undefined) {
      const section = sectionOf(key);
      if (section !== undefined) return this.#section(section, pair.value);
      const near = didYouMean(
        key,
        [...SPECS, ...SECTION_SPECS].map((candidate) => candidate.name),
      );
      this.problems.push(`${keyAt}: unknown key "${key}"${near}`);
      return;
    }
    const node = pair.value;
    if (node === null || (isScalar(node) && node.value === null)) return;
    const items = this.#items(spec, node);
    if (items === undefined) return;
    const where = this.#at(node.range?.[0] ?? 0);
    const entry: RawEntry = { origin: { source: 'file', where }, items };
    const { problems } = parseEntry(spec, entry);
    if (problems.length > 0) this.problems.push(...problems);
    else this.entries.set(spec.name, entry);
  }

  #section({ name, shape }: SectionSpec, node: Node | null): void {
    if (node === null || (isScalar(node) && node.value === null)) return;
    const at = (place: Node): string => this.#at(place.range?.[0] ?? 0);
    const value = shape.read(node, name, { at, problem: (line) => this.problems.push(line) });
    if (value !== undefined) this.sections.set(name, { value, origin: { source: 'file', where: at(node) } });
  }

  #items(spec: OptionSpec, node: Node): RawItem[] | undefined {
    if (isSeq(node) && spec.kind === 'many') return this.#each(spec, node.items as Node[]);
    if (isMap(node) && spec.type.pairs === true) return this.#pairs(spec, node.items as Pair<Node, Node | null>[]);
    if (isScalar(node)) {
      const item = this.#scalar(spec, node);
      if (spec.place !== 'words' || item === undefined || !/\s/.test(item.text))
        return item === undefined ? undefined : [item];
      return this.#wrong(spec, node, 'write the words as a list, such as [npx, -y, server]: no shell splits them');
    }
    if (isAlias(node)) return this.#wrong(spec, node, 'write the value here: aliases are not followed');
    const wanted = spec.kind === 'many' ? `a list of ${spec.type.label}` : spec.type.label;
    return this.#wrong(spec, node, `expected ${wanted}, found a ${isMap(node) ? 'mapping' : 'list'}`);
  }

  #each(spec: OptionSpec, nodes: readonly Node[]): RawItem[] | undefined {
    const items = nodes.map((node) =>
      isScalar(node) && node.value !== null
        ? this.#scalar(spec, node)
        : this.#wrong(spec, node, `each item must be a ${spec.type.label}`),
    );
    return items.every((item) => item !== undefined) ? items : undefined;
  }

  #pairs(spec: OptionSpec, pairs: readonly Pair<Node, Node | null>[]): RawItem[] | undefined {
    const items = pairs.map(({ key, value }) => {
      const name = isScalar(key) ? String(key.value) : '';
      if (value === null || !isScalar(value) || value.value === null) {
        return this.#wrong(spec, value ?? key, `"${name}" needs a text as its value`);
      }
      const item = this.#scalar(spec, value);
      return item === undefined ? undefined : { ...item, text: `${name}=${item.text}` };
    });
    return items.every((item) => item !== undefined) ? items : undefined;
  }

  /** Numbers and booleans as they were written, so that `0777` or `1.50` means what it says. */
  #scalar(spec: OptionSpec, node: Node): RawItem | undefined {
    if (!isScalar(node)) return undefined;
    const text = typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    return { text, where: `${this.#at(node.range?.[0] ?? 0)}: ${spec.name}` };
  }

  #wrong(spec: OptionSpec, node: Node, text: string): undefined {
    this.problems.push(`${this.#at(node.range?.[0] ?? 0)}: ${spec.name}: ${text}`);
    return undefined;
  }
}
