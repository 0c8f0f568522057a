import { type Exchange, ProxyError, type Timer } from '@shadowcat/kernel';
import { conversationSlot, credentialSlot, unlessAborted } from '@shadowcat/wire';
import type { Answer } from '../answers.js';
import type { Envelope } from './envelope.js';
import { LegacySession, type LegacySessionComponents } from './legacy-session.js';
import { type Listener, Siblings } from './siblings.js';

export interface SessionsOptions {
  readonly target: string;
  readonly idleMs: number;
  /** Sessions at the same time. */
  readonly max: number;
  /** Whether the standing stream of a session that nobody uses stays open. */
  readonly standing: 'always' | 'in-use';
}

/** The right to use a session until it is given back; giving it back twice does nothing. */
export interface Lease {
  readonly session: LegacySession;
  /**
   * Shows `listener` when another session for the same client says that a list has changed, until the returned function is
   * called: the client's next request may be one of that session.
   */
  onSiblingChange(listener: Listener): () => void;
  release(): void;
}

interface Entry {
  readonly session: LegacySession;
  readonly opening: Promise<Answer | undefined>;
  /** Whether it belongs to a legacy client's session, with which it ends. */
  readonly conversing: boolean;
  timer: Timer | undefined;
}

/**
 * The sessions that the bridge keeps for modern clients. A client with a credential shares one with all of its requests that
 * name the same client and capabilities. Of anonymous clients nobody knows who is who: each request has a session to itself,
 * the one used last first, so that requests one after the other find the state that they left. Requests that a layer makes for
 * a legacy client share one with all others of that client's session, and it ends with it.
 */
export class LegacySessions {
  readonly #options: SessionsOptions;
  readonly #components: LegacySessionComponents;
  readonly #entries = new Map<string, Entry[]>();
  readonly #siblings: Siblings;
  readonly #ending = new Set<Promise<void>>();
  /** The one that nobody has used for longest comes first. */
  readonly #all = new Map<LegacySession, Entry>();
  #refused = 0;
  #closed = false;

  constructor(options: SessionsOptions, components: LegacySessionComponents) {
    this.#options = options;
    this.#components = components;
    this.#siblings = new Siblings(components.clock);
  }

  get open(): number {
    return this.#all.size;
  }

  /** How many requests found no room for another session. */
  get refused(): number {
    return this.#refused;
  }

  owns(session: LegacySession): boolean {
    return this.#all.has(session);
  }

  /** Resolves with a lease, or with the server's refusal to open a session. Throws `session_limit` when there is no room. */
  async borrow(client: Exchange, envelope: Envelope): Promise<Lease | Answer> {
    const credential = client.context.get(credentialSlot) ?? '';
    const conversation = client.context.get(conversationSlot);
    const known = [credential, envelope.clientInfo, envelope.capabilities, conversation?.id ?? null];
    const key = JSON.stringify(known);
    const shared = credential !== '' || conversation !== undefined;
    const entry = this.#find(key, shared) ?? this.#make(key, client, envelope);
    entry.timer?.cancel();
    entry.timer = undefined;
    const { session } = entry;
    session.users += 1;
    // One that rested has to hear again; one that is being opened listens by itself.
    if (session.initialize !== undefined) void session.standing.open();
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      session.users -= 1;
      if (session.users === 0 && !session.ended) this.#rest(key, entry);
    };
    try {
      // Who leaves does not wait for a server that hangs; the session is there for the next request.
      const { opening } = entry;
      const refusal = await (session.initialize === undefined ? unlessAborted(opening, client.signal) : opening);
      if (refusal === undefined) {
        session.usedBy(client);
        // What the request changes has to be heard by those who follow the client's lists.
        if (this.#siblings.followed(key)) await session.standing.open();
        return { session, release, onSiblingChange: (listener) => this.#siblings.follow(key, { session, listener }) };
      }
      release();
      return refusal;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Ends all sessions. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [key, entries] of this.#entries) for (const entry of [...entries]) this.#end(key, entry);
    this.#siblings.close();
    await Promise.all(this.#ending);
  }

  #find(key: string, shared: boolean): Entry | undefined {
    const entries = (this.#entries.get(key) ?? []).filter(({ session }) => !session.ended);
    return shared ? entries[0] : entries.findLast(({ session }) => session.users === 0);
  }

  #make(key: string, client: Exchange, envelope: Envelope): Entry {
    const { target, max } = this.#options;
    if (this.#closed) throw new ProxyError('draining', 'the proxy is ending');
    if (this.#all.size >= max) this.#makeRoom();
    if (this.#all.size >= max) {
      this.#refused += 1;
      throw new ProxyError('session_limit', `${target} has ${max} bridged sessions in use already`);
    }
    const session = new LegacySession({ envelope, client, target }, this.#components);
    const conversation = client.context.get(conversationSlot);
    const conversing = conversation !== undefined;
    const entry: Entry = { session, opening: session.open(), conversing, timer: undefined };
    this.#entries.set(key, [...(this.#entries.get(key) ?? []), entry]);
    this.#all.set(session, entry);
    session.listeners.add((message) => this.#siblings.tell(key, session, message));
    const failed = (): void => this.#end(key, entry);
    const stay = conversation?.onEnd(failed);
    session.onEnd(() => {
      stay?.();
      this.#forget(key, entry);
    });
    entry.opening.then((refusal) => (refusal === undefined ? undefined : failed()), failed);
    return entry;
  }

  /** Ends the session that nobody has used for longest. */
  #makeRoom(): void {
    for (const [session, { conversing }] of this.#all) {
      if (session.users > 0 || conversing) continue;
      // It counts no more, also while the upstream is being told.
      this.#all.delete(session);
      this.#track(session.end());
      return;
    }
  }

  /** Nobody uses it; it goes to the end of the line, so that it is the first to be used again. */
  #rest(key: string, entry: Entry): void {
    const entries = this.#entries.get(key)?.filter((other) => other !== entry) ?? [];
    this.#entries.set(key, [...entries, entry]);
    this.#all.delete(entry.session);
    this.#all.set(entry.session, entry);
    // What its last request has changed may be said after its answer, to those who follow.
    if (this.#options.standing === 'in-use' && !this.#siblings.followed(key)) entry.session.standing.rest();
    if (entry.conversing) return;
    entry.timer = this.#components.clock.timer(this.#options.idleMs, () => this.#end(key, entry));
  }

  #forget(key: string, entry: Entry): void {
    entry.timer?.cancel();
    this.#all.delete(entry.session);
    const left = this.#entries.get(key)?.filter((other) => other !== entry) ?? [];
    if (left.length === 0) this.#entries.delete(key);
    else this.#entries.set(key, left);
  }

  #end(_key: string, entry: Entry): void {
    entry.timer?.cancel();
    this.#track(entry.session.end());
  }

  #track(end: Promise<void>): void {
    const ending = end.finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
