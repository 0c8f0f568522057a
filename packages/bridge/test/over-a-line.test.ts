import type { Reply } from '@shadowcat/kernel';
import { ManualClock, readReply, settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { type LineTalk, legacyLine } from './legacy-line.js';
import { bridged, modern } from './support.js';

/** Modern clients of a legacy server at the end of a line, where questions come between answers and name no call. */

interface Rpc {
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string };
}
const lastOf = async (answer: Promise<Reply>) => (await readReply(await answer)).messages.at(-1) as unknown as Rpc;

/** The params of a retry that answers the one question that `asked` puts. */
function retryOf({ result }: Rpc, answer: object): object {
  const [key = ''] = Object.keys(result?.['inputRequests'] ?? {});
  return { requestState: result?.['requestState'], inputResponses: { [key]: answer } };
}

const question = (id: number) => ({ id, method: 'sampling/createMessage', params: { messages: [], maxTokens: id } });

function setUp(hears: (talk: LineTalk) => void, options: Parameters<typeof bridged>[1] = {}) {
  const clock = new ManualClock();
  const line = legacyLine(hears, clock);
  return { line, ...bridged(line, { ...options, clock }) };
}

/** Answers a call with what its question was answered with. */
const asker = ({ message, line }: LineTalk): void => {
  if (message.method === 'tools/call') line.says(question(7));
  else if (message.method === undefined)
    line.says({ id: line.last('tools/call')?.['id'], result: { answer: message['result'] ?? message['error'] } });
};

describe('over a line', () => {
  it('a question between request and answer is the result of the call, and its answer goes on with it', async () => {
    const { bridge } = setUp(asker);
    const first = await lastOf(bridge(modern('tools/call', { name: 'x' })));
    expect(first.result).toMatchObject({ resultType: 'input_required' });
    const retry = modern('tools/call', { name: 'x', ...retryOf(first, { n: 1 }) });
    expect((await lastOf(bridge(retry))).result).toMatchObject({ answer: { n: 1 } });
  });

  it('a question after the last answer waits for the next call', async () => {
    const { bridge, line } = setUp(({ message, line: own }) => {
      if (message.method === 'tools/call') own.says({ id: message.id, result: {} });
    });
    expect((await lastOf(bridge(modern('tools/call', {})))).result).toMatchObject({ resultType: 'complete' });
    line.says(question(8));
    await settled();
    const second = await lastOf(bridge(modern('tools/call', {})));
    expect(second.result).toMatchObject({ resultType: 'input_required' });
    const retry = modern('tools/call', retryOf(second, { late: true }));
    expect((await lastOf(bridge(retry))).result).toMatchObject({ resultType: 'complete' });
    expect(line.heard.filter(({ result }) => result !== undefined)).toEqual([
      { jsonrpc: '2.0', id: 8, result: { late: true } },
    ]);
  });

  it('a line that dies while a question is held fails the retry, and the next call has a fresh session', async () => {
    const { bridge, line, room } = setUp(asker);
    const first = await lastOf(bridge(modern('tools/call', {})));
    line.dies();
    await expect(lastOf(bridge(modern('tools/call', retryOf(first, {}))))).rejects.toMatchObject({
      code: 'child_exited',
    });
    expect(room.held).toBe(0);
  });

  it('questions that nobody can be asked are refused beyond a few', async () => {
    const { bridge, line, room } = setUp(({ message, line: own }) => {
      if (message.id !== undefined && message.method !== undefined) own.says({ id: message.id, result: {} });
    });
    await lastOf(bridge(modern('tools/list')));
    for (let id = 1; id <= 500; id += 1) line.says(question(id));
    await expect.poll(() => line.heard.filter(({ error }) => error !== undefined).length).toBe(480);
    expect(room.lost.full).toBe(480);
  });

  it('a question that its server takes back is not put', async () => {
    const { bridge, line } = setUp(({ message, line: own }) => {
      if (message.method !== 'tools/call') return;
      own.says({ id: message.id, result: {} });
    });
    await lastOf(bridge(modern('tools/call', {})));
    line.says(question(9));
    line.says({ method: 'notifications/cancelled', params: { requestId: 9 } });
    await settled();
    expect((await lastOf(bridge(modern('tools/call', {})))).result).toMatchObject({ resultType: 'complete' });
  });
});
