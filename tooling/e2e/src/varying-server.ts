import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * An MCP server over stdio whose answers vary as those of real servers do: `open` mints a handle that `use` wants back, in
 * structured content, in JSON text and in a sentence; `now` tells the time; `work` reports progress and logs. With
 * `CHANGED` set `add` is off by one, with `SILENT` `work` says nothing.
 */
const SCRIPT = `
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';

const open = new Set();
const readOnly = { readOnlyHint: true };
const schema = { type: 'object' };
const output = { type: 'object', properties: { sum: { type: 'number' } }, required: ['sum'] };
const tools = [
  { name: 'add', inputSchema: schema, outputSchema: output, annotations: readOnly },
  { name: 'open', inputSchema: schema, annotations: readOnly },
  { name: 'use', inputSchema: schema, annotations: readOnly },
  { name: 'now', inputSchema: schema, annotations: readOnly },
  { name: 'work', inputSchema: schema, annotations: readOnly },
];
const off = process.env.CHANGED === undefined ? 0 : 1;
const text = (value) => ({ content: [{ type: 'text', text: value }] });
const calls = {
  add: ({ a, b }) => ({ ...text(String(a + b + off)), structuredContent: { sum: a + b + off } }),
  open: ({ how }) => {
    const handle = 'h-' + randomUUID();
    open.add(handle);
    if (how === 'sentence') return text('Opened it as ' + handle + '. Close it when done.');
    if (how === 'json') return text(JSON.stringify({ handle, size: 3 }));
    return { ...text('opened'), structuredContent: { handle } };
  },
  use: ({ handle }) => (open.has(handle) ? text('used ' + handle) : { ...text('unknown handle'), isError: true }),
  now: () => text(JSON.stringify({ at: new Date().toISOString(), zone: 'UTC' })),
  work: (args, token) => {
    for (const progress of process.env.SILENT === undefined ? [1, 2, 3] : []) {
      if (token !== undefined) say('progress', { progressToken: token, progress, total: 3 });
      say('message', { level: 'info', data: 'step ' + progress });
    }
    return text('worked');
  },
};
const say = (name, params) => console.log(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/' + name, params }));
const answer = ({ method, params }) => {
  if (method === 'initialize')
    return { protocolVersion: '2025-11-25', capabilities: { tools: {}, logging: {} }, serverInfo: { name: 'varying', version: '1' } };
  if (method === 'tools/list') return { tools };
  if (method === 'tools/call') return calls[params.name](params.arguments ?? {}, params._meta?.progressToken);
  return {};
};
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.id === undefined) continue;
  console.log(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: answer(message) }));
}
`;

/** Puts the server into a folder; resolves with the command line that starts it. */
export async function varyingServer(folder: string): Promise<readonly string[]> {
  const script = join(folder, 'varying.mjs');
  await writeFile(script, SCRIPT);
  return [process.execPath, script];
}
