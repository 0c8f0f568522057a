import { type Exchange, type Handler, ProxyError, type Reply, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, ManualClock } from '@shadowcat/testkit';
import {
  callSlot,
  type JsonObject,
  SESSION_HEADER,
  type SessionHandle,
  sessionSlot,
  targetSlot,
  type UpstreamBinding,
} from '@shadowcat/wire';
import type { MirrorOptions, Verdict } from '../../src/index.js';
import { mirror } from '../../src/mirror.js';

const METHODS = ['tools/call', 'tools/list', 'resources/read', 'prompts/get'] as const;

/** A client's session, which a test ends. */
export class ClientSession implements SessionHandle {
  readonly id = 'client';
  readonly initializeText: string;
  readonly initializeResult = {};
  readonly protocolVersion = '2025-06-18';
  readonly restore = { logLevel: undefined, subscriptions: [] };
  upstream: UpstreamBinding | undefined = { target: 'primary', sessionId: 'p1' };
  ended = false;
  readonly hooks = new Set<() => void>();

  constructor() {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } };
    this.initializeText = JSON.stringify({ jsonrpc: '2.0', id: 'i', method: 'initialize', params });
  }
  bind(upstream: UpstreamBinding): void {
    this.upstream = upstream;
  }
  onEnd(done: () => void): () => void {
    this.hooks.add(done);
    return () => void this.hooks.delete(done);
  }
  end(): void {
    this.ended = true;
    for (const done of [...this.hooks]) done();
  }
}

/** What the shadow was asked: a method, or `(response)`. */
export interface Heard {
  readonly method: string;
  readonly exchange: Exchange;
  readonly message: JsonObject;
}

/** A shadow in memory. */
class Shadow {
  readonly heard: Heard[] = [];
  /** How it answers what is no handshake. */
  answer: (exchange: Exchange, id: unknown) => Reply | Promise<Reply> = (_exchange, id) => result(id, { ok: true });
  refusesSessions = false;
  readonly sessions: SessionHandle[] = [];

  readonly handler: Handler = async (exchange) => {
    const call = exchange.context.get(callSlot);
    const message = (call?.message?.value ?? {}) as JsonObject;
    this.heard.push({ method: call?.method ?? '', exchange, message });
    exchange.context.set(targetSlot, 'shadow');
    if (call?.method === 'initialize') {
      if (this.refusesSessions) throw new ProxyError('upstream_unreachable', 'cannot be reached');
      const session = exchange.context.get(sessionSlot);
      if (session !== undefined) this.sessions.push(session);
      const opened = { jsonrpc: '2.0', id: message['id'], result: { protocolVersion: '2025-11-25' } };
      return jsonReply(opened, { headers: { [SESSION_HEADER]: 's1' } });
    }
    if (call?.expectsAnswer !== true) return jsonReply('', { status: 202 });
    return this.answer(exchange, message['id']);
  };

  get methods(): readonly string[] {
    return this.heard.map(({ method }) => method);
  }

  /** Never answers, until nobody waits. */
  hang(): void {
    this.answer = ({ signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }
}

export function result(id: unknown, value: unknown): Reply {
  return jsonReply({ jsonrpc: '2.0', id, result: value } as object);
}

/** A mirror between doubles. The primary answers `{ ok: true }` unless a test says otherwise. */
export function bench(options: Partial<MirrorOptions> = {}, readOnly: readonly string[] = ['look'], random = () => 0) {
  const clock = new ManualClock();
  const shadow = new Shadow();
  const verdicts: Verdict[] = [];
  const marks = new Set(readOnly);
  const mirroring = mirror(
    { share: 1, methods: METHODS, ...options },
    {
      shadow: shadow.handler,
      clock,
      log: silentLog,
      random,
      ended: (verdict) => verdicts.push(verdict),
      tools: { readOnly: (tool) => marks.has(tool), watch: (_call, answer) => answer },
    },
  );
  const primary: { answer: Handler } = {
    answer: async ({ context }) => result(context.get(callSlot)?.message?.id, { ok: true }),
  };
  const handler = mirroring.layer((exchange) => primary.answer(exchange));
  return { clock, shadow, verdicts, mirroring, primary, handler };
}

let ids = 0;

export interface Asked {
  readonly params?: object;
  readonly session?: SessionHandle | undefined;
  readonly id?: string | number;
  readonly modern?: boolean;
  readonly signal?: AbortSignal;
}

export function request(method: string, { params, session, id, modern, signal }: Asked = {}): Exchange {
  ids += 1;
  const meta = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } };
  const body = { jsonrpc: '2.0', id: id ?? ids, method, params: { ...params, ...(modern === true ? meta : {}) } };
  const exchange = classifiedExchange({
    body,
    headers: session === undefined ? {} : { 'mcp-session-id': session.id, 'mcp-protocol-version': '2025-06-18' },
    ...(signal === undefined ? {} : { signal }),
  });
  if (session !== undefined) exchange.context.set(sessionSlot, session);
  return exchange;
}

export const look = (asked: Asked = {}): Exchange =>
  request('tools/call', { ...asked, params: { name: 'look', arguments: {}, ...asked.params } });
