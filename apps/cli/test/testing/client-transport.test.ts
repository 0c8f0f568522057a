import { type Connection, ProxyError } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { clientTransport, type TapeTransport } from '../../src/testing/client-transport.js';

interface Line {
  readonly client: TapeTransport;
  readonly server: Connection;
  /** What either side heard, in order. */
  readonly heard: string[];
}

async function startedLine(): Promise<Line> {
  let server: Connection | undefined;
  const heard: string[] = [];
  const client = clientTransport((connection) => {
    server = connection;
    connection.listen({
      message: (text) => void heard.push(`server: ${text}`),
      closed: (reason) => void heard.push(`server closed: ${reason?.code ?? 'in order'}`),
    });
  });
  client.onmessage = (message) => void heard.push(`client: ${JSON.stringify(message)}`);
  client.onerror = (error) => void heard.push(`client error: ${error.message}`);
  client.onclose = () => void heard.push('client closed');
  await client.start();
  if (server === undefined) throw new Error('nobody serves');
  return { client, server, heard };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the transport for clients in this process', () => {
  it('carries messages both ways, in order, and never in the turn in which they were sent', async () => {
    const { client, server, heard } = await startedLine();
    const sent = [client.send({ id: 1 }), client.send({ id: 2 }), server.send('{"id":1,"result":{}}')];
    expect(heard).toEqual([]);
    await Promise.all(sent);
    await turn();
    expect(heard).toEqual(['server: {"id":1}', 'server: {"id":2}', 'client: {"id":1,"result":{}}']);
  });

  it('delivers what the client sent before it closed, and tells both sides once', async () => {
    const { client, server, heard } = await startedLine();
    await client.send({ id: 1 });
    await Promise.all([client.close(), client.close(), server[Symbol.asyncDispose]()]);
    await turn();
    expect(heard).toEqual(['server: {"id":1}', 'server closed: in order', 'client closed']);
    await expect(client.send({ id: 2 })).rejects.toThrow('the line to the tape was closed');
    await expect(server.send('{}')).rejects.toThrow('the line to the tape was closed');
  });

  it('tells the client why the server broke the line', async () => {
    const { server, heard } = await startedLine();
    server.destroy(new ProxyError('slow_client', 'it does not read'));
    await turn();
    expect(heard).toEqual(['server closed: slow_client', 'client error: it does not read', 'client closed']);
  });

  it('reports a listener that throws, and goes on', async () => {
    const { client, server, heard } = await startedLine();
    client.onmessage = () => {
      throw new Error('a bug in the test');
    };
    await server.send('{}');
    await turn();
    expect(heard).toEqual(['client error: a bug in the test']);
  });

  it('serves one client, once it was started', async () => {
    const { client } = await startedLine();
    await expect(client.start()).rejects.toThrow('each client needs its own');
    await expect(clientTransport(() => {}).send({})).rejects.toThrow('this transport was not started');
    await expect(clientTransport(() => {}).close()).resolves.toBeUndefined();
  });
});
