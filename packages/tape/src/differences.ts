import { canonicalOf } from './canonical.js';
import { type JsonNode, stringOf } from './json-tree.js';

/** A place where two JSON values differ. A value that is not there is `undefined`. */
export interface Difference {
  /** JSON Pointer (RFC 6901). */
  readonly pointer: string;
  readonly recorded: unknown;
  readonly got: unknown;
  /** The outermost list around it that has another length: a rule can only be about all of that. */
  readonly list?: string;
}

/** A value with the text its spans lie in. */
export interface Located {
  readonly text: string;
  readonly node: JsonNode | undefined;
}

const MAX_DIFFERENCES = 20;
const MAX_VALUE = 300;

/** Where two values differ, outermost place first, at most `limit`, which is 20. */
export function differencesOf(recorded: Located, got: Located, limit: number = MAX_DIFFERENCES): readonly Difference[] {
  const found: Difference[] = [];
  compare({ recorded, got, pointer: '', list: undefined }, { found, limit });
  return found;
}

interface Comparing {
  readonly found: Difference[];
  readonly limit: number;
}

interface Pair {
  readonly recorded: Located;
  readonly got: Located;
  readonly pointer: string;
  readonly list: string | undefined;
}

function compare({ recorded, got, pointer, list }: Pair, comparing: Comparing): void {
  const { found, limit } = comparing;
  if (found.length >= limit) return;
  const [a, b] = [recorded.node, got.node];
  if (areMembers({ recorded, got, pointer, list })) {
    const [ours, theirs] = [membersOf(a), membersOf(b)];
    const keys = new Set([...ours.keys(), ...theirs.keys()]);
    for (const key of keys) {
      const next = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      const pair = { recorded: { ...recorded, node: ours.get(key) }, got: { ...got, node: theirs.get(key) } };
      compare({ ...pair, pointer: next, list }, comparing);
    }
    return;
  }
  if (a?.kind === 'array' && b?.kind === 'array') {
    const whole = list ?? (a.items.length === b.items.length ? undefined : pointer);
    for (let index = 0; index < Math.max(a.items.length, b.items.length); index += 1) {
      const pair = { recorded: { ...recorded, node: a.items[index] }, got: { ...got, node: b.items[index] } };
      compare({ ...pair, pointer: `${pointer}/${index}`, list: whole }, comparing);
    }
    return;
  }
  if (spelled(recorded) === spelled(got)) return;
  const difference = { pointer, recorded: shown(recorded), got: shown(got) };
  found.push(list === undefined ? difference : { ...difference, list });
}

/** Whether both have members. What is absent as a whole has none. */
function areMembers({ recorded, got, pointer }: Pair): boolean {
  const kinds = [recorded.node?.kind, got.node?.kind];
  return kinds.includes('object') && kinds.every((kind) => kind === 'object' || (kind === undefined && pointer === ''));
}

function membersOf(node: JsonNode | undefined): ReadonlyMap<string, JsonNode> {
  return new Map(node?.kind === 'object' ? node.members.map(({ key, value }) => [key, value]) : []);
}

function spelled({ text, node }: Located): string | undefined {
  return node === undefined ? undefined : canonicalOf(text, node);
}

/** A value for people and for `data`: numbers that JavaScript would change, and long values, as text. */
function shown({ text, node }: Located): unknown {
  if (node === undefined) return undefined;
  const raw = text.slice(node.start, node.end);
  if (raw.length > MAX_VALUE) return `${(node.kind === 'string' ? stringOf(text, node) : raw).slice(0, MAX_VALUE)}…`;
  if (node.kind === 'number' && String(Number(raw)) !== raw) return raw;
  return JSON.parse(raw) as unknown;
}
