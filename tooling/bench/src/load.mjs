// The load: N clients, each with a session of its own, each calling one small tool after the other.
import { Pool } from 'undici';

const ACCEPT = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** Opens a session as a legacy client does; returns the headers of its later requests. */
async function open(pool, path) {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
  const first = await post(pool, path, ACCEPT, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const session = first.headers['mcp-session-id'];
  const headers = {
    ...ACCEPT,
    'mcp-protocol-version': '2025-11-25',
    ...(session ? { 'mcp-session-id': session } : {}),
  };
  await post(pool, path, headers, { jsonrpc: '2.0', method: 'notifications/initialized' });
  return headers;
}

async function post(pool, path, headers, message) {
  const response = await pool.request({ path, method: 'POST', headers, body: JSON.stringify(message) });
  const text = await response.body.text();
  if (response.statusCode >= 300) throw new Error(`HTTP ${response.statusCode}: ${text.slice(0, 200)}`);
  return { headers: response.headers, text };
}

function checkAnswer(text, expected) {
  const json = text.startsWith('{')
    ? text
    : text
        .split('\n')
        .findLast((line) => line.startsWith('data: {'))
        ?.slice(6);
  const answer = JSON.parse(json ?? 'null');
  if (answer?.result?.content?.[0]?.text !== expected) throw new Error(`wrong answer: ${text.slice(0, 200)}`);
}

/**
 * Runs `requests` tools/call over `clients` sessions against `url`; every answer is checked.
 * Resolves to `run(requests)` for repeated rounds on the same sessions, and `close()`.
 */
export async function makeLoad(url, clients) {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections: clients, pipelining: 1, headersTimeout: 30_000 });
  const sessions = [];
  for (let i = 0; i < clients; i++) sessions.push(await open(pool, pathname));
  let id = 1;
  const call = async (headers, latencies) => {
    const message = `m${id}`;
    const started = process.hrtime.bigint();
    const request = {
      jsonrpc: '2.0',
      id: id++,
      method: 'tools/call',
      params: { name: 'echo', arguments: { message } },
    };
    const { text } = await post(pool, pathname, headers, request);
    latencies.push(Number(process.hrtime.bigint() - started) / 1e6);
    checkAnswer(text, `echo ${message}`);
  };
  return {
    async run(requests) {
      const latencies = [];
      let left = requests;
      const started = process.hrtime.bigint();
      await Promise.all(
        sessions.map(async (headers) => {
          while (left-- > 0) await call(headers, latencies);
        }),
      );
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      latencies.sort((a, b) => a - b);
      const at = (q) => latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))];
      return { requests, seconds, perSecond: requests / seconds, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
    },
    async close() {
      for (const headers of sessions) {
        await pool.request({ path: pathname, method: 'DELETE', headers }).then(
          (r) => r.body.dump(),
          () => {},
        );
      }
      await pool.close();
    },
  };
}
