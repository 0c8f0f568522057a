import type { Json, Message, RpcId } from '@shadowcat/wire';

/** A request that the server knows by another id than its client. */
export interface Renamed {
  /** Its id on the way to the server, and its progress token if it has one. */
  readonly fresh: string;
  /** The client's id. */
  readonly id: RpcId;
  readonly idText: string;
  /** The client's progress token, as JSON. */
  readonly tokenText: string | undefined;
  /** Whether progress may come after the answer, because the request became a task (2025-11-25, Tasks, "Task Progress"). */
  readonly task: boolean;
  /** `left`: nobody reads its stream any more. */
  state: 'asked' | 'left' | 'answered';
}

/** What is remembered of requests whose client left, and of renamed ones; the oldest go first. */
const MAX_REMEMBERED = 1000;

/** The ids in flight of one session. */
export class IdTable {
  readonly #newId: () => string;
  /**
   * Client ids, one for each request. Lists and not sets: they are short, and a long-lived set that gains and loses a member
   * with each request keeps making garbage that only a full collection finds.
   */
  readonly #asked: RpcId[] = [];
  readonly #left: RpcId[] = [];
  readonly #renamed = new Map<string, Renamed>();

  constructor(newId: () => string) {
    this.#newId = newId;
  }

  get hasRenamed(): boolean {
    return this.#renamed.size > 0;
  }

  /** Whether anything can come that belongs to a request whose reply is over. */
  get remembers(): boolean {
    return this.#renamed.size > 0 || this.#left.length > 0;
  }

  /** Takes the ids of the requests among `messages`; at the same places those that have to be renamed, if there are any. */
  take(messages: readonly Message[]): readonly (Renamed | undefined)[] | undefined {
    let renamed: (Renamed | undefined)[] | undefined;
    for (let at = 0; at < messages.length; at += 1) {
      const message = messages[at];
      const id = message?.id;
      if (message?.kind !== 'request' || id === undefined) continue;
      if (this.#asked.includes(id) || this.#left.includes(id)) {
        renamed ??= new Array<Renamed | undefined>(messages.length).fill(undefined);
        renamed[at] = this.#rename(message, id);
      }
      this.#asked.push(id);
    }
    return renamed;
  }

  /** The reply to these is over, with their answers or without. */
  over(
    messages: readonly Message[],
    how: { readonly mine: readonly (Renamed | undefined)[] | undefined; readonly answered: boolean },
  ): void {
    for (const { kind, id } of messages) {
      if (kind !== 'request' || id === undefined) continue;
      remove(this.#asked, id);
      if (how.answered) continue;
      this.#left.push(id);
      if (this.#left.length > MAX_REMEMBERED) this.#left.shift();
    }
    for (const renamed of how.mine ?? []) {
      if (renamed === undefined) continue;
      if (how.answered) this.#answered(renamed);
      else renamed.state = 'left';
    }
  }

  /** The request that the server knows by this id or token. */
  find(fresh: string): Renamed | undefined {
    return this.#renamed.get(fresh);
  }

  /** The newest request that the client knows by this id, if the server knows it by another. */
  newest(id: Json | undefined): Renamed | undefined {
    let found: Renamed | undefined;
    for (const renamed of this.#renamed.values()) {
      if (renamed.id !== id || renamed.state === 'answered') continue;
      // Somebody waits for it: more likely than that a request is meant whose client has left.
      if (renamed.state === 'asked' || found?.state !== 'asked') found = renamed;
    }
    return found;
  }

  /** The answer with this id, as the server knows it, came after the reply to its request was over. */
  settle(id: RpcId): void {
    const renamed = typeof id === 'string' ? this.#renamed.get(id) : undefined;
    if (renamed === undefined) remove(this.#left, id);
    else if (renamed.state === 'left') {
      remove(this.#left, renamed.id);
      this.#answered(renamed);
    }
  }

  #rename(message: Message, id: RpcId): Renamed {
    const params = message.value['params'] as { readonly _meta?: unknown; readonly task?: unknown } | null | undefined;
    const token = (params?._meta as { readonly progressToken?: Json } | null | undefined)?.progressToken;
    const renamed: Renamed = {
      fresh: this.#newId(),
      id,
      idText: message.idText ?? JSON.stringify(id),
      tokenText: token === undefined ? undefined : JSON.stringify(token),
      task: params?.task !== undefined,
      state: 'asked',
    };
    this.#renamed.set(renamed.fresh, renamed);
    if (this.#renamed.size > MAX_REMEMBERED) {
      const [oldest] = this.#renamed.keys();
      if (oldest !== undefined) this.#renamed.delete(oldest);
    }
    return renamed;
  }

  #answered(renamed: Renamed): void {
    renamed.state = 'answered';
    if (!renamed.task || renamed.tokenText === undefined) this.#renamed.delete(renamed.fresh);
  }
}

/** Takes one of `id` out; the last one takes its place. */
function remove(ids: RpcId[], id: RpcId): void {
  const at = ids.indexOf(id);
  if (at < 0) return;
  const last = ids.pop();
  if (at < ids.length && last !== undefined) ids[at] = last;
}
