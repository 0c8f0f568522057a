import type { CombineMember } from './contract.js';
import type { About } from './discover.js';
import type { Kind } from './kinds.js';
import type { MemberList } from './member-list.js';
import { type Joined, type NamedList, type Owner, prefixed } from './naming.js';
import { type Joining, type SharedLists, sameItems } from './shared-lists.js';
import { fitsTemplate } from './uri-template.js';

/** A client that listens for changes. */
export interface Listener {
  /** A list is another. */
  changed(kind: Kind): void;
  /** A member could not give a list that it could before; whoever is told asks until none is missing. One is told, not all. */
  missed(): void;
}

/** Names of one kind that were somebody's once; a client may still know them. */
const MAX_REMEMBERED = 10_000;
/** What a name takes, about. */
const CHARS_OF_A_NAME = 200;

/**
 * What is known of all members' lists, as one credential sees them: lists may be private, and then must not be shown to others
 * (2026-07-28, "Caching"). Kept for two reasons only: to know whose a name is, and to have something to show for a member that
 * does not answer.
 */
export class Audience {
  readonly #listeners = new Set<Listener>();
  readonly #members: readonly CombineMember[];
  readonly #shared: SharedLists;
  readonly #lists = new Map<string, MemberList>();
  /** Characters of the lists that nobody else has. */
  readonly #own = new Map<string, number>();
  readonly #missing = new Set<string>();
  readonly #about = new Map<string, About>();
  readonly #silent = new Set<string>();
  /** Whose names were that are in no joined list any more, the newest last. */
  readonly #remembered = new Map<Kind, Map<string, Owner>>();
  readonly #joined = new Map<Kind, Joining>();
  readonly #stale = new Set<Kind>();

  constructor(members: readonly CombineMember[], shared: SharedLists) {
    this.#members = members;
    this.#shared = shared;
  }

  known(member: string, kind: Kind): MemberList | undefined {
    return this.#lists.get(place(member, kind));
  }

  /**
   * Takes what a member answered, and gives it back, as the list known before where that says the same. `news`: it is another
   * list than the one known, or one that was missing.
   */
  learn(member: string, kind: Kind, answer: MemberList): { readonly list: MemberList; readonly news: boolean } {
    const at = place(member, kind);
    const before = this.#lists.get(at);
    const missed = this.#missing.delete(at);
    if (before !== undefined && sameItems(before.items, answer.items)) {
      const list = { ...answer, items: before.items };
      this.#lists.set(at, list);
      return { list, news: false };
    }
    const items = this.#shared.share(at, answer.items);
    const list = { ...answer, items };
    this.#lists.set(at, list);
    this.#own.set(at, items === answer.items ? items.reduce((sum, { text }) => sum + text.length, 0) : 0);
    this.#stale.add(kind);
    return { list, news: before !== undefined || (missed && items.length > 0) };
  }

  /** What the member said about itself last. */
  about(member: string): About | undefined {
    return this.#about.get(member);
  }

  hear(member: string, about: About): void {
    this.#silent.delete(member);
    this.#about.set(member, about);
  }

  /** The member did not say anything about itself. Says whether that is news. */
  hearNothing(member: string): boolean {
    const news = !this.#silent.has(member);
    this.#silent.add(member);
    return news;
  }

  /** The member did not answer: what it said last is what there is. Says whether that is news. */
  miss(member: string, kind: Kind): boolean {
    const at = place(member, kind);
    const news = !this.#missing.has(at);
    this.#missing.add(at);
    if (news) this.#tell();
    return news;
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
    if (this.#listeners.size === 1) this.#tell();
    return () => {
      const [first] = this.#listeners;
      this.#listeners.delete(listener);
      if (first === listener) this.#tell();
    };
  }

  announce(kind: Kind): void {
    for (const listener of [...this.#listeners]) listener.changed(kind);
  }

  /** Characters that are kept for it alone, about. */
  get size(): number {
    let size = 0;
    for (const chars of this.#own.values()) size += chars;
    for (const { size: names } of this.#remembered.values()) size += names * CHARS_OF_A_NAME;
    return size;
  }

  /** The joined list: of what members have just `said`, else of what is known of them. */
  joined(kind: Kind, said?: ReadonlyMap<string, MemberList>): readonly Joined[] {
    let usual = true;
    const lists: NamedList[] = this.#members.flatMap(({ name }) => {
      const known = this.known(name, kind);
      const list = said?.get(name) ?? known;
      usual &&= list?.items === known?.items;
      return list === undefined ? [] : [{ member: name, items: list.items }];
    });
    const before = this.#joined.get(kind);
    if (usual && before !== undefined && !this.#stale.has(kind)) return before.entries;
    const joining = this.#shared.join(kind, lists);
    if (usual) {
      this.#stale.delete(kind);
      this.#joined.set(kind, joining);
      if (before !== undefined && before !== joining) this.#remember(kind, before.entries);
    } else this.#remember(kind, joining.entries);
    return joining.entries;
  }

  /**
   * Whose a name is. Also one that has changed since the client last listed: with and without a member's name in front, and
   * the name that was unique before somebody else came with the same.
   */
  owner(kind: 'tools' | 'prompts', exposed: string): Owner | undefined {
    const joined = this.joined(kind);
    const found = this.#joined.get(kind)?.names.get(exposed) ?? this.#remembered.get(kind)?.get(exposed);
    return found ?? joined.find(({ member, key }) => prefixed(member, key) === exposed);
  }

  /** Whose a URI is: one that is listed, or that fits a listed template. */
  ownerOf(uri: string): string | undefined {
    this.joined('resources');
    const listed = this.#joined.get('resources')?.names.get(uri);
    if (listed !== undefined) return listed.member;
    return this.joined('templates').find(({ key }) => key === uri || fitsTemplate(key, uri))?.member;
  }

  #tell(): void {
    if (this.#missing.size === 0) return;
    const [first] = this.#listeners;
    first?.missed();
  }

  #remember(kind: Kind, entries: readonly Joined[]): void {
    if (kind !== 'tools' && kind !== 'prompts') return;
    const now = this.#joined.get(kind)?.names;
    const names = this.#remembered.get(kind) ?? new Map<string, Owner>();
    this.#remembered.set(kind, names);
    for (const { exposed, member, key } of entries) {
      names.delete(exposed);
      if (now?.has(exposed) !== true) names.set(exposed, { member, key });
    }
    for (const name of [...names.keys()].slice(0, Math.max(0, names.size - MAX_REMEMBERED))) names.delete(name);
  }
}

function place(member: string, kind: Kind): string {
  return `${kind} ${member}`;
}
