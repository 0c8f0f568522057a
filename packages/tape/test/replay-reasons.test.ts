import { ProxyError } from '@shadowcat/kernel';
import { errorText, type JsonObject } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import type { Tape, TapeRecord } from '../src/index.js';
import type { MissReason } from '../src/miss.js';
import { call, record, replayRig, result, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

/** What is on the tape, who asks, and what for. */
interface Scenario {
  readonly tapes: () => Promise<readonly Tape[]>;
  /** Before the request that is missed. */
  readonly before?: (client: TestClient) => Promise<unknown>;
  readonly asks: JsonObject;
  /** Whether there is a recording to point at. */
  readonly near: boolean;
}

const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
const open = (client: TestClient) => client.open();
const calls = (...asked: readonly JsonObject[]) =>
  record(legacyServer(), async (client) => {
    await client.open();
    for (const one of asked) await client.post(one);
  });

const retry = (more: object) =>
  ({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'confirm', arguments: {}, ...more, _meta: META },
  }) as JsonObject;
const answers = { inputResponses: { sure: { action: 'accept' } }, requestState: 'state-1' };

async function legs(): Promise<readonly Tape[]> {
  const asking = { resultType: 'input_required', inputRequests: { sure: { method: 'elicitation/create' } } };
  const server = legacyServer({
    'tools/call': ({ id, text }) =>
      text.includes('inputResponses')
        ? result(id, 'done')
        : ({ jsonrpc: '2.0', id, result: { ...asking, requestState: 'state-1' } } as JsonObject),
  });
  return record(server, async (client) => {
    await client.post(retry({}));
    await client.post(retry(answers));
  });
}

async function otherKey(): Promise<readonly Tape[]> {
  const tapes = await calls(call(1, 'login', { password: 'hunter2' }));
  return tapes.map((tape) => ({
    ...tape,
    head: { ...tape.head, redaction: { policy: 'default@3', key: 'another' } },
    records: tape.records.map((one) =>
      one.k === 'msg' ? { ...one, text: one.text.replace(/~redacted\..{16}~/, '~redacted.0123456789abcdef~') } : one,
    ),
  }));
}

/** All of the closed set: a reason without a row does not compile. */
const SCENARIOS: Readonly<Record<MissReason, Scenario>> = {
  'unknown-method': { tapes: () => calls(), before: open, asks: call(1, 'x'), near: false },
  'unknown-target': { tapes: () => calls(call(1, 'y')), before: open, asks: call(1, 'x'), near: true },
  'arguments-differ': {
    tapes: () => calls(call(1, 'x', { a: 1 })),
    before: open,
    asks: call(1, 'x', { a: 2 }),
    near: true,
  },
  exhausted: {
    tapes: () => calls(call(1, 'x')),
    before: async (client) => {
      await client.open();
      await client.post(call(8, 'x'));
    },
    asks: call(1, 'x'),
    near: true,
  },
  'wrong-order': { tapes: legs, asks: retry(answers), near: true },
  'wrong-session': {
    tapes: () =>
      record(legacyServer(), async (_, handler) => {
        for (const name of ['a', 'b']) {
          const client = new TestClient(handler);
          await client.open(name);
          await client.post(call(1, `of-${name}`));
        }
      }),
    before: (client) => client.open('b'),
    asks: call(1, 'of-a'),
    near: true,
  },
  'era-mismatch': { tapes: () => calls(call(1, 'x')), asks: call(1, 'x', {}, META), near: true },
  'truncated-tape': {
    tapes: async () =>
      (await calls(call(1, 'x'))).map((tape) => ({
        ...tape,
        records: tape.records.flatMap((one): TapeRecord[] => {
          if (one.k === 'msg' && one.from === 'server' && one.text.includes('answer of')) return [];
          return one.k === 'x-' ? [{ ...one, end: 'open-at-end' as const }] : [one];
        }),
      })),
    before: open,
    asks: call(1, 'x'),
    near: true,
  },
  'redaction-key-missing': {
    tapes: otherKey,
    before: open,
    asks: call(1, 'login', { password: 'hunter2' }),
    near: true,
  },
};

describe('a client whose request is missed', () => {
  it.each(Object.entries(SCENARIOS))(
    'is told %s, with its id and where the nearest recording is',
    async (reason, row) => {
      const { replay } = replayRig(await row.tapes());
      const client = new TestClient(replay);
      await row.before?.(client);
      const missed = await client.post(row.asks).then(
        () => undefined,
        (error: unknown) => ProxyError.from(error),
      );
      expect(JSON.parse(missed === undefined ? '{}' : errorText(missed, '1'))).toMatchObject({
        jsonrpc: '2.0',
        id: 1,
        error: {
          code: -32004,
          message: expect.stringContaining(`(${reason}: `),
          data: { reason, line: row.near ? expect.stringMatching(/^t1\.tape\.jsonl:\d+$/) : null },
        },
      });
      expect(replay.summary()).toMatchObject({ misses: [{ reason }], exitCode: 1 });
    },
  );
});
