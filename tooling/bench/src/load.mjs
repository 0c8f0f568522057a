// The load: N clients, each with a session of its own, each calling one small tool after the other.
import { Pool } from 'undici';

const ACCEPT = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** Opens a session as a legacy client does; returns the headers of its later requests. */
export async function openSession(pool, path) {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
  const first = await post({ pool, path, headers: ACCEPT }, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const session = first.headers['mcp-session-id'];
  const headers = {
    ...ACCEPT,
    'mcp-protocol-version': '2025-11-25',
    ...(session ? { 'mcp-session-id': session } : {}),
  };
  await post({ pool, path, headers }, { jsonrpc: '2.0', method: 'notifications/initialized' });
  return headers;
}

async function post({ pool, path, headers }, message) {
  const response = await pool.request({ path, method: 'POST', headers, body: JSON.stringify(message) });
  const text = await response.body.text();
  if (response.statusCode >= 300) {
    throw Object.assign(new Error(`HTTP ${response.statusCode}: ${text.slice(0, 200)}`), {
      status: response.statusCode,
    });
  }
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

/** Calls the tool once, checks its answer, and resolves with how long that took, in milliseconds. */
export async function callTool(target, id) {
  const message = `m${id}`;
  const request = { jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'echo', arguments: { message } } };
  const started = performance.now();
  const { text } = await post(target, request);
  const took = performance.now() - started;
  checkAnswer(text, `echo ${message}`);
  return took;
}

/** Ends a session as a legacy client does. Never rejects: servers may refuse to end one. */
export async function endSession(pool, path, headers) {
  const answer = await pool.request({ path, method: 'DELETE', headers }).catch(() => undefined);
  await answer?.body.dump();
}

/**
 * Opens `clients` sessions at `url`. `run(requests)` makes so many calls over them, each client one after the other, checks
 * every answer and resolves to what it measured; it may be called again and again. `close()` ends the sessions.
 * @param {string} url
 * @param {number} clients
 */
export async function makeLoad(url, clients) {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections: clients, pipelining: 1, headersTimeout: 30_000 });
  const sessions = [];
  const close = async () => {
    for (const headers of sessions) await endSession(pool, pathname, headers);
    await pool.destroy();
  };
  try {
    for (let i = 0; i < clients; i += 1) sessions.push(await openSession(pool, pathname));
  } catch (error) {
    await close();
    throw error;
  }
  let id = 0;
  const call = (headers) => {
    id += 1;
    return callTool({ pool, path: pathname, headers }, id);
  };
  return { run: (requests) => run({ requests, sessions, call }), close };
}

async function run({ requests, sessions, call }) {
  const latencies = [];
  let left = requests;
  const started = performance.now();
  const client = async (headers) => {
    try {
      while (left-- > 0) latencies.push(await call(headers));
    } catch (error) {
      left = 0;
      throw error;
    }
  };
  const outcomes = await Promise.allSettled(sessions.map(client));
  for (const { reason } of outcomes) if (reason !== undefined) throw reason;
  const seconds = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (quantile) => latencies[Math.min(latencies.length - 1, Math.floor(quantile * latencies.length))];
  return { perSecond: requests / seconds, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
