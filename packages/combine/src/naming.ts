import { spliceMessage } from '@shadowcat/wire';
import type { Item } from './member-list.js';

/** Whose an entry of the joined list is, and what its member calls it. */
export interface Owner {
  readonly member: string;
  readonly key: string;
}

/** An entry of the joined list. */
export interface Joined extends Owner {
  /** What clients call it. */
  readonly exposed: string;
  /** Its JSON text, with that name. */
  readonly text: string;
}

export interface NamedList {
  readonly member: string;
  readonly items: readonly Item[];
}

/**
 * Joins lists of things that are called by their names. A name that several members have gets its member's in front
 * (`member_name`), in all of them, so that nobody's tool is taken for somebody else's; with `always` all names do. Where even
 * that is somebody's name already, underscores are added until it is not.
 */
export function joinNames(lists: readonly NamedList[], prefix: 'collisions' | 'always'): readonly Joined[] {
  const count = new Map<string, number>();
  for (const { items } of lists) for (const key of keysOf(items)) count.set(key, (count.get(key) ?? 0) + 1);
  const plain = (key: string): boolean => prefix === 'collisions' && count.get(key) === 1;
  const taken = new Set([...count.keys()].filter(plain));
  return lists.flatMap(({ member, items }) => {
    const mine = new Set<string>();
    return items.flatMap(({ key, text }) => {
      if (mine.has(key)) return [];
      mine.add(key);
      const exposed = plain(key) ? key : free(member, key, taken);
      taken.add(exposed);
      const renamed = exposed === key ? text : spliceMessage(text, [{ path: ['name'], json: JSON.stringify(exposed) }]);
      return [{ exposed, member, key, text: renamed }];
    });
  });
}

/** Joins lists of things that are called by a URI. That cannot be changed, since results name it too: the first one counts. */
export function joinUris(lists: readonly NamedList[]): readonly Joined[] {
  const seen = new Set<string>();
  return lists.flatMap(({ member, items }) =>
    items.flatMap(({ key, text }) => {
      if (seen.has(key)) return [];
      seen.add(key);
      return [{ exposed: key, member, key, text }];
    }),
  );
}

function keysOf(items: readonly Item[]): ReadonlySet<string> {
  return new Set(items.map(({ key }) => key));
}

/** Names that are longer are refused by clients (2026-07-28, "Tool Names"). */
const MAX_NAME = 128;

/** A name with its member's in front; what would be too long for a name ends with a checksum instead of its end. */
export function prefixed(member: string, key: string, separator = '_'): string {
  const name = `${member}${separator}${key}`;
  if (name.length <= MAX_NAME || key.length > MAX_NAME) return name;
  return `${name.slice(0, MAX_NAME - 9).toWellFormed()}_${checksum(name)}`;
}

function free(member: string, key: string, taken: ReadonlySet<string>): string {
  let separator = '_';
  while (taken.has(prefixed(member, key, separator))) separator += '_';
  return prefixed(member, key, separator);
}

/** FNV-1a, 32 bits, as eight hexadecimal digits. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
