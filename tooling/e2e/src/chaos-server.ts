import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { onOwnPort } from './own-port.js';

/** What becomes of one call of a tool. Where `runs` it is in the ledger, whatever its client hears. */
interface Fate {
  readonly runs: boolean;
  readonly how: 'answer' | 'stream' | 'cut' | 'reset' | 'page' | 'late' | 'lost' | number;
}

const FATES: readonly Fate[] = [
  { runs: true, how: 'answer' },
  { runs: true, how: 'stream' },
  { runs: true, how: 'late' },
  { runs: true, how: 'cut' },
  { runs: true, how: 'reset' },
  { runs: false, how: 'reset' },
  { runs: true, how: 'page' },
  { runs: false, how: 'lost' },
  { runs: true, how: 502 },
  { runs: false, how: 503 },
  { runs: true, how: 504 },
  { runs: true, how: 500 },
];

export interface ChaosServer extends AsyncDisposable {
  /** Streamable HTTP. */
  readonly url: string;
  /** The legacy HTTP+SSE pair. */
  readonly pairUrl: string;
  /** How many calls were dealt with in each way. */
  readonly fates: ReadonlyMap<string, number>;
  /** Stops listening and closes all connections; `up` listens again on the same port. */
  down(): Promise<void>;
  up(): Promise<void>;
}

export interface ChaosOptions {
  readonly era: 'modern' | 'legacy';
  /** 0 to 1. */
  readonly random: () => number;
  /** Told of each call that runs, by its argument `id`. */
  readonly ran: (id: string) => void;
}

interface Rpc {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly name?: string; readonly arguments?: { readonly id?: string } };
}

const TOOLS = [{ name: 'pay' }, { name: 'look', annotations: { readOnlyHint: true } }].map((tool) => ({
  ...tool,
  inputSchema: { type: 'object' },
}));

/** A server that runs each call it gets once, and deals with half of them in every way that servers fail. */
export async function startChaosServer(options: ChaosOptions): Promise<ChaosServer> {
  const chaos = new Chaos(options);
  const server = createServer((request, response) => {
    response.on('error', () => {});
    chaos.serve(request, response).catch(() => response.destroy());
  });
  const place = await onOwnPort(server);
  const origin = `http://127.0.0.1:${place.port}`;
  return {
    url: `${origin}/mcp`,
    pairUrl: `${origin}/sse`,
    fates: chaos.fates,
    down: place.down,
    up: place.up,
    [Symbol.asyncDispose]: place.down,
  };
}

class Chaos {
  readonly fates = new Map<string, number>();
  readonly #options: ChaosOptions;
  readonly #sessions = new Set<string>();
  readonly #streams = new Map<string, ServerResponse>();

  constructor(options: ChaosOptions) {
    this.#options = options;
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://here');
    if (request.method === 'GET' && url.pathname === '/sse') return this.#openPair(response);
    let text = '';
    for await (const chunk of request) text += String(chunk);
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const asked = JSON.parse(text) as Rpc | Rpc[];
    const messages = Array.isArray(asked) ? asked : [asked];
    if (url.pathname === '/message') return this.#pairMessage(url.searchParams.get('s') ?? '', messages, response);
    const session = request.headers['mcp-session-id'];
    const modern = request.headers['mcp-protocol-version'] === '2026-07-28';
    if (modern !== (this.#options.era === 'modern')) return refuse(response, 400, refusalOf(messages, -32600));
    const opens = messages[0]?.method === 'initialize';
    if (!modern && !opens && !this.#sessions.has(String(session)))
      return refuse(response, 404, refusalOf(messages, -32001));
    const calls = messages.filter(({ method }) => method === 'tools/call');
    if (calls.length > 0) return this.#call(response, { messages, session: String(session), modern });
    const answers = messages.flatMap((message) => this.#answerTo(message) ?? []);
    if (answers.length === 0) return void response.writeHead(202).end();
    const id = opens ? randomUUID() : undefined;
    if (id !== undefined) this.#sessions.add(id);
    json(response, Array.isArray(asked) ? answers : answers[0], id === undefined ? {} : { 'mcp-session-id': id });
  }

  #fate(): Fate {
    const { random } = this.#options;
    const fate = random() < 0.5 ? FATES[0] : FATES[Math.floor(random() * FATES.length)];
    if (fate === undefined) throw new Error('there is no such fate');
    const name = `${fate.runs ? 'ran, ' : ''}${fate.how}`;
    this.fates.set(name, (this.fates.get(name) ?? 0) + 1);
    return fate;
  }

  #run(messages: readonly Rpc[]): void {
    for (const { params } of messages) {
      if (params?.name === 'pay') this.#options.ran(params.arguments?.id ?? '');
    }
  }

  #call(
    response: ServerResponse,
    { messages, session, modern }: { messages: readonly Rpc[]; session: string; modern: boolean },
  ): void {
    const { runs, how } = this.#fate();
    if (runs) this.#run(messages);
    const answers = messages.flatMap((message) => this.#answerTo(message) ?? []);
    const answer = messages.length > 1 ? answers : answers[0];
    if (how === 'answer') return json(response, answer);
    if (how === 'late') return void setTimeout(() => json(response, answer), 100);
    if (how === 'reset') return void response.destroy();
    if (how === 'page') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>ok</p>');
    if (how === 'lost') {
      if (modern) return void response.destroy();
      this.#sessions.delete(session);
      return refuse(response, 404, refusalOf(messages, -32001));
    }
    if (typeof how === 'number') return void response.writeHead(how, { 'retry-after': '0' }).end();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': begun\n\n');
    if (how === 'cut') return void setTimeout(() => response.destroy(), 10);
    response.end(answers.map((one) => `data: ${JSON.stringify(one)}\n\n`).join(''));
  }

  #openPair(response: ServerResponse): void {
    const id = randomUUID();
    this.#streams.set(id, response);
    response.on('close', () => this.#streams.delete(id));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`event: endpoint\ndata: /message?s=${id}\n\n`);
  }

  #pairMessage(id: string, messages: readonly Rpc[], response: ServerResponse): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return void response.writeHead(404).end();
    const isCall = messages.some(({ method }) => method === 'tools/call');
    const { runs, how } = isCall ? this.#fate() : { runs: false, how: 'answer' as const };
    if (runs) this.#run(messages);
    if (how === 'reset') return void response.destroy();
    if (how === 'cut') return void stream.destroy();
    if (how === 'lost') return void response.writeHead(404).end();
    if (typeof how === 'number') return void response.writeHead(how).end();
    response.writeHead(202).end();
    for (const message of messages) {
      const answer = this.#answerTo(message);
      if (answer !== undefined) stream.write(`event: message\ndata: ${JSON.stringify(answer)}\n\n`);
    }
  }

  #answerTo({ id, method }: Rpc): object | undefined {
    if (id === undefined || method === undefined) return undefined;
    const serverInfo = { name: 'chaos', version: '1' };
    const capabilities = { tools: {} };
    const results: Record<string, object> = {
      initialize: { protocolVersion: '2025-03-26', capabilities, serverInfo },
      'server/discover': { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities, serverInfo },
      'tools/list': { resultType: 'complete', tools: TOOLS, ttlMs: 0, cacheScope: 'private' },
      'tools/call': { resultType: 'complete', content: [{ type: 'text', text: 'done' }] },
    };
    return { jsonrpc: '2.0', id, result: results[method] ?? {} };
  }
}

function json(response: ServerResponse, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

function refusalOf([first]: readonly Rpc[], code: number): object {
  const error = { code, message: code === -32001 ? 'Session not found' : 'Not understood' };
  return { jsonrpc: '2.0', id: first?.id ?? null, error };
}

function refuse(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
