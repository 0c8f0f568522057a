import { describe, expect, it } from 'vitest';
import { summariseTape } from '../src/index.js';
import { call, recordingRig, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

describe('the summary of a tape', () => {
  it('names its sessions and exchanges, with their lines and times', async () => {
    const rig = recordingRig();
    const client = new TestClient(
      rig.layer(async (exchange) => {
        rig.clock.advance(5);
        return legacyServer()(exchange);
      }),
    );
    await client.open();
    rig.clock.advance(100);
    await client.post(call(1, 'echo'));
    await client.end();
    await rig.layer.close();
    const [tape] = rig.read();
    expect(tape && summariseTape(tape)).toMatchObject({
      name: 't1.tape.jsonl',
      form: 'capture',
      version: 1,
      at: '2026-07-28T00:00:00.000Z',
      whole: true,
      recovered: false,
      lost: 0,
      took: 120,
      sessions: [{ s: 's1', era: 'legacy', version: '2025-11-25', client: 'tester 1', server: 'server 2' }],
      exchanges: [
        { x: '1', method: 'initialize', status: 200, end: 'answered', took: 5, messages: 2 },
        { x: '2', method: 'notifications/initialized', status: 202, end: 'answered', at: 5 },
        { x: '3', method: 'tools/call', target: 'echo', at: 110, took: 5 },
        { x: '4', method: 'DELETE', status: 200, messages: 0 },
      ],
      problems: [],
    });
  });
});
