import type { JsonArrayNode, JsonObjectNode } from '../json-tree.js';
import type { Pointer } from '../pointer.js';
import { type Comparing, compareSpots, namedItems } from './compare.js';
import { embedded, type Spot } from './scalars.js';

/**
 * A live value with the recorded spelling wherever the two count as equal: what is ignored, stands for the same, or is the same
 * JSON. Returns JSON text, so that an updated tape differs where the server did, and nowhere else.
 */
export function mergedText(
  recorded: Spot | undefined,
  live: Spot,
  { comparing, path }: { readonly comparing: Comparing; readonly path: Pointer },
): string {
  if (recorded === undefined) return sourceOf(live);
  if (compareSpots(recorded, live, { comparing, path }).length === 0) return sourceOf(recorded);
  const [one, other] = [recorded.node, live.node];
  if (one.kind === 'object' && other.kind === 'object')
    return objects({ text: recorded.text, node: one }, { text: live.text, node: other }, { comparing, path });
  if (one.kind === 'array' && other.kind === 'array')
    return arrays({ text: recorded.text, node: one }, { text: live.text, node: other }, { comparing, path });
  const [ours, theirs] = [embedded(recorded), embedded(live)];
  if (ours !== undefined && theirs !== undefined) return JSON.stringify(mergedText(ours, theirs, { comparing, path }));
  return sourceOf(live);
}

interface ArraySpot {
  readonly text: string;
  readonly node: JsonArrayNode;
}

interface ObjectSpot {
  readonly text: string;
  readonly node: JsonObjectNode;
}

/** The recorded members in their order, then the new ones; one that is gone stays only where that is ignored. */
function objects(
  recorded: ObjectSpot,
  live: ObjectSpot,
  { comparing, path }: { readonly comparing: Comparing; readonly path: Pointer },
): string {
  const theirs = new Map(live.node.members.map((member) => [member.key, member]));
  const kept = recorded.node.members.flatMap(({ key, name, value }) => {
    const own = [...path, key];
    const was: Spot = { text: recorded.text, node: value };
    const now = theirs.get(key);
    if (now === undefined && !comparing.ignored(own)) return [];
    const json =
      now === undefined
        ? sourceOf(was)
        : mergedText(was, { text: live.text, node: now.value }, { comparing, path: own });
    return [`${sourceOf({ text: recorded.text, node: name })}:${json}`];
  });
  const known = new Set(recorded.node.members.map(({ key }) => key));
  const added = live.node.members.flatMap(({ key, name, value }) => {
    if (known.has(key) || comparing.ignored([...path, key])) return [];
    return [`${sourceOf({ text: live.text, node: name })}:${sourceOf({ text: live.text, node: value })}`];
  });
  return `{${[...kept, ...added].join(',')}}`;
}

/** Item by item, in a list of what a server offers name by name; what is there, and its order, is as it is live. */
function arrays(
  recorded: ArraySpot,
  live: ArraySpot,
  { comparing, path }: { readonly comparing: Comparing; readonly path: Pointer },
): string {
  const [ours, theirs] = [namedItems(recorded, path), namedItems(live, path)];
  const names = theirs && [...theirs.keys()];
  const items = live.node.items.map((node, index) => {
    const was = recorded.node.items[index];
    const spot = ours && names ? ours.get(names[index] ?? '') : was && { text: recorded.text, node: was };
    return mergedText(spot, { text: live.text, node }, { comparing, path: [...path, String(index)] });
  });
  return `[${items.join(',')}]`;
}

function sourceOf({ text, node }: Spot): string {
  return text.slice(node.start, node.end);
}
