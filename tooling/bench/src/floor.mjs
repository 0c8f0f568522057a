// The runtime's floor: the least that node:http and undici can do for one forwarded request, nothing else.
//   node floor.mjs UPSTREAM_URL
import { createServer } from 'node:http';
import { Pool } from 'undici';

const upstream = new URL(process.argv[2]);
const pool = new Pool(upstream.origin, { connections: 128, pipelining: 1 });

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const headers = { 'content-type': 'application/json', accept: request.headers.accept };
    if (request.headers['mcp-session-id']) headers['mcp-session-id'] = request.headers['mcp-session-id'];
    const options = { path: request.url, method: request.method, headers, body: Buffer.concat(chunks) };
    pool.dispatch(options, {
      onRequestStart() {},
      onResponseStart(_controller, status, fields) {
        const head = { 'content-type': fields['content-type'], 'mcp-session-id': fields['mcp-session-id'] };
        if (fields['content-length'] !== undefined) head['content-length'] = fields['content-length'];
        for (const name of Object.keys(head)) if (head[name] === undefined) delete head[name];
        response.writeHead(status, head);
      },
      onResponseData(_controller, chunk) {
        response.write(chunk);
      },
      onResponseEnd() {
        response.end();
      },
      onResponseError() {
        response.destroy();
      },
    });
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}${upstream.pathname}`));
