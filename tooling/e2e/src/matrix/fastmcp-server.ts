// A server made with fastmcp, for the matrix: `fastmcp-server.js http PORT` or `fastmcp-server.js stdio`.

import { FastMCP, UserError } from 'fastmcp';
import { z } from 'zod';

const server = new FastMCP({ name: 'e2e-fastmcp', version: '1.0.0' });

server.addTool({
  name: 'echo',
  description: 'Repeats a message',
  parameters: z.object({ message: z.string() }),
  execute: async ({ message }) => `Echo: ${message}`,
});

server.addTool({
  name: 'add',
  description: 'Adds two numbers',
  parameters: z.object({ a: z.number(), b: z.number() }),
  execute: async ({ a, b }) => `Sum: ${a + b}`,
});

server.addTool({
  name: 'fail',
  description: 'Fails',
  parameters: z.object({}),
  execute: async () => {
    throw new UserError('failed as asked');
  },
});

server.addTool({
  name: 'count',
  description: 'Counts up and tells its progress',
  parameters: z.object({ steps: z.number() }),
  execute: async ({ steps }, { reportProgress }) => {
    for (let i = 1; i <= steps; i++) await reportProgress({ progress: i, total: steps });
    return `counted to ${steps}`;
  },
});

server.addPrompt({
  name: 'greet',
  description: 'A greeting',
  arguments: [{ name: 'who', description: 'Whom to greet', required: true }],
  load: async ({ who }) => `Greet ${who}`,
});

server.addResource({
  uri: 'text://notes',
  name: 'notes',
  mimeType: 'text/plain',
  load: async () => ({ text: 'notes of fastmcp' }),
});

const [transport, port] = process.argv.slice(2);
if (transport === 'http') {
  await server.start({ transportType: 'httpStream', httpStream: { port: Number(port), host: '127.0.0.1' } });
  process.stderr.write(`listening on port ${port}\n`);
} else {
  await server.start({ transportType: 'stdio' });
}
