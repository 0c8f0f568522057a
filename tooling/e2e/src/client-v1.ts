import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { Answers } from './answers.js';
import { toJson } from './json.js';
import { CLIENT_CAPABILITIES, type ConnectOptions, REQUEST_MS, type Target, type TestClient } from './test-client.js';

/** Connects the official SDK v1, which speaks the legacy revisions, and answers whatever the server asks. */
export async function connectV1(target: Target, { roots, onMessage }: ConnectOptions = {}): Promise<TestClient> {
  const client = new Client({ name: 'e2e-v1', version: '1.0.0' }, { capabilities: CLIENT_CAPABILITIES });
  const answers = new Answers(roots);
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => answers.sample(params));
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => answers.elicit(params as object));
  client.setRequestHandler(ListRootsRequestSchema, () => answers.listRoots());
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => answers.log(params));
  const transport = transportTo(target);
  const options = { timeout: REQUEST_MS };
  // The SDK's own transports are not assignable to its Transport type under exactOptionalPropertyTypes.
  const line = transport as Transport;
  await client.connect(line, options);
  const receive = line.onmessage;
  if (onMessage) {
    line.onmessage = (message, extra) => {
      onMessage(toJson(message));
      receive?.(message, extra);
    };
  }
  return {
    era: 'legacy',
    requests: answers.requests,
    logs: answers.logs,
    ping: async () => toJson(await client.ping(options)),
    listTools: async () => toJson(await client.listTools({}, options)),
    listResources: async () => toJson(await client.listResources({}, options)),
    listResourceTemplates: async () => toJson(await client.listResourceTemplates({}, options)),
    listPrompts: async () => toJson(await client.listPrompts({}, options)),
    readResource: async (uri) => toJson(await client.readResource({ uri }, options)),
    getPrompt: async (name, args) =>
      toJson(await client.getPrompt({ name, ...(args && { arguments: args }) }, options)),
    callTool: async (name, args, { onProgress } = {}) =>
      toJson(
        await client.callTool({ name, arguments: { ...args } }, undefined, {
          ...options,
          ...(onProgress && { onprogress: (progress) => onProgress(toJson(progress) as never) }),
        }),
      ),
    complete: async (prompt, argument) =>
      toJson(await client.complete({ ref: { type: 'ref/prompt', name: prompt }, argument }, options)),
    [Symbol.asyncDispose]: async () => {
      if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
      await client.close();
    },
  };
}

/** The URL tells the transport: `ws:` WebSocket, a path that ends in `/sse` the legacy pair, else Streamable HTTP. */
function transportTo(
  target: Target,
): StdioClientTransport | StreamableHTTPClientTransport | SSEClientTransport | WebSocketClientTransport {
  if ('url' in target) {
    const url = new URL(target.url);
    if (url.protocol === 'ws:') return new WebSocketClientTransport(url);
    return url.pathname.endsWith('/sse') ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url);
  }
  const { args = [], env, ...rest } = target;
  return new StdioClientTransport({ ...rest, args: [...args], stderr: 'ignore', ...(env && { env: { ...env } }) });
}
