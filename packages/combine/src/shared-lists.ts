import { KINDS, type Kind } from './kinds.js';
import type { Item } from './member-list.js';
import { type Joined, joinNames, joinUris, type NamedList } from './naming.js';

/** A joined list, and whose the names in it are. */
export interface Joining {
  readonly entries: readonly Joined[];
  readonly names: ReadonlyMap<string, Joined>;
}

/** Keeps once what members say alike to several credentials, as most do to all: their lists, and what they are joined to. */
export class SharedLists {
  readonly #prefix: 'collisions' | 'always';
  readonly #items = new Map<string, readonly Item[]>();
  readonly #joined = new Map<Kind, { readonly lists: readonly NamedList[]; readonly joining: Joining }>();

  constructor(prefix: 'collisions' | 'always') {
    this.#prefix = prefix;
  }

  /** The same items, as they are kept already if anybody was given them last. */
  share(at: string, items: readonly Item[]): readonly Item[] {
    const known = this.#items.get(at);
    if (known !== undefined && sameItems(known, items)) return known;
    this.#items.set(at, items);
    return items;
  }

  join(kind: Kind, lists: readonly NamedList[]): Joining {
    const before = this.#joined.get(kind);
    if (before !== undefined && sameLists(before.lists, lists)) return before.joining;
    const entries = KINDS[kind].key === 'name' ? joinNames(lists, this.#prefix) : joinUris(lists);
    const joining = { entries, names: new Map(entries.map((entry) => [entry.exposed, entry])) };
    this.#joined.set(kind, { lists, joining });
    return joining;
  }
}

export function sameItems(one: readonly Item[], other: readonly Item[]): boolean {
  return one.length === other.length && one.every(({ text }, at) => text === other[at]?.text);
}

function sameLists(one: readonly NamedList[], other: readonly NamedList[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ member, items }, at) => member === other[at]?.member && items === other[at].items)
  );
}
