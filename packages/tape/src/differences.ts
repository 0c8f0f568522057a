import { canonicalOf } from './canonical.js';
import { type JsonNode, stringOf } from './json-tree.js';

/** A place where two JSON values differ. A value that is not there is `undefined`. */
export interface Difference {
  /** JSON Pointer (RFC 6901). */
  readonly pointer: string;
  readonly recorded: unknown;
  readonly got: unknown;
}

/** A value with the text its spans lie in. */
export interface Located {
  readonly text: string;
  readonly node: JsonNode | undefined;
}

const MAX_DIFFERENCES = 20;
const MAX_VALUE = 300;

/** Where two values differ, outermost place first, at most 20. */
export function differencesOf(recorded: Located, got: Located): readonly Difference[] {
  const found: Difference[] = [];
  compare({ recorded, got, pointer: '' }, found);
  return found;
}

interface Pair {
  readonly recorded: Located;
  readonly got: Located;
  readonly pointer: string;
}

function compare({ recorded, got, pointer }: Pair, found: Difference[]): void {
  if (found.length >= MAX_DIFFERENCES) return;
  const [a, b] = [recorded.node, got.node];
  if (a?.kind === 'object' && b?.kind === 'object') {
    const theirs = new Map(b.members.map(({ key, value }) => [key, value]));
    const keys = new Set([...a.members.map(({ key }) => key), ...theirs.keys()]);
    const ours = new Map(a.members.map(({ key, value }) => [key, value]));
    for (const key of keys) {
      const next = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      const pair = { recorded: { ...recorded, node: ours.get(key) }, got: { ...got, node: theirs.get(key) } };
      compare({ ...pair, pointer: next }, found);
    }
    return;
  }
  if (a?.kind === 'array' && b?.kind === 'array') {
    for (let index = 0; index < Math.max(a.items.length, b.items.length); index += 1) {
      const pair = { recorded: { ...recorded, node: a.items[index] }, got: { ...got, node: b.items[index] } };
      compare({ ...pair, pointer: `${pointer}/${index}` }, found);
    }
    return;
  }
  if (spelled(recorded) !== spelled(got)) found.push({ pointer, recorded: shown(recorded), got: shown(got) });
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
