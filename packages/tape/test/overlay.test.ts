import { settled } from '@shadowcat/testkit';
import type { JsonObject, Message } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { NO_OVERLAY, type Overlay, overlayReach, readPointer, type Tape } from '../src/index.js';
import { call, record, replayRig, result, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

const at = (text: string) => readPointer(text) ?? [];
const overlay = (parts: Partial<Overlay>): Overlay => ({ ...NO_OVERLAY, ...parts });
const where = 'o.yaml:1:1';
const A = '0b7c1d52-9d1f-4a53-9f6b-3f3c5f7a1a01';
const B = '5f8e9c0a-1111-4222-8333-444455556666';

/** Calls with these arguments, each answered with its number. */
async function taped(...calls: readonly (readonly [name: string, args: object])[]): Promise<Tape[]> {
  let n = 0;
  const server = legacyServer({
    'tools/call': (message) => {
      n += 1;
      const { arguments: args } = message.value['params'] as { arguments: JsonObject };
      return result(message.id, `${n} for ${JSON.stringify(args)}`);
    },
  });
  return record(server, async (client) => {
    await client.open();
    for (const [name, args] of calls) await client.post(call(1, name, args));
  });
}

async function replayed(tapes: readonly Tape[], options: Parameters<typeof replayRig>[1]) {
  const rig = replayRig(tapes, options);
  const client = new TestClient(rig.replay);
  await client.open();
  const ask = async (name: string, args: object): Promise<string> => {
    const [message] = (await client.post(call(9, name, args))).messages as [JsonObject];
    return (message['result'] as { content: [{ text: string }] }).content[0].text;
  };
  return { ...rig, client, ask };
}

describe('ignored places', () => {
  const ignore = [{ where, method: 'tools/call', at: [at('/arguments/at'), at('/arguments/items/*/n')] }];

  it('are not compared, are first in, first out among what is equal then, and are the rung called rule', async () => {
    const tapes = await taped(['x', { at: 1, q: 'a' }], ['x', { at: 2, q: 'a' }], ['x', { at: 3, q: 'b' }]);
    const { ask, replay } = await replayed(tapes, { overlay: overlay({ ignore }) });
    expect(await ask('x', { q: 'b' })).toMatch(/^3 /);
    expect(await ask('x', { at: 9, q: 'a' })).toMatch(/^1 /);
    expect(await ask('x', { at: 1, q: 'a' })).toMatch(/^2 /);
    expect(replay.summary()).toMatchObject({ rungs: { exact: 1, rule: 3 }, exitCode: 0 });
    await expect(ask('x', { at: 9, q: 'a' })).rejects.toMatchObject({ data: { reason: 'exhausted' } });
  });

  it('prefer the recording that is exactly the same', async () => {
    const tapes = await taped(['x', { at: 1 }], ['x', { at: 2 }]);
    const { ask, replay } = await replayed(tapes, { overlay: overlay({ ignore }) });
    expect(await ask('x', { at: 2 })).toMatch(/^2 /);
    expect(await ask('x', { at: 2 })).toMatch(/^1 /);
    expect(replay.summary().rungs).toMatchObject({ exact: 2, rule: 1 });
  });

  it('may be in each item of a list', async () => {
    const tapes = await taped([
      'x',
      {
        items: [
          { n: 1, m: 1 },
          { n: 2, m: 2 },
        ],
      },
    ]);
    const { ask } = await replayed(tapes, { overlay: overlay({ ignore }) });
    expect(await ask('x', { items: [{ n: 7, m: 1 }, { m: 2 }] })).toMatch(/^1 /);
  });

  it.each(['exact', 'bound', 'normalised'] as const)('count when only %s matches are wanted', async (maxRung) => {
    const { ask } = await replayed(await taped(['x', { at: 1 }]), { overlay: overlay({ ignore }), maxRung });
    await expect(ask('x', { at: 2 })).rejects.toMatchObject({ data: { reason: 'arguments-differ' } });
  });

  it('never make the answer of one tool that of another', async () => {
    const all = [{ where, at: [at('/name'), at('/arguments')] }];
    const { ask } = await replayed(await taped(['x', { a: 1 }]), { overlay: overlay({ ignore: all }) });
    await expect(ask('y', { a: 1 })).rejects.toMatchObject({ data: { reason: 'unknown-target' } });
    expect(await ask('x', { b: 1 })).toMatch(/^1 /);
  });

  it('are not named when other places are the reason', async () => {
    const { ask } = await replayed(await taped(['x', { at: 1, q: 'a' }]), { overlay: overlay({ ignore }) });
    await expect(ask('x', { at: 2, q: 'b' })).rejects.toMatchObject({
      data: { differences: [{ pointer: '/arguments/q' }] },
    });
  });
});

describe('values of a kind', () => {
  it.each([
    ['uuid', { id: `file-${A}` }, { id: `file-${B}` }],
    ['timestamp', { t: '2026-11-21T10:00:00.123Z' }, { t: '2027-01-02 11:30:00+01:00' }],
    ['timestamp', { t: 1795000000 }, { t: 1795000123456 }],
    ['temporary-path', { p: '/var/tmp/test-a1/x.txt' }, { p: '/private/var/folders/zz/q/T/test-b2/x.txt' }],
  ] as const)('are equal when they are normalised: %s', async (as, recorded, live) => {
    const rule = { where, as, ...(typeof Object.values(recorded)[0] === 'number' ? { at: [at('/arguments/t')] } : {}) };
    const { ask, replay } = await replayed(await taped(['x', recorded]), { overlay: overlay({ normalise: [rule] }) });
    expect(await ask('x', live)).toMatch(/^1 /);
    expect(replay.summary().rungs.normalised).toBe(1);
  });

  it('leave the rest of a text alone', async () => {
    const rule = { where, as: 'temporary-path' as const };
    const { ask } = await replayed(await taped(['x', { p: '/var/tmp/a/x.txt' }]), {
      overlay: overlay({ normalise: [rule] }),
    });
    await expect(ask('x', { p: '/var/tmp/a/y.txt' })).rejects.toMatchObject({ data: { reason: 'arguments-differ' } });
  });
});

describe('bound places', () => {
  const bind = [{ where, at: [at('/arguments/id')] }];

  it('take the client’s own value, and give it back wherever the recorded one was', async () => {
    const tapes = await taped(
      ['open', { id: A }],
      ['open', { id: B }],
      ['close', { of: `item ${B}` }],
      ['close', { of: `item ${A}` }],
    );
    const { ask, replay } = await replayed(tapes, { overlay: overlay({ bind }) });
    expect(await ask('open', { id: 'first-one' })).toBe('1 for {"id":"first-one"}');
    expect(await ask('open', { id: 'second-one' })).toBe('2 for {"id":"second-one"}');
    // Each stands for its own from now on.
    expect(await ask('close', { of: 'item first-one' })).toBe('4 for {"of":"item first-one"}');
    expect(await ask('close', { of: 'item second-one' })).toBe('3 for {"of":"item second-one"}');
    expect(replay.summary()).toMatchObject({ rungs: { exact: 1, bound: 4 }, unused: [] });
  });

  it('that were bound to one recording are not another’s', async () => {
    const tapes = await taped(['open', { id: A, n: 1 }], ['open', { id: B, n: 2 }]);
    const { ask } = await replayed(tapes, { overlay: overlay({ bind }) });
    await ask('open', { id: 'the-same', n: 1 });
    await expect(ask('open', { id: 'the-same', n: 2 })).rejects.toMatchObject({ code: 'replay_miss' });
  });
});

describe('replaced values', () => {
  it('are what the client gets, and what it may ask with afterwards', async () => {
    const server = legacyServer({
      'tools/call:mint': (message) => ({ jsonrpc: '2.0', id: message.id ?? null, result: { handle: A, n: 1.5 } }),
    });
    const tapes = await record(server, async (client) => {
      await client.open();
      await client.post(call(1, 'mint'));
      await client.post(call(2, 'use', { handle: A }));
    });
    const replace = [{ where, method: 'tools/call', target: 'mint', at: at('/result/handle'), json: '"a-handle"' }];
    const { client, replay } = await replayed(tapes, { overlay: overlay({ replace }) });
    expect((await client.post(call(3, 'mint'))).text).toBe(
      '{"jsonrpc":"2.0","id":3,"result":{"handle":"a-handle","n":1.5}}',
    );
    expect((await client.post(call(4, 'use', { handle: 'a-handle' }))).status).toBe(200);
    expect(replay.summary()).toMatchObject({ rungs: { bound: 1 }, exitCode: 0 });
  });
});

describe('latency', () => {
  it('holds the answer back on the clock, and no longer than the client stays', async () => {
    const latency = [{ where, method: 'tools/call', ms: 300, jitterMs: 0 }];
    const { client, clock } = await replayed(await taped(['x', {}], ['x', {}]), { overlay: overlay({ latency }) });
    let answered = false;
    const answer = client.post(call(1, 'x')).then(() => {
      answered = true;
    });
    await clock.pass(299);
    expect(answered).toBe(false);
    await clock.pass(1);
    await answer;
    const leaving = new AbortController();
    const left = client.raw(call(2, 'x'), { signal: leaving.signal });
    await settled();
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    expect(clock.pending).toBe(0);
  });

  it('has the same jitter each time, and another for another seed', async () => {
    const measure = async (seed: number): Promise<number> => {
      const latency = [{ where, ms: 0, jitterMs: 1000, method: 'tools/call' }];
      const { client, clock } = await replayed(await taped(['x', {}]), { overlay: overlay({ latency, seed }) });
      let at = -1;
      void client.post(call(1, 'x')).then(() => {
        at = clock.now();
      });
      for (let ms = 0; ms < 1000 && at < 0; ms += 1) await clock.pass(1);
      return at;
    };
    const [one, again, other] = [await measure(1), await measure(1), await measure(2)];
    expect(one).toBeGreaterThan(0);
    expect(again).toBe(one);
    expect(other).not.toBe(one);
  });
});

describe('recorded time', () => {
  async function slow(): Promise<Tape[]> {
    const tapes = await taped(['x', {}]);
    // The answer took 2 s, then nothing happened for a day.
    return tapes.map((tape) => ({
      ...tape,
      records: tape.records.map((one) =>
        one.k === 'msg' && one.from === 'server' && one.text.includes('1 for') ? { ...one, t: 2_000_000 } : one,
      ),
    }));
  }

  it.each([
    ['as recorded', 1, 2000],
    ['four times as fast', 4, 500],
    ['never longer than five seconds', 0.1, 5000],
  ])('is kept: %s', async (_, time, expected) => {
    const { client, clock } = await replayed(await slow(), { time });
    let at = -1;
    void client.post(call(1, 'x')).then(() => {
      at = clock.now();
    });
    await clock.pass(expected - 1);
    expect(at).toBe(-1);
    await clock.pass(1);
    expect(at).toBe(expected);
  });

  it('is not what a tape without a clock has: that is said', async () => {
    const tapes = (await taped(['x', {}])).map((tape) => ({
      ...tape,
      records: tape.records.map((one) => {
        const { t: _, ...rest } = one as typeof one & { t?: number };
        return rest as typeof one;
      }),
    }));
    const { ask, replay } = await replayed(tapes, { time: 1 });
    expect(await ask('x', {})).toMatch(/^1 /);
    expect(replay.summary().warnings).toEqual([{ message: expect.stringContaining('no clock') }]);
  });
});

describe('faults', () => {
  const fault = (parts: Partial<Overlay['faults'][number]>): Overlay =>
    overlay({ faults: [{ where, method: 'tools/call', fault: 'error', event: 1, ...parts }] });

  it('hit the nth request; its recording is still there for the next', async () => {
    const rule = fault({ nth: [2], code: -32050, message: 'on purpose' });
    const { client, ask, replay } = await replayed(await taped(['x', {}], ['x', {}]), { overlay: rule });
    expect(await ask('x', {})).toMatch(/^1 /);
    expect((await client.post(call(5, 'x'))).messages).toEqual([
      { jsonrpc: '2.0', id: 5, error: { code: -32050, message: 'on purpose' } },
    ]);
    expect(await ask('x', {})).toMatch(/^2 /);
    expect(replay.summary()).toMatchObject({ faults: 1, misses: [], unused: [], exitCode: 0 });
  });

  it('are no answer to what is not on the tape', async () => {
    const { ask, replay } = await replayed(await taped(['x', {}]), { overlay: fault({}) });
    await expect(ask('y', {})).rejects.toMatchObject({ code: 'replay_miss' });
    expect(replay.summary().faults).toBe(0);
  });

  it('by chance come out the same with the same seed', async () => {
    const tapes = await taped(...Array.from({ length: 40 }, () => ['x', {}] as const));
    const run = async (seed: number): Promise<string> => {
      const { client } = await replayed(tapes, { overlay: { ...fault({ probability: 0.5 }), seed } });
      let story = '';
      for (let n = 0; n < 30; n += 1) story += (await client.post(call(n, 'x'))).text.includes('error') ? 'e' : '.';
      return story;
    };
    const one = await run(1);
    expect(one).toMatch(/e/);
    expect(one).toMatch(/\./);
    expect(await run(1)).toBe(one);
    expect(await run(2)).not.toBe(one);
  });

  it('rate-limit says when to come back; lost-session ends the session', async () => {
    const { client } = await replayed(await taped(['x', {}]), {
      overlay: fault({ fault: 'rate-limit', retryMs: 6500 }),
    });
    await expect(client.post(call(1, 'x'))).rejects.toMatchObject({ code: 'rate_limited', retryAfter: 7 });
    const lost = await replayed(await taped(['x', {}]), { overlay: fault({ fault: 'lost-session', nth: [1] }) });
    await expect(lost.ask('x', {})).rejects.toMatchObject({ code: 'session_not_found' });
    await expect(lost.ask('x', {})).rejects.toMatchObject({ code: 'session_not_found' });
    await lost.client.open();
    expect(await lost.ask('x', {})).toMatch(/^1 /);
  });

  it('malformed is a body that is no JSON', async () => {
    const { client } = await replayed(await taped(['x', {}]), { overlay: fault({ fault: 'malformed' }) });
    const got = await client.raw(call(1, 'x'));
    const text = new TextDecoder().decode(got.body.ready);
    expect(() => JSON.parse(text)).toThrow();
    expect(got.head.headers['content-type']).toBe('application/json');
  });

  it('hang holds the answer until the client cancels, and keeps it for the next', async () => {
    const { client, ask } = await replayed(await taped(['x', {}]), { overlay: fault({ fault: 'hang', nth: [1] }) });
    const got = await client.raw(call(1, 'x'));
    let over = false;
    const reading = got.body
      .frames()
      .next()
      .then(({ done }) => {
        over = done === true;
      });
    await settled();
    expect(over).toBe(false);
    await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    await reading;
    expect(over).toBe(true);
    expect(await ask('x', {})).toMatch(/^1 /);
  });

  it('drop and reorder change what is sent', async () => {
    const note = (n: number): JsonObject =>
      ({ jsonrpc: '2.0', method: 'notifications/message', params: { data: n } }) as JsonObject;
    async function* noisy(id: unknown): AsyncGenerator<JsonObject> {
      yield note(1);
      yield note(2);
      yield result(id, 'done');
    }
    const tapes = await record(legacyServer({ 'tools/call': (message) => noisy(message.id) }), async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
    });
    const sent = async (parts: Partial<Overlay['faults'][number]>): Promise<unknown> => {
      const { client } = await replayed(tapes, { overlay: fault(parts) });
      return (await client.post(call(1, 'x'))).messages;
    };
    expect(await sent({ fault: 'drop', event: 2 })).toEqual([note(1), result(1, 'done')]);
    expect(await sent({ fault: 'reorder', event: 1 })).toEqual([note(2), note(1), result(1, 'done')]);
  });
});

describe('expectations', () => {
  it('that are not met fail the replay', async () => {
    const rule = overlay({ expect: [{ where, method: 'tools/call', target: 'x', min: 2, max: 2 }] });
    const { ask, replay } = await replayed(await taped(['x', {}], ['x', {}]), { overlay: rule });
    await ask('x', {});
    expect(replay.summary()).toMatchObject({
      expectations: [{ where, message: 'tools/call x was expected 2 times, and came 1 times' }],
      exitCode: 1,
    });
    await ask('x', {});
    expect(replay.summary()).toMatchObject({ expectations: [], exitCode: 0 });
  });
});

describe('the reach of rules', () => {
  it('is how many recorded requests each touches', async () => {
    const tapes = await taped(['x', { id: A }], ['x', { id: B }], ['y', {}]);
    const base = { where, method: 'tools/call' };
    const reach = overlayReach(
      overlay({
        ignore: [
          { ...base, at: [at('/arguments/id')] },
          { ...base, at: [at('/arguments/no')] },
          { ...base, at: [at('/result/content/*/text')] },
        ],
        normalise: [
          { ...base, as: 'uuid' },
          { ...base, as: 'timestamp' },
        ],
        replace: [{ ...base, target: 'y', at: at('/result/content'), json: '1' }],
        faults: [
          { ...base, fault: 'error', event: 1, nth: [3] },
          { ...base, fault: 'error', event: 1, nth: [4] },
          { ...base, fault: 'drop', event: 2 },
        ],
        expect: [{ ...base, target: 'z', min: 1, max: 1 }],
      }),
      tapes,
    );
    expect(reach.map(({ rule, touches }) => `${rule}: ${touches}`)).toEqual([
      'ignore tools/call /arguments/id: 2',
      'ignore tools/call /arguments/no: 0',
      'ignore tools/call /result/content/*/text: 3',
      'normalise uuid tools/call: 2',
      'normalise timestamp tools/call: 0',
      'replace tools/call y /result/content: 1',
      'error tools/call: 3',
      'error tools/call: 0',
      'drop tools/call: 0',
      'expect tools/call z: 0',
    ]);
  });

  it('leads into answers, into JSON in their texts, and to what the server says', async () => {
    const text = JSON.stringify({ at: '2026-01-01T10:00:00Z', id: 7 });
    const told = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'a' } };
    const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
    const working = async function* (message: Message): AsyncGenerator<JsonObject> {
      yield told;
      yield changed;
      yield result(message.id, text);
    };
    const tapes = await record(legacyServer({ 'tools/call:x': working }), async (client) => {
      await client.open();
      await client.post(call(1, 'x'));
    });
    const base = { where, method: 'tools/call' };
    const reach = overlayReach(
      overlay({
        ignore: [
          { ...base, at: [at('/result/content/0/text/id')] },
          { ...base, at: [at('/result/content/0/text/no')] },
          { where, method: 'notifications/message', at: [at('/params/data')] },
          { where, method: 'notifications/tools/list_changed', at: [at('/params')] },
          { where, method: 'notifications/progress', at: [at('/params')] },
        ],
        normalise: [
          { ...base, as: 'timestamp', at: [at('/result/content/0/text/at')] },
          { ...base, as: 'uuid', at: [at('/result/content/0/text/at')] },
        ],
      }),
      tapes,
    );
    expect(reach.map(({ touches }) => touches)).toEqual([1, 0, 1, 1, 0, 1, 0]);
  });
});
