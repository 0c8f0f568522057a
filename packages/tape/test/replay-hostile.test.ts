import { describe, expect, it } from 'vitest';
import { readTape, type Tape } from '../src/index.js';
import { bytesOf, call, initialize, newDigest, replayRig, TestClient } from './support/rig.js';

/** Tapes that nobody recorded. */

const HEAD = '{"k":"head","v":1,"form":"capture","requires":[],"scope":"all"}';
const tapeOf = (lines: readonly string[]): Tape =>
  readTape(bytesOf(`${[HEAD, ...lines].join('\n')}\n`), { name: 'h.tape.jsonl', newDigest });
const msg = (s: string, x: string, from: string, m: object): string => JSON.stringify({ k: 'msg', s, x, from, m });
const opening = (s: string, name: string): string[] => [
  msg(s, '1', 'client', initialize(name)),
  msg(s, '1', 'server', { jsonrpc: '2.0', id: 0, result: { protocolVersion: '2025-11-25', serverInfo: { name } } }),
  JSON.stringify({ k: 'x-', s, x: '1', end: 'answered' }),
];

/** Many times what it takes, and less than it would take if it took time with the square of the size. */
const SOON = { timeout: 30_000 };

describe('a hostile tape', () => {
  it('of twenty thousand sessions binds each client at once, to its own', SOON, async () => {
    const lines: string[] = [];
    for (let n = 0; n < 20_000; n += 1) lines.push(...opening(`s${n + 1}`, `client ${n}`));
    const { replay } = replayRig([tapeOf(lines)]);
    for (const name of ['client 19999', 'client 5', 'client 10000']) {
      const opened = await new TestClient(replay).open(name);
      expect(opened.text).toContain(`"serverInfo":{"name":"${name}"}`);
    }
    expect(replay.summary().waitingFor).toEqual([]);
  });

  it('of fifty thousand questions on one stream is read and replayed in a moment', SOON, async () => {
    const lines = opening('s1', 'tester');
    lines.push('{"k":"http","s":"s1","x":"2","from":"client","method":"GET","target":"/mcp","headers":{}}');
    for (let id = 0; id < 50_000; id += 1) {
      lines.push(msg('s1', '2', 'server', { jsonrpc: '2.0', id, method: 'roots/list' }));
      lines.push(msg('s1', `a${id}`, 'client', { jsonrpc: '2.0', id, result: { roots: [] } }));
    }
    const { replay } = replayRig([tapeOf(lines)]);
    const client = new TestClient(replay);
    await client.open();
    expect((await client.post({ jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(200);
  });

  it('whose messages wait for each other ends with its client, and says what it waits for', async () => {
    // The answer of each call is on the tape behind the answer to a question that the other's stream asks.
    const ask = (id: number): object => ({ jsonrpc: '2.0', id, method: 'sampling/createMessage', params: {} });
    const lines = [
      ...opening('s1', 'tester'),
      msg('s1', '2', 'client', call(1, 'a')),
      msg('s1', '3', 'client', call(2, 'b')),
      msg('s1', '2', 'server', ask(7)),
      msg('s1', '3', 'server', ask(7)),
      msg('s1', '4', 'client', { jsonrpc: '2.0', id: 7, result: {} }),
      msg('s1', '5', 'client', { jsonrpc: '2.0', id: 7, result: {} }),
      msg('s1', '3', 'server', { jsonrpc: '2.0', id: 1, result: {} }),
      msg('s1', '2', 'server', { jsonrpc: '2.0', id: 2, result: {} }),
    ];
    const { replay } = replayRig([tapeOf(lines)]);
    const client = new TestClient(replay);
    await client.open();
    await client.post(call(1, 'a')).catch((error: unknown) => {
      expect(String(error)).toContain('truncated-tape');
    });
    expect(replay.summary().misses.map(({ reason }) => reason)).toEqual(['truncated-tape']);
  });
});
