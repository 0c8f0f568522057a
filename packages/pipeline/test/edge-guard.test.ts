import { type HeaderMap, silentLog } from '@shadowcat/kernel';
import { exchangeOf, handlerOf, jsonReply, readReply } from '@shadowcat/testkit';
import { failureSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { compose } from '../src/compose.js';
import { type EdgeOptions, edgeGuard } from '../src/edge-guard.js';
import { rescue } from '../src/rescue.js';

const inner = () => handlerOf(() => jsonReply('{"jsonrpc":"2.0","id":1,"result":{}}', { headers: { vary: 'Accept' } }));
const guard = (options: Partial<EdgeOptions> = {}, handler = inner()) => {
  const log = silentLog;
  const stack = compose(rescue({ log }), edgeGuard({ paths: ['/mcp'], ...options }, { log }))(handler);
  return {
    handler,
    ask: async (method: string, headers: HeaderMap = {}, target = '/mcp') => {
      const exchange = exchangeOf({ method, target, headers, ...(method === 'POST' ? { body: '{}' } : {}) });
      const answer = await readReply(await stack(exchange));
      return { ...answer, code: exchange.context.get(failureSlot)?.code };
    },
  };
};

describe('Host', () => {
  it.each([
    ['localhost', undefined],
    ['localhost:8787', undefined],
    ['LocalHost:1', undefined],
    ['127.0.0.1:65535', undefined],
    ['[::1]:8787', undefined],
    ['evil.example', 'forbidden_host'],
    ['localhost.evil.example:8787', 'forbidden_host'],
    ['127.0.0.1.evil.example', 'forbidden_host'],
    ['evil.example:localhost', 'forbidden_host'],
    ['', 'invalid_request'],
    [undefined, 'invalid_request'],
    [['localhost', 'evil.example'], 'invalid_request'],
  ])('%j on loopback -> %s', async (host, code) => {
    const answer = await guard().ask('POST', { host });
    expect(answer.code).toBe(code);
    expect(answer.status).toBe(code === undefined ? 200 : code === 'forbidden_host' ? 403 : 400);
  });

  it.each([
    ['mcp.example', ['mcp.example'], true],
    ['mcp.example:443', ['mcp.example'], true],
    ['mcp.example:443', ['mcp.example:443'], true],
    ['mcp.example:444', ['mcp.example:443'], false],
    ['localhost', ['mcp.example'], false],
    ['anything', ['*'], true],
  ])('%s with %j allowed -> %s', async (host, allowedHosts, allowed) => {
    expect((await guard({ allowedHosts }).ask('POST', { host })).status).toBe(allowed ? 200 : 403);
  });

  it('is refused before anything else is looked at, as a JSON-RPC error', async () => {
    const { handler, ask } = guard();
    const answer = await ask('PUT', { host: 'evil.example' }, '/nowhere');
    expect(answer.messages).toEqual([
      { jsonrpc: '2.0', id: null, error: { code: -32000, message: expect.stringContaining('"evil.example"') } },
    ]);
    expect(handler.exchanges).toEqual([]);
  });
});

describe('Origin', () => {
  it.each([
    ['http://localhost:6274', 200],
    ['https://127.0.0.1', 200],
    ['http://[::1]:5173', 200],
    ['https://evil.example', 403],
    ['http://localhost.evil.example', 403],
    ['null', 403],
    ['file://', 403],
  ])('%s on loopback -> %i', async (origin, status) => {
    expect((await guard().ask('POST', { origin })).status).toBe(status);
  });

  it.each([
    ['https://app.example', ['https://app.example'], 200],
    ['https://APP.example', ['https://app.example'], 200],
    ['https://app.example:8443', ['https://app.example'], 403],
    ['https://app.example:8443', ['https://app.example:*'], 200],
    ['http://app.example', ['https://app.example'], 403],
    ['http://localhost:6274', ['https://app.example'], 403],
    ['null', ['*'], 200],
  ])('%s with %j allowed -> %i', async (origin, allowedOrigins, status) => {
    expect((await guard({ allowedOrigins }).ask('POST', { origin })).status).toBe(status);
  });

  it('of an allowed page: it may read the reply, whatever the upstream said', async () => {
    const handler = handlerOf(() =>
      jsonReply('{}', { headers: { 'access-control-allow-origin': '*', vary: 'Accept' } }),
    );
    const { headers } = await guard({}, handler).ask('POST', { origin: 'http://localhost:6274' });
    expect(headers).toMatchObject({
      'access-control-allow-origin': 'http://localhost:6274',
      'access-control-expose-headers': expect.stringContaining('mcp-session-id'),
      vary: 'Accept, Origin',
    });
  });

  it('of an allowed page: it may read refusals', async () => {
    const answer = await guard().ask('POST', { origin: 'http://localhost:6274', 'content-type': 'text/plain' });
    expect(answer.status).toBe(415);
    expect(answer.code).toBe('unsupported_media_type');
    expect(answer.headers['access-control-allow-origin']).toBe('http://localhost:6274');
  });

  it('of a page that is not allowed: nothing says that it may read', async () => {
    const { headers } = await guard().ask('POST', { origin: 'https://evil.example' });
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });
});

describe('OPTIONS', () => {
  it('answers the preflight of an allowed page', async () => {
    const { handler, ask } = guard();
    const answer = await ask('OPTIONS', {
      origin: 'http://localhost:6274',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,mcp-param-x',
    });
    expect(answer).toMatchObject({ status: 204, text: '' });
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': 'http://localhost:6274',
      'access-control-allow-methods': 'POST, GET, DELETE, OPTIONS',
      'access-control-allow-headers': 'content-type,mcp-param-x',
    });
    expect(handler.exchanges).toEqual([]);
  });

  it('refuses that of another', async () => {
    expect((await guard().ask('OPTIONS', { origin: 'https://evil.example' })).status).toBe(403);
  });

  it('says what the endpoint takes', async () => {
    const answer = await guard().ask('OPTIONS');
    expect(answer).toMatchObject({ status: 204, headers: { allow: 'POST, GET, DELETE, OPTIONS' } });
  });
});

describe('path and method', () => {
  it.each([
    ['/mcp', 200],
    ['/mcp/', 200],
    ['/mcp?x=1', 200],
    ['/mcp/?x=1', 200],
    ['/', 404],
    ['/mcpx', 404],
    ['/mcp/x', 404],
    ['/MCP', 404],
  ])('%s -> %i', async (target, status) => {
    expect((await guard().ask('POST', {}, target)).status).toBe(status);
  });

  it('several paths may lead in', async () => {
    const { ask } = guard({ paths: ['/mcp', '/v2/mcp/'] });
    expect((await ask('POST', {}, '/v2/mcp')).status).toBe(200);
  });

  it.each(['PUT', 'PATCH', 'HEAD', 'TRACE', 'CONNECT', 'post'])('%s -> 405 with Allow', async (method) => {
    const answer = await guard().ask(method);
    expect(answer.status).toBe(405);
    expect(answer.headers['allow']).toContain('POST');
  });

  it('DELETE goes on', async () => {
    expect((await guard().ask('DELETE', { accept: undefined })).status).toBe(200);
  });
});

describe('a POST', () => {
  it.each([
    ['application/json', 200],
    ['application/json; charset=utf-8', 200],
    ['Application/JSON;charset=utf-8', 200],
    ['text/plain; a=application/json', 415],
    ['application/jsonp', 415],
    ['text/plain', 415],
    [undefined, 415],
  ])('with Content-Type %s -> %i', async (type, status) => {
    expect((await guard().ask('POST', { 'content-type': type })).status).toBe(status);
  });

  it.each([
    ['gzip', 415],
    ['identity', 200],
  ])('with Content-Encoding %s -> %i', async (encoding, status) => {
    const answer = await guard().ask('POST', { 'content-encoding': encoding });
    expect(answer.status).toBe(status);
  });

  const both = 'application/json, text/event-stream';
  it.each([
    [both, 200, both],
    ['text/event-stream,application/json;q=0.5', 200, 'text/event-stream,application/json;q=0.5'],
    [undefined, 200, both],
    ['*/*', 200, both],
    ['application/json, */*;q=0.1', 200, both],
    ['application/*, text/*', 200, both],
    ['application/json', 406, undefined],
    ['text/event-stream', 406, undefined],
    ['text/html', 406, undefined],
  ])('with Accept %s -> %i, and goes on with %s', async (accept, status, passedOn) => {
    const { handler, ask } = guard();
    expect((await ask('POST', { accept })).status).toBe(status);
    expect(handler.exchanges[0]?.head.headers['accept']).toBe(passedOn);
  });
});

describe('a GET', () => {
  it.each([
    [{ accept: 'text/event-stream' }, 200],
    [{ accept: 'application/json, text/event-stream' }, 200],
    [{ accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }, 406],
    [{ accept: '*/*' }, 406],
    [{ accept: undefined }, 406],
    // The 405 of the modern revision is for the layer that tells revisions apart.
    [{ accept: '*/*', 'mcp-protocol-version': '2026-07-28' }, 200],
  ])('with %j -> %i', async (headers, status) => {
    expect((await guard().ask('GET', headers)).status).toBe(status);
  });
});
