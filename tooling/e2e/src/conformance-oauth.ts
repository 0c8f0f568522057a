import type {
  OAuthClientMetadata,
  OAuthClientProvider,
  OAuthDiscoveryState,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
} from '@modelcontextprotocol/client';

const CALLBACK = 'http://localhost:3000/callback';

export interface HeadlessLoginOptions {
  /** What the server knows already about this client. */
  readonly client?: { readonly client_id: string; readonly client_secret: string };
  /** Where the client's metadata document is said to be. */
  readonly clientMetadataUrl?: string;
}

/** Logs in as a person with a browser would, at an authorization server that grants everything without asking. */
export class HeadlessLogin implements OAuthClientProvider {
  readonly redirectUrl = CALLBACK;
  readonly clientMetadata: OAuthClientMetadata = { client_name: 'e2e', redirect_uris: [CALLBACK] };
  readonly clientMetadataUrl?: string;
  /** How often the authorization server was visited. */
  visits = 0;
  #client: StoredOAuthClientInformation | undefined;
  #tokens: StoredOAuthTokens | undefined;
  #verifier = '';
  #answer: URLSearchParams | undefined;
  #discovered: OAuthDiscoveryState | undefined;

  constructor({ client, clientMetadataUrl }: HeadlessLoginOptions = {}) {
    this.#client = client;
    if (clientMetadataUrl !== undefined) this.clientMetadataUrl = clientMetadataUrl;
  }

  /** What the authorization server sent back with the browser, once. */
  takeAnswer(): URLSearchParams | undefined {
    const answer = this.#answer;
    this.#answer = undefined;
    return answer;
  }

  clientInformation(): StoredOAuthClientInformation | undefined {
    return this.#client;
  }

  saveClientInformation(client: StoredOAuthClientInformation): void {
    this.#client = client;
  }

  tokens(): StoredOAuthTokens | undefined {
    return this.#tokens;
  }

  saveTokens(tokens: StoredOAuthTokens): void {
    this.#tokens = tokens;
  }

  async redirectToAuthorization(url: URL): Promise<void> {
    this.visits += 1;
    const response = await fetch(url, { redirect: 'manual' });
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (location === null) throw new Error(`no redirect from ${url.origin}${url.pathname}: HTTP ${response.status}`);
    this.#answer = new URL(location).searchParams;
  }

  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovered = state;
  }

  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovered;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    return this.#verifier;
  }

  invalidateCredentials(scope: 'all' | 'client' | 'tokens' | 'verifier' | 'discovery'): void {
    if (scope === 'all' || scope === 'client') this.#client = undefined;
    if (scope === 'all' || scope === 'discovery') this.#discovered = undefined;
    if (scope === 'all' || scope === 'tokens') this.#tokens = undefined;
  }
}
