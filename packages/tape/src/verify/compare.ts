import { canonicalOf } from '../canonical.js';
import { type JsonArrayNode, type JsonObjectNode, memberOf, stringOf } from '../json-tree.js';
import { type Pointer, pointerText } from '../pointer.js';
import { embedded, type Spot } from './scalars.js';

/**
 * How exactly answers have to agree. `bytes`: the same text. `json`: the same value; texts that are JSON are compared as JSON.
 * `shape`: the same members of the same types. `contract`: what the server itself promises (`outputSchema`).
 */
export const LEVELS = ['bytes', 'json', 'shape', 'contract'] as const;
export type Level = (typeof LEVELS)[number];

/** A place where an answer is not as recorded. A value that is not there is `undefined`. */
export interface AnswerDifference {
  readonly path: Pointer;
  /** JSON Pointer (RFC 6901) from the root of the message: `/result/…`, `/error/…`. */
  readonly pointer: string;
  /** The values for people: long ones are cut, numbers that JavaScript would change are texts. */
  readonly recorded: unknown;
  readonly got: unknown;
}

export interface Comparing {
  readonly level: 'json' | 'shape';
  /** Whether two scalars, as JSON text, stand for each other though they are spelled differently. */
  readonly same: (recorded: string, live: string, path: Pointer) => boolean;
  /** Places that may differ. */
  readonly ignored: (path: Pointer) => boolean;
}

/** The most places that are told for one answer. */
const MAX_DIFFERENCES = 100;
/** Of a recorded list so many items are tried for one that looks like a live one. */
const MAX_SHAPES = 256;
/** Longer values are cut where they are shown. */
export const MAX_VALUE = 300;
/** Each server's own tokens (MCP: opaque to clients): that there is one is compared, not which. */
const OPAQUE: ReadonlySet<string> = new Set(['/result/nextCursor', '/result/requestState']);

/** Lists of what a server offers, and the member that names each of it. Their order says nothing. */
const LISTED: ReadonlyMap<string, string> = new Map([
  ['/result/tools', 'name'],
  ['/result/prompts', 'name'],
  ['/result/resources', 'uri'],
  ['/result/resourceTemplates', 'uriTemplate'],
]);

/** Where two values differ, outermost place first. `path`: where they stand in their messages. */
export function compareSpots(
  recorded: Spot | undefined,
  live: Spot | undefined,
  { comparing, path }: { readonly comparing: Comparing; readonly path: Pointer },
): AnswerDifference[] {
  const found: AnswerDifference[] = [];
  new Comparison(comparing, found).compare(recorded, live, path);
  return found;
}

class Comparison {
  readonly #comparing: Comparing;
  readonly #found: AnswerDifference[];

  constructor(comparing: Comparing, found: AnswerDifference[]) {
    this.#comparing = comparing;
    this.#found = found;
  }

  compare(recorded: Spot | undefined, live: Spot | undefined, path: Pointer): void {
    if (this.#found.length >= MAX_DIFFERENCES || this.#comparing.ignored(path)) return;
    if (recorded === undefined || live === undefined) {
      if (recorded !== live) this.#tell(recorded, live, path);
      return;
    }
    const [a, b] = [recorded.node, live.node];
    if (a.kind === 'object' && b.kind === 'object') this.#objects({ ...recorded, node: a }, { ...live, node: b }, path);
    else if (a.kind === 'array' && b.kind === 'array')
      this.#arrays({ ...recorded, node: a }, { ...live, node: b }, path);
    else this.#scalars(recorded, live, path);
  }

  #objects(
    recorded: { readonly text: string; readonly node: JsonObjectNode },
    live: { readonly text: string; readonly node: JsonObjectNode },
    path: Pointer,
  ): void {
    const ours = new Map(recorded.node.members.map(({ key, value }) => [key, value]));
    const theirs = new Map(live.node.members.map(({ key, value }) => [key, value]));
    for (const key of new Set([...ours.keys(), ...theirs.keys()])) {
      const [one, other] = [ours.get(key), theirs.get(key)];
      this.compare(one && { text: recorded.text, node: one }, other && { text: live.text, node: other }, [
        ...path,
        key,
      ]);
    }
  }

  #arrays(
    recorded: { readonly text: string; readonly node: JsonArrayNode },
    live: { readonly text: string; readonly node: JsonArrayNode },
    path: Pointer,
  ): void {
    const at = (list: { readonly text: string; readonly node: JsonArrayNode }, index: number): Spot | undefined => {
      const node = list.node.items[index];
      return node && { text: list.text, node };
    };
    if (this.#listed(namedItems(recorded, path), namedItems(live, path), path)) return;
    if (this.#comparing.level === 'json') {
      for (let index = 0; index < Math.max(recorded.node.items.length, live.node.items.length); index += 1)
        this.compare(at(recorded, index), at(live, index), [...path, String(index)]);
      return;
    }
    // How many there are is no shape; each has to look like one that was recorded.
    if (recorded.node.items.length === 0) return;
    for (const index of live.node.items.keys()) {
      if (this.#found.length >= MAX_DIFFERENCES) return;
      let best: AnswerDifference[] | undefined;
      for (const node of recorded.node.items.slice(0, MAX_SHAPES)) {
        const found: AnswerDifference[] = [];
        const spot = { text: recorded.text, node };
        new Comparison(this.#comparing, found).compare(spot, at(live, index), [...path, String(index)]);
        if (best === undefined || found.length < best.length) best = found;
        if (best.length === 0) break;
      }
      this.#found.push(...(best ?? []));
    }
  }

  /** What a server offers, name by name; false when the names do not tell them apart. */
  #listed(recorded: Named | undefined, live: Named | undefined, path: Pointer): boolean {
    if (recorded === undefined || live === undefined) return false;
    let index = 0;
    for (const [name, spot] of recorded) {
      this.compare(spot, live.get(name), [...path, String(index)]);
      index += 1;
    }
    // Behind the recorded ones, so that no pointer means two of them. That there is more than before is no other shape.
    for (const [name, spot] of this.#comparing.level === 'shape' ? [] : live) {
      if (recorded.has(name)) continue;
      this.compare(undefined, spot, [...path, String(index)]);
      index += 1;
    }
    return true;
  }

  #scalars(recorded: Spot, live: Spot, path: Pointer): void {
    const [ours, theirs] = [embedded(recorded), embedded(live)];
    if (ours !== undefined && theirs !== undefined) {
      this.compare(ours, theirs, path);
      return;
    }
    if (recorded.node.kind === live.node.kind && this.#equal(recorded, live, path)) return;
    this.#tell(recorded, live, path);
  }

  #equal(recorded: Spot, live: Spot, path: Pointer): boolean {
    const { kind } = recorded.node;
    if (this.#comparing.level === 'shape') return kind !== 'word' || isNull(recorded) === isNull(live);
    if (OPAQUE.has(pointerText(path))) return true;
    const [one, other] = [canonicalOf(recorded.text, recorded.node), canonicalOf(live.text, live.node)];
    if (one === other || (kind === 'number' && sameNumber(one, other))) return true;
    return kind !== 'word' && this.#comparing.same(one, other, path);
  }

  #tell(recorded: Spot | undefined, live: Spot | undefined, path: Pointer): void {
    this.#found.push({ path, pointer: pointerText(path), recorded: shownSpot(recorded), got: shownSpot(live) });
  }
}

type Named = ReadonlyMap<string, Spot>;

/** Of a list of what a server offers, the items by name; `undefined` of others, and when the names do not tell them apart. */
export function namedItems(
  { text, node }: { readonly text: string; readonly node: JsonArrayNode },
  path: Pointer,
): Named | undefined {
  const key = LISTED.get(pointerText(path));
  if (key === undefined) return undefined;
  const found = new Map<string, Spot>();
  for (const item of node.items) {
    const name = memberOf(item, key);
    if (name?.kind !== 'string') return undefined;
    found.set(stringOf(text, name), { text, node: item });
  }
  return found.size === node.items.length ? found : undefined;
}

function isNull({ text, node }: Spot): boolean {
  return text[node.start] === 'n';
}

/** `1` and `1.0` are one value; integers beyond 2^53 are compared as text. */
function sameNumber(one: string, other: string): boolean {
  const [a, b] = [Number(one), Number(other)];
  return a === b && Math.abs(a) <= Number.MAX_SAFE_INTEGER;
}

/** A value as {@link AnswerDifference} shows it. */
export function shownSpot(spot: Spot | undefined): unknown {
  if (spot === undefined) return undefined;
  const { text, node } = spot;
  const raw = text.slice(node.start, node.end);
  if (raw.length > MAX_VALUE) return `${raw.slice(0, MAX_VALUE)}…`;
  if (node.kind === 'number' && String(Number(raw)) !== raw) return raw;
  return JSON.parse(raw) as unknown;
}
