import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  type LoggingLevel,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { REQUEST_MS } from './test-client.js';

/** A legacy client of an official SDK, with what a session can set and what it then hears. */
export interface ListeningClient extends AsyncDisposable {
  /** URIs of resources that were said to have changed, oldest first. */
  readonly updates: readonly string[];
  /** Levels of the log messages that came, oldest first. */
  readonly logs: readonly string[];
  setLevel(level: LoggingLevel): Promise<void>;
  subscribe(uri: string): Promise<void>;
  /** The text of the tool's answer. `onStep` is told of the progress that the server reports. */
  call(name: string, args?: Readonly<Record<string, unknown>>, onStep?: (step: number) => void): Promise<string>;
}

const options = { timeout: REQUEST_MS };
/** Comes back to a broken stream until its request is given up. */
const reconnectionOptions = {
  initialReconnectionDelay: 100,
  maxReconnectionDelay: 100,
  reconnectionDelayGrowFactor: 1,
  maxRetries: REQUEST_MS / 100,
};

/** Connects over HTTP with SDK v1, or with client v2 in its legacy mode. */
export function connectListening(kind: 'v1' | 'v2-legacy', url: string): Promise<ListeningClient> {
  return kind === 'v1' ? listeningV1(new URL(url)) : listeningV2(new URL(url));
}

async function listeningV1(url: URL): Promise<ListeningClient> {
  const client = new Client({ name: 'e2e-v1', version: '1.0.0' });
  const [updates, logs]: [string[], string[]] = [[], []];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updates.push(params.uri));
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params.level));
  const transport = new StreamableHTTPClientTransport(url, { reconnectionOptions });
  await client.connect(transport as Transport, options);
  return {
    updates,
    logs,
    setLevel: async (level) => void (await client.setLoggingLevel(level, options)),
    subscribe: async (uri) => void (await client.subscribeResource({ uri }, options)),
    call: async (name, args = {}, onStep) =>
      textOf(await client.callTool({ name, arguments: { ...args } }, undefined, withProgress(onStep))),
    [Symbol.asyncDispose]: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}

async function listeningV2(url: URL): Promise<ListeningClient> {
  const client = new ClientV2({ name: 'e2e-v2', version: '1.0.0' }, { versionNegotiation: { mode: 'legacy' } });
  const [updates, logs]: [string[], string[]] = [[], []];
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void updates.push(params.uri));
  client.setNotificationHandler('notifications/message', ({ params }) => void logs.push(params.level));
  const transport = new TransportV2(url, { reconnectionOptions });
  await client.connect(transport, options);
  return {
    updates,
    logs,
    setLevel: async (level) => void (await client.setLoggingLevel(level, options)),
    subscribe: async (uri) => void (await client.subscribeResource({ uri }, options)),
    call: async (name, args = {}, onStep) =>
      textOf(await client.callTool({ name, arguments: { ...args } }, withProgress(onStep))),
    [Symbol.asyncDispose]: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}

function withProgress(onStep: ((step: number) => void) | undefined) {
  return onStep === undefined
    ? options
    : { ...options, onprogress: (step: { progress: number }) => onStep(step.progress) };
}

function textOf(result: unknown): string {
  const { content } = result as { readonly content?: readonly { readonly text?: string }[] };
  return content?.[0]?.text ?? '';
}
