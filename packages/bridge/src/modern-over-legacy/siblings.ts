import type { Clock, Timer } from '@shadowcat/kernel';
import type { Message } from '@shadowcat/wire';
import type { LegacySession } from './legacy-session.js';

export type Listener = (message: Message) => void;

interface Follower {
  readonly session: LegacySession;
  readonly listener: Listener;
}

interface Change {
  readonly message: Message;
  readonly from: Set<LegacySession>;
  readonly timer: Timer;
}

/** What may be different in the next session, too. Resources are subscribed to in one session, and change there. */
const LIST_CHANGED = /^notifications\/(?:tools|prompts|resources)\/list_changed$/;
/** A server that tells all of its sessions at once is heard once. Milliseconds. */
const GATHER_MS = 50;

/**
 * The requests of one client may be spread over several sessions, so a change that is made in one of them concerns who follows
 * the lists in another. `key` names the client.
 */
export class Siblings {
  readonly #clock: Clock;
  readonly #followers = new Map<string, Set<Follower>>();
  readonly #changes = new Map<string, Change>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether anybody follows the lists of this client. */
  followed(key: string): boolean {
    return this.#followers.has(key);
  }

  /** Shows the listener what other sessions say, until the returned function is called. */
  follow(key: string, follower: Follower): () => void {
    const followers = this.#followers.get(key) ?? new Set();
    this.#followers.set(key, followers.add(follower));
    return () => {
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(key) === followers) this.#followers.delete(key);
    };
  }

  /** A session says something. */
  tell(key: string, from: LegacySession, message: Message): void {
    const { method = '' } = message;
    if (!this.#followers.has(key) || !LIST_CHANGED.test(method)) return;
    const name = `${method} ${key}`;
    const change = this.#changes.get(name);
    if (change !== undefined) {
      change.from.add(from);
      return;
    }
    const timer = this.#clock.timer(GATHER_MS, () => {
      const gathered = this.#changes.get(name);
      this.#changes.delete(name);
      if (gathered !== undefined) this.#spread(key, gathered);
    });
    this.#changes.set(name, { message, from: new Set([from]), timer });
  }

  /** Nobody is told anything any more. */
  close(): void {
    for (const { timer } of this.#changes.values()) timer.cancel();
    this.#changes.clear();
  }

  #spread(key: string, { message, from }: Change): void {
    for (const { session, listener } of this.#followers.get(key) ?? []) {
      // It has heard itself.
      if (from.size > 1 || !from.has(session)) listener(message);
    }
  }
}
