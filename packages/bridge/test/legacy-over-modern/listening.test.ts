import { classifiedExchange, readReply, settled } from '@shadowcat/testkit';
import { sessionSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { bridgeTo, type Received, reader, request, type ServerStream, sessionHandle } from './harness.js';

const TAG = 'io.modelcontextprotocol/subscriptionId';

/** A server that acknowledges what it is asked for at once. */
function acknowledging() {
  const harness = bridgeTo(({ method, id, params }, open) => {
    if (method !== 'subscriptions/listen') return { result: { resultType: 'complete' } };
    const stream = open();
    acknowledge(stream, id, params['notifications']);
    return stream.reply;
  });
  const listens = (): Received[] => harness.received.filter(({ method }) => method === 'subscriptions/listen');
  return { ...harness, listens };
}

function acknowledge(stream: ServerStream, id: unknown, notifications: unknown): void {
  const params = { notifications, _meta: { [TAG]: id } };
  stream.send({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params });
}

const changed = (id: unknown) => ({
  jsonrpc: '2.0',
  method: 'notifications/tools/list_changed',
  params: { _meta: { [TAG]: id } },
});
const updated = (uri: string, id: unknown) => ({
  jsonrpc: '2.0',
  method: 'notifications/resources/updated',
  params: { uri, _meta: { [TAG]: id } },
});

describe('the GET stream of a legacy client', () => {
  it('carries the changes of what the server offers, as a legacy server announces them', async () => {
    const { get, streams, listens } = acknowledging();
    const client = reader(await get());
    expect(listens()[0]?.params['notifications']).toEqual({ toolsListChanged: true });
    streams[0]?.send(changed(listens()[0]?.id));
    expect(await client.next()).toEqual({ jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: {} });
    await client.leave();
    expect(listens()[0]?.exchange.signal.aborted).toBe(true);
  });

  it('is refused while there is another one, and can be opened again afterwards', async () => {
    const { get } = acknowledging();
    const first = reader(await get());
    await expect(get()).rejects.toMatchObject({ code: 'stream_conflict' });
    await first.leave();
    await reader(await get()).leave();
  });

  it('carries updates of what is subscribed to, by a new subscription before the old one is closed', async () => {
    const { get, rpc, streams, listens, clock } = acknowledging();
    const client = reader(await get());
    expect((await rpc(request('resources/subscribe', { uri: 'a:b' }))).last).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {},
    });
    const [old, fresh] = listens();
    expect(fresh?.params['notifications']).toEqual({ toolsListChanged: true, resourceSubscriptions: ['a:b'] });
    expect(old?.exchange.signal.aborted).toBe(false);
    // Announced while both were open: it comes once, whichever is read first.
    streams[0]?.send(changed(old?.id));
    await settled();
    streams[1]?.send(changed(fresh?.id));
    expect(await client.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    await clock.pass(999);
    streams[1]?.send(updated('a:b', fresh?.id));
    expect(await client.next()).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/resources/updated',
      params: { uri: 'a:b' },
    });
    await clock.pass(1);
    expect(old?.exchange.signal.aborted).toBe(true);
    expect(fresh?.exchange.signal.aborted).toBe(false);
    await client.leave();
    expect(clock.pending).toBe(0);
  });

  it('carries what only the old subscription brings, late', async () => {
    const { get, rpc, streams, listens, clock } = acknowledging();
    const client = reader(await get());
    await rpc(request('resources/subscribe', { uri: 'a:b' }));
    streams[0]?.send(changed(listens()[0]?.id));
    await clock.pass(1000);
    expect(await client.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    await client.leave();
  });

  it('carries no updates after unsubscribe', async () => {
    const { get, rpc, streams, listens } = acknowledging();
    const client = reader(await get());
    await rpc(request('resources/subscribe', { uri: 'a:b' }));
    await rpc(request('resources/unsubscribe', { uri: 'a:b' }));
    expect(listens()[2]?.params['notifications']).toEqual({ toolsListChanged: true });
    streams[1]?.send(updated('a:b', listens()[1]?.id));
    await settled();
    streams[2]?.send(changed(listens()[2]?.id));
    expect(await client.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    await client.leave();
  });

  it('has the subscriptions of before a restart', async () => {
    const { listens, bridge, session } = acknowledging();
    const exchange = classifiedExchange({ method: 'GET' });
    exchange.context.set(
      sessionSlot,
      sessionHandle({ ...session, restore: { logLevel: undefined, subscriptions: ['x:y'] } }),
    );
    const client = reader(await bridge(exchange));
    expect(listens()[0]?.params['notifications']).toMatchObject({ resourceSubscriptions: ['x:y'] });
    await client.leave();
  });

  it('stays open when the subscription breaks, which is opened again ever more slowly', async () => {
    const { get, streams, listens, clock } = acknowledging();
    const client = reader(await get());
    streams[0]?.end();
    await clock.pass(999);
    expect(listens()).toHaveLength(1);
    await clock.pass(1);
    expect(listens()).toHaveLength(2);
    streams[1]?.end();
    await clock.pass(1499);
    expect(listens()).toHaveLength(2);
    await clock.pass(1);
    expect(listens()).toHaveLength(3);
    streams[2]?.send(changed(listens()[2]?.id));
    expect(await client.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    await client.leave();
    expect(clock.pending).toBe(0);
  });

  it('is open and silent when the server has no subscriptions, and it is not asked again', async () => {
    const { get, received, clock } = bridgeTo(() => ({ error: { code: -32601, message: 'no' } }));
    const client = reader(await get());
    await clock.pass(100_000);
    expect(received).toHaveLength(1);
    await client.leave();
  });

  it('begins without a server that cannot be reached, which is tried again', async () => {
    let reachable = false;
    const { get, streams, received, clock } = bridgeTo(({ id, params }, open) => {
      if (!reachable) throw new Error('not yet');
      const stream = open();
      acknowledge(stream, id, params['notifications']);
      return stream.reply;
    });
    const client = reader(await get());
    reachable = true;
    await clock.pass(1000);
    streams[0]?.send(changed(received[1]?.id));
    expect(await client.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    await client.leave();
  });

  it('ends with its session, which DELETE does', async () => {
    const { get, listens, clock } = acknowledging();
    const client = reader(await get());
    expect((await readReply(await get('DELETE'))).status).toBe(200);
    expect(await client.next()).toBeUndefined();
    expect(listens()[0]?.exchange.signal.aborted).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('ends with its session also while a subscription is being replaced', async () => {
    const { get, rpc, listens, clock } = acknowledging();
    const client = reader(await get());
    await rpc(request('resources/subscribe', { uri: 'a:b' }));
    expect((await readReply(await get('DELETE'))).status).toBe(200);
    expect(await client.next()).toBeUndefined();
    expect(listens().map(({ exchange }) => exchange.signal.aborted)).toEqual([true, true]);
    expect(clock.pending).toBe(0);
  });

  it('ends when the proxy does', async () => {
    const { get, listens, bridge, clock } = acknowledging();
    const client = reader(await get());
    await bridge.close();
    expect(await client.next()).toBeUndefined();
    expect(listens()[0]?.exchange.signal.aborted).toBe(true);
    expect(clock.pending).toBe(0);
  });
});

describe('resources/subscribe', () => {
  it('fails when the server does not acknowledge it, and the old subscription stays', async () => {
    let asked = 0;
    const { get, rpc, streams, received } = bridgeTo(({ id, params }, open) => {
      asked += 1;
      if (asked > 1) return { error: { code: -32603, message: 'Subscription limit reached' } };
      const stream = open();
      acknowledge(stream, id, params['notifications']);
      return stream.reply;
    });
    const client = reader(await get());
    expect((await rpc(request('resources/subscribe', { uri: 'a:b' }))).last).toMatchObject({
      error: { message: expect.stringContaining('limit reached') },
    });
    streams[0]?.send(changed(received[0]?.id));
    expect(await client.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    await client.leave();
  });

  it('needs no stream, and is unknown where the server takes no subscriptions', async () => {
    const { rpc, received } = acknowledging();
    expect((await rpc(request('resources/subscribe', { uri: 'a:b' }))).last).toMatchObject({ result: {} });
    expect(received).toEqual([]);
    const session = sessionHandle({ id: 's2', initializeResult: { capabilities: { resources: {} } } });
    const answer = await rpc(request('resources/subscribe', { uri: 'a:b' }), { session });
    expect(answer.last).toMatchObject({ error: { code: -32601 } });
  });
});
