import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ManualClock } from '@shadowcat/testkit';
import { expect, it } from 'vitest';
import { DocumentClient } from '../src/document-client.js';

async function serving(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  const clock = new ManualClock();
  const client = new DocumentClient({ url, limit: 100 }, { clock });
  return {
    clock,
    get: async (path: string) => {
      const bytes = await client.get(path);
      return bytes === undefined ? undefined : Buffer.from(bytes).toString();
    },
    [Symbol.asyncDispose]: async () => {
      await client.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

it('gets what is at a path, with nothing but Accept', async () => {
  await using server = await serving(({ url, headers }, response) => {
    const { host: _host, connection: _connection, ...sent } = headers;
    response.end(JSON.stringify({ url, sent }));
  });
  const sent = { accept: 'application/json', 'accept-encoding': 'identity' };
  expect(JSON.parse((await server.get('/.well-known/x?y=1')) ?? '')).toEqual({ url: '/.well-known/x?y=1', sent });
});

it.each<[what: string, answer: (response: ServerResponse) => void]>([
  ['404', (response) => response.writeHead(404).end('{}')],
  ['another success', (response) => response.writeHead(202).end('{}')],
  ['a redirect', (response) => response.writeHead(302, { location: 'http://evil.example/' }).end()],
  ['a compressed body', (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')],
  ['too much', (response) => response.end('x'.repeat(101))],
])('has no document where the server answers with %s', async (_what, answer) => {
  await using server = await serving((_request, response) => answer(response));
  expect(await server.get('/x')).toBeUndefined();
});

it('rejects when the document does not end in time', async () => {
  const begun = Promise.withResolvers<void>();
  await using server = await serving((_request, response) => {
    response.write('{');
    begun.resolve();
  });
  const got = server.get('/x').catch((error: unknown) => error);
  await begun.promise;
  await server.clock.advance(5_000);
  expect(await got).toMatchObject({ code: 'upstream_timeout' });
});
