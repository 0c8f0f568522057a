import { describe, expect, it } from 'vitest';
import { call, initialize, record, replayRig, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

async function replayed() {
  const tapes = await record(legacyServer(), async (client) => {
    await client.open();
    await client.post(call(1, 'read_file', { path: '/a', options: { lines: 10 } }));
    await client.post(call(2, 'read_file', { path: '/b', options: { lines: 20 } }));
    await client.post({ jsonrpc: '2.0', id: 3, method: 'resources/read', params: { uri: 'file:///a' } });
  });
  const rig = replayRig(tapes);
  const client = new TestClient(rig.replay);
  await client.open();
  return { ...rig, client };
}

describe('a request that is not on the tape', () => {
  it('of a tool that was never called is no other tool’s answer', async () => {
    const { client, replay, warnings } = await replayed();
    const miss = client.post(call(1, 'write_file', { path: '/a' }));
    await expect(miss).rejects.toMatchObject({
      code: 'replay_miss',
      message: expect.stringMatching(
        /^not on the tape: tools\/call write_file \(unknown-target: .*; nearest: t1\.tape\.jsonl:\d+\)$/,
      ),
      data: { reason: 'unknown-target', line: expect.stringMatching(/^t1\.tape\.jsonl:\d+$/) },
    });
    expect(warnings).toHaveLength(1);
    expect(replay.summary()).toMatchObject({
      misses: [{ method: 'tools/call', reason: 'unknown-target' }],
      exitCode: 1,
    });
  });

  it('names where its parameters differ from the nearest recording, and the overlay that would ignore it', async () => {
    const { client } = await replayed();
    await expect(client.post(call(1, 'read_file', { path: '/c', options: { lines: 20 } }))).rejects.toMatchObject({
      message: expect.stringContaining('at /arguments/path: recorded "/b", got "/c"'),
      data: {
        reason: 'arguments-differ',
        differences: [{ pointer: '/arguments/path', recorded: '/b', got: '/c' }],
        overlay: 'ignore: [{ method: "tools/call", target: "read_file", at: ["/arguments/path"] }]',
      },
    });
  });

  it('names members that are there on one side only', async () => {
    const { client } = await replayed();
    await expect(client.post(call(1, 'read_file', { path: '/a', more: [1] }))).rejects.toMatchObject({
      data: {
        differences: [
          { pointer: '/arguments/options', recorded: { lines: 10 }, got: null },
          { pointer: '/arguments/more', recorded: null, got: [1] },
        ],
      },
    });
  });

  it.each([
    ['unknown-method', { jsonrpc: '2.0', id: 1, method: 'completion/complete', params: { ref: {}, argument: {} } }],
    ['unknown-target', { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'file:///z' } }],
    ['exhausted', undefined],
  ])('has a reason of a closed set: %s', async (reason, request) => {
    const { client } = await replayed();
    const last = { jsonrpc: '2.0', id: 3, method: 'resources/read', params: { uri: 'file:///a' } };
    if (request === undefined) await client.post(last);
    await expect(client.post(request ?? last)).rejects.toMatchObject({ data: { reason } });
  });

  it('has no nearest line when nothing is near', async () => {
    const { client } = await replayed();
    await expect(client.post({ jsonrpc: '2.0', id: 1, method: 'x/y' })).rejects.toMatchObject({
      data: { line: null, differences: [] },
    });
  });

  it('may be because the recording was cut short', async () => {
    const tapes = await record(legacyServer(), (client) => client.open().then(() => undefined));
    const cut = tapes.map((tape) => ({ ...tape, end: tape.end && { ...tape.end, recovered: true } }));
    const client = new TestClient(replayRig(cut).replay);
    await client.open();
    await expect(client.post(call(1, 'x'))).rejects.toMatchObject({ data: { reason: 'truncated-tape' } });
  });

  it('may be of the other era', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
    });
    const modern = new TestClient(replayRig(tapes).replay);
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    await expect(modern.post(call(1, 'x', {}, meta))).rejects.toMatchObject({ data: { reason: 'era-mismatch' } });
  });

  it('is initialize, on a tape of the other era', async () => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const tapes = await record(legacyServer(), async (client) => void (await client.post(call(1, 'x', {}, meta))));
    await expect(new TestClient(replayRig(tapes).replay).post(initialize())).rejects.toMatchObject({
      data: { reason: 'era-mismatch' },
    });
  });

  it('shortens long values and keeps numbers as they were written', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      await client.post(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":9007199254740993,"t":"a"}}}',
      );
    });
    const client = new TestClient(replayRig(tapes).replay);
    await client.open();
    const miss = client.post(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":1.0,"t":"${'b'.repeat(2000)}"}}}`,
    );
    await expect(miss).rejects.toMatchObject({
      data: {
        differences: [
          { pointer: '/arguments/n', recorded: '9007199254740993', got: '1.0' },
          { pointer: '/arguments/t', recorded: 'a', got: `${'b'.repeat(300)}…` },
        ],
      },
    });
  });
});

describe('the summary', () => {
  it('of a replay that nobody came to waits for the first request', async () => {
    const { replay } = replayRig(await record(legacyServer(), (client) => client.open().then(() => undefined)));
    expect(replay.summary()).toMatchObject({
      served: 0,
      waitingFor: [{ method: 'initialize', line: expect.stringMatching(/^t1\.tape\.jsonl:\d+$/) }],
      exitCode: 4,
    });
  });

  it('lists recordings that nobody asked for, and fails for them when told to', async () => {
    const tapes = await record(legacyServer(), async (client) => {
      await client.open();
      await client.post({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
      await client.post(call(2, 'x'));
    });
    for (const [allUsed, exitCode] of [
      [false, 0],
      [true, 1],
    ] as const) {
      const { replay } = replayRig(tapes, { allUsed });
      await new TestClient(replay).open();
      expect(replay.summary()).toMatchObject({ served: 1, unused: [{ method: 'tools/call', target: 'x' }], exitCode });
    }
  });
});
