import { Body, type Clock, type Exchange, type Log, type Reply, reply, type Timer } from '@shadowcat/kernel';
import {
  FrameQueue,
  failureText,
  type JsonObject,
  jsonReply,
  META_SUBSCRIPTION,
  type Message,
  notificationText,
  objectAt,
  responseText,
  sseFraming,
  textAt,
  withMembers,
} from '@shadowcat/wire';
import type { Audience } from './audience.js';
import type { CombineMember } from './contract.js';
import { gather } from './gather.js';
import { KINDS, type Kind } from './kinds.js';
import type { Lists } from './lists.js';
import { MemberListening } from './member-listening.js';
import type { OwnRequests } from './own-request.js';
import type { Patience } from './patience.js';

export interface SubscriptionParts {
  readonly members: readonly CombineMember[];
  readonly requests: OwnRequests;
  readonly lists: Lists;
  /** How long the acknowledgement waits for those of the members. */
  readonly patience: Patience;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/** Who listens, and by which request. */
export interface Listening {
  readonly exchange: Exchange;
  readonly message: Message;
  readonly audience: Audience;
}

/** Characters that may wait for a client which does not read; what is beyond them is left out, as it only says "look again". */
const MAX_WAITING = 256 * 1024;
/** Resources of one subscription; what is beyond them is not acknowledged. */
const MAX_URIS = 1000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * One client's `subscriptions/listen`: what all members announce, and what becomes of the joined lists when a member that was
 * left out is back. The reply is a stream that begins with the acknowledgement (2026-07-28, "Subscriptions").
 */
export class Subscription {
  readonly #parts: SubscriptionParts;
  readonly #exchange: Exchange;
  readonly #audience: Audience;
  readonly #idText: string;
  readonly #asked: JsonObject | undefined;
  readonly #queue: FrameQueue;
  readonly #listenings: MemberListening[] = [];
  #ended: () => void = () => {};
  #unlisten: () => void = () => {};
  #recheck: Timer | undefined;
  /** The lists that are being asked for again. */
  readonly #asking = new Set<string>();
  #closing: Promise<void> | undefined;

  constructor({ exchange, message, audience }: Listening, parts: SubscriptionParts) {
    this.#parts = parts;
    this.#exchange = exchange;
    this.#audience = audience;
    this.#idText = message.idText ?? 'null';
    this.#asked = objectAt(objectAt(message.value, 'params'), 'notifications');
    this.#queue = new FrameQueue(MAX_WAITING, () => void this.close());
  }

  /** Resolves with the stream, which is open until the client leaves or `close` is called; `ended` is called then. */
  async open(ended: () => void): Promise<Reply> {
    this.#ended = ended;
    const asked = this.#asked;
    if (asked === undefined) {
      await this.close();
      const text = "params has no 'notifications' that say what to listen for";
      return jsonReply(failureText(this.#idText, { code: -32602, message: text }), { status: 400 });
    }
    const honoured = await this.#listen(asked);
    this.#push('notifications/subscriptions/acknowledged', `{"notifications":${JSON.stringify(honoured)}}`);
    const { signal } = this.#exchange;
    const stop = (): void => void this.close();
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    // From now on changes of the joined lists are told; those before it are in the lists that the client gets next.
    if (this.#closing === undefined) {
      this.#unlisten = this.#audience.listen({ changed: (kind) => this.#changed(kind), missed: () => this.#missed() });
    }
    const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' };
    return reply({ status: 200, headers }, Body.fromFrames(this.#queue, sseFraming), async () => {
      signal.removeEventListener('abort', stop);
      await this.close();
    });
  }

  /** Ends the stream in good order. Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#unlisten();
    this.#recheck?.cancel();
    this.#queue.owe(responseText(this.#idText, `{"resultType":"complete","_meta":${this.#meta()}}`));
    this.#queue.end();
    await Promise.all(this.#listenings.map((listening) => listening.close()));
    this.#ended();
  }

  /** Resolves with what is acknowledged: lists in any case, since the joined ones are ours. */
  async #listen(asked: JsonObject): Promise<object> {
    const { members, patience, clock } = this.#parts;
    const lists: Record<string, true> = {};
    for (const { filter } of Object.values(KINDS)) if (asked[filter] === true) lists[filter] = true;
    const listed = Array.isArray(asked['resourceSubscriptions']) ? asked['resourceSubscriptions'] : [];
    const wanted = [...new Set(listed.filter((uri): uri is string => typeof uri === 'string'))].slice(0, MAX_URIS);
    const waited = members.flatMap((member) => {
      const uris = wanted.filter((uri) => (this.#audience.ownerOf(uri) ?? member.name) === member.name);
      const filter = { ...lists, ...(uris.length > 0 ? { resourceSubscriptions: uris } : {}) };
      if (Object.keys(filter).length === 0) return [];
      const answer = this.#listenTo(member, JSON.stringify(filter));
      return [{ answer, patienceMs: patience.limitOf(member.name) }];
    });
    const acknowledged = await gather(waited, { enough: () => true, good: true }, clock);
    const uris = acknowledged.flatMap((one) => {
      const mine = one?.['resourceSubscriptions'];
      return Array.isArray(mine) ? mine : [];
    });
    const honoured = wanted.filter((uri) => uris.includes(uri));
    return { ...lists, ...(honoured.length > 0 ? { resourceSubscriptions: honoured } : {}) };
  }

  #listenTo(member: CombineMember, filterText: string): Promise<JsonObject> {
    const { requests, clock, log, random } = this.#parts;
    const listening = new MemberListening({
      member,
      client: this.#exchange,
      filterText,
      requests,
      clock,
      log,
      random,
      heard: (message) => this.#heard(message),
      back: () => {
        for (const kind of ANNOUNCED) this.#changed(kind);
      },
    });
    this.#listenings.push(listening);
    return listening.acknowledged;
  }

  #heard(message: Message): void {
    if (message.method === undefined) return;
    this.#push(message.method, textAt(message.text, ['params']) ?? '{}');
  }

  #changed(kind: Kind): void {
    const { filter, changed } = KINDS[kind];
    if (this.#asked?.[filter] === true) this.#push(changed, '{}');
  }

  /** A notification, tied to this subscription. */
  #push(method: string, paramsText: string): void {
    const meta = withMembers(textAt(paramsText, ['_meta']) ?? '{}', [], { [META_SUBSCRIPTION]: this.#idText });
    this.#queue.push(notificationText(method, withMembers(paramsText, [], { _meta: meta })));
  }

  #meta(): string {
    return `{${JSON.stringify(META_SUBSCRIPTION)}:${this.#idText}}`;
  }

  /** Something is missing that was not before. */
  #missed(): void {
    this.#recheck?.cancel();
    this.#recheck = undefined;
    this.#askAgainIn(FIRST_PAUSE_MS);
  }

  /** Asks members that were left out again, with longer and longer pauses, until none is. */
  #askAgainIn(pause: number): void {
    if (this.#closing !== undefined) return;
    this.#recheck = this.#parts.clock.timer(pause, () => {
      this.#recheck = undefined;
      if (this.#audience.missing.length === 0) return;
      this.#askAgain();
      this.#askAgainIn(Math.min(pause * 2, LONGEST_PAUSE_MS));
    });
  }

  /** Announces each list as soon as it is there; one that hangs keeps no other waiting. What is asked ends with the lists. */
  #askAgain(): void {
    const audience = this.#audience;
    for (const { kind, member } of audience.missing) {
      const at = `${kind} ${member}`;
      if (this.#asking.has(at)) continue;
      this.#asking.add(at);
      void this.#parts.lists.again(kind, member, { client: this.#exchange, audience }).then((back) => {
        this.#asking.delete(at);
        if (back) audience.announce(kind);
      });
    }
  }
}

/** One of each list that has an announcement of its own. */
const ANNOUNCED: readonly Kind[] = ['tools', 'prompts', 'resources'];
