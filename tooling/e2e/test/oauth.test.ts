import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { expect, it } from 'vitest';
import { HeadlessLogin } from '../src/conformance-oauth.js';
import { startOAuthServers } from '../src/oauth-server.js';
import { startShadowcat, workFolder } from '../src/shadowcat.js';

const PRM = '/.well-known/oauth-protected-resource';

/** Logs in where the endpoint asks for it. */
async function loggedIn(url: string, login: HeadlessLogin): Promise<Client> {
  const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'legacy' } });
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: login });
  await expect(client.connect(transport)).rejects.toBeInstanceOf(UnauthorizedError);
  await transport.finishAuth(login.takeAnswer() ?? new URLSearchParams());
  await client.close();
  const again = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'legacy' } });
  await again.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider: login }));
  return again;
}

it('lets the official client log in through the proxy and call a tool', async () => {
  await using folder = await workFolder();
  await using servers = await startOAuthServers();
  const args = ['reverse', '--upstream', servers.url, '--forward-authorization', '--store', 'memory:'];
  await using proxy = await startShadowcat(args, folder.path);
  const login = new HeadlessLogin();
  const client = await loggedIn(proxy.url, login);
  expect(await sessionOf(client)).toMatch(/^[\da-f-]{36}$/);
  expect(servers.resources).toEqual([proxy.url]);
  expect(servers.authorizations.at(-1)).toBe(`Bearer ${login.tokens()?.access_token}`);
  await client.close();
});

/** The server's own id of the client's session. */
async function sessionOf(client: Client): Promise<string> {
  const { content } = await client.callTool({ name: 'session', arguments: {} });
  return (content as { text: string }[])[0]?.text ?? '';
}

it.each([{}, { tokens: 'opaque' }, { bindsSessions: true }] as const)(
  'lets a client whose token expired refresh it in the middle of its session, which goes on: %o',
  async (options) => {
    await using folder = await workFolder();
    await using servers = await startOAuthServers(options);
    const args = ['reverse', '--upstream', servers.url, '--forward-authorization', '--store', 'memory:'];
    await using proxy = await startShadowcat(args, folder.path);
    const login = new HeadlessLogin();
    const client = await loggedIn(proxy.url, login);
    const [session, token] = [await sessionOf(client), login.tokens()?.access_token];
    servers.revoke();
    const sessions = await Promise.all([sessionOf(client), sessionOf(client), sessionOf(client)]);
    expect(new Set(sessions)).toEqual(new Set([session]));
    expect(login.tokens()?.access_token).not.toBe(token);
    expect(login.visits).toBe(1);
    await client.close();
  },
);

it('lets a client that refreshes its token before it expires keep its session, and one that logs in late', async () => {
  await using folder = await workFolder();
  await using servers = await startOAuthServers({ lazy: true });
  const args = ['reverse', '--upstream', servers.url, '--forward-authorization', '--store', 'memory:'];
  await using proxy = await startShadowcat(args, folder.path);
  const login = new HeadlessLogin();
  const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'legacy' } });
  const transport = new StreamableHTTPClientTransport(new URL(proxy.url), { authProvider: login });
  await client.connect(transport);
  await expect(client.callTool({ name: 'session', arguments: {} })).rejects.toBeInstanceOf(UnauthorizedError);
  await transport.finishAuth(login.takeAnswer() ?? new URLSearchParams());
  expect(await sessionOf(client)).toMatch(/^[\da-f-]{36}$/);
  await client.close();
});

it.each([
  { name: 'whose tokens say who they are of', options: {} },
  { name: 'that binds its sessions', options: { tokens: 'opaque', bindsSessions: true } },
] as const)('binds a session to who opened it, for a server $name', async ({ options }) => {
  await using folder = await workFolder();
  await using servers = await startOAuthServers(options);
  const args = ['reverse', '--upstream', servers.url, '--forward-authorization', '--store', 'memory:'];
  await using proxy = await startShadowcat(args, folder.path);
  const [one, two] = [new HeadlessLogin(), new HeadlessLogin()];
  await (await loggedIn(proxy.url, one)).close();
  await (await loggedIn(proxy.url, two)).close();
  const post = (login: HeadlessLogin, message: object, session = {}) =>
    fetch(proxy.url, {
      method: 'POST',
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        authorization: `Bearer ${login.tokens()?.access_token}`,
        ...session,
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
  const opened = await post(one, { id: 1, method: 'initialize', params });
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
  expect((await post(one, { id: 2, method: 'tools/list' }, session)).status).toBe(200);
  const foreign = await post(two, { id: 3, method: 'tools/list' }, session);
  expect(foreign.status).toBe(404);
  expect(await foreign.json()).toMatchObject({ id: 3, error: { code: -32001 } });
});

it('leads to its own metadata, and tells the operator when no token is passed on', async () => {
  await using folder = await workFolder();
  await using servers = await startOAuthServers();
  await using proxy = await startShadowcat(['reverse', '--upstream', servers.url, '--store', 'memory:'], folder.path);
  const { origin } = new URL(proxy.url);
  const refused = await fetch(proxy.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: '*/*', authorization: 'Bearer mine' },
    body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}',
  });
  expect(refused.status).toBe(401);
  expect(refused.headers.get('www-authenticate')).toBe(
    `Bearer error="invalid_token", resource_metadata="${origin}${PRM}/mcp"`,
  );
  expect(servers.authorizations).toEqual([undefined]);
  const metadata = await fetch(`${origin}${PRM}/mcp`);
  expect(await metadata.json()).toEqual({ resource: proxy.url, authorization_servers: [servers.issuer] });
  expect((await fetch(`${origin}/.well-known/oauth-authorization-server`)).status).toBe(404);
  await proxy.line(/--forward-authorization/, { from: 'stderr' });
});

it('never shows the token of the proxy to the server', async () => {
  await using folder = await workFolder();
  await using servers = await startOAuthServers();
  const args = ['reverse', '--upstream', servers.url, '--token', 'for-the-proxy-only', '--store', 'memory:'];
  await using proxy = await startShadowcat(args, folder.path);
  const answer = await fetch(proxy.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: '*/*', authorization: 'Bearer for-the-proxy-only' },
    body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}',
  });
  expect(answer.status).toBe(401);
  expect(servers.authorizations).toEqual([undefined]);
  expect((await fetch(`${new URL(proxy.url).origin}${PRM}`)).status).toBe(404);
  await expect(startShadowcat([...args, '--forward-authorization'], folder.path)).rejects.toThrow(/drop one/);
});
