import { type Connection, type ProxyError, silentLog } from '@shadowcat/kernel';
import { handlerOf, jsonReply } from '@shadowcat/testkit';
import { ssePairServer } from '@shadowcat/transport-sse';
import { describe, expect, it } from 'vitest';
import { openSsePair } from '../src/open-sse-pair.js';
import { eventually, nodeServer, realClock, serving } from './support.js';

const components = { clock: realClock, log: silentLog };

function listening(connection: Connection) {
  const texts: string[] = [];
  const closed = Promise.withResolvers<ProxyError | undefined>();
  connection.listen({ message: (text) => void texts.push(text), closed: closed.resolve });
  return { texts, closed: closed.promise };
}

async function echoing() {
  const handler = handlerOf(async (exchange) => {
    if (exchange.head.method !== 'POST') return jsonReply('{}', { status: 405 });
    const message = JSON.parse(new TextDecoder().decode(await exchange.body.collect(1e6))) as { id: number };
    return { jsonrpc: '2.0', id: message.id, result: { key: exchange.head.headers['authorization'] } };
  });
  let made = 0;
  const newId = (): string => {
    made += 1;
    return `p${made}`;
  };
  const server = ssePairServer({}, { ...components, newId });
  const listener = await serving(server(handler));
  return { listener, server, handler };
}

describe('openSsePair', () => {
  it('is a line over two HTTP endpoints', async () => {
    const { listener, server } = await echoing();
    const line = await openSsePair({ url: `${listener.url}/sse`, headers: { authorization: 'Bearer k' } }, components);
    expect(line.name).toBe(`sse+${listener.url}/sse`);
    const heard = listening(line);
    await line.send('{"jsonrpc":"2.0","id":1,"method":"x"}');
    await eventually(() => heard.texts.length === 1);
    expect(heard.texts).toEqual(['{"jsonrpc":"2.0","id":1,"result":{"key":"Bearer k"}}']);
    await line[Symbol.asyncDispose]();
    expect(await heard.closed).toBeUndefined();
    await eventually(() => server.clients() === 0 && listener.stats().exchanges === 0);
    await eventually(() => listener.stats().connections === 0);
  });

  it('ends with the server', async () => {
    const { listener } = await echoing();
    const line = await openSsePair({ url: `${listener.url}/sse` }, components);
    const heard = listening(line);
    await listener.close({ drainMs: 1_000 });
    expect((await heard.closed)?.code).toBe('upstream_closed');
    await expect(line.send('{}')).rejects.toMatchObject({ code: 'upstream_closed' });
  });

  it('says that nothing listens there', async () => {
    const { listener } = await echoing();
    await listener.close({ drainMs: 0 });
    await expect(openSsePair({ url: `${listener.url}/sse` }, components)).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: expect.stringContaining('connection refused'),
    });
  });

  it('says that the server speaks something else', async () => {
    const { url } = await nodeServer((_request, response) => void response.writeHead(405).end());
    await expect(openSsePair({ url }, components)).rejects.toMatchObject({
      code: 'upstream_protocol',
      message: expect.stringContaining('HTTP 405'),
    });
  });
});
