import type { CombineMember } from './contract.js';
import { KINDS, type Kind } from './kinds.js';
import type { MemberList } from './member-list.js';
import { type Joined, joinNames, joinUris, type NamedList, type Owner } from './naming.js';
import { fitsTemplate } from './uri-template.js';

/** A client that listens for changes. */
export interface Listener {
  /** A list is another. */
  changed(kind: Kind): void;
  /** A member could not give a list; whoever is told asks it again until it can. One listener is told, not all. */
  missed(): void;
}

/** Names that were somebody's once; a client may still know them. */
const MAX_REMEMBERED = 10_000;

/**
 * What is known of all members' lists, as one credential sees them: lists may be private, and then must not be shown to others
 * (2026-07-28, "Caching"). Kept for two reasons only: to know whose a name is, and to have something to show for a member that
 * does not answer.
 */
export class Audience {
  readonly #listeners = new Set<Listener>();
  readonly #members: readonly CombineMember[];
  readonly #prefix: 'collisions' | 'always';
  readonly #lists = new Map<string, MemberList>();
  readonly #missing = new Set<string>();
  readonly #remembered = new Map<string, Owner>();
  readonly #joined = new Map<Kind, readonly Joined[]>();

  constructor(members: readonly CombineMember[], prefix: 'collisions' | 'always') {
    this.#members = members;
    this.#prefix = prefix;
  }

  known(member: string, kind: Kind): MemberList | undefined {
    return this.#lists.get(place(member, kind));
  }

  /** Takes what a member answered. Says whether that is news: another list than the one known, or one that was missing. */
  learn(member: string, kind: Kind, list: MemberList): boolean {
    const at = place(member, kind);
    const before = this.#lists.get(at);
    this.#lists.set(at, list);
    this.#joined.delete(kind);
    const missed = this.#missing.delete(at);
    return before === undefined ? missed && list.items.length > 0 : !sameItems(before, list);
  }

  /** The member did not answer: what it said last is what there is. */
  miss(member: string, kind: Kind): void {
    this.#missing.add(place(member, kind));
    this.#tell();
  }

  get missing(): readonly { readonly member: string; readonly kind: Kind }[] {
    return [...this.#missing].map((at) => {
      const [kind, ...member] = at.split(' ');
      return { kind: kind as Kind, member: member.join(' ') };
    });
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Until the returned function is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#tell();
    return () => {
      this.#listeners.delete(listener);
      this.#tell();
    };
  }

  announce(kind: Kind): void {
    for (const listener of [...this.#listeners]) listener.changed(kind);
  }

  /** The joined list, of what is known. */
  joined(kind: Kind): readonly Joined[] {
    let joined = this.#joined.get(kind);
    if (joined !== undefined) return joined;
    const lists: NamedList[] = this.#members.flatMap(({ name }) => {
      const list = this.known(name, kind);
      return list === undefined ? [] : [{ member: name, items: list.items }];
    });
    joined = KINDS[kind].key === 'name' ? joinNames(lists, this.#prefix) : joinUris(lists);
    this.#joined.set(kind, joined);
    for (const entry of joined) this.#remember(kind, entry);
    return joined;
  }

  /**
   * Whose a name is. Also one that has changed since the client last listed: with and without a member's name in front, and
   * the name that was unique before somebody else came with the same.
   */
  owner(kind: 'tools' | 'prompts', exposed: string): Owner | undefined {
    const joined = this.joined(kind);
    const found = this.#remembered.get(`${kind} ${exposed}`);
    return found ?? joined.find(({ member, key }) => `${member}_${key}` === exposed);
  }

  /** Whose a URI is: one that is listed, or that fits a listed template. */
  ownerOf(uri: string): string | undefined {
    const listed = this.joined('resources').find(({ key }) => key === uri);
    if (listed !== undefined) return listed.member;
    return this.joined('templates').find(({ key }) => key === uri || fitsTemplate(key, uri))?.member;
  }

  #tell(): void {
    if (this.#missing.size === 0) return;
    const [first] = this.#listeners;
    first?.missed();
  }

  #remember(kind: Kind, { exposed, member, key }: Joined): void {
    const at = `${kind} ${exposed}`;
    this.#remembered.delete(at);
    this.#remembered.set(at, { member, key });
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
  }
}

function place(member: string, kind: Kind): string {
  return `${kind} ${member}`;
}

function sameItems(one: MemberList, other: MemberList): boolean {
  return one.items.length === other.items.length && one.items.every(({ text }, at) => text === other.items[at]?.text);
}
