// The server behind every contender: answers MCP as cheaply as node:http can, so that the proxy is what is measured.
//   node upstream.mjs http PORT [KEEP_ALIVE_MS] | stdio
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const INITIALIZE = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {} },
  serverInfo: { name: 'bench-upstream', version: '1.0.0' },
};
const ECHO_TOOL = {
  name: 'echo',
  description: 'Echoes',
  inputSchema: { type: 'object', properties: { message: { type: 'string' } } },
};

function answer(message) {
  const result =
    message.method === 'initialize'
      ? INITIALIZE
      : message.method === 'tools/list'
        ? { tools: [ECHO_TOOL] }
        : { content: [{ type: 'text', text: `echo ${message.params?.arguments?.message}` }] };
  return JSON.stringify({ jsonrpc: '2.0', id: message.id, result });
}

function http(port, keepAlive) {
  const server = createServer((request, response) => {
    if (request.method !== 'POST') return void response.writeHead(request.method === 'DELETE' ? 200 : 405).end();
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const message = JSON.parse(Buffer.concat(chunks).toString());
      if (message.id === undefined) return void response.writeHead(202).end();
      const body = Buffer.from(answer(message));
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': body.length,
        'mcp-session-id': 'bench-session',
      });
      response.end(body);
    });
  });
  server.keepAliveTimeout = keepAlive;
  server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/mcp`));
}

function stdio() {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const message = JSON.parse(line);
    if (message.id !== undefined && message.method !== undefined) process.stdout.write(`${answer(message)}\n`);
  });
}

if (process.argv[2] === 'http') http(Number(process.argv[3] ?? 0), Number(process.argv[4] ?? 60_000));
else stdio();
