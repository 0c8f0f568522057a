import { type JsonNode, jsonTree } from './json-tree.js';
import type { Pointer } from './pointer.js';
import { embedded, entriesOf, type Spot } from './verify/scalars.js';

/** A value that gives way to another. */
export interface Change {
  readonly node: JsonNode;
  readonly json: string;
}

/**
 * A message with `json` in each place that the pointer leads to, through JSON in strings where it has to, and every other byte
 * as it was. `seen` is told the JSON text of each value that gave way.
 */
export function replacedAt(
  text: string,
  { at, json }: { readonly at: Pointer; readonly json: string },
  seen: (before: string) => void = () => undefined,
): string {
  return withChanges(text, changesAt({ text, node: jsonTree(text) }, at, { json, seen }));
}

function changesAt(
  spot: Spot,
  [step, ...rest]: Pointer,
  put: { readonly json: string; readonly seen: (before: string) => void },
): Change[] {
  const { text, node } = spot;
  if (step === undefined) {
    put.seen(text.slice(node.start, node.end));
    return [{ node, json: put.json }];
  }
  if (node.kind === 'string') {
    const inner = embedded(spot);
    const changes = inner === undefined ? [] : changesAt(inner, [step, ...rest], put);
    if (inner === undefined || changes.length === 0) return [];
    return [{ node, json: JSON.stringify(withChanges(inner.text, changes)) }];
  }
  return entriesOf(node).flatMap(([key, child]) =>
    step === '*' || step === key ? changesAt({ text, node: child }, rest, put) : [],
  );
}

/** The text with these values changed; they are in the text's order and not inside of each other. */
export function withChanges(text: string, changes: readonly Change[]): string {
  let out = '';
  let at = 0;
  for (const { node, json } of changes) {
    out += text.slice(at, node.start) + json;
    at = node.end;
  }
  return out + text.slice(at);
}
