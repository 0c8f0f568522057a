import { ProxyError } from '@shadowcat/kernel';
import type { JsonObject } from '@shadowcat/wire';
import { array, assert, asyncProperty, constantFrom, integer, jsonValue, object, oneof, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_OVERLAY, type Overlay, readPointer } from '../src/index.js';
import { call, record, replayRig, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

/** Whether the overlay that a miss proposes makes it a match. */

/** The line as the overlay's reader understands it. */
function overlayOf(line: string): Overlay {
  const [, method = '', , target, places = ''] =
    /^ignore: \[\{ method: ("(?:[^"\\]|\\.)*")(, target: ("(?:[^"\\]|\\.)*"))?, at: (\[.*\]) \}\]$/s.exec(line) ?? [];
  const at = (JSON.parse(places) as string[]).map((place) => {
    const pointer = readPointer(place);
    if (pointer === undefined) throw new Error(`no overlay can say ${JSON.stringify(place)}`);
    return pointer;
  });
  const rule = { where: 'o.yaml:1:1', method: JSON.parse(method) as string, at };
  const ignore = [target === undefined ? rule : { ...rule, target: JSON.parse(target) as string }];
  return { ...NO_OVERLAY, ignore };
}

async function missOf(asked: JsonObject, recorded: JsonObject, overlay?: Overlay): Promise<ProxyError | undefined> {
  const tapes = await record(legacyServer(), async (client) => {
    await client.open();
    await client.post(recorded);
  });
  const { replay } = replayRig(tapes, overlay === undefined ? {} : { overlay });
  const client = new TestClient(replay);
  await client.open();
  try {
    await client.post(asked);
    return undefined;
  } catch (error) {
    return ProxyError.from(error);
  }
}

async function expectMended(recorded: JsonObject, asked: JsonObject): Promise<void> {
  const miss = await missOf(asked, recorded);
  if (miss === undefined) return;
  const { reason, overlay } = miss.data as { reason: string; overlay: string };
  expect(reason).toBe('arguments-differ');
  expect(await missOf(asked, recorded, overlayOf(overlay))).toBeUndefined();
}

describe('the overlay that a miss proposes', () => {
  const args = object({
    key: oneof(string(), constantFrom('a', 'b', '*', '~', '/', '~1', '"', '__proto__')),
    values: [jsonValue(), integer(), array(integer())],
    maxDepth: 3,
  });

  it('makes it a match, whatever the parameters are', async () => {
    const pairs = asyncProperty(args, args, constantFrom('echo', 'a "tool"'), async (one, other, tool) => {
      await expectMended(call(1, tool, one as object), call(1, tool, other as object));
    });
    await assert(pairs, { numRuns: 150 });
  });

  it.each<[string, object, object]>([
    ['a list is longer', { list: [1, 2, 3] }, { list: [1] }],
    ['more differs than is listed', {}, Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`k${n}`, n]))],
    ['a number is spelled otherwise', { n: 1 }, { n: '1' }],
  ])('makes it a match when %s', async (_, recorded, asked) => {
    await expectMended(call(1, 'echo', recorded), call(1, 'echo', asked));
  });

  it('makes it a match when there were no parameters', async () => {
    const list = (params?: JsonObject): JsonObject => ({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/list',
      ...(params === undefined ? {} : { params }),
    });
    await expectMended(list(), list({ cursor: 'a' }));
    await expectMended(list({ cursor: 'a' }), list());
    await expectMended(list({}), list({ cursor: 'a' }));
  });
});
