#!/usr/bin/env node
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { HeadlessLogin } from './conformance-oauth.js';
import { startShadowcat, workFolder } from './shadowcat.js';

/*
 * The client that the official conformance suite tests: `conformance-client.js [--proxy] URL`. The suite appends the URL of
 * its own server and says by environment variables what it wants to see. With --proxy a proxy of its own stands in between.
 */

/** What the suite says besides, as JSON in MCP_CONFORMANCE_CONTEXT. */
interface Context {
  readonly client_id?: string;
  readonly client_secret?: string;
  readonly toolCalls?: readonly { readonly name: string; readonly arguments?: Record<string, unknown> }[];
}

/** How often a person would log in before giving up. */
const MAX_LOGINS = 3;
const REQUEST = { timeout: 10_000 };

async function main(): Promise<void> {
  const url = process.argv.at(-1) ?? '';
  if (!process.argv.includes('--proxy')) return converse(url);
  await using folder = await workFolder();
  const args = ['reverse', '--upstream', url, '--forward-authorization', '--store', 'memory:'];
  await using proxy = await startShadowcat(args, folder.path);
  await converse(proxy.url);
}

async function converse(url: string): Promise<void> {
  const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Context;
  const conversation = new Conversation(url, loginOf(context));
  try {
    await conversation.connect();
    await conversation.tour(context);
  } finally {
    await conversation.close();
  }
}

function loginOf({ client_id, client_secret }: Context): HeadlessLogin {
  if (client_id !== undefined && client_secret !== undefined) {
    return new HeadlessLogin({ client: { client_id, client_secret } });
  }
  return new HeadlessLogin({ clientMetadataUrl: 'https://conformance-test.local/client-metadata.json' });
}

class Conversation {
  readonly #url: string;
  readonly #login: HeadlessLogin;
  #client: Client;
  #transport: StreamableHTTPClientTransport;

  constructor(url: string, login: HeadlessLogin) {
    this.#url = url;
    this.#login = login;
    [this.#client, this.#transport] = this.#fresh();
  }

  async connect(): Promise<void> {
    await this.#loggingIn(async () => {
      try {
        await this.#client.connect(this.#transport, REQUEST);
      } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        const used = this.#transport;
        await this.#client.close();
        [this.#client, this.#transport] = this.#fresh();
        await this.#finish(used, error);
        throw new LoggedIn();
      }
    });
  }

  /** Everything that the server offers, so that each scenario finds what it looks for. */
  async tour(context: Context): Promise<void> {
    const client = this.#client;
    const offered = client.getServerCapabilities();
    const { tools } = await this.#asking(() => client.listTools({}, REQUEST));
    const calls = context.toolCalls ?? tools.map(({ name, inputSchema }) => ({ name, arguments: sample(inputSchema) }));
    for (const { name, arguments: given } of calls) {
      await this.#asking(() => client.callTool({ name, arguments: { ...given } }, REQUEST)).catch(noted);
    }
    if (offered?.resources !== undefined) {
      const { resources } = await client.listResources({}, REQUEST);
      for (const { uri } of resources) await client.readResource({ uri }, REQUEST).catch(noted);
    }
    if (offered?.prompts !== undefined) {
      const { prompts } = await client.listPrompts({}, REQUEST);
      for (const { name } of prompts) await client.getPrompt({ name }, REQUEST).catch(noted);
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #fresh(): [Client, StreamableHTTPClientTransport] {
    const modern = process.env['MCP_CONFORMANCE_PROTOCOL_VERSION'] === '2026-07-28';
    const client = new Client(
      { name: 'e2e-conformance', version: '1.0.0' },
      {
        capabilities: { elicitation: { form: { applyDefaults: true } } },
        versionNegotiation: { mode: modern ? { pin: '2026-07-28' } : 'legacy' },
      },
    );
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: {} }));
    const authProvider: OAuthClientProvider = this.#login;
    return [client, new StreamableHTTPClientTransport(new URL(this.#url), { authProvider })];
  }

  #asking<T>(ask: () => Promise<T>): Promise<T> {
    return this.#loggingIn(async () => {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        await this.#finish(this.#transport, error);
        throw new LoggedIn();
      }
    });
  }

  async #finish(transport: StreamableHTTPClientTransport, reason: unknown): Promise<void> {
    const answer = this.#login.takeAnswer();
    if (answer === undefined) throw reason;
    await transport.finishAuth(answer);
  }

  async #loggingIn<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof LoggedIn) || this.#login.visits >= MAX_LOGINS) throw error;
      }
    }
  }
}

/** Somebody logged in: what was refused can be asked again. */
class LoggedIn extends Error {}

/** Arguments that fit a tool's schema. */
function sample(schema: { readonly properties?: object | undefined }): Record<string, unknown> {
  const properties = Object.entries(schema.properties ?? {}) as [string, { readonly type?: string }][];
  return Object.fromEntries(properties.map(([name, { type }]) => [name, sampleOf(type)]));
}

function sampleOf(type: string | undefined): unknown {
  if (type === 'number' || type === 'integer') return 5;
  if (type === 'boolean') return true;
  if (type === 'array') return [];
  return type === 'object' ? {} : 'text';
}

function noted(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
}

main().catch((error: unknown) => {
  noted(error);
  process.exitCode = 1;
});
