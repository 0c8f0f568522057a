import { isMap, isScalar, type Node, type Pair, Scalar } from 'yaml';
import { SPECS, specOf } from '../options/table.js';
import { SECTION_SPECS, sectionOf } from '../sections/sections.js';
import { plainName } from './nearest.js';
import { readYaml } from './yaml-document.js';

/** A key that has another spelling now. */
export interface MigratedKey {
  /** `file:line:column`. */
  readonly where: string;
  readonly from: string;
  readonly to: string;
}

export interface Migrated {
  readonly text: string;
  readonly keys: readonly MigratedKey[];
}

/**
 * The text of a configuration file with its keys as this version has them: `sessionIdle` and `session_idle` become
 * `session-idle`. Everything else, quotes and comments included, keeps its bytes. A key that is there in the right spelling too stays as
 * it is, and so does a file that is no mapping: `readConfig` says what is wrong with those.
 */
export function migrateConfig(name: string, text: string): Migrated {
  const document = readYaml(name, text);
  if ('problem' in document || !isMap(document.root)) return { text, keys: [] };
  const pairs = document.root.items as Pair<Node, Node | null>[];
  const taken = new Set(pairs.map(({ key }) => (isScalar(key) ? String(key.value) : '')));
  const keys: MigratedKey[] = [];
  let migrated = '';
  let done = 0;
  for (const { key } of pairs) {
    if (!isScalar(key) || key.range == null) continue;
    const quote = QUOTES.get(key.type);
    if (quote === undefined) continue;
    const from = String(key.value);
    const to = nameFor(from);
    if (to === undefined || taken.has(to)) continue;
    taken.add(to);
    const [start, end] = key.range;
    migrated += `${text.slice(done, start)}${quote}${to}${quote}`;
    done = end;
    keys.push({ where: document.at(start), from, to });
  }
  return { text: migrated + text.slice(done), keys };
}

/** What is around a key; nobody writes one as a block of lines. */
const QUOTES: ReadonlyMap<string | undefined, string> = new Map([
  [Scalar.PLAIN, ''],
  [Scalar.QUOTE_SINGLE, "'"],
  [Scalar.QUOTE_DOUBLE, '"'],
]);

/** The name of the option or section that `key` spells otherwise; `undefined` for a right or an unknown one. */
function nameFor(key: string): string | undefined {
  if (specOf(key) !== undefined || sectionOf(key) !== undefined) return undefined;
  const plain = plainName(key);
  return [...SPECS, ...SECTION_SPECS].find(({ name }) => plainName(name) === plain)?.name;
}
