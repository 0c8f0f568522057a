import { Context, type Exchange, type Log, silentLog } from '@shadowcat/kernel';
import { classifiedExchange, ManualClock, type MemoryConnection, memoryLine, settled } from '@shadowcat/testkit';
import { type JsonObject, LineClient, type LineClientOptions, type SessionHandle, sessionSlot } from '@shadowcat/wire';

/** A session as the session layer would hand it on; `end()` ends it. */
export function sessionDouble(id: string, subscriptions: readonly string[] = []): SessionHandle & { end(): void } {
  const listeners = new Set<() => void>();
  let ended = false;
  return {
    id,
    initializeText: '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}',
    initializeResult: undefined,
    protocolVersion: '2025-11-25',
    upstream: undefined,
    bind() {},
    restore: { logLevel: undefined, subscriptions },
    get ended() {
      return ended;
    },
    onEnd(done) {
      listeners.add(done);
      return () => listeners.delete(done);
    },
    end() {
      ended = true;
      for (const done of listeners) done();
    },
  };
}

export const MODERN_META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };

/** A client's POST, as it reaches the innermost handlers. */
export function post(body: object | string, more: { session?: SessionHandle; signal?: AbortSignal } = {}): Exchange {
  const context = new Context();
  if (more.session !== undefined) context.set(sessionSlot, more.session);
  return classifiedExchange({ body, context, ...(more.signal === undefined ? {} : { signal: more.signal }) });
}

/** A line client and the server at the other end of its line, played by the test. */
export class Bench {
  readonly clock = new ManualClock();
  readonly server: MemoryConnection;
  readonly client: LineClient;
  /** What the server heard and has not looked at yet. */
  readonly heard: JsonObject[] = [];
  readonly warnings: string[] = [];
  serverClosed = false;

  constructor(options: LineClientOptions = {}) {
    const { near, far } = memoryLine({ names: ['pid 1', 'server'] });
    this.server = far;
    const log: Log = { ...silentLog, warn: (_details, message) => void this.warnings.push(message) };
    this.client = new LineClient(near, options, { clock: this.clock, log, newId: () => 'line' });
    far.listen({
      message: (text) => void this.heard.push(JSON.parse(text) as JsonObject),
      closed: () => {
        this.serverClosed = true;
      },
    });
  }

  /** The messages that came to the server since the last call. */
  async received(): Promise<JsonObject[]> {
    await settled();
    return this.heard.splice(0);
  }

  /** The server says something; resolves when it has arrived. */
  async says(message: object | string): Promise<void> {
    await this.server.send(typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message }));
    await settled();
  }
}
