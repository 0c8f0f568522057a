import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatTapeFile } from '@shadowcat/tape-file';
import type { TapeTransport } from '../../src/testing/client-transport.js';
import { emptyDirectory } from '../support/fake-host.js';

/**
 * A sealed golden tape in a directory of its own: one session, in which `tools` are called, each once. A tool named `ask` asks
 * for the roots before it answers.
 */
export async function smallTape(...tools: readonly string[]): Promise<{ path: string; cwd: string }> {
  const cwd = emptyDirectory();
  const path = join(cwd, 'small.tape.jsonl');
  const hello = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
  const lines: object[] = [
    { k: 'head', v: 1, form: 'golden', requires: [], scope: 'all' },
    { k: 'conn', s: 's1', event: 'opened', by: 'client' },
    { k: 'sess', s: 's1', era: 'legacy', version: '2025-11-25', client: hello.clientInfo, server: hello.clientInfo },
    ...exchange(
      'initialize#1',
      { id: 1, method: 'initialize', params: hello },
      { ...hello, serverInfo: hello.clientInfo },
    ),
    ...tools.flatMap((name, at) =>
      (name === 'ask' ? asking : exchange)(
        `tools/call:${name}#1`,
        { id: at + 2, method: 'tools/call', params: { name } },
        { content: [] },
      ),
    ),
    { k: 'conn', s: 's1', event: 'closed', by: 'client' },
    { k: 'end', lines: 0, lost: 0, sha: '0'.repeat(64) },
  ];
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  await formatTapeFile(path);
  return { path, cwd };
}

function asking(x: string, request: { id: number; method: string; params: object }, result: object): object[] {
  const [head, asked, answerHead, ...rest] = exchange(x, request, result);
  const stream = { ...answerHead, headers: { 'content-type': 'text/event-stream' } };
  const question = { k: 'msg', s: 's1', x, from: 'server', m: { jsonrpc: '2.0', id: 1, method: 'roots/list' } };
  const answer = {
    k: 'msg',
    s: 's1',
    x: 'answer#1',
    from: 'client',
    m: { jsonrpc: '2.0', id: 1, result: { roots: [] } },
  };
  return [head, asked, stream, question, answer, { k: 'x-', s: 's1', x: 'answer#1', end: 'answered' }, ...rest].map(
    (record) => record ?? {},
  );
}

function exchange(x: string, request: { id: number; method: string; params: object }, result: object): object[] {
  const about = { s: 's1', x };
  const headers = { 'content-type': 'application/json' };
  return [
    { k: 'http', ...about, from: 'client', method: 'POST', target: '/mcp', headers },
    { k: 'msg', ...about, from: 'client', m: { jsonrpc: '2.0', ...request } },
    { k: 'http', ...about, from: 'server', status: 200, headers },
    { k: 'msg', ...about, from: 'server', m: { jsonrpc: '2.0', id: request.id, result } },
    { k: 'x-', ...about, end: 'answered' },
  ];
}

/** A client that opens a session and calls these tools, one after the other, whatever it hears; then it leaves. */
export async function callTools(transport: TapeTransport, ...tools: readonly string[]): Promise<void> {
  let answered = (): void => {};
  transport.onmessage = () => answered();
  const ask = (message: object): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    answered = resolve;
    return transport.send({ jsonrpc: '2.0', ...message }).then(() => promise);
  };
  await transport.start();
  const clientInfo = { name: 'c', version: '1' };
  await ask({ id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo } });
  await transport.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  for (const [at, name] of tools.entries()) await ask({ id: at + 2, method: 'tools/call', params: { name } });
  const left = new Promise<void>((resolve) => {
    transport.onclose = resolve;
  });
  await transport.close();
  await left;
}
