import { Client, StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client';
import { CLIENT_CAPABILITIES, REQUEST_MS } from './test-client.js';

export interface ModernClient extends AsyncDisposable {
  readonly client: Client;
  /** URIs of resources that were said to have changed, oldest first. */
  readonly updates: readonly string[];
  /** How often the list of tools was said to have changed. */
  readonly listChanges: () => number;
  /** The text of the tool's answer. */
  call(name: string, args?: Readonly<Record<string, unknown>>, signal?: AbortSignal): Promise<string>;
}

export interface ModernClientOptions {
  /** Sent as a bearer token: requests with one belong together for a server that has sessions. */
  readonly token?: string;
  /** What the user answers to every form. */
  readonly answer?: Readonly<Record<string, string | boolean>>;
}

/** The official client v2, pinned to 2026-07-28, over HTTP or a transport of its own. */
export async function connectModern(
  to: string | Transport,
  { token, answer = {} }: ModernClientOptions = {},
): Promise<ModernClient> {
  const client = new Client(
    { name: 'e2e-modern', version: '1.0.0' },
    { capabilities: CLIENT_CAPABILITIES, versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
  const updates: string[] = [];
  let listChanges = 0;
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void updates.push(params.uri));
  client.setNotificationHandler('notifications/tools/list_changed', () => {
    listChanges += 1;
  });
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: { ...answer } }));
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant' as const,
    model: 'e2e',
    content: { type: 'text' as const, text: 'sampled' },
  }));
  client.setRequestHandler('roots/list', () => ({ roots: [] }));
  const requestInit = token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } };
  const transport = typeof to === 'string' ? new StreamableHTTPClientTransport(new URL(to), { requestInit }) : to;
  await client.connect(transport, { timeout: REQUEST_MS });
  return {
    client,
    updates,
    listChanges: () => listChanges,
    call: async (name, args = {}, signal) => {
      const options = { timeout: REQUEST_MS, ...(signal && { signal }) };
      const result = await client.callTool({ name, arguments: { ...args } }, options);
      const { content } = result as { readonly content?: readonly { readonly text?: string }[] };
      return content?.[0]?.text ?? '';
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}
