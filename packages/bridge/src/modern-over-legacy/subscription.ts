import { Body, type Exchange, Frame, type Reply, reply } from '@shadowcat/kernel';
import {
  asObject,
  failureText,
  jsonReply,
  META_SUBSCRIPTION,
  type Message,
  responseText,
  sseFraming,
} from '@shadowcat/wire';
import { paramsText } from './legacy-session.js';
import { tagged } from './results.js';
import type { Lease } from './sessions.js';

/** Notifications that wait for a client that reads slowly; they say "look again", so equal ones are one. */
const MAX_WAITING = 1000;

/** Resources of one subscription; what is beyond them is not acknowledged. */
const MAX_URIS = 1000;

const LIST_CHANGES = [
  { member: 'toolsListChanged', capability: 'tools', method: 'notifications/tools/list_changed' },
  { member: 'promptsListChanged', capability: 'prompts', method: 'notifications/prompts/list_changed' },
  { member: 'resourcesListChanged', capability: 'resources', method: 'notifications/resources/list_changed' },
] as const;

/**
 * Serves `subscriptions/listen` (2026-07-28, "Subscriptions") from the standing stream of a legacy session: the acknowledgement
 * first, then what was asked for, until the client leaves or the session ends. Gives the lease back then.
 */
export async function listen(exchange: Exchange, request: Message, lease: Lease): Promise<Reply> {
  const idText = request.idText ?? 'null';
  const asked = asObject(asObject(request.value['params'])?.['notifications']);
  if (asked === undefined) {
    lease.release();
    const message = "Invalid params: 'notifications' has to say what to listen for";
    return jsonReply(failureText(idText, { code: -32602, message }), { status: 400 });
  }
  const subscription = new Subscription(lease, idText);
  try {
    await subscription.open(asked);
  } catch (error) {
    await subscription.close();
    throw error;
  }
  const { signal } = exchange;
  const stop = (): void => subscription.stop();
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform' };
  return reply({ status: 200, headers }, Body.fromFrames(subscription.frames(), sseFraming), async () => {
    signal.removeEventListener('abort', stop);
    await subscription.close();
  });
}

class Subscription {
  readonly #lease: Lease;
  readonly #idText: string;
  readonly #uris: string[] = [];
  readonly #methods = new Set<string>();
  readonly #waiting: string[] = [];
  #honoured: Record<string, unknown> = {};
  #wake: (() => void) | undefined;
  /** The client is gone. */
  #stopped = false;
  /** Nothing more will come: the session has ended, or its stream broke. */
  #over = false;
  #closed = false;
  #forget: () => void = () => {};

  constructor(lease: Lease, idText: string) {
    this.#lease = lease;
    this.#idText = idText;
  }

  async open(asked: { readonly [name: string]: unknown }): Promise<void> {
    const { session } = this.#lease;
    const { capabilities } = session;
    for (const { member, capability, method } of LIST_CHANGES) {
      if (asked[member] !== true || asObject(capabilities[capability])?.['listChanged'] !== true) continue;
      this.#honoured[member] = true;
      this.#methods.add(method);
    }
    // Changes that are made as soon as it is acknowledged must find the stream open.
    await session.standing.open();
    session.listeners.add(this.#take);
    const forgets = [
      session.onEnd(() => this.#end()),
      session.standing.onBroken(() => this.#end()),
      this.#lease.onSiblingChange(this.#take),
    ];
    this.#forget = () => {
      for (const forget of forgets) forget();
      session.listeners.delete(this.#take);
    };
    if (asObject(capabilities['resources'])?.['subscribe'] !== true) return;
    const wanted = Array.isArray(asked['resourceSubscriptions']) ? asked['resourceSubscriptions'] : [];
    for (const uri of [...new Set(wanted)].slice(0, MAX_URIS)) {
      if (typeof uri === 'string' && (await session.subscriptions.subscribe(uri))) this.#uris.push(uri);
    }
    if (this.#uris.length > 0) this.#honoured = { ...this.#honoured, resourceSubscriptions: this.#uris };
  }

  async *frames(): AsyncGenerator<Frame, void, undefined> {
    const acknowledged = JSON.stringify({ notifications: this.#honoured });
    yield new Frame({ text: tagged('notifications/subscriptions/acknowledged', acknowledged, this.#idText) });
    const idle = Object.keys(this.#honoured).length === 0;
    while (!this.#stopped && !idle) {
      const text = this.#waiting.shift();
      if (text !== undefined) {
        yield new Frame({ text });
        continue;
      }
      if (this.#over) break;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    if (this.#stopped) return;
    const meta = `{${JSON.stringify(META_SUBSCRIPTION)}:${this.#idText}}`;
    yield new Frame({ text: responseText(this.#idText, `{"resultType":"complete","_meta":${meta}}`) });
  }

  /** The client is gone. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.stop();
    this.#forget();
    const { session } = this.#lease;
    try {
      for (const uri of this.#uris) await session.subscriptions.unsubscribe(uri).catch(() => undefined);
    } finally {
      this.#lease.release();
    }
  }

  readonly #take = (message: Message): void => {
    const { method = '' } = message;
    const params = asObject(message.value['params']) ?? {};
    const wanted =
      method === 'notifications/resources/updated' ? this.#wants(params['uri']) : this.#methods.has(method);
    if (!wanted || this.#stopped) return;
    const text = tagged(method, paramsText(message), this.#idText);
    if (this.#waiting.includes(text)) return;
    if (this.#waiting.length >= MAX_WAITING) this.#waiting.shift();
    this.#waiting.push(text);
    this.#wake?.();
  };

  /** Servers may speak of a part of what was subscribed to. */
  #wants(uri: unknown): boolean {
    return typeof uri === 'string' && this.#uris.some((own) => uri === own || uri.startsWith(`${own}/`));
  }

  #end(): void {
    this.#over = true;
    this.#wake?.();
  }
}
