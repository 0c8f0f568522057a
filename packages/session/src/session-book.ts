import type { Session } from './session.js';
import type { EndReason } from './state.js';

/** The sessions in memory, bounded in number, the longest unused first. */
export class SessionBook {
  /** In order of the last {@link SessionBook.renew}. */
  readonly #sessions = new Map<string, Session>();
  readonly #perCredential = new Map<string, number>();
  readonly #limits: { readonly max: number; readonly perCredential: number };
  readonly #end: (session: Session, reason: EndReason) => void;
  #drafts = 0;

  /** `end` ends a session that has to make room, and removes it from this book. */
  constructor(
    limits: { readonly max: number; readonly perCredential: number },
    end: (session: Session, reason: EndReason) => void,
  ) {
    this.#limits = limits;
    this.#end = end;
  }

  get size(): number {
    return this.#sessions.size;
  }
  get drafts(): number {
    return this.#drafts;
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** The longest unused first. Sessions may be removed meanwhile. */
  values(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  add(session: Session): void {
    if (this.#sessions.has(session.id)) return;
    this.#sessions.set(session.id, session);
    this.#count(session.credential, 1);
  }

  remove(session: Session): void {
    if (!this.#sessions.delete(session.id)) return;
    this.#count(session.credential, -1);
  }

  /** Moves a session to the end of the order. */
  renew(session: Session): void {
    if (!this.#sessions.delete(session.id)) return;
    this.#sessions.set(session.id, session);
  }

  /**
   * Keeps a place for one session more, ending the longest unused ones when that is needed: the credential's own when it
   * has its share, else anybody's. Anonymous clients (the empty credential) have no share of their own. Returns how to give
   * the place back, or `undefined` when every session is in use.
   */
  reserve(credential: string): (() => void) | undefined {
    const { max, perCredential } = this.#limits;
    if (credential !== '' && (this.#perCredential.get(credential) ?? 0) >= perCredential) {
      if (!this.#evict(credential)) return undefined;
    }
    if (this.#sessions.size + this.#drafts >= max && !this.#evict(undefined)) return undefined;
    this.#drafts += 1;
    if (credential !== '') this.#count(credential, 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#drafts -= 1;
      if (credential !== '') this.#count(credential, -1);
    };
  }

  #evict(credential: string | undefined): boolean {
    for (const session of this.#sessions.values()) {
      if (session.state.inFlight > 0) continue;
      if (credential !== undefined && session.credential !== credential) continue;
      this.#end(session, 'evicted');
      return true;
    }
    return false;
  }

  #count(credential: string, step: 1 | -1): void {
    if (credential === '') return;
    const count = (this.#perCredential.get(credential) ?? 0) + step;
    if (count <= 0) this.#perCredential.delete(credential);
    else this.#perCredential.set(credential, count);
  }
}
