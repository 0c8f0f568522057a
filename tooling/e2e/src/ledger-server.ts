import { createServer, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { onOwnPort } from './own-port.js';

/** One request as it arrived. */
export interface Arrival {
  readonly method: string;
  /** Tool name or resource URI, where there is one. */
  readonly target: string | undefined;
  readonly id: unknown;
}

/** Answers one request; without a call of `answer` it does not. */
export type Deed = (arrival: Arrival, parts: { answer: () => void; response: ServerResponse }) => void;

/** A stateless server of 2026-07-28 that keeps a ledger of what arrived and does as it is told. */
export interface LedgerServer extends AsyncDisposable {
  readonly url: string;
  /** Requests in the order of their arrival, those of health checks left out. */
  readonly ledger: readonly Arrival[];
  /** How it deals with requests other than `server/discover`. */
  deed: Deed;
  /** Whether it also leaves `server/discover` unanswered. */
  silent: boolean;
  /** Stops listening and closes all connections; `up` listens again on the same port. */
  down(): Promise<void>;
  up(): Promise<void>;
}

export async function startLedgerServer(result: object = { ok: true }): Promise<LedgerServer> {
  const ledger: Arrival[] = [];
  const server = createServer(async (request, response) => {
    // Whose connection broke before all of it had come waits for nothing.
    const body = await text(request).catch(() => undefined);
    if (body === undefined) return;
    if (body === '') return void response.writeHead(405).end();
    const { id, method, params } = JSON.parse(body) as {
      id: unknown;
      method: string;
      params?: { name?: string; uri?: string };
    };
    const send = (value: object): void =>
      void response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id, result: value }));
    if (method === 'server/discover') {
      const server = { capabilities: {}, serverInfo: { name: 'ledger', version: '1' } };
      if (!self.silent) send({ supportedVersions: ['2026-07-28'], ...server });
      return;
    }
    const arrival = { method, target: params?.name ?? params?.uri, id };
    ledger.push(arrival);
    self.deed(arrival, { answer: () => send(result), response });
  });
  const place = await onOwnPort(server);
  const self: LedgerServer = {
    url: `http://127.0.0.1:${place.port}/mcp`,
    ledger,
    silent: false,
    deed: (_arrival, { answer }) => answer(),
    down: place.down,
    up: place.up,
    [Symbol.asyncDispose]: place.down,
  };
  return self;
}
