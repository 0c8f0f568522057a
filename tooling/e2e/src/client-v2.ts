import {
  Client,
  LOG_LEVEL_META_KEY,
  StreamableHTTPClientTransport,
  type Transport,
} from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Answers } from './answers.js';
import { toJson } from './json.js';
import { CLIENT_CAPABILITIES, type ConnectOptions, REQUEST_MS, type Target, type TestClient } from './test-client.js';

/** The first request decides: `legacy` initializes, `auto` asks and falls back, `pinned` insists on 2026-07-28. */
export type V2Mode = 'legacy' | 'auto' | 'pinned';

const NEGOTIATION = { legacy: 'legacy', auto: 'auto', pinned: { pin: '2026-07-28' } } as const;

export interface ConnectV2Options extends ConnectOptions {
  readonly mode: V2Mode;
}

/** Connects the official client v2 in one of its modes, and answers whatever the server asks. */
export async function connectV2(target: Target, { mode, roots, onMessage }: ConnectV2Options): Promise<TestClient> {
  const client = new Client(
    { name: 'e2e-v2', version: '1.0.0' },
    { capabilities: CLIENT_CAPABILITIES, versionNegotiation: { mode: NEGOTIATION[mode] } },
  );
  const answers = new Answers(roots);
  client.setRequestHandler('sampling/createMessage', ({ params }) => answers.sample(params));
  client.setRequestHandler('elicitation/create', ({ params }) => answers.elicit(params as object));
  client.setRequestHandler('roots/list', () => answers.listRoots());
  client.setNotificationHandler('notifications/message', ({ params }) => answers.log(params));
  const transport = transportTo(target);
  const options = { timeout: REQUEST_MS };
  await client.connect(transport, options);
  const line: Transport = transport;
  const receive = line.onmessage;
  if (onMessage) {
    line.onmessage = (message, extra) => {
      onMessage(toJson(message));
      receive?.(message, extra);
    };
  }
  const era = client.getProtocolEra() ?? 'legacy';
  // A modern server logs only for requests that say from which level on.
  const meta = era === 'modern' ? { _meta: { [LOG_LEVEL_META_KEY]: 'debug' } } : {};
  // The lists as the server gives them: `client.listPrompts` and its like answer for a server that has no prompts.
  const list = async (method: 'resources/list' | 'resources/templates/list' | 'prompts/list') =>
    toJson(await client.request({ method, params: {} }, options));
  return {
    era,
    requests: answers.requests,
    logs: answers.logs,
    ping: async () => toJson(await client.ping(options)),
    listTools: async () => toJson(await client.listTools({}, options)),
    listResources: () => list('resources/list'),
    listResourceTemplates: () => list('resources/templates/list'),
    listPrompts: () => list('prompts/list'),
    readResource: async (uri) => toJson(await client.readResource({ uri }, options)),
    getPrompt: async (name, args) =>
      toJson(await client.getPrompt({ name, ...(args && { arguments: args }) }, options)),
    callTool: async (name, args, { onProgress } = {}) =>
      toJson(
        await client.callTool(
          { name, arguments: { ...args }, ...meta },
          { ...options, ...(onProgress && { onprogress: (progress) => onProgress(toJson(progress) as never) }) },
        ),
      ),
    complete: async (prompt, argument) =>
      toJson(await client.complete({ ref: { type: 'ref/prompt', name: prompt }, argument }, options)),
    [Symbol.asyncDispose]: async () => {
      if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
      await client.close();
    },
  };
}

function transportTo(target: Target): StdioClientTransport | StreamableHTTPClientTransport {
  if ('url' in target) return new StreamableHTTPClientTransport(new URL(target.url));
  const { args = [], env, ...rest } = target;
  return new StdioClientTransport({ ...rest, args: [...args], stderr: 'ignore', ...(env && { env: { ...env } }) });
}
