import { asObject, type JsonObject, spliceMessage } from '@shadowcat/wire';
import { jsonTree } from '../json-tree.js';
import { spotAt } from './scalars.js';

/** Where a server says what it wants to know (2026-07-28), and where the client answers, under the same keys. */
const WANTED = ['result', 'inputRequests'] as const;
const GIVEN = ['params', 'inputResponses'] as const;

/** The keys that a live server gave its questions, by the recorded ones: in their order, where they are others. */
export function inputKeys(recorded: JsonObject | undefined, live: JsonObject): readonly (readonly [string, string])[] {
  const [ours, theirs] = [recorded, live].map((value) => asObject(asObject(value?.['result'])?.['inputRequests']));
  const [was, is] = [Object.keys(ours ?? {}), Object.keys(theirs ?? {})];
  if (was.length !== is.length) return [];
  const isKept = (key: string): boolean => was.includes(key) && is.includes(key);
  return was.flatMap((key, index) => {
    const other = is[index];
    return other === undefined || isKept(key) || isKept(other) ? [] : [[key, other] as const];
  });
}

/** A recorded request with its answers under the live keys. */
export function withLiveKeys(text: string, keys: ReadonlyMap<string, string>): string {
  return renamed(text, GIVEN, keys);
}

/** A live answer with its questions under the recorded keys. */
export function withRecordedKeys(text: string, keys: ReadonlyMap<string, string>): string {
  return renamed(text, WANTED, new Map([...keys].map(([recorded, live]) => [live, recorded])));
}

function renamed(text: string, path: readonly string[], names: ReadonlyMap<string, string>): string {
  const found = names.size === 0 ? undefined : spotAt({ text, node: jsonTree(text) }, path);
  if (found?.node.kind !== 'object') return text;
  const members = found.node.members.map(({ key, value }) => {
    return `${JSON.stringify(names.get(key) ?? key)}:${found.text.slice(value.start, value.end)}`;
  });
  return spliceMessage(text, [{ path, json: `{${members.join(',')}}` }]);
}
