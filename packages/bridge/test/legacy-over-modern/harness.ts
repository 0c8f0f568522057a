import {
  Body,
  type Context,
  type Exchange,
  Frame,
  type Handler,
  type Reply,
  reply,
  silentLog,
} from '@shadowcat/kernel';
import { classifiedExchange, jsonReply, ManualClock, readReply, settled } from '@shadowcat/testkit';
import { callSlot, type Json, type JsonObject, type SessionHandle, sessionSlot, sseFraming } from '@shadowcat/wire';
import { legacyOverModern } from '../../src/legacy-over-modern/legacy-over-modern.js';
import { QuestionRoom, type QuestionRoomOptions } from '../../src/question-room.js';

/** A server's stream that a test writes to. */
export class ServerStream {
  readonly reply: Reply;
  closed = false;
  #queue: (string | undefined)[] = [];
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    const close = (): void => {
      this.closed = true;
      this.#wake?.();
    };
    signal.addEventListener('abort', close, { once: true });
    this.reply = reply(
      { status: 200, headers: { 'content-type': 'text/event-stream' } },
      Body.fromFrames(this.#frames(), sseFraming),
      close,
    );
  }

  send(message: object): void {
    this.#queue.push(JSON.stringify(message));
    this.#wake?.();
  }

  end(): void {
    this.#queue.push(undefined);
    this.#wake?.();
  }

  async *#frames(): AsyncGenerator<Frame> {
    while (!this.closed) {
      while (this.#queue.length > 0) {
        const text = this.#queue.shift();
        if (text === undefined) return;
        yield new Frame({ text });
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** One request that reached the server. */
export interface Received {
  readonly exchange: Exchange;
  readonly method: string;
  readonly id: Json;
  readonly params: JsonObject;
  readonly meta: JsonObject;
  readonly text: string;
}

/** A session as the session layer hands it on. */
export function sessionHandle(parts: Partial<SessionHandle> & { capabilities?: object } = {}): SessionHandle & {
  end(): void;
} {
  const ends: (() => void)[] = [];
  const params = {
    protocolVersion: '2025-06-18',
    capabilities: parts.capabilities ?? { sampling: {}, elicitation: {}, roots: {} },
    clientInfo: { name: 'old', version: '1.0' },
  };
  return {
    id: 's1',
    initializeText: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
    initializeResult: {
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: false }, logging: {} },
    },
    protocolVersion: '2025-06-18',
    upstream: { target: 't', sessionId: 'shadowcat-bridge-1' },
    bind: () => {},
    restore: { logLevel: undefined, subscriptions: [] },
    ended: false,
    onEnd: (done) => {
      ends.push(done);
      return () => {};
    },
    end: () => {
      for (const done of ends) done();
    },
    ...parts,
  };
}

/** A bridge in front of a server that is a function. */
export function bridgeTo(
  server: (received: Received, stream: () => ServerStream) => Reply | object | Promise<Reply | object>,
  options: QuestionRoomOptions = {},
) {
  const received: Received[] = [];
  const streams: ServerStream[] = [];
  const upstream: Handler = async (exchange) => {
    const call = exchange.context.get(callSlot);
    const message = call?.message;
    if (message?.method === undefined) throw new Error('the server got what is no request');
    const params = (message.value['params'] ?? {}) as JsonObject;
    const meta = (params['_meta'] ?? {}) as JsonObject;
    const one = { exchange, method: message.method, id: message.id ?? null, params, meta, text: message.text };
    received.push(one);
    const open = (): ServerStream => {
      const stream = new ServerStream(exchange.signal);
      streams.push(stream);
      return stream;
    };
    const aborted = new Promise<never>((_resolve, reject) => {
      exchange.signal.addEventListener('abort', () => reject(exchange.signal.reason as Error), { once: true });
    });
    aborted.catch(() => {});
    const answer = await Promise.race([server(one, open), aborted]);
    if (Symbol.asyncDispose in answer) return answer as Reply;
    return jsonReply({ jsonrpc: '2.0', id: message.id, ...answer });
  };
  const clock = new ManualClock();
  const room = new QuestionRoom(options, { clock });
  let ids = 0;
  const bridge = legacyOverModern(
    { target: 't' },
    { upstream, clock, log: silentLog, newId: () => `id-${++ids}`, random: () => 0.5, room },
  );
  const session = sessionHandle();
  const send = (
    body: object | string,
    { session: own, ...parts }: { session?: SessionHandle; headers?: Record<string, string>; context?: Context } = {},
  ) => {
    const exchange = classifiedExchange({ body, ...parts });
    exchange.context.set(sessionSlot, own ?? session);
    return bridge(exchange);
  };
  const get = (method: 'GET' | 'DELETE' = 'GET') => {
    const exchange = classifiedExchange({ method });
    exchange.context.set(sessionSlot, session);
    return bridge(exchange);
  };
  const rpc = async (body: object | string, parts?: Parameters<typeof send>[1]) => {
    const answer = await readReply(await send(body, parts));
    return { ...answer, last: answer.messages.at(-1) };
  };
  return { bridge, received, streams, clock, session, send, get, rpc };
}

/** Reads a stream message by message. */
export function reader(answer: Reply) {
  const frames = answer.body.frames();
  return {
    next: async (): Promise<JsonObject | undefined> => {
      const next = await frames.next();
      return next.done === true ? undefined : ((next.value as Frame).message as JsonObject);
    },
    /** Whether nothing is there to be read now. */
    leave: async (): Promise<void> => {
      await answer[Symbol.asyncDispose]();
      await settled();
    },
  };
}

export const request = (method: string, params?: object, id: string | number = 1) => ({
  jsonrpc: '2.0',
  id,
  method,
  ...(params && { params }),
});
