import { type JsonNode, type JsonObjectNode, stringOf } from './json-tree.js';

/**
 * A spelling of a JSON value that is equal for equal values: keys sorted, no space, strings in one escaping; numbers keep
 * their own text, so `1` and `1.0`, or two integers beyond 2^53, stay different.
 */
export function canonicalOf(text: string, node: JsonNode): string {
  switch (node.kind) {
    case 'object':
      return canonicalObject(text, node);
    case 'array':
      return `[${node.items.map((item) => canonicalOf(text, item)).join(',')}]`;
    case 'string':
      return JSON.stringify(stringOf(text, node));
    default:
      return text.slice(node.start, node.end);
  }
}

function canonicalObject(text: string, node: JsonObjectNode): string {
  const sorted = [...node.members].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return `{${sorted.map(({ key, value }) => `${JSON.stringify(key)}:${canonicalOf(text, value)}`).join(',')}}`;
}

/** The object without the members that `drop` names; `undefined` when nothing is left of it. */
export function without(node: JsonNode | undefined, drop: (key: string) => boolean): JsonNode | undefined {
  if (node?.kind !== 'object') return node;
  const members = node.members.filter((member) => !drop(member.key));
  return members.length === 0 ? undefined : { ...node, members };
}

/** The object with one member replaced, or left out when `value` is `undefined`. */
export function withMember(node: JsonNode | undefined, key: string, value: JsonNode | undefined): JsonNode | undefined {
  if (node?.kind !== 'object') return node;
  const members = node.members.flatMap((member) => {
    if (member.key !== key) return [member];
    return value === undefined ? [] : [{ ...member, value }];
  });
  return members.length === 0 ? undefined : { ...node, members };
}
