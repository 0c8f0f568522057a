import { canonicalOf } from './canonical.js';
import type { JsonNode } from './json-tree.js';
import type { Pointer } from './pointer.js';

/**
 * What stands for a value in a canonical text: another text, `null` for nothing at all (the member is left out), or
 * `undefined` for the value itself.
 */
export type Mask = (node: JsonNode, path: Pointer) => string | null | undefined;

/** The canonical text of a value, some of whose parts stand for others. */
export function maskedText(text: string, node: JsonNode, mask: Mask): string {
  return masked({ text, mask }, node, []) ?? '';
}

interface Masking {
  readonly text: string;
  readonly mask: Mask;
}

function masked(masking: Masking, node: JsonNode, path: Pointer): string | null {
  const put = masking.mask(node, path);
  if (put !== undefined) return put;
  if (node.kind === 'object') {
    const sorted = [...node.members].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const members = sorted.flatMap(({ key, value }) => {
      const shown = masked(masking, value, [...path, key]);
      return shown === null ? [] : [`${JSON.stringify(key)}:${shown}`];
    });
    return `{${members.join(',')}}`;
  }
  if (node.kind === 'array') {
    // A place of a list that does not count is still a place.
    return `[${node.items.map((item, index) => masked(masking, item, [...path, String(index)]) ?? '').join(',')}]`;
  }
  return canonicalOf(masking.text, node);
}

/** Calls `see` with the values that a pointer leads to. */
export function eachAt(node: JsonNode | undefined, pointer: Pointer, see: (found: JsonNode) => void): void {
  if (node === undefined) return;
  const [step, ...rest] = pointer;
  if (step === undefined) {
    see(node);
  } else if (node.kind === 'object') {
    for (const { key, value } of node.members) if (step === '*' || step === key) eachAt(value, rest, see);
  } else if (node.kind === 'array') {
    for (const [index, item] of node.items.entries())
      if (step === '*' || step === String(index)) eachAt(item, rest, see);
  }
}
