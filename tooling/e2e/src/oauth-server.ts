import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An MCP server that wants a token, and the authorization server that gives it, on two ports of this machine. */
export interface OAuthServers extends AsyncDisposable {
  /** The endpoint of the MCP server. */
  readonly url: string;
  readonly issuer: string;
  /** The `Authorization` fields that the MCP server saw, in order; `undefined` where there was none. */
  readonly authorizations: readonly (string | undefined)[];
  /** What clients named as `resource` when they asked for a token. */
  readonly resources: readonly string[];
  /** Makes all access tokens invalid; refresh tokens stay good. */
  revoke(): void;
}

export interface OAuthServersOptions {
  /** What its tokens look like. Default `jwt`, with the subject in it. */
  readonly tokens?: 'jwt' | 'opaque';
  /** Whether `initialize` and `tools/list` need no token. */
  readonly lazy?: boolean;
  /** Whether sessions answer only the subject that opened them (MCP, "Security Best Practices"). */
  readonly bindsSessions?: boolean;
}

/** Grants everything without asking, but checks code, PKCE, client and token as a real one does. Each login is another subject. */
export async function startOAuthServers(options: OAuthServersOptions = {}): Promise<OAuthServers> {
  const tokens = new Map<string, string>();
  const sessions = new Map<string, string>();
  const authorizations: (string | undefined)[] = [];
  const resources: string[] = [];
  const issuing = new Issuing(tokens, resources, options.tokens ?? 'jwt');
  const issuer = await listening((request, response) => issuing.answer(request, response));
  issuing.issuer = issuer.origin;
  const resource = await listening(async (request, response) => {
    const { origin } = resource;
    const path = new URL(request.url ?? '/', origin).pathname;
    if (path === '/.well-known/oauth-protected-resource/mcp') {
      return json(response, 200, { resource: `${origin}/mcp`, authorization_servers: [issuer.origin] });
    }
    if (path !== '/mcp') return json(response, 404, {});
    const { authorization } = request.headers;
    authorizations.push(authorization);
    const subject = tokens.get(authorization?.replace(/^Bearer /, '') ?? '');
    const asked = request.method === 'POST' ? parsed(await textOf(request)) : undefined;
    const open = options.lazy === true && authorization === undefined && asked?.method !== 'tools/call';
    if (subject === undefined && !open) {
      const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;
      const challenge = `Bearer error="invalid_token", resource_metadata="${metadata}"`;
      response.setHeader('www-authenticate', challenge);
      return json(response, 401, { error: 'invalid_token' });
    }
    const session = String(request.headers['mcp-session-id']);
    if (options.bindsSessions === true && sessions.has(session) && sessions.get(session) !== subject) {
      return json(response, 404, { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } });
    }
    return mcp(asked, response, { session, opened: (id) => void sessions.set(id, subject ?? '') });
  });
  return {
    url: `${resource.origin}/mcp`,
    issuer: issuer.origin,
    authorizations,
    resources,
    revoke: () => tokens.clear(),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([issuer.close(), resource.close()]);
    },
  };
}

class Issuing {
  issuer = '';
  /** Subjects by access token, and by refresh token. */
  readonly #tokens: Map<string, string>;
  readonly #refresh = new Map<string, string>();
  readonly #resources: string[];
  readonly #kind: 'jwt' | 'opaque';
  /** PKCE challenges by code. */
  readonly #codes = new Map<string, string>();

  constructor(tokens: Map<string, string>, resources: string[], kind: 'jwt' | 'opaque') {
    this.#kind = kind;
    this.#tokens = tokens;
    this.#resources = resources;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.issuer);
    if (pathname === '/.well-known/oauth-authorization-server') return json(response, 200, this.#metadata());
    if (pathname === '/register') {
      const asked = JSON.parse(await textOf(request)) as object;
      return json(response, 201, { ...asked, client_id: 'e2e', token_endpoint_auth_method: 'none' });
    }
    if (pathname === '/authorize') return this.#authorize(searchParams, response);
    if (pathname === '/token') return this.#token(new URLSearchParams(await textOf(request)), response);
    return json(response, 404, {});
  }

  #metadata(): object {
    const { issuer } = this;
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      registration_endpoint: `${issuer}/register`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_methods_supported: ['none'],
    };
  }

  #authorize(asked: URLSearchParams, response: ServerResponse): void {
    const code = randomUUID();
    this.#codes.set(code, asked.get('code_challenge') ?? '');
    const back = new URL(asked.get('redirect_uri') ?? '');
    back.searchParams.set('code', code);
    const state = asked.get('state');
    if (state !== null) back.searchParams.set('state', state);
    response.writeHead(302, { location: back.href }).end();
  }

  #token(asked: URLSearchParams, response: ServerResponse): void {
    const again = this.#refresh.get(asked.get('refresh_token') ?? '');
    if (asked.get('grant_type') === 'refresh_token' && again !== undefined) return this.#grant(again, response);
    const code = asked.get('code') ?? '';
    const proof = createHash('sha256')
      .update(asked.get('code_verifier') ?? '')
      .digest('base64url');
    if (this.#codes.get(code) !== proof) return json(response, 400, { error: 'invalid_grant' });
    this.#codes.delete(code);
    this.#resources.push(asked.get('resource') ?? '');
    return this.#grant(randomUUID(), response);
  }

  #grant(subject: string, response: ServerResponse): void {
    const claims = Buffer.from(JSON.stringify({ iss: this.issuer, sub: subject, jti: randomUUID() })).toString(
      'base64url',
    );
    const token = this.#kind === 'jwt' ? `eyJhbGciOiJub25lIn0.${claims}.c2lnbmF0dXJl` : randomUUID();
    const refresh = randomUUID();
    this.#tokens.set(token, subject);
    this.#refresh.set(refresh, subject);
    json(response, 200, { access_token: token, token_type: 'Bearer', expires_in: 3600, refresh_token: refresh });
  }
}

const TOOL = { name: 'session', inputSchema: { type: 'object' } };

interface Asked {
  readonly id?: unknown;
  readonly method: string;
  readonly params?: { readonly protocolVersion?: string };
}

function parsed(text: string): Asked {
  return JSON.parse(text) as Asked;
}

interface McpSession {
  readonly session: string;
  readonly opened: (id: string) => void;
}

/** As little of a legacy server as a tool call needs. The tool tells in which session it was called. */
function mcp(asked: Asked | undefined, response: ServerResponse, { session, opened }: McpSession): void {
  if (asked === undefined) return json(response, 405, {});
  const { id, method, params } = asked;
  const results: Record<string, object> = {
    initialize: {
      protocolVersion: params?.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'oauth', version: '1' },
    },
    'tools/list': { tools: [TOOL] },
    'tools/call': { content: [{ type: 'text', text: session }] },
  };
  if (id === undefined) {
    response.writeHead(202).end();
    return;
  }
  if (method === 'initialize') {
    const made = randomUUID();
    opened(made);
    response.setHeader('mcp-session-id', made);
  }
  json(response, 200, { jsonrpc: '2.0', id, result: results[method] ?? {} });
}

async function listening(
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<{ readonly origin: string; close(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
