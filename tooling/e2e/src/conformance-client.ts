import {
  Client,
  ClientCredentialsProvider,
  CrossAppAccessProvider,
  type OAuthClientProvider,
  PrivateKeyJwtProvider,
  requestJwtAuthorizationGrant,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { HeadlessLogin } from './conformance-oauth.js';

/** What the suite says about the scenario, as JSON. */
export interface ScenarioContext {
  readonly client_id?: string;
  readonly client_secret?: string;
  readonly private_key_pem?: string;
  readonly signing_algorithm?: string;
  readonly idp_client_id?: string;
  readonly idp_id_token?: string;
  readonly idp_token_endpoint?: string;
  readonly valid_jwt?: string;
  readonly toolCalls?: readonly { readonly name: string; readonly arguments?: Record<string, unknown> }[];
}

export interface ScenarioRun {
  /** As the suite calls it. */
  readonly scenario: string;
  readonly context: ScenarioContext;
  readonly modern: boolean;
}

/** How often a person would log in before giving up. */
const MAX_LOGINS = 3;
/** All scenarios begin at the same time, and a machine may have more to do. */
const REQUEST = { timeout: 60_000 };

/**
 * The client that the official conformance suite tests, at the suite's own server or at a proxy in front of it. Resolves with a line
 * for each request that failed without ending the conversation; rejects with what ended it.
 */
export async function converse(url: string, run: ScenarioRun): Promise<string[]> {
  const conversation = new Conversation(url, run);
  try {
    await conversation.connect();
    return await conversation.tour(run.context);
  } finally {
    await conversation.close();
  }
}

/** An error and what caused it, a line each. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return `${String(error)}\n`;
  return `${String(error)}\n${error.cause === undefined ? '' : `because: ${inWords(error.cause)}`}`;
}

/** Credentials of a machine, where the scenario gives any; no person logs in then. */
function machineLogin({ scenario, context }: ScenarioRun): OAuthClientProvider | undefined {
  const { client_id: clientId = '', client_secret: clientSecret = '' } = context;
  if (scenario === 'auth/client-credentials-basic') return new ClientCredentialsProvider({ clientId, clientSecret });
  if (scenario === 'auth/client-credentials-jwt') {
    const { private_key_pem: privateKey = '', signing_algorithm: algorithm = '' } = context;
    return new PrivateKeyJwtProvider({ clientId, privateKey, algorithm });
  }
  if (scenario === 'auth/wif-jwt-bearer') return new WorkloadLogin(clientId, context.valid_jwt ?? '');
  if (scenario !== 'auth/enterprise-managed-authorization') return undefined;
  const { idp_client_id: idpClient = '', idp_id_token: idToken = '', idp_token_endpoint: tokenEndpoint = '' } = context;
  return new CrossAppAccessProvider({
    clientId,
    clientSecret,
    assertion: async ({ authorizationServerUrl, resourceUrl, fetchFn }) => {
      const asked = { tokenEndpoint, audience: authorizationServerUrl, resource: resourceUrl, idToken };
      return (await requestJwtAuthorizationGrant({ ...asked, clientId: idpClient, fetchFn })).jwtAuthGrant;
    },
  });
}

/** Has an assertion of who it is from elsewhere, and no secret (RFC 7523, 2.1). */
class WorkloadLogin extends ClientCredentialsProvider {
  readonly #clientId: string;
  readonly #assertion: string;

  constructor(clientId: string, assertion: string) {
    super({ clientId, clientSecret: '' });
    this.#clientId = clientId;
    this.#assertion = assertion;
  }

  override clientInformation(): { client_id: string } {
    return { client_id: this.#clientId };
  }

  override prepareTokenRequest(): URLSearchParams {
    const grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
    return new URLSearchParams({ grant_type: grant, assertion: this.#assertion });
  }
}

function personLogin({ client_id, client_secret }: ScenarioContext): HeadlessLogin {
  if (client_id !== undefined && client_secret !== undefined) {
    return new HeadlessLogin({ client: { client_id, client_secret } });
  }
  return new HeadlessLogin({ clientMetadataUrl: 'https://conformance-test.local/client-metadata.json' });
}

class Conversation {
  readonly #url: string;
  readonly #run: ScenarioRun;
  readonly #machine: OAuthClientProvider | undefined;
  readonly #login: HeadlessLogin;
  #client: Client;
  #transport: StreamableHTTPClientTransport;

  constructor(url: string, run: ScenarioRun) {
    this.#url = url;
    this.#run = run;
    this.#machine = machineLogin(run);
    this.#login = personLogin(run.context);
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
        throw new LoggedIn('logged in, and asked to do so again', { cause: error });
      }
    });
  }

  /** Everything that the server offers, so that each scenario finds what it looks for. Resolves with what failed meanwhile. */
  async tour(context: ScenarioContext): Promise<string[]> {
    const client = this.#client;
    const notes: string[] = [];
    // What fails here the suite sees as well; the rest of the tour goes on.
    const noted = (error: unknown): void => void notes.push(inWords(error));
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
    return notes;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #fresh(): [Client, StreamableHTTPClientTransport] {
    const client = new Client(
      { name: 'e2e-conformance', version: '1.0.0' },
      {
        capabilities: { elicitation: { form: { applyDefaults: true } } },
        versionNegotiation: { mode: this.#run.modern ? { pin: '2026-07-28' } : 'legacy' },
      },
    );
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: {} }));
    const authProvider = this.#machine ?? this.#login;
    return [client, new StreamableHTTPClientTransport(new URL(this.#url), { authProvider })];
  }

  #asking<T>(ask: () => Promise<T>): Promise<T> {
    return this.#loggingIn(async () => {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        await this.#finish(this.#transport, error);
        throw new LoggedIn('logged in, and asked to do so again', { cause: error });
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
