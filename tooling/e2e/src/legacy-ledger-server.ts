import { once } from 'node:events';
import { createServer } from 'node:http';

/** A server of 2025-11-25 that keeps a ledger of what its sessions did. */
export interface LegacyLedgerServer extends AsyncDisposable {
  readonly url: string;
  /** `session method`, in the order of arrival; `end` for DELETE. */
  readonly ledger: readonly string[];
}

const TOOLS = [{ name: 'look', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }, { name: 'pay' }];

/** Every `tools/call` is answered with `text`. With `asks` it puts a question to the client first, and waits for its answer. */
export async function startLegacyLedgerServer(text: string, { asks = false } = {}): Promise<LegacyLedgerServer> {
  const ledger: string[] = [];
  let sessions = 0;
  const answered = new Map<unknown, () => void>();
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const known = request.headers['mcp-session-id'];
    if (known === undefined) sessions += 1;
    const session = String(known ?? `s${sessions}`);
    if (request.method === 'GET') return void response.writeHead(405).end();
    const message = (body === '' ? { method: 'end' } : JSON.parse(body)) as { id?: unknown; method?: string };
    ledger.push(`${session} ${message.method ?? 'answer'}`);
    if (message.method === undefined) answered.get(message.id)?.();
    if (message.id === undefined || message.method === undefined) return void response.writeHead(202).end();
    const answer = { jsonrpc: '2.0', id: message.id, result: resultOf(message.method, text) };
    if (message.method !== 'tools/call' || !asks) {
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': session });
      return void response.end(JSON.stringify(answer));
    }
    const question = { jsonrpc: '2.0', id: `q${ledger.length}`, method: 'sampling/createMessage', params: {} };
    const heard = new Promise<void>((resolve) => answered.set(question.id, resolve));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`event: message\ndata: ${JSON.stringify(question)}\n\n`);
    await heard;
    response.end(`event: message\ndata: ${JSON.stringify(answer)}\n\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    ledger,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function resultOf(method: string, text: string): object {
  if (method === 'initialize') {
    return { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'ledger', version: '1' } };
  }
  return method === 'tools/list' ? { tools: TOOLS } : { content: [{ type: 'text', text }] };
}
