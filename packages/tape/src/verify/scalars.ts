import { type JsonNode, jsonTree, stringOf } from '../json-tree.js';
import type { Pointer } from '../pointer.js';

/** A value with the text that its spans lie in. */
export interface Spot {
  readonly text: string;
  readonly node: JsonNode;
}

/** A string or number of a message. */
export interface Scalar {
  readonly path: Pointer;
  readonly kind: 'string' | 'number';
  /** A string decoded; a number as it is spelled. */
  readonly value: string;
}

/** Longer texts are not looked into for JSON. */
const MAX_EMBEDDED = 1_048_576;

/**
 * The object or array that a string holds as JSON text: tools answer so. Pointers lead into it as if it stood there itself, so
 * `/result/content/0/text/id` is the `id` in a text.
 */
export function embedded({ text, node }: Spot): Spot | undefined {
  if (node.kind !== 'string' || node.end - node.start > MAX_EMBEDDED) return undefined;
  const content = stringOf(text, node);
  if (!/^\s*[[{]/.test(content)) return undefined;
  try {
    return { text: content, node: jsonTree(content) };
  } catch {
    return undefined;
  }
}

/** The strings and numbers below a value. `into`: also those of JSON that strings hold. */
export function* scalarsOf(spot: Spot, into: boolean, path: Pointer = []): Generator<Scalar, void, undefined> {
  const { text, node } = spot;
  if (node.kind === 'object') {
    for (const { key, value } of node.members) yield* scalarsOf({ text, node: value }, into, [...path, key]);
  } else if (node.kind === 'array') {
    for (const [index, item] of node.items.entries())
      yield* scalarsOf({ text, node: item }, into, [...path, String(index)]);
  } else if (node.kind === 'string') {
    const inner = into ? embedded(spot) : undefined;
    if (inner === undefined) yield { path, kind: 'string', value: stringOf(text, node) };
    else yield* scalarsOf(inner, into, path);
  } else if (node.kind === 'number') {
    yield { path, kind: 'number', value: text.slice(node.start, node.end) };
  }
}

/** The values that a pointer with `*` for any one step leads to, through JSON in strings where it has to. */
export function* spotsAt(spot: Spot, [step, ...rest]: Pointer): Generator<Spot, void, undefined> {
  if (step === undefined) {
    yield spot;
    return;
  }
  const { text, node } = spot.node.kind === 'string' ? (embedded(spot) ?? spot) : spot;
  for (const [key, child] of entriesOf(node))
    if (step === '*' || step === key) yield* spotsAt({ text, node: child }, rest);
}

/** The members or items of a value, with their keys as pointers name them. */
export function entriesOf(node: JsonNode): readonly (readonly [key: string, child: JsonNode])[] {
  if (node.kind === 'object') return node.members.map(({ key, value }) => [key, value] as const);
  return node.kind === 'array' ? node.items.map((item, index) => [String(index), item] as const) : [];
}

/** The value that a pointer leads to, through JSON in strings where it has to; `undefined` when there is none. */
export function spotAt(spot: Spot, path: Pointer): Spot | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return spot;
  const { text, node } = spot.node.kind === 'string' ? (embedded(spot) ?? spot) : spot;
  const child =
    node.kind === 'object'
      ? node.members.find(({ key }) => key === step)?.value
      : node.kind === 'array' && /^\d+$/.test(step)
        ? node.items[Number(step)]
        : undefined;
  return child === undefined ? undefined : spotAt({ text, node: child }, rest);
}

/** The string or number at a pointer, as {@link Scalar.value} has it. */
export function scalarAt(spot: Spot, path: Pointer): string | undefined {
  const found = spotAt(spot, path);
  if (found === undefined) return undefined;
  const { text, node } = found;
  if (node.kind === 'string') return stringOf(text, node);
  return node.kind === 'number' ? text.slice(node.start, node.end) : undefined;
}
