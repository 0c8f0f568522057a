import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * An MCP server that gives away whatever it is told: the tool `login` repeats its arguments as JSON in text, in a URL, as a
 * command line and as a resource in base64, and on stderr; `large` in a text of 200 kB. It also tells what stands in its environment.
 */
const SCRIPT = `
import { createInterface } from 'node:readline';
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
const text = (value) => ({ type: 'text', text: value });
const tool = (name) => ({ name, inputSchema: { type: 'object', properties: { password: { type: 'string' } } } });
function call({ name, arguments: given }) {
  const secret = given.password;
  process.stderr.write('DEBUG login with --password ' + secret + '\\n');
  process.stderr.write(JSON.stringify({ level: 'debug', headers: { authorization: 'Bearer ' + secret } }) + '\\n');
  if (name === 'large') return { content: [text('x'.repeat(200000) + ' token=' + secret)] };
  return {
    content: [
      text(JSON.stringify({ session: { token: secret }, argv: ['--token', secret] })),
      text('see https://user:' + secret + '@example.com/?api_key=' + secret),
      text('environment: ' + process.env.UPSTREAM_SECRET),
      text('PASSWORD=' + secret + ' ./run'),
      { type: 'resource', resource: { uri: 'file:///.env', mimeType: 'text/plain', blob: btoa('API_KEY=' + secret) } },
    ],
  };
}
const answers = {
  initialize: () => ({ protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'leaky', version: '1' } }),
  'tools/list': () => ({ tools: [tool('login'), tool('large')] }),
  'tools/call': call,
};
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const answer = answers[method];
  if (answer === undefined) say({ id, error: { code: -32601, message: 'Method not found' } });
  else say({ id, result: answer(params) });
}
`;

/** Puts the server into a folder; gives the command that starts it. */
export async function leakyServer(folder: string): Promise<readonly [command: string, script: string]> {
  const script = join(folder, 'leaky.mjs');
  await writeFile(script, SCRIPT);
  return [process.execPath, script];
}
