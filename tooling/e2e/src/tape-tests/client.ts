import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';

/** What the tests of this folder are told by whoever runs them. */
export function told(name: 'TAPE' | 'SERVER'): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

export interface Adder extends AsyncDisposable {
  add(a: number, b: number): Promise<unknown>;
}

/** The official client v1, which adds. */
export async function adder(transport: Transport): Promise<Adder> {
  const client = new Client({ name: 'adder', version: '1.0.0' });
  await client.connect(transport);
  return {
    add: async (a, b) => (await client.callTool({ name: 'add', arguments: { a, b } })).structuredContent,
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** The same over Streamable HTTP. */
export function adderAt(url: string): Promise<Adder> {
  return adder(new StreamableHTTPClientTransport(new URL(url)));
}
