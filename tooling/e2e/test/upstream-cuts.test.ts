import { expect, it } from 'vitest';
import { metric } from '../src/calls.js';
import { cuttingRelay, seededRandom } from '../src/cutting-relay.js';
import { openSession, type RawSession, sseEvents } from '../src/raw-mcp.js';
import { startFixture } from '../src/servers.js';
import { startShadowcat, workFolder } from '../src/shadowcat.js';

const CUTS = 250;
const STEPS = 40;
/** Each makes one call after the other: the server keeps some events of a session only. */
const SESSIONS = 8;

interface Outcome {
  readonly steps: readonly number[];
  readonly answers: number;
}

/** One call that reports its steps: what arrived of it on its one stream, in the order it arrived. */
async function call(session: RawSession, id: number): Promise<Outcome> {
  const params = { name: 'progress', arguments: { steps: STEPS, delayMs: 1 }, _meta: { progressToken: id } };
  const response = await session.post({ jsonrpc: '2.0', id, method: 'tools/call', params });
  const steps: number[] = [];
  let answers = 0;
  for await (const { data } of sseEvents(response)) {
    if (data === '') continue;
    const message = JSON.parse(data) as { id?: number; result?: unknown; params?: { progress: number } };
    if (message.params !== undefined) steps.push(message.params.progress);
    else if (message.id === id && message.result !== undefined) answers += 1;
    else throw new Error(data);
  }
  return { steps, answers };
}

it('brings every event once and in order although connections to the server are cut 250 times', async () => {
  const seed = Number(process.env['SHADOWCAT_E2E_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.info(`SHADOWCAT_E2E_SEED=${seed}`);
  const random = seededRandom(seed);
  await using folder = await workFolder();
  await using fixture = await startFixture(['--retry-ms', '5']);
  let cutting = false;
  await using relay = await cuttingRelay({
    port: Number(new URL(fixture.url).port),
    // Before its first event a stream has no id to go on from.
    cutAfter: () => (cutting ? Math.floor(random() * 3000) : undefined),
  });
  const url = `http://127.0.0.1:${relay.port}/mcp`;
  await using proxy = await startShadowcat(['reverse', '--upstream', url], folder.path);
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => openSession(proxy.url)));
  cutting = true;
  const outcomes: Outcome[] = [];
  let id = 0;
  const caller = async (session: RawSession): Promise<void> => {
    while (relay.cuts < CUTS) outcomes.push(await call(session, ++id));
  };
  await Promise.all(sessions.map(caller));
  const whole: Outcome = { steps: Array.from({ length: STEPS }, (_, step) => step + 1), answers: 1 };
  expect(relay.cuts).toBeGreaterThanOrEqual(CUTS);
  expect(outcomes).toEqual(outcomes.map(() => whole));
  expect(await metric(proxy.url, 'shadowcat_upstream_stream_resumptions_total{outcome="ok"}')).toBeGreaterThanOrEqual(
    CUTS / 2,
  );
});
