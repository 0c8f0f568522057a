import {
  Body,
  type Exchange,
  type Frame,
  Frame as FrameClass,
  ProxyError,
  type Reply,
  reply,
  silentLog,
} from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, ManualClock } from '@shadowcat/testkit';
import { callSlot, credentialSlot, FrameQueue, type Json, type JsonObject, MODERN, sseFraming } from '@shadowcat/wire';
import { type Combined, type CombineMember, type CombineOptions, combine } from '../src/index.js';

export interface Server extends CombineMember {
  /** What it lists, by the method that asks. */
  readonly lists: Record<string, JsonObject[]>;
  /** Resources that it can read. */
  readonly readable: Set<string>;
  readonly seen: { readonly method: string; readonly params: JsonObject; readonly headers: JsonObject }[];
  /** `dead`: cannot be reached; `hanging`: does not answer until it is released. */
  state: 'up' | 'dead' | 'hanging';
  release(): void;
  /** What hangs cannot be reached. */
  fail(): void;
  /** Says something to those who listen. */
  say(method: string, params?: JsonObject): void;
  /** Breaks the streams of those who listen. */
  hangUp(): void;
  readonly listening: number;
  capabilities: JsonObject;
  instructions?: string;
}

export function tool(name: string, more: JsonObject = {}): JsonObject {
  return { name, inputSchema: { type: 'object' }, ...more };
}

/** A modern server in memory. */
export function server(name: string, lists: Record<string, JsonObject[]> = {}): Server {
  let gate = Promise.withResolvers<void>();
  const streams = new Map<FrameQueue, string>();
  const self: Server = {
    name,
    lists,
    readable: new Set(),
    seen: [],
    state: 'up',
    capabilities: { tools: { listChanged: true } },
    release: () => {
      self.state = 'up';
      gate.resolve();
      gate = Promise.withResolvers();
    },
    fail: () => {
      gate.reject(new ProxyError('upstream_unreachable', `${name} is gone`));
      gate = Promise.withResolvers();
    },
    say: (method, params = {}) => {
      for (const [queue, id] of streams) queue.push(tagged(method, params, id));
    },
    hangUp: () => {
      for (const queue of streams.keys()) queue.fail(new ProxyError('upstream_closed', 'broken'));
      streams.clear();
    },
    get listening() {
      return streams.size;
    },
    handler: async (exchange) => {
      if (self.state === 'dead') throw new ProxyError('upstream_unreachable', `${name} cannot be reached`);
      if (self.state === 'hanging') await Promise.race([gate.promise, aborted(exchange.signal)]);
      return answer(self, exchange, streams);
    },
  };
  return self;
}

function answer(self: Server, exchange: Exchange, streams: Map<FrameQueue, string>): Reply {
  const message = exchange.context.get(callSlot)?.message;
  if (message === undefined) throw new Error('not classified');
  const { method = '', id } = message;
  const params = (message.value['params'] ?? {}) as JsonObject;
  self.seen.push({ method, params, headers: exchange.head.headers as JsonObject });
  const result = (value: JsonObject): Reply => jsonReply({ jsonrpc: '2.0', id, result: value } as JsonObject);
  const failure = (code: number, text: string): Reply =>
    jsonReply({ jsonrpc: '2.0', id, error: { code, message: text } } as JsonObject);
  if (method === 'server/discover') {
    const { capabilities, instructions } = self;
    return result({
      supportedVersions: [MODERN],
      capabilities,
      ...(instructions === undefined ? {} : { instructions }),
    });
  }
  const [, noun = ''] = /^(tools|prompts|resources|resources\/templates)\/list$/.exec(method) ?? [];
  if (noun !== '') {
    const items = self.lists[noun];
    if (items === undefined) return failure(-32601, 'Method not found');
    const member = noun === 'resources/templates' ? 'resourceTemplates' : noun;
    // Two a page.
    const from = Number(params['cursor'] ?? 0);
    const more = from + 2 < items.length ? { nextCursor: String(from + 2) } : {};
    return result({ [member]: items.slice(from, from + 2), ttlMs: 1000, cacheScope: 'public', ...more });
  }
  if (method === 'subscriptions/listen') return listen(message.idText ?? '', params, streams);
  if (method === 'resources/read') {
    const { uri } = params as { uri: string };
    if (!self.readable.has(uri)) return failure(-32602, `${self.name} has no ${uri}`);
    return result({ contents: [{ uri, text: self.name }] });
  }
  return result({
    content: [{ type: 'text', text: `${self.name} ${method} ${JSON.stringify(params['name'] ?? null)}` }],
  });
}

function listen(id: string, params: JsonObject, streams: Map<FrameQueue, string>): Reply {
  const queue = new FrameQueue(1_000_000, () => streams.delete(queue));
  streams.set(queue, id);
  const honoured = params['notifications'] as Json;
  queue.push(tagged('notifications/subscriptions/acknowledged', { notifications: honoured }, id));
  return reply({ status: 200, headers: {} }, Body.fromFrames(queue, sseFraming), () => {
    streams.delete(queue);
    queue.end();
  });
}

function tagged(method: string, params: JsonObject, idText: string): string {
  const _meta = { 'io.modelcontextprotocol/subscriptionId': JSON.parse(idText) as Json };
  return JSON.stringify({ jsonrpc: '2.0', method, params: { ...params, _meta } });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(ProxyError.from(signal.reason, 'cancelled'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

export interface Joined {
  readonly combined: Combined;
  /** What the log was told. */
  readonly warnings: string[];
  readonly clock: ManualClock;
  ask(method: string, params?: JsonObject, credential?: string): Promise<JsonObject>;
  listen(notifications: JsonObject): Promise<Heard>;
}

export interface Heard {
  /** The next message; fails when there is none. */
  next(): Promise<JsonObject>;
  leave(): Promise<void>;
}

let lastId = 0;

export function join(members: readonly CombineMember[], options: Partial<CombineOptions> = {}): Joined {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (_fields: object, text: string) => void warnings.push(text) };
  const combined = combine(members, { name: 'joined', version: '1.2.3', ...options }, { clock, log, random: () => 0 });
  return {
    combined,
    warnings,
    clock,
    ask: async (method, params = {}, credential = '') => {
      const answer = await combined(modern(method, params, { credential }));
      const bytes = await answer.body.collect(10_000_000);
      await answer[Symbol.asyncDispose]();
      return JSON.parse(new TextDecoder().decode(bytes)) as JsonObject;
    },
    listen: async (notifications) => {
      const answer = await combined(modern('subscriptions/listen', { notifications }, {}));
      const frames = answer.body.frames()[Symbol.asyncIterator]();
      return {
        next: async () => {
          const { done, value } = (await frames.next()) as IteratorResult<Frame>;
          if (done === true || !(value instanceof FrameClass)) throw new Error('the stream is over');
          return JSON.parse(value.text ?? 'null') as JsonObject;
        },
        leave: async () => {
          await answer[Symbol.asyncDispose]();
        },
      };
    },
  };
}

export function modern(method: string, params: JsonObject, { credential = '' }: { credential?: string }): Exchange {
  lastId += 1;
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
    progressToken: 'mine',
  };
  const { name, uri } = params as { name?: string; uri?: string };
  const named = name ?? uri;
  const exchange = classifiedExchange({
    headers: {
      'mcp-protocol-version': MODERN,
      'mcp-method': method,
      'mcp-param-x': 'kept',
      ...(named === undefined ? {} : { 'mcp-name': named }),
    },
    body: { jsonrpc: '2.0', id: lastId, method, params: { ...params, _meta } },
  });
  exchange.context.set(credentialSlot, credential);
  return exchange;
}

export function namesIn(answer: JsonObject, member = 'tools'): unknown[] {
  const { [member]: items } = answer['result'] as Record<string, JsonObject[]>;
  return (items ?? []).map((item) => item['name'] ?? item['uri'] ?? item['uriTemplate']);
}

/** What a member was asked of a method. */
export function askedOf(member: Server, method: string): Server['seen'] {
  return member.seen.filter((one) => one.method === method);
}

export const errorOf = (answer: JsonObject): JsonObject => answer['error'] as JsonObject;
export const textOf = (answer: JsonObject): unknown => {
  const { content } = answer['result'] as { content: { text: string }[] };
  return content[0]?.text;
};
