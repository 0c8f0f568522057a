import { createHash, createHmac } from 'node:crypto';
import { Context, type Exchange, type Handler, headerOf, type Layer, type Reply, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, ManualClock, type ReadReply, readReply } from '@shadowcat/testkit';
import {
  callSlot,
  type JsonObject,
  SESSION_HEADER,
  type SessionHandle,
  sessionSlot,
  targetSlot,
} from '@shadowcat/wire';
import {
  createRedactor,
  type Digest,
  type MemoryTape,
  memoryTape,
  type Recorder,
  type RecorderComponents,
  type RecorderOptions,
  type Redactor,
  type Replay,
  type ReplayOptions,
  readTape,
  recorder,
  replayHandler,
  type Tape,
  type TapeScope,
} from '../../src/index.js';

const hmac = (text: string): string => createHmac('sha256', 'the key of the tests').update(text).digest('hex');
export const redactor: Redactor = createRedactor({}, hmac);

export function newDigest(): Digest {
  const hash = createHash('sha256');
  return {
    update: (bytes) => void hash.update(bytes),
    with: (suffix) => hash.copy().update(suffix).digest('hex'),
  };
}

/** A session as the session layer hands it on. */
export class TestSession implements SessionHandle {
  readonly id: string;
  readonly initializeText: string;
  initializeResult: SessionHandle['initializeResult'];
  protocolVersion: string | undefined;
  upstream: SessionHandle['upstream'];
  readonly restore = { logLevel: undefined, subscriptions: [] };
  ended = false;
  readonly #done = new Set<() => void>();

  constructor(id: string, initializeText = '') {
    this.id = id;
    this.initializeText = initializeText;
  }
  bind(upstream: NonNullable<SessionHandle['upstream']>): void {
    this.upstream = upstream;
  }
  onEnd(done: () => void): () => void {
    if (this.ended) done();
    else this.#done.add(done);
    return () => void this.#done.delete(done);
  }
  end(): void {
    this.ended = true;
    for (const done of this.#done) done();
    this.#done.clear();
  }
}

let sessions = 0;

/** One client behind a small stand-in for the session layer. Requests are JSON texts or objects. */
export class TestClient {
  session: TestSession | undefined;
  readonly #handler: Handler;

  constructor(handler: Handler) {
    this.#handler = handler;
  }

  /** Sends messages and gives back the reply as it is, unread. */
  async raw(
    body: string | object,
    parts: { signal?: AbortSignal; headers?: Record<string, string>; target?: string } = {},
  ): Promise<Reply> {
    return this.#send({ body, ...parts });
  }

  async post(
    body: string | object,
    parts: { headers?: Record<string, string>; target?: string } = {},
  ): Promise<ReadReply> {
    return readReply(await this.#send({ body, ...parts }));
  }

  /** Opens a standing stream. */
  async stream(signal?: AbortSignal): Promise<Reply> {
    return this.#send(signal === undefined ? { method: 'GET' } : { method: 'GET', signal });
  }

  async end(): Promise<ReadReply> {
    const reply = await readReply(await this.#send({ method: 'DELETE' }));
    this.session?.end();
    return reply;
  }

  /** `initialize` and `notifications/initialized`. */
  async open(name = 'tester', id: number | string = 0): Promise<ReadReply> {
    const reply = await this.post(initialize(name, id));
    await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return reply;
  }

  async #send(parts: Parameters<typeof classifiedExchange>[0]): Promise<Reply> {
    const context = new Context();
    const headers = { authorization: 'Bearer planted-in-header', cookie: 'planted=cookie', ...parts?.headers };
    const exchange = classifiedExchange({ ...parts, context, headers });
    const opening = context.get(callSlot)?.method === 'initialize';
    if (opening) {
      sessions += 1;
      const session = new TestSession(`client-facing-${sessions}`, context.get(callSlot)?.message?.text);
      context.set(sessionSlot, session);
      return this.#opened(session, exchange);
    }
    if (this.session !== undefined && context.get(callSlot)?.era === 'legacy') context.set(sessionSlot, this.session);
    return this.#handler(exchange);
  }

  async #opened(session: TestSession, exchange: Exchange): Promise<Reply> {
    const reply = await this.#handler(exchange);
    const id = headerOf(reply.head.headers, SESSION_HEADER);
    if (id === undefined) {
      session.end();
      return reply;
    }
    session.bind({ target: exchange.context.get(targetSlot) ?? 'test', sessionId: id });
    this.session = session;
    return reply;
  }
}

export function initialize(name = 'tester', id: number | string = 0): JsonObject {
  return {
    jsonrpc: '2.0',
    id,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: { sampling: {} }, clientInfo: { name, version: '1' } },
  };
}

export function call(id: number | string, name: string, args: object = {}, meta?: object): JsonObject {
  return {
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name, arguments: args, ...(meta && { _meta: meta }) },
  } as JsonObject;
}

export function result(id: unknown, text: string): JsonObject {
  return { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text }] } } as JsonObject;
}

/** A recorder whose tapes are in memory. */
export interface RecordingRig {
  readonly layer: Recorder;
  readonly clock: ManualClock;
  readonly tapes: readonly (MemoryTape & { readonly scope: TapeScope })[];
  /** The tapes as they are read, in the order they were opened. */
  read(): Tape[];
}

export function recordingRig(
  options: Partial<RecorderOptions> = {},
  components: Pick<RecorderComponents, 'defer'> = {},
): RecordingRig {
  const clock = new ManualClock();
  const tapes: (MemoryTape & { readonly scope: TapeScope })[] = [];
  const layer = recorder(
    { layout: 'file', by: 'test', ...options },
    {
      open: (scope, head) => {
        const tape = Object.assign(memoryTape(`t${tapes.length + 1}.tape.jsonl`, head, { clock, newDigest }), {
          scope,
        });
        tapes.push(tape);
        return tape;
      },
      redactor,
      keyId: 'key-1',
      clock,
      log: silentLog,
      ...components,
    },
  );
  return {
    layer,
    clock,
    tapes,
    read: () => tapes.map((tape) => readTape(bytesOf(tape.text), { name: tape.name, newDigest })),
  };
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A replay of these tapes. */
export function replayRig(
  tapes: readonly Tape[],
  options: ReplayOptions = {},
): { replay: Replay; clock: ManualClock; warnings: string[] } {
  const clock = new ManualClock();
  const warnings: string[] = [];
  let ids = 0;
  const replay = replayHandler(tapes, options, {
    redactor,
    keyId: 'key-1',
    clock,
    log: { ...silentLog, warn: (_, message) => void warnings.push(message) },
    newId: () => {
      ids += 1;
      return `replay-session-${ids}`;
    },
  });
  return { replay, clock, warnings };
}

/** Records what `drive` does against `server`, and gives back the tapes. */
export async function record(
  server: Handler,
  drive: (client: TestClient, handler: Handler) => Promise<void>,
  options: Partial<RecorderOptions> = {},
): Promise<Tape[]> {
  const rig = recordingRig(options);
  const handler = (rig.layer as Layer)(server);
  await drive(new TestClient(handler), handler);
  await rig.layer.close();
  return rig.read();
}

/** One record a line, without times: what a test compares. */
export function linesOf(tape: { readonly text: string }): string[] {
  return tape.text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/"t":\d+,/, ''));
}
