import { ProxyError } from '@shadowcat/kernel';
import type { Era } from './call.js';
import type { Json, Message, RpcId } from './jsonrpc.js';
import { LineCompany } from './line-company.js';
import { META_SUBSCRIPTION } from './protocol.js';
import { type Edit, spliceMessage } from './splice.js';

/**
 * One line, many exchanges. A correlator is the table between them: it gives each request of a client an id of the line's
 * own, and puts the client's back on whatever comes for it. What moves together (JSON-RPC ids are unique only among one
 * sender's requests in flight, and not all clients manage even that):
 *
 *   client → server   request `id` · `params._meta.progressToken` · `notifications/cancelled` `params.requestId` ·
 *                     `id` of an answer to a server's request
 *   server → client   answer `id` · `notifications/progress` `params.progressToken` · `notifications/cancelled`
 *                     `params.requestId` · request `id` · `_meta["io.modelcontextprotocol/subscriptionId"]`
 *
 * Task ids, `requestState`, cursors and the progress tokens of server requests are opaque and stay as they are. Texts are
 * spliced, never made anew. No I/O, no time: messages in, texts and places out.
 */
export class Correlator<Owner> {
  readonly #maxInFlight: number;
  readonly #prefix: string;
  readonly #flying = new Map<number, Flying<Owner>>();
  /** Requests of the server that wait for a client's answer, by the id that the client sees. */
  readonly #asked = new Map<string, Asked<Owner>>();
  /** Progress tokens that outlive their request, because it became a task (2025-11-25, Tasks, "Task Progress"). */
  readonly #tasks = new Map<number, Tracked>();
  /** Absent where the line is one client's. */
  readonly #company?: LineCompany;
  #lastId = 0;
  #lastAsked = 0;
  #abandoned = 0;

  /** `prefix` begins the ids under which clients see the server's requests; it must be unique among all lines, past ones too. */
  constructor(options: { readonly prefix: string; readonly maxInFlight: number; readonly shared?: boolean }) {
    this.#prefix = options.prefix;
    this.#maxInFlight = options.maxInFlight;
    if (options.shared === true) this.#company = new LineCompany();
  }

  /** Requests whose answer somebody waits for. */
  get inFlight(): number {
    return this.#flying.size - this.#abandoned;
  }

  /** A client's request. Throws `pool_exhausted` when the line carries too many already. */
  request(message: Message, of: Sender<Owner>): { readonly text: string; readonly entry: Flying<Owner> } {
    if (this.#flying.size >= this.#maxInFlight) this.#makeRoom();
    this.#lastId += 1;
    const wireId = this.#lastId;
    const token = valueAt(message.value, TOKEN_IN_REQUEST);
    const entry: Flying<Owner> = {
      ...of,
      wireId,
      id: message.id ?? null,
      idText: message.idText ?? 'null',
      method: message.method ?? '',
      token: token === undefined ? undefined : JSON.stringify(token),
      task: valueAt(message.value, TASK) !== undefined,
      abandoned: false,
      present: false,
    };
    this.#flying.set(wireId, entry);
    // A subscription is always named in what belongs to it, and what the proxy asks itself is nobody's secret.
    if (this.#company !== undefined && entry.method !== LISTEN && entry.own !== true) {
      entry.present = true;
      this.#company.came(entry, entry.era === 'legacy');
    }
    const json = String(wireId);
    const edits: Edit[] = [{ path: ID, json }];
    if (token !== undefined) edits.push({ path: TOKEN_IN_REQUEST, json });
    return { text: spliceMessage(message.text, edits), entry };
  }

  /**
   * A client's notification. `undefined`: it is about a request that is not in flight, and goes nowhere. `cancels`: the
   * request that the client no longer waits for.
   */
  notification(
    message: Message,
    scope: string,
  ): { readonly text: string; readonly cancels?: Flying<Owner> } | undefined {
    if (message.method !== CANCELLED) return { text: message.text };
    const id = valueAt(message.value, REQUEST_ID);
    const entry = this.#findByClientId(scope, id);
    if (entry === undefined) return undefined;
    const edit = { path: REQUEST_ID, json: String(entry.wireId) };
    return { text: spliceMessage(message.text, [edit]), cancels: entry };
  }

  /** A client's answer to a server's request. `undefined`: nobody asked, or it was answered before. */
  response(message: Message, scope: string): string | undefined {
    const asked = this.asked(message.id);
    if (asked === undefined || asked.scope !== scope) return undefined;
    this.#asked.delete(String(message.id));
    return spliceMessage(message.text, [{ path: ID, json: asked.idText }]);
  }

  /** The server's request that clients see under this id. */
  asked(id: Json | undefined): Asked<Owner> | undefined {
    return typeof id === 'string' ? this.#asked.get(id) : undefined;
  }

  /** A server's answer or notification: whose it is, and its text for them. */
  inbound(message: Message): Inbound<Owner> {
    if (message.kind === 'response') return this.#answer(message);
    if (message.method === PROGRESS) return this.#progress(message);
    if (message.method === CANCELLED) return this.#cancelled(message);
    const subscription = valueAt(message.value, SUBSCRIPTION_IN_PARAMS);
    if (subscription === undefined) return { kind: 'homeless', text: message.text };
    const entry = typeof subscription === 'number' ? this.#flying.get(subscription) : undefined;
    if (entry === undefined) return { kind: 'unknown' };
    if (entry.abandoned) return { kind: 'late' };
    const edit = { path: SUBSCRIPTION_IN_PARAMS, json: entry.idText };
    return { kind: 'related', entry, text: spliceMessage(message.text, [edit]) };
  }

  /** A server's request that goes to a client of `scope`; `owner`: on whose stream it is sent, if on one. */
  serverRequest(message: Message, scope: string, owner: Owner | undefined): string {
    this.#lastAsked += 1;
    const id = `${this.#prefix}-${this.#lastAsked}`;
    this.#asked.set(id, { scope, owner, id: message.id ?? null, idText: message.idText ?? 'null' });
    if (this.#asked.size > MAX_REMEMBERED) dropOldest(this.#asked);
    return spliceMessage(message.text, [{ path: ID, json: JSON.stringify(id) }]);
  }

  /** Nobody waits for this answer any more. It is remembered until it comes, so that it is known as late. */
  abandon(entry: Flying<Owner>): void {
    if (entry.abandoned || !this.#flying.has(entry.wireId)) return;
    entry.abandoned = true;
    this.#abandoned += 1;
  }

  /** The server was told to give this request up: it has nothing more to say about it. */
  givenUp(entry: Flying<Owner>): void {
    this.abandon(entry);
    this.#leave(entry);
  }

  /** Whether what the server says without naming a request can only be about this one. */
  wasAlone(entry: Flying<unknown>): boolean {
    return this.#company?.wasAlone(entry) !== false;
  }

  /** The line is over: what was in flight, without what nobody waits for. */
  clear(): Flying<Owner>[] {
    const entries = [...this.#flying.values()].filter((entry) => !entry.abandoned);
    this.#flying.clear();
    this.#asked.clear();
    this.#tasks.clear();
    this.#company?.clear();
    this.#abandoned = 0;
    return entries;
  }

  #answer(message: Message): Inbound<Owner> {
    const entry = typeof message.id === 'number' ? this.#flying.get(message.id) : undefined;
    if (entry === undefined) return { kind: 'unknown' };
    this.#flying.delete(entry.wireId);
    this.#leave(entry);
    if (entry.abandoned) {
      this.#abandoned -= 1;
      return { kind: 'late' };
    }
    if (entry.task && entry.token !== undefined) {
      this.#tasks.set(entry.wireId, { scope: entry.scope, token: entry.token });
      if (this.#tasks.size > MAX_REMEMBERED) dropOldest(this.#tasks);
    }
    const edits: Edit[] = [{ path: ID, json: entry.idText }];
    // The end of a subscription repeats its id (2026-07-28, subscriptions/listen).
    if (entry.method === LISTEN) edits.push({ path: SUBSCRIPTION_IN_RESULT, json: entry.idText });
    return { kind: 'answer', entry, text: spliceMessage(message.text, edits) };
  }

  #progress(message: Message): Inbound<Owner> {
    const token = valueAt(message.value, PROGRESS_TOKEN);
    if (typeof token !== 'number') return { kind: 'unknown' };
    const entry = this.#flying.get(token);
    if (entry?.token !== undefined) {
      if (entry.abandoned) return { kind: 'late' };
      const text = spliceMessage(message.text, [{ path: PROGRESS_TOKEN, json: entry.token }]);
      return { kind: 'related', entry, text };
    }
    const task = this.#tasks.get(token);
    if (task === undefined) return { kind: 'late' };
    const text = spliceMessage(message.text, [{ path: PROGRESS_TOKEN, json: task.token }]);
    return { kind: 'homeless', text, scope: task.scope };
  }

  /** The server gives up a request of its own, or (2026-07-28, on a line) ends a subscription. */
  #cancelled(message: Message): Inbound<Owner> {
    const id = valueAt(message.value, REQUEST_ID);
    for (const [key, asked] of this.#asked) {
      if (asked.id !== id) continue;
      this.#asked.delete(key);
      const text = spliceMessage(message.text, [{ path: REQUEST_ID, json: JSON.stringify(key) }]);
      return { kind: 'homeless', text, scope: asked.scope, ...(asked.owner && { owner: asked.owner }) };
    }
    const entry = typeof id === 'number' ? this.#flying.get(id) : undefined;
    if (entry?.method !== LISTEN || entry.abandoned) return { kind: 'unknown' };
    this.#flying.delete(entry.wireId);
    const edit = { path: REQUEST_ID, json: entry.idText };
    return { kind: 'ended', entry, text: spliceMessage(message.text, [edit]) };
  }

  /** Of two requests in flight with the same id, which a careless client can make, the newer one. */
  #findByClientId(scope: string, id: Json | undefined): Flying<Owner> | undefined {
    let found: Flying<Owner> | undefined;
    for (const entry of this.#flying.values()) {
      if (!entry.abandoned && entry.id === id && entry.scope === scope) found = entry;
    }
    return found;
  }

  #leave(entry: Flying<Owner>): void {
    if (!entry.present) return;
    entry.present = false;
    this.#company?.left(entry, entry.era === 'legacy');
  }

  #makeRoom(): void {
    for (const entry of this.#flying.values()) {
      if (!entry.abandoned) continue;
      this.#flying.delete(entry.wireId);
      this.#leave(entry);
      this.#abandoned -= 1;
      return;
    }
    const message = `the server has ${this.#maxInFlight} requests in flight already; try again later`;
    throw new ProxyError('pool_exhausted', message, { retryAfter: 1 });
  }
}

/** Whose request it is. `scope` keeps clients apart: a session's id, or the exchange's own where there is no session. */
export interface Sender<Owner> {
  readonly owner: Owner;
  readonly scope: string;
  readonly era: Era;
  /** Whether the proxy itself asks. */
  readonly own?: boolean;
}

/** One request in flight. */
export interface Flying<Owner> extends Sender<Owner> {
  readonly wireId: number;
  /** The client's id. */
  readonly id: RpcId;
  readonly idText: string;
  readonly method: string;
  /** The client's progress token, as JSON. */
  readonly token: string | undefined;
  /** Whether the client asked for a task, which may outlive the answer. */
  readonly task: boolean;
  abandoned: boolean;
  /** Whether the server may still work on it, for a client. */
  present: boolean;
}

/** A server's request that a client has to answer. */
export interface Asked<Owner> {
  readonly scope: string;
  readonly owner: Owner | undefined;
  /** The server's id. */
  readonly id: RpcId;
  readonly idText: string;
}

/** Where a message of the server belongs; `text` is for the client. */
export type Inbound<Owner> =
  /** The final answer; the entry is no longer in flight. */
  | { readonly kind: 'answer'; readonly entry: Flying<Owner>; readonly text: string }
  /** It names the request that it belongs to. */
  | { readonly kind: 'related'; readonly entry: Flying<Owner>; readonly text: string }
  /** The same, and it is the last one: there will be no answer. */
  | { readonly kind: 'ended'; readonly entry: Flying<Owner>; readonly text: string }
  /** It names no request. `scope`: the client that it is for; `owner`: where that client was told of it before. */
  | { readonly kind: 'homeless'; readonly text: string; readonly scope?: string; readonly owner?: Owner }
  /** For a request that nobody waits for any more. */
  | { readonly kind: 'late' }
  /** For a request that never was. */
  | { readonly kind: 'unknown' };

interface Tracked {
  readonly scope: string;
  readonly token: string;
}

const MAX_REMEMBERED = 1000;

const CANCELLED = 'notifications/cancelled';
const PROGRESS = 'notifications/progress';
const LISTEN = 'subscriptions/listen';

const ID = ['id'];
const TASK = ['params', 'task'];
const REQUEST_ID = ['params', 'requestId'];
const PROGRESS_TOKEN = ['params', 'progressToken'];
const TOKEN_IN_REQUEST = ['params', '_meta', 'progressToken'];
const SUBSCRIPTION_IN_PARAMS = ['params', '_meta', META_SUBSCRIPTION];
const SUBSCRIPTION_IN_RESULT = ['result', '_meta', META_SUBSCRIPTION];

function valueAt(value: Json, path: readonly string[]): Json | undefined {
  let current: Json | undefined = value;
  for (const step of path) {
    if (typeof current !== 'object' || current === null || Array.isArray(current)) return undefined;
    current = (current as { readonly [key: string]: Json })[step];
  }
  return current;
}

function dropOldest<K>(map: Map<K, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
