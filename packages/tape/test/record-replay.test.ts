import { describe, expect, it } from 'vitest';
import { call, record, replayRig, result, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

describe('a recorded session is played back', () => {
  it('gives the same answers to the same client', async () => {
    const server = legacyServer({ 'tools/call:echo': (message) => result(message.id, 'hello') });
    const tapes = await record(server, async (client) => {
      await client.open();
      await client.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
      await client.post(call(2, 'echo', { message: 'hello' }));
      await client.end();
    });
    const { replay } = replayRig(tapes);
    const client = new TestClient(replay);
    const opened = await client.open('tester', 'another-id');
    expect(opened.messages[0]).toMatchObject({ id: 'another-id', result: { serverInfo: { name: 'server' } } });
    expect((await client.post({ jsonrpc: '2.0', id: 7, method: 'tools/list' })).messages).toEqual([
      result(7, 'answer of tools/list'),
    ]);
    expect((await client.post(call('x', 'echo', { message: 'hello' }))).messages).toEqual([result('x', 'hello')]);
    expect(replay.summary()).toMatchObject({ served: 3, misses: [], unused: [], waitingFor: [], exitCode: 0 });
  });
});
