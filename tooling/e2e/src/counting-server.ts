import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server was sent. */
export interface Received {
  readonly method: string;
  readonly body: string;
}

type Answer = (request: { readonly id: number | string; readonly text: string }, response: ServerResponse) => void;

/**
 * An HTTP server of MCP by hand that counts what it is sent and answers with bytes that no serializer would write. Its tools:
 * `odd` answers with JSON, `events` with three events, `hold` with one event and nothing more, `reset` breaks after one event, `short` ends the
 * stream after one event, `refuse` is an HTTP error, and `wait` never answers.
 */
export class CountingServer implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    server.on('request', (request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<CountingServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CountingServer(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    request.setEncoding('utf8');
    try {
      for await (const chunk of request) body += chunk as string;
    } catch {
      // The client went away before it had said everything.
    }
    this.received.push({ method: request.method ?? '', body });
    if (request.method === 'GET') stream(response, ': here\n\n');
    else if (request.method === 'DELETE') response.writeHead(204).end();
    else answer(body, response);
  }
}

const ODD = '"result": { "z":1.0 ,"a":9007199254740993,"content":[ {"type":"text","text":"\\u00e9 \\/ é"} ] }';
const PROGRESS = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1.0}}';

const TOOLS: Readonly<Record<string, Answer>> = {
  odd: ({ id }, response) => json(response, `{"jsonrpc" : "2.0", "id":${JSON.stringify(id)}, ${ODD}}`),
  events: ({ id }, response) => {
    stream(response, `: a comment\nevent: message\ndata: ${PROGRESS}\n\n`);
    response.write(
      `data:{"jsonrpc":"2.0",\ndata:"method":"notifications/message","params":{"level":"info","data":1.50}}\n\n`,
    );
    response.end(`id: last\ndata: {"jsonrpc":"2.0","id":${JSON.stringify(id)},${ODD}}\n\n`);
  },
  hold: (_, response) => stream(response, `data: ${PROGRESS}\n\n`),
  reset: (_, response) => {
    stream(response, `data: ${PROGRESS}\n\n`);
    setImmediate(() => response.destroy());
  },
  short: (_, response) => {
    stream(response, `data: ${PROGRESS}\n\n`);
    response.end();
  },
  refuse: (_, response) => response.writeHead(418, { 'content-type': 'text/plain' }).end('no tea'),
  wait: () => {},
};

function answer(body: string, response: ServerResponse): void {
  const message = JSON.parse(body) as { id?: number | string; method?: string; params?: { name?: string } } | unknown[];
  if (Array.isArray(message) || message.id === undefined) {
    response.writeHead(202).end();
    return;
  }
  const { id, method, params } = message;
  if (method === 'initialize') {
    const result = {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'by-hand', version: '1' },
    };
    response.setHeader('mcp-session-id', `session-${Math.random().toString(36).slice(2)}`);
    json(response, JSON.stringify({ jsonrpc: '2.0', id, result }));
  } else (TOOLS[params?.name ?? ''] ?? TOOLS['odd'])?.({ id, text: body }, response);
}

function json(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(text);
}

function stream(response: ServerResponse, first: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(first);
}
