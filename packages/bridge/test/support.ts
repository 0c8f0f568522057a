import { type Exchange, type Handler, ProxyError, type Reply, reply, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, handlerOf, jsonReply, ManualClock, streamReply } from '@shadowcat/testkit';
import { callSlot, credentialSlot, type JsonObject, type Message, MODERN, sessionSlot } from '@shadowcat/wire';
import {
  type Bridge,
  type BridgeOptions,
  bridge,
  HeldQuestions,
  QuestionRoom,
  type QuestionRoomOptions,
} from '../src/index.js';

/** What a server says on the stream of one call, and may wait for in between. */
export interface Talk {
  readonly message: JsonObject;
  /** The client's answer to a request of the server's with this id. */
  reply(id: number): Promise<JsonObject>;
}

export type Call = (talk: Talk) => AsyncGenerator<object, void, undefined>;

export interface LegacyServer extends Handler {
  /** Everything that was posted, in order. */
  readonly seen: Message[];
  readonly sessions: Set<string>;
  readonly headers: { readonly method: string; readonly version: unknown; readonly mcpMethod: unknown }[];
  /** Says something on the standing streams. */
  say(message: object): void;
  /** Ends the standing streams. */
  hangUp(): void;
  /** The message of this method that was posted last. */
  last(method: string): Message | undefined;
}

const CAPABILITIES = { tools: { listChanged: true }, logging: {}, resources: { subscribe: true }, tasks: {} };

/** A legacy server in memory, as its handler looks to the bridge: sessions by id, SSE answers, a standing stream. */
export function legacyServer(call: Call, discover: () => Reply = unknownMethod): LegacyServer {
  const seen: Message[] = [];
  const sessions = new Set<string>();
  let opened = 0;
  const headers: LegacyServer['headers'] = [];
  const replies = new Map<number, PromiseWithResolvers<JsonObject>>();
  const replyTo = (id: number): PromiseWithResolvers<JsonObject> => {
    const kept = replies.get(id) ?? Promise.withResolvers<JsonObject>();
    replies.set(id, kept);
    return kept;
  };
  const talkers = new Set<(text: string) => void>();
  const hangUps = new Set<() => void>();
  const talk = (message: JsonObject): Talk => ({
    message,
    reply: (id) => replyTo(id).promise.finally(() => replies.delete(id)),
  });
  async function* stream(message: JsonObject): AsyncGenerator<string> {
    for await (const event of call(talk(message))) yield `data: ${JSON.stringify(event)}\n\n`;
  }
  async function* standing(signal: AbortSignal): AsyncGenerator<string> {
    const queue: string[] = [];
    let wake = (): void => {};
    const take = (text: string): void => {
      queue.push(text);
      wake();
    };
    talkers.add(take);
    signal.addEventListener('abort', () => wake(), { once: true });
    let over = false;
    const end = (): void => {
      over = true;
      wake();
    };
    hangUps.add(end);
    while (!signal.aborted && !over) {
      const text = queue.shift();
      if (text !== undefined) yield text;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    talkers.delete(take);
    hangUps.delete(end);
  }
  const post = (exchange: Exchange, message: Message): Reply => {
    const { method, value, id } = message;
    if (message.kind === 'response') replyTo(Number(id)).resolve(value);
    if (message.kind !== 'request') return reply({ status: 202, headers: {} });
    if (method === 'server/discover') return discover();
    if (method === 'initialize') {
      opened += 1;
      const session = `s${opened}`;
      sessions.add(session);
      const result = {
        protocolVersion: '2025-11-25',
        capabilities: CAPABILITIES,
        serverInfo: { name: 'old', version: '1' },
        instructions: 'be kind',
      };
      return jsonReply({ jsonrpc: '2.0', id, result }, { headers: { 'mcp-session-id': session } });
    }
    if (method === 'logging/setLevel' || method?.startsWith('resources/') === true)
      return jsonReply({ jsonrpc: '2.0', id, result: {} });
    if (!sessions.has(exchange.context.get(sessionSlot)?.upstream?.sessionId ?? '')) throw new Error('no session');
    return streamReply(stream(value));
  };
  const handler = handlerOf((exchange) => {
    const { head, context, signal } = exchange;
    if (head.method === 'GET') return streamReply(standing(signal));
    if (head.method === 'DELETE') {
      sessions.delete(context.get(sessionSlot)?.upstream?.sessionId ?? '');
      return reply({ status: 200, headers: {} });
    }
    const message = context.get(callSlot)?.message;
    if (message === undefined) throw new ProxyError('internal', 'not classified');
    seen.push(message);
    headers.push({
      method: message.method ?? '',
      version: head.headers['mcp-protocol-version'],
      mcpMethod: head.headers['mcp-method'],
    });
    return post(exchange, message);
  });
  return Object.assign((exchange: Exchange) => handler(exchange), {
    seen,
    sessions,
    headers,
    say: (message: object) => {
      for (const take of talkers) take(`data: ${JSON.stringify(message)}\n\n`);
    },
    hangUp: () => {
      for (const end of hangUps) end();
    },
    last: (method: string) => seen.findLast((message) => message.method === method),
  });
}

export function unknownMethod(): Reply {
  return jsonReply({ jsonrpc: '2.0', id: null, error: { code: -32000, message: 'no session' } }, { status: 400 });
}

export interface Asked {
  readonly credential?: string;
  readonly signal?: AbortSignal;
  readonly meta?: object;
  readonly client?: string;
}

let ids = 0;

/** A modern request, classified, as it reaches the bridge. */
export function modern(method: string, params: object = {}, asked: Asked = {}): Exchange {
  ids += 1;
  const { credential = '', meta = {}, client = 'test' } = asked;
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': { name: client, version: '1' },
    'io.modelcontextprotocol/clientCapabilities': { sampling: {}, extensions: {} },
    ...meta,
  };
  const exchange = classifiedExchange({
    headers: { 'mcp-protocol-version': MODERN, 'mcp-method': method },
    body: { jsonrpc: '2.0', id: `c${ids}`, method, params: { ...params, _meta: envelope } },
    ...(asked.signal === undefined ? {} : { signal: asked.signal }),
  });
  exchange.context.set(credentialSlot, credential);
  return exchange;
}

export interface Setup {
  readonly bridge: Bridge;
  readonly clock: ManualClock;
  readonly room: QuestionRoom;
}

export interface SetupOptions extends Partial<BridgeOptions>, QuestionRoomOptions {
  readonly modernSibling?: () => Handler | undefined;
  readonly clock?: ManualClock;
}

export function bridged(upstream: Handler, options: SetupOptions = {}): Setup {
  let made = 0;
  const newId = (): string => {
    made += 1;
    return `unguessable-${made}`;
  };
  const { holdMs, max, modernSibling, clock = new ManualClock(), ...own } = options;
  const room = new QuestionRoom({ holdMs, max }, { clock });
  const held = new HeldQuestions({ room, newId });
  const components = { upstream, clock, log: silentLog, newId, held, ...(modernSibling && { modernSibling }) };
  return { clock, room, bridge: bridge({ target: 'old', ...own }, components) };
}
