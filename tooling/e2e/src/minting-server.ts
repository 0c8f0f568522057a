import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * An MCP server over stdio that hands out handles which are other ones each time: `mint` makes one, `use` wants one that it
 * has made. What a recording of it says is true of no other run.
 */
const SCRIPT = `
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
const handles = new Set();
const text = (value) => ({ content: [{ type: 'text', text: value }] });
function call({ name, arguments: args = {} }) {
  if (name === 'mint') {
    const handle = randomUUID();
    handles.add(handle);
    return { ...text(JSON.stringify({ handle })), structuredContent: { handle } };
  }
  if (name === 'use') return handles.has(args.handle) ? text('used ' + args.handle) : { ...text('no such handle'), isError: true };
  return text(JSON.stringify(args));
}
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const info = { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'minting', version: '1' } };
  const known = { initialize: () => info, 'tools/call': () => call(params), ping: () => ({}) }[method];
  const answer = known === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result: known() };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...answer }) + '\\n');
}
`;

/** Puts the server into a folder; the command line that starts it. */
export async function mintingServer(folder: string): Promise<readonly string[]> {
  const script = join(folder, 'minting.mjs');
  await writeFile(script, SCRIPT);
  return [process.execPath, script];
}
