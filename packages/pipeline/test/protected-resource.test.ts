import { type HeaderMap, type Log, ProxyError, silentLog } from '@shadowcat/kernel';
import { exchangeOf, handlerOf, jsonReply, ManualClock, readReply } from '@shadowcat/testkit';
import { targetSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { compose } from '../src/compose.js';
import { edgeGuard } from '../src/edge-guard.js';
import type { MetadataOrigin } from '../src/metadata-origin.js';
import { type ProtectedResourceOptions, protectedResource, protectedResourcePaths } from '../src/protected-resource.js';
import { rescue } from '../src/rescue.js';

const UP = 'http://up.example:9/up';
const PRM = '/.well-known/oauth-protected-resource';
const AS = '/.well-known/oauth-authorization-server';

type Documents = Record<string, string | Error>;

/** A server with documents by path, and what it was asked for. */
function serverOf(documents: Documents, url = UP, name = 'up') {
  const asked: string[] = [];
  const origin: MetadataOrigin = {
    name,
    url,
    document: async (path) => {
      asked.push(path);
      const found = documents[path];
      if (found instanceof Error) throw found;
      return found === undefined ? undefined : new TextEncoder().encode(found);
    },
  };
  return { origin, asked };
}

function proxy(
  origins: readonly MetadataOrigin[],
  parts: {
    options?: Partial<ProtectedResourceOptions>;
    log?: Log;
    challenge?: HeaderMap[string];
    target?: string;
  } = {},
) {
  const clock = new ManualClock();
  const options = { path: '/mcp', authorizationServer: false, ...parts.options };
  const log = parts.log ?? silentLog;
  const inner = handlerOf((exchange) => {
    exchange.context.set(targetSlot, parts.target ?? 'up');
    return jsonReply('{}', {
      status: 401,
      headers: parts.challenge === undefined ? {} : { 'www-authenticate': parts.challenge },
    });
  });
  const stack = compose(
    rescue({ log }),
    edgeGuard({ paths: ['/mcp'], documents: protectedResourcePaths(options), allowedHosts: ['*'] }, { log }),
    protectedResource(options, { origins, clock, log }),
  )(inner);
  const ask = async (target: string, headers: HeaderMap = {}, method = 'GET') => {
    const post = method === 'POST' ? { body: '{}' } : {};
    const all = { host: 'proxy:1', 'content-type': 'application/json', accept: '*/*', ...headers };
    const answer = await stack(exchangeOf({ method, target, headers: all, ...post }));
    return { ...(await readReply(answer)), head: answer.head };
  };
  return { clock, ask, refused: () => ask('/mcp', {}, 'POST') };
}

describe('the metadata of the protected resource', () => {
  it.each([[PRM], [`${PRM}/mcp`], [`${PRM}/mcp?x=1`]])(
    'is served at %s, with another resource only',
    async (target) => {
      const text = `{"a": 1.0,\n "resource":"${UP}" , "scopes_supported":["\\u0061"], "big":9007199254740993}`;
      const { origin } = serverOf({ [`${PRM}/up`]: text });
      const answer = await proxy([origin]).ask(target);
      expect(answer.status).toBe(200);
      expect(answer.head.headers['content-type']).toBe('application/json');
      expect(answer.text).toBe(text.replace(UP, 'http://proxy:1/mcp'));
    },
  );

  it('is looked for with the path of the endpoint first, then without, and kept for a minute', async () => {
    const { origin, asked } = serverOf({ [PRM]: `{"resource":"http://up.example:9"}` });
    const { ask, clock } = proxy([origin]);
    await Promise.all([ask(PRM), ask(`${PRM}/mcp`)]);
    expect((await ask(PRM, { host: 'other:2' })).text).toBe('{"resource":"http://other:2/mcp"}');
    expect(asked).toEqual([`${PRM}/up`, PRM]);
    await clock.advance(60_001);
    await ask(PRM);
    expect(asked).toEqual([`${PRM}/up`, PRM, `${PRM}/up`, PRM]);
  });

  it('is looked for where the last challenge said, but at the server itself', async () => {
    const { origin, asked } = serverOf({ '/meta?t=1': `{"resource":"${UP}"}` });
    const { ask, refused } = proxy([origin], {
      challenge: 'Bearer resource_metadata="https://public.example/meta?t=1"',
    });
    await refused();
    expect((await ask(PRM)).text).toBe('{"resource":"http://proxy:1/mcp"}');
    expect(asked).toEqual(['/meta?t=1']);
  });

  it('of the server that challenged last comes first', async () => {
    const one = serverOf({ [`${PRM}/up`]: `{"resource":"${UP}","n":1}` });
    const two = serverOf({ [`${PRM}/up`]: `{"resource":"${UP}","n":2}` }, UP, 'two');
    const challenge = `Bearer resource_metadata="http://up.example:9${PRM}/up"`;
    const { ask, refused } = proxy([one.origin, two.origin], { challenge, target: 'two' });
    expect((await ask(PRM)).text).toContain('"n":1');
    await refused();
    expect((await ask(PRM)).text).toContain('"n":2');
  });

  it.each([
    ['another origin', 'https://evil.example/up'],
    ['another port', 'http://up.example:10/up'],
    ['a path beside it', 'http://up.example:9/other'],
    ['no URL', 'up'],
  ])('about %s is passed on as it is, for the client to refuse', async (_what, resource) => {
    const text = `{"resource":"${resource}"}`;
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (_details, message) => warnings.push(message) };
    const { origin } = serverOf({ [PRM]: text });
    const { ask } = proxy([origin], { log });
    expect((await ask(PRM)).text).toBe(text);
    await ask(PRM);
    expect(warnings).toEqual([expect.stringContaining('about another resource')]);
  });

  it('takes the names of this machine for one', async () => {
    const { origin } = serverOf({ [PRM]: '{"resource":"http://localhost:9/up"}' }, 'http://127.0.0.1:9/up');
    expect((await proxy([origin]).ask(PRM)).text).toBe('{"resource":"http://proxy:1/mcp"}');
  });

  it.each<[what: string, documents: Documents]>([
    ['nothing', {}],
    ['no JSON', { [PRM]: '<html>' }],
    ['no object', { [PRM]: '[]' }],
  ])('is 404 where the server has %s', async (_what, documents) => {
    expect((await proxy([serverOf(documents).origin]).ask(PRM)).status).toBe(404);
  });

  it('is asked for again at once after the server did not answer', async () => {
    const documents: Documents = { [`${PRM}/up`]: new ProxyError('upstream_unreachable', 'gone') };
    const { ask } = proxy([serverOf(documents).origin]);
    expect((await ask(PRM)).status).toBe(502);
    documents[`${PRM}/up`] = `{"resource":"${UP}"}`;
    expect((await ask(PRM)).status).toBe(200);
  });

  it('names the public URL where there is one, and is served at its path', async () => {
    const { origin } = serverOf({ [PRM]: `{"resource":"${UP}"}` });
    const options = { publicUrl: 'https://mcp.example/a/b' };
    const { ask, refused } = proxy([origin], { options, challenge: 'Bearer resource_metadata="http://x/y"' });
    expect((await ask(`${PRM}/a/b`)).text).toBe('{"resource":"https://mcp.example/a/b"}');
    const { headers } = (await refused()).head;
    expect(headers['www-authenticate']).toBe(`Bearer resource_metadata="https://mcp.example${PRM}/a/b"`);
  });

  it('takes GET only, and pages of allowed origins may read it', async () => {
    const { ask } = proxy([serverOf({ [PRM]: `{"resource":"${UP}"}` }).origin]);
    expect(await ask(PRM, {}, 'POST')).toMatchObject({ status: 405, head: { headers: { allow: 'GET, OPTIONS' } } });
    const origin = 'http://localhost:5';
    expect((await ask(PRM, { origin })).head.headers['access-control-allow-origin']).toBe(origin);
    expect((await ask(PRM, { origin }, 'OPTIONS')).status).toBe(204);
    expect((await ask(PRM, { origin: 'https://evil.example' })).status).toBe(403);
  });
});

describe('challenges', () => {
  it.each<[what: string, given: HeaderMap[string], expected: HeaderMap[string]]>([
    ['one field', 'Bearer resource_metadata="http://x/y"', `Bearer resource_metadata="http://proxy:1${PRM}/mcp"`],
    [
      'several fields',
      ['Basic realm="a"', 'Bearer resource_metadata="http://x/y", scope="z"'],
      ['Basic realm="a"', `Bearer resource_metadata="http://proxy:1${PRM}/mcp", scope="z"`],
    ],
    ['no metadata', 'Bearer realm="a"', 'Bearer realm="a"'],
    ['no challenge', undefined, undefined],
  ])('with %s lead to the proxy where they led to metadata', async (_what, challenge, expected) => {
    const { refused } = proxy([serverOf({}).origin], { challenge });
    expect((await refused()).head.headers['www-authenticate']).toEqual(expected);
  });
});

describe("the authorization server's documents", () => {
  const text = '{"issuer":"http://up.example:9", "resource":"http://up.example:9/up"}';

  it('are passed on verbatim', async () => {
    const { origin, asked } = serverOf({ [AS]: text, [`${AS}/up`]: text, '/.well-known/openid-configuration': text });
    const { ask } = proxy([origin], { options: { authorizationServer: true } });
    expect((await ask(AS)).text).toBe(text);
    expect((await ask(`${AS}/mcp`)).text).toBe(text);
    expect((await ask('/.well-known/openid-configuration')).text).toBe(text);
    expect((await ask('/.well-known/openid-configuration/mcp')).status).toBe(404);
    expect(asked).toEqual([
      AS,
      `${AS}/up`,
      '/.well-known/openid-configuration',
      '/.well-known/openid-configuration/up',
    ]);
  });

  it('are not served unless asked for', async () => {
    const { origin, asked } = serverOf({ [AS]: text });
    expect((await proxy([origin]).ask(AS)).status).toBe(404);
    expect(asked).toEqual([]);
  });
});
