// A server whose calls report one step and say when: the step carries the monotonic time at which it was written.
//   node stamping-upstream.mjs http PORT | stdio
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const INITIALIZE = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {} },
  serverInfo: { name: 'stamping-upstream', version: '1.0.0' },
};
/** From the request to the step, and from the step to the answer, in milliseconds: nothing may be sent together. */
const PAUSE = 3;

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE));
const answer = (id, result) => JSON.stringify({ jsonrpc: '2.0', id, result });

/** Monotonic time is the same for all processes of a machine. */
function step(message) {
  const params = { progressToken: message.params?._meta?.progressToken, progress: 1 };
  const text = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params });
  return text.replace('"progress":1', `"progress":1,"message":"at ${process.hrtime.bigint()}"`);
}

async function call(message, say) {
  await pause();
  say(step(message));
  await pause();
  say(answer(message.id, { content: [] }));
}

function http(port) {
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST') return void response.writeHead(request.method === 'DELETE' ? 200 : 405).end();
    const message = JSON.parse(Buffer.concat(await request.toArray()).toString());
    if (message.id === undefined) return void response.writeHead(202).end();
    if (message.method !== 'tools/call') {
      const headers = { 'content-type': 'application/json', 'mcp-session-id': 'bench-session' };
      return void response.writeHead(200, headers).end(answer(message.id, INITIALIZE));
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    let id = 0;
    await call(message, (text) => response.write(`id: ${message.id}-${id++}\nevent: message\ndata: ${text}\n\n`));
    response.end();
  });
  server.keepAliveTimeout = 60_000;
  server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/mcp`));
}

function stdio() {
  const say = (text) => process.stdout.write(`${text}\n`);
  createInterface({ input: process.stdin }).on('line', (line) => {
    const message = JSON.parse(line);
    if (message.id === undefined) return;
    if (message.method === 'tools/call') void call(message, say);
    else say(answer(message.id, INITIALIZE));
  });
}

if (process.argv[2] === 'http') http(Number(process.argv[3] ?? 0));
else stdio();
