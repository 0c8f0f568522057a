import { type Exchange, ProxyError, type Timer } from '@shadowcat/kernel';
import { credentialSlot } from '@shadowcat/wire';
import type { Answer } from '../answers.js';
import type { Envelope } from './envelope.js';
import { LegacySession, type LegacySessionComponents } from './legacy-session.js';

export interface SessionsOptions {
  readonly target: string;
  readonly idleMs: number;
  /** Sessions at the same time. */
  readonly max: number;
}

/** The right to use a session until it is given back; giving it back twice does nothing. */
export interface Lease {
  readonly session: LegacySession;
  release(): void;
}

interface Entry {
  readonly session: LegacySession;
  readonly opening: Promise<Answer | undefined>;
  timer: Timer | undefined;
}

/**
 * The sessions that the bridge keeps for modern clients. A client with a credential shares one with all of its requests that
 * name the same client and capabilities. Of anonymous clients nobody knows who is who: each request has a session to itself,
 * the one used last first, so that requests one after the other find the state that they left.
 */
export class LegacySessions {
  readonly #options: SessionsOptions;
  readonly #components: LegacySessionComponents;
  readonly #entries = new Map<string, Entry[]>();
  readonly #ending = new Set<Promise<void>>();
  #open = 0;
  #closed = false;

  constructor(options: SessionsOptions, components: LegacySessionComponents) {
    this.#options = options;
    this.#components = components;
  }

  get open(): number {
    return this.#open;
  }

  /** Resolves with a lease, or with the server's refusal to open a session. Throws `session_limit` when there is no room. */
  async borrow(client: Exchange, envelope: Envelope): Promise<Lease | Answer> {
    const credential = client.context.get(credentialSlot) ?? '';
    const key = JSON.stringify([credential, envelope.clientInfo, envelope.capabilities]);
    const entry = this.#find(key, credential !== '') ?? this.#make(key, client, envelope);
    entry.timer?.cancel();
    entry.timer = undefined;
    const { session } = entry;
    session.users += 1;
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      session.users -= 1;
      if (session.users === 0 && !session.ended) this.#rest(key, entry);
    };
    try {
      const refusal = await entry.opening;
      if (refusal === undefined) {
        session.usedBy(client);
        return { session, release };
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
    await Promise.all(this.#ending);
  }

  #find(key: string, shared: boolean): Entry | undefined {
    const entries = (this.#entries.get(key) ?? []).filter(({ session }) => !session.ended);
    return shared ? entries[0] : entries.findLast(({ session }) => session.users === 0);
  }

  #make(key: string, client: Exchange, envelope: Envelope): Entry {
    const { target, max } = this.#options;
    if (this.#closed) throw new ProxyError('draining', 'the proxy is ending');
    if (this.#open >= max)
      throw new ProxyError('session_limit', `${target} has ${max} bridged sessions in use already`);
    const session = new LegacySession({ envelope, client, target }, this.#components);
    const entry: Entry = { session, opening: session.open(), timer: undefined };
    this.#entries.set(key, [...(this.#entries.get(key) ?? []), entry]);
    this.#open += 1;
    session.onEnd(() => this.#forget(key, entry));
    const failed = (): void => this.#end(key, entry);
    entry.opening.then((refusal) => (refusal === undefined ? undefined : failed()), failed);
    return entry;
  }

  /** Nobody uses it; it goes to the end of the line, so that it is the first to be used again. */
  #rest(key: string, entry: Entry): void {
    const entries = this.#entries.get(key)?.filter((other) => other !== entry) ?? [];
    this.#entries.set(key, [...entries, entry]);
    entry.timer = this.#components.clock.timer(this.#options.idleMs, () => this.#end(key, entry));
  }

  #forget(key: string, entry: Entry): void {
    entry.timer?.cancel();
    this.#open -= 1;
    const left = this.#entries.get(key)?.filter((other) => other !== entry) ?? [];
    if (left.length === 0) this.#entries.delete(key);
    else this.#entries.set(key, left);
  }

  #end(_key: string, entry: Entry): void {
    entry.timer?.cancel();
    const ending = entry.session.end().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
