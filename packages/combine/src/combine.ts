import { type Exchange, type Handler, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import {
  callSlot,
  envelopeProblem,
  failureText,
  jsonReply,
  objectAt,
  responseText,
  withMembers,
} from '@shadowcat/wire';
import type { Audience } from './audience.js';
import { Audiences } from './audiences.js';
import { type Asked, Calls } from './calls.js';
import type { CombineComponents, CombineMember, CombineOptions, CombineStats } from './contract.js';
import { discovered } from './discover.js';
import { KINDS, type Kind, kindOf } from './kinds.js';
import { Lists } from './lists.js';
import { Refused } from './member-list.js';
import { OwnRequests } from './own-request.js';
import { Patience } from './patience.js';
import { Subscription } from './subscription.js';

/** Several servers as one. */
export interface Combined extends Handler {
  stats(): CombineStats;
  /** Ends subscriptions and requests of its own. Idempotent; never rejects. */
  close(): Promise<void>;
}

const LIST_TIMEOUT_MS = 3000;

/**
 * One modern server made of several: their lists are joined, a call goes to the member whose tool, prompt or resource it names,
 * changes of all of them are announced. A member that is slow or gone costs the others nothing: its entries are shown as they
 * were last, or left out until it is back, which is announced. Takes modern exchanges with `callSlot`; legacy clients and legacy
 * members need a bridge on that side.
 */
export function combine(
  members: readonly CombineMember[],
  options: CombineOptions,
  components: CombineComponents,
): Combined {
  const combiner = new Combiner(members, options, components);
  return Object.assign((exchange: Exchange) => combiner.handle(exchange), {
    stats: () => combiner.stats(),
    close: () => combiner.close(),
  });
}

class Combiner {
  readonly #members: readonly CombineMember[];
  readonly #options: CombineOptions;
  readonly #components: CombineComponents;
  readonly #requests = new OwnRequests();
  readonly #audiences: Audiences;
  readonly #lists: Lists;
  readonly #calls: Calls;
  readonly #subscriptions = new Set<Subscription>();
  readonly #patience: Patience;
  #closed = false;

  constructor(members: readonly CombineMember[], options: CombineOptions, components: CombineComponents) {
    const { clock, log } = components;
    this.#members = members;
    this.#options = options;
    this.#components = components;
    const patience = new Patience(options.listTimeoutMs ?? LIST_TIMEOUT_MS, clock);
    this.#patience = patience;
    this.#audiences = new Audiences(members, options.prefix ?? 'collisions');
    this.#lists = new Lists({ members, requests: this.#requests, patience, clock, log });
    this.#calls = new Calls({ members, lists: this.#lists, patience, clock });
  }

  stats(): CombineStats {
    const missing = Object.fromEntries(this.#members.map(({ name }) => [name, 0]));
    for (const audience of this.#audiences.all()) {
      for (const { member } of audience.missing) missing[member] = (missing[member] ?? 0) + 1;
    }
    return { partial: this.#lists.partial, missing, listeners: this.#subscriptions.size };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
    await this.#patience.close();
  }

  async handle(exchange: Exchange): Promise<Reply> {
    const call = exchange.context.get(callSlot);
    const message = call?.message;
    if (call === undefined || message === undefined) {
      throw new ProxyError('internal', 'the exchange was not classified, or is not modern');
    }
    if (this.#closed) throw new ProxyError('draining', 'the proxy is ending');
    // A modern notification belongs to no session; giving up a request is leaving it.
    if (message.kind !== 'request') return reply({ status: 202, headers: {} });
    const problem = envelopeProblem(message);
    if (problem !== undefined) return jsonReply(failureText(message.idText ?? 'null', problem), { status: 400 });
    const asked: Asked = { exchange, call, message, audience: this.#audiences.of(exchange) };
    try {
      return await this.#answer(asked);
    } catch (error) {
      if (error instanceof Refused) return error.reply;
      throw error;
    }
  }

  #answer(asked: Asked): Promise<Reply> {
    const { message } = asked;
    const { method = '' } = message;
    const params = objectAt(message.value, 'params');
    const kind = kindOf(method);
    if (kind !== undefined) return this.#list(kind, asked);
    switch (method) {
      case 'server/discover':
        return this.#discover(asked);
      case 'tools/call':
        return this.#calls.named(asked, 'tools', ['params', 'name']);
      case 'prompts/get':
        return this.#calls.named(asked, 'prompts', ['params', 'name']);
      case 'resources/read':
        return this.#calls.byUri(asked, params?.['uri']);
      case 'completion/complete':
        return this.#complete(asked);
      case 'subscriptions/listen':
        return this.#listen(asked, asked.audience);
      default:
        // A task's id is known to the server that made it alone.
        if (method.startsWith('tasks/')) return this.#calls.inTurn(asked);
        return Promise.resolve(this.#unknown(asked));
    }
  }

  async #list(kind: Kind, { exchange, message, audience }: Asked): Promise<Reply> {
    const idText = message.idText ?? 'null';
    const { entries, ttlMs, scope } = await this.#lists.get(kind, exchange, audience);
    const result = withMembers('{}', [], {
      resultType: '"complete"',
      [KINDS[kind].member]: `[${entries.map(({ text }) => text).join(',')}]`,
      ttlMs: String(ttlMs),
      cacheScope: JSON.stringify(scope),
    });
    return jsonReply(responseText(idText, result));
  }

  async #discover({ exchange, message, audience }: Asked): Promise<Reply> {
    const { name, version } = this.#options;
    const { clock, log } = this.#components;
    const result = await discovered(exchange, audience, {
      members: this.#members,
      requests: this.#requests,
      name,
      version,
      patience: this.#patience,
      clock,
      log,
    });
    return jsonReply(responseText(message.idText ?? 'null', result));
  }

  #complete(asked: Asked): Promise<Reply> {
    const ref = objectAt(objectAt(asked.message.value, 'params'), 'ref');
    if (ref?.['type'] === 'ref/prompt') return this.#calls.named(asked, 'prompts', ['params', 'ref', 'name']);
    return this.#calls.byUri(asked, ref?.['uri']);
  }

  #listen({ exchange, message }: Asked, audience: Audience): Promise<Reply> {
    const { clock, log, random } = this.#components;
    const subscription = new Subscription(
      { exchange, message, audience },
      {
        members: this.#members,
        requests: this.#requests,
        lists: this.#lists,
        patience: this.#patience,
        clock,
        log,
        random,
      },
    );
    this.#subscriptions.add(subscription);
    return subscription.open(() => this.#subscriptions.delete(subscription));
  }

  #unknown({ message }: Asked): Reply {
    const names = this.#members.map(({ name }) => name).join(', ');
    const text = `Method not found: ${message.method} (not known how to divide it among ${names})`;
    return jsonReply(failureText(message.idText ?? 'null', { code: -32601, message: text }), { status: 404 });
  }
}
