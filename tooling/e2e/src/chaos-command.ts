import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A server on stdin and stdout that runs each `pay` it gets once, writes that down first, and dies of some of them. */
const SCRIPT = `
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
const ledger = process.argv[2];
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined || method === undefined) continue;
  let result = {};
  const capabilities = { tools: {} };
  if (method === 'initialize') result = { protocolVersion: '2025-03-26', capabilities, serverInfo: { name: 'chaos', version: '1' } };
  if (method === 'tools/list') result = { tools: [{ name: 'pay', inputSchema: { type: 'object' } }] };
  if (method === 'tools/call') {
    const lot = Math.random();
    if (lot < 0.05) process.exit(9);
    if (params.name === 'pay') appendFileSync(ledger, params.arguments.id + '\\n');
    if (lot < 0.1) process.exit(9);
    if (lot < 0.15) process.kill(process.pid, 'SIGKILL');
    result = { content: [{ type: 'text', text: 'done' }] };
  }
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
}
`;

export interface ChaosCommand {
  /** The command line that starts it. */
  readonly command: readonly string[];
  /** The calls that ran, by their argument `id`. */
  ran(): Promise<string[]>;
}

/** Puts the server and its ledger into a folder. */
export async function chaosCommand(folder: string): Promise<ChaosCommand> {
  const script = join(folder, 'chaos.mjs');
  const ledger = join(folder, 'chaos-ledger');
  await writeFile(script, SCRIPT);
  await writeFile(ledger, '');
  return {
    command: [process.execPath, script, ledger],
    ran: async () => (await readFile(ledger, 'utf8')).split('\n').filter((id) => id !== ''),
  };
}
