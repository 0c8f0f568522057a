import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readMessages } from '@shadowcat/wire';
import { afterEach } from 'vitest';

/** What a method, or a tool as `tools/call:name`, is answered with; `undefined`: HTTP 500. */
export type LiveAnswers = Readonly<Record<string, (params: Params) => Answered>>;
type Params = { readonly name?: string; readonly arguments?: Readonly<Record<string, unknown>> };
type Answered = { readonly result: object } | { readonly error: { readonly code: number; readonly message: string } };

export const text = (value: string): { readonly result: object } => ({
  result: { content: [{ type: 'text', text: value }] },
});

/** The answer to `initialize`. */
export const OPENED = {
  result: { protocolVersion: '2025-03-26', capabilities: { tools: {} }, serverInfo: { name: 'live', version: '1' } },
};

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** An MCP server over HTTP in this process, until the test is over. `bodies`: what it was sent, as it came. */
export async function liveServer(answers: LiveAnswers): Promise<{ readonly url: string; readonly bodies: string[] }> {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const body = Buffer.concat(chunks);
    bodies.push(body.toString());
    const { batch, messages } = readMessages(body);
    const replies = messages.flatMap(({ kind, id, method = '', value }) => {
      if (kind !== 'request') return [];
      const params = (value['params'] ?? {}) as Params;
      const own = answers[`${method}:${params.name}`] ?? answers[method] ?? (() => ({ result: {} }));
      return [
        { jsonrpc: '2.0', id, ...(method === 'initialize' && answers[method] === undefined ? OPENED : own(params)) },
      ];
    });
    if (replies.length === 0) return void response.writeHead(202).end();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(batch ? replies : replies[0]));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, bodies };
}
