import { describe, expect, it } from 'vitest';
import { goldenOf, readTape, soundTape, type Tape, withBlobs } from '../src/index.js';
import { bytesOf, call, newDigest, record, recordingRig, replayRig, result, TestClient } from './support/rig.js';
import { legacyServer } from './support/servers.js';

const golden = (tape: Tape, times = false) => goldenOf(tape, { newDigest, times });
const textOf = (tape: Tape): string => golden(tape).lines.join('');
const read = (text: string): Tape => readTape(bytesOf(text), { name: 'g.tape.jsonl', newDigest });
const lines = (text: string): string[] => text.trimEnd().split('\n');
/** Lines of `b` that are not the line of `a` in their place. */
const changed = (a: string, b: string): number[] => {
  const before = lines(a);
  return lines(b).flatMap((line, index) => (line === before[index] ? [] : [index + 1]));
};

const HEAD = '{"k":"head","v":1,"form":"capture","requires":[],"scope":"all"}';
/** A capture of these records, without checkpoints. */
const capture = (...records: readonly (string | object)[]): Tape =>
  read(`${[HEAD, ...records.map((it) => (typeof it === 'string' ? it : JSON.stringify(it)))].join('\n')}\n`);

const ask = (x: string, m: object, s = 's1') => [
  { k: 'http', s, x, from: 'client', method: 'POST', target: '/mcp', headers: {} },
  { k: 'msg', s, x, from: 'client', m },
];
const head = (x: string, s = 's1') => ({
  k: 'http',
  s,
  x,
  from: 'server',
  status: 200,
  upstream: 'http://a:1/mcp',
  headers: {},
});
const say = (x: string, m: object, s = 's1') => ({ k: 'msg', s, x, from: 'server', m });
const over = (x: string, end = 'answered', s = 's1') => ({ k: 'x-', s, x, end });
const answerTo = (x: string, id: unknown) => [head(x), say(x, { jsonrpc: '2.0', id, result: {} }), over(x)];
const tool = (id: unknown, name: string) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } });
const note = (method: string) => ({ jsonrpc: '2.0', method });
const get = (x: string) => ({ k: 'http', s: 's1', x, from: 'client', method: 'GET', target: '/mcp', headers: {} });

async function session(name: string, firstId: number, answer = 'hello'): Promise<Tape> {
  const server = legacyServer({
    'tools/call:echo': (message) => result(message.id, message.text.includes('"b"') ? answer : 'fixed'),
  });
  const [tape] = await record(server, async (client) => {
    await client.open(name, firstId);
    await client.post({ jsonrpc: '2.0', id: firstId + 1, method: 'tools/list' });
    await client.post(call(firstId + 2, 'echo', { message: 'a' }, { progressToken: `t${firstId}` }));
    await client.post(call(firstId + 3, 'echo', { message: 'b' }));
    await client.end();
  });
  if (tape === undefined) throw new Error('nothing was recorded');
  return tape;
}

describe('the golden form', () => {
  it('is a tape without clock, checkpoints and counters, named by content', async () => {
    const text = textOf(await session('c', 5));
    const tape = soundTape(read(text));
    expect(tape.head).toMatchObject({ form: 'golden' });
    expect(tape.head).not.toHaveProperty('at');
    expect(tape.head).not.toHaveProperty('by');
    expect(tape.records.every(({ t }) => t === undefined)).toBe(true);
    expect(tape.records.filter(({ k }) => k === 'ckpt')).toEqual([]);
    const names = new Set(tape.records.flatMap((it) => ('x' in it && it.x !== undefined ? [it.x] : [])));
    expect([...names]).toEqual([
      'initialize#1',
      'notifications/initialized#1',
      'tools/list#1',
      expect.stringMatching(/^tools\/call:echo~[0-9a-f]{4}#1$/),
      expect.stringMatching(/^tools\/call:echo~[0-9a-f]{4}#1$/),
      'DELETE#1',
    ]);
    expect(text).not.toMatch(/upstream|localhost/);
  });

  it('is the same when the same conversation is recorded again with other ids and tokens', async () => {
    expect(textOf(await session('c', 100))).toBe(textOf(await session('c', 0)));
  });

  it('has one changed line, and the last, for one changed answer', async () => {
    const before = textOf(await session('c', 0));
    const at = changed(before, textOf(await session('c', 0, 'other')));
    expect(at).toHaveLength(2);
    expect(at.at(-1)).toBe(lines(before).length);
  });

  it('is made of itself unchanged', async () => {
    const text = textOf(await session('c', 0));
    expect(textOf(read(text))).toBe(text);
  });

  it('is replayed, and recording that replay gives the same bytes', async () => {
    const first = textOf(await session('c', 0));
    const { replay } = replayRig([soundTape(read(first))]);
    const rig = recordingRig();
    const client = new TestClient(rig.layer(replay));
    await client.open('c', 50);
    await client.post({ jsonrpc: '2.0', id: 51, method: 'tools/list' });
    await client.post(call(77, 'echo', { message: 'a' }, { progressToken: 'other' }));
    await client.post(call(78, 'echo', { message: 'b' }));
    await client.end();
    await rig.layer.close();
    expect(replay.summary()).toMatchObject({ misses: [], unused: [] });
    const [again] = rig.read();
    const second = again === undefined ? '' : textOf(again);
    expect(second).toBe(first);
  });

  it('keeps the wire text of messages beside ids', () => {
    const m =
      '{ "jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"a","n":1.0,"b":"\\u00e9"} }';
    const tape = capture(`{"k":"msg","s":"s1","x":"1","from":"client","m":${m}}`);
    expect(textOf(tape)).toContain(`"m":${m.replace('9007199254740993', '1')}}`);
  });

  it('leaves out what replay does not read and depends on time, and keeps what it does not know', () => {
    const text = textOf(
      capture(
        { k: 'err', s: 's1', text: 'warming up 12:00' },
        { k: 'raw', s: 's1', text: 'banner' },
        { k: 'note', s: 's1', text: 'recovered' },
        ...ask('1', tool(1, 'a')),
        { k: 'future', t: 7, s: 's1', z: 1 },
        { k: 'gap', lost: 2, why: 'disk full' },
        ...answerTo('1', 1),
      ),
    );
    expect(text).not.toMatch(/warming|banner|recovered/);
    expect(lines(text)[3]).toBe('{"k":"future","s":"s1","z":1}');
    expect(lines(text)[4]).toContain('"k":"gap","lost":2');
    expect(lines(text).at(-1)).toContain('"lost":2');
  });

  it('has times when they are asked for', () => {
    const [a, b] = ask('1', tool(1, 'a'));
    const tape = capture({ ...a, t: 5 }, { ...b, t: 10 });
    expect(
      golden(tape, true)
        .lines.slice(1, 3)
        .map((line) => JSON.parse(line).t),
    ).toEqual([5, 10]);
  });
});

describe('records that raced', () => {
  const [a, b] = [ask('1', tool(3, 'a')), ask('2', tool(4, 'b'))];

  it.each([
    ['one after the other', [...a, ...answerTo('1', 3), ...b, ...answerTo('2', 4)]],
    ['both before the answers', [...a, ...b, ...answerTo('1', 3), ...answerTo('2', 4)]],
    ['answered the other way round', [...a, ...b, ...answerTo('2', 4), ...answerTo('1', 3)]],
    ['arrived the other way round', [...b, ...a, ...answerTo('2', 4), ...answerTo('1', 3)]],
    [
      'mixed',
      [...a, head('1'), ...b, head('2'), say('2', { id: 4, result: {} }), ...answerTo('1', 3).slice(1), over('2')],
    ],
  ])('are in the order of the program: requests %s', (_, records) => {
    const order = lines(textOf(capture(...records))).slice(1, -1);
    expect(order.map((line) => (JSON.parse(line) as { x: string }).x.slice(0, 12))).toEqual([
      ...Array(5).fill('tools/call:a'),
      ...Array(5).fill('tools/call:b'),
    ]);
  });

  it('a standing stream begins in one place, whenever it was opened', () => {
    const ready = [...ask('i', note('notifications/initialized')), head('i'), over('i')];
    const stream = [get('g'), head('g')];
    const early = textOf(capture(...ready, ...stream, ...a, ...answerTo('1', 3), over('g', 'closed-by-client')));
    const late = textOf(capture(...ready, ...a, ...answerTo('1', 3), ...stream, over('g', 'closed-by-client')));
    const split = textOf(
      capture(...ready, get('g'), ...a, head('g'), ...answerTo('1', 3), over('g', 'closed-by-client')),
    );
    expect(late).toBe(early);
    expect(split).toBe(early);
  });

  it('what came on a stream stays behind the message that it came after', () => {
    const changedList = say('g', note('notifications/tools/list_changed'));
    const before = textOf(
      capture(get('g'), head('g'), ...a, changedList, ...answerTo('1', 3), ...b, ...answerTo('2', 4)),
    );
    const after = textOf(
      capture(get('g'), head('g'), ...a, ...answerTo('1', 3), changedList, ...b, ...answerTo('2', 4)),
    );
    expect(after).toBe(before);
    const order = lines(after).map(
      (line) => (JSON.parse(line) as { m?: { method?: string; params?: { name: string } } }).m,
    );
    const at = order.findIndex((m) => m?.method === 'notifications/tools/list_changed');
    expect(at).toBeGreaterThan(order.findIndex((m) => m?.params?.name === 'a'));
    expect(at).toBeLessThan(order.findIndex((m) => m?.params?.name === 'b'));
  });

  it('an answer stays behind what the client was asked for it', () => {
    const question = { jsonrpc: '2.0', id: 'q', method: 'sampling/createMessage', params: {} };
    const reply = [...ask('c', { jsonrpc: '2.0', id: 'q', result: {} }), head('c'), over('c')];
    const text = textOf(capture(...a, head('1'), say('1', question), ...reply, ...answerTo('1', 3).slice(1)));
    const order = lines(text)
      .slice(1, -1)
      .map((line) => (JSON.parse(line) as { x: string }).x);
    expect(order).toEqual([
      ...Array(4).fill(expect.stringMatching(/^tools\/call:a~....#1$/)),
      ...Array(4).fill('response:sampling/createMessage#1'),
      ...Array(2).fill(expect.stringMatching(/^tools\/call:a~....#1$/)),
    ]);
    expect(text).toContain('"m":{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"');
    expect(text).toContain('"m":{"jsonrpc":"2.0","id":1,"result":{}}');
  });

  it('two sessions at once are two groups', () => {
    const other = (records: readonly object[]) => records.map((it) => ({ ...it, s: 's2' }));
    const mixed = capture(...a, ...other(b), ...answerTo('1', 3), ...other(answerTo('2', 4)));
    const lanes = lines(textOf(mixed))
      .slice(1, -1)
      .map((line) => (JSON.parse(line) as { s: string }).s);
    expect(lanes).toEqual([...Array(5).fill('s1'), ...Array(5).fill('s2')]);
  });
});

describe('ids in the golden form', () => {
  it('are numbered by who sent them, also where messages refer to them', () => {
    const text = textOf(
      capture(
        ...ask('1', {
          ...tool(70, 'a'),
          params: { name: 'a', _meta: { progressToken: 'tok', traceparent: '00-ff-aa-01' } },
        }),
        say('1', { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'tok', progress: 1 } }),
        ...ask('2', { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 70 } }),
        over('1', 'cancelled-by-client'),
        { k: 'sse', s: 's1', x: '1', sse: { id: 'event-ab' } },
        { ...get('3'), headers: { 'last-event-id': 'event-ab' } },
      ),
    );
    expect(text).not.toMatch(/70|tok"|event-ab|00-ff/);
    expect(text).toContain('"progressToken":1,"progress":1');
    expect(text).toContain('"requestId":1');
    expect(text).toContain('"last-event-id":"1"');
    expect(text).toContain('"sse":{"id":"1"}');
  });

  it('are those of request states too, which servers sign anew each time', () => {
    const asked = { jsonrpc: '2.0', id: 1, result: { resultType: 'input_required', requestState: 'v1.abc.def' } };
    const retry = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'a', requestState: 'v1.abc.def' } };
    const text = textOf(capture(...ask('1', tool(1, 'a')), say('1', asked), over('1'), ...ask('2', retry)));
    expect(text).not.toContain('v1.abc');
    expect(text.match(/"requestState":"state-1"/g)).toHaveLength(2);
  });

  it('are in a state that the client has changed, too', () => {
    const asked = { jsonrpc: '2.0', id: 1, result: { resultType: 'input_required', requestState: 'v1.abc.def' } };
    const params = { name: 'a', requestState: '$$v1.abc.def-CHANGED' };
    const retry = { jsonrpc: '2.0', id: 2, method: 'tools/call', params };
    const text = textOf(capture(...ask('1', tool(1, 'a')), say('1', asked), over('1'), ...ask('2', retry)));
    expect(text).toContain('"requestState":"$$state-1-CHANGED"');
  });

  it('tag what a subscription sends', () => {
    const key = 'io.modelcontextprotocol/subscriptionId';
    const listen = { jsonrpc: '2.0', id: 41, method: 'subscriptions/listen', params: {} };
    const tagged = { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta: { [key]: '41' } } };
    expect(textOf(capture(...ask('1', listen), say('1', tagged)))).toContain(`"${key}":"1"`);
  });
});

describe('the key of the placeholders', () => {
  const KEYED =
    '{"k":"head","v":1,"form":"capture","requires":[],"scope":"all","redaction":{"policy":"default@1","key":"9493f628"}}';
  const headOf = (text: string, keyId?: string): unknown => {
    const records = [
      ...ask('1', tool(1, 'open')),
      head('1'),
      say('1', { jsonrpc: '2.0', id: 1, result: { text } }),
      over('1'),
    ];
    const tape = read(`${[KEYED, ...records.map((it) => JSON.stringify(it))].join('\n')}\n`);
    const { head: first } = read(
      goldenOf(tape, { newDigest, ...(keyId === undefined ? {} : { keyId }) }).lines.join(''),
    );
    return first.redaction;
  };

  it('is named where something is hidden, in a large value too', () => {
    const hidden = { policy: 'default@1', key: '9493f628' };
    expect(headOf('~redacted.3fa2c1d0e9b8a7f6~')).toEqual(hidden);
    expect(headOf(`${'x'.repeat(20_000)} ~redacted.3fa2c1d0e9b8a7f6~`)).toEqual(hidden);
  });

  it('is left out where nothing is: another machine with another key makes the same bytes', () => {
    expect(headOf('plain')).toEqual({ policy: 'default@1' });
  });

  it('is added when an update hides the first secret', () => {
    const plain = read(goldenOf(capture(KEYED.replace(',"key":"9493f628"', '')), { newDigest }).lines.join(''));
    const records = [...plain.records, { k: 'raw', s: '-', x: '1', text: '~redacted.3fa2c1d0e9b8a7f6~' } as never];
    const unkeyed = { ...plain, head: { ...plain.head, redaction: { policy: 'default@1' } }, records };
    const { lines: made } = goldenOf(unkeyed, { newDigest, keyId: 'cafe0001' });
    expect(made[0]).toContain('"redaction":{"policy":"default@1","key":"cafe0001"}');
  });
});

describe('an edited golden tape', () => {
  it('is found, and sealed again with one changed line and the last', async () => {
    const text = textOf(await session('c', 0));
    const edited = text.replace('"hello"', '"hullo"');
    const tape = read(edited);
    expect(tape.problems).toMatchObject([{ kind: 'edited', message: expect.stringContaining('edited') }]);
    expect(() => soundTape(tape)).toThrow(/shadowcat tape fmt g\.tape\.jsonl$/);
    const sealed = textOf(tape);
    expect(soundTape(read(sealed)).problems).toEqual([]);
    expect(changed(text, sealed)).toHaveLength(2);
  });

  it('keeps all other lines when one is inserted', async () => {
    const text = textOf(await session('c', 0));
    const all = lines(text);
    const added = '{"k":"msg","s":"s1","x":"new#1","from":"client","m":{"jsonrpc":"2.0","id":99,"method":"ping"}}';
    const sealed = lines(textOf(read(`${[...all.slice(0, 6), added, ...all.slice(6)].join('\n')}\n`)));
    expect([...sealed.slice(0, 6), ...sealed.slice(7, -1)]).toEqual(all.slice(0, -1));
    expect(sealed[6]).toBe(added);
  });
});

describe('large values', () => {
  const big = 'ä"\n'.repeat(8000);
  const image = btoa('\u0000\u00ff'.repeat(4000));
  const content = [
    { type: 'text', text: big },
    { type: 'image', mimeType: 'image/png', data: image },
    { type: 'text', text: 'small' },
  ];
  const tape = capture(
    ...ask('1', tool(1, 'a')),
    head('1'),
    say('1', { jsonrpc: '2.0', id: 1, result: { content } }),
    over('1'),
  );

  it('lie beside the tape, and come back as they were', () => {
    const made = golden(tape);
    const text = made.lines.join('');
    expect(text.length).toBeLessThan(2000);
    expect(made.blobs.map(({ path }) => path)).toEqual([
      expect.stringMatching(/^blobs\/[0-9a-f]{2}\/[0-9a-f]{62}\.txt$/),
      expect.stringMatching(/^blobs\/[0-9a-f]{2}\/[0-9a-f]{62}\.png$/),
    ]);
    expect(made.blobs[1]?.bytes).toHaveLength(8000);
    const plain = soundTape(read(text));
    expect(plain.head.requires).toEqual(['blobs']);
    const files = new Map(made.blobs.map(({ path, bytes }) => [path, bytes]));
    const whole = withBlobs(plain, (path) => files.get(path), newDigest);
    const message = whole.records.find((it) => it.k === 'msg' && it.from === 'server');
    expect(JSON.parse(message?.k === 'msg' ? message.text : '')).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: { content },
    });
    expect(golden(whole).lines.join('')).toBe(text);
  });

  it('are missed, and known to be changed', () => {
    const made = golden(tape);
    const plain = read(made.lines.join(''));
    expect(() => withBlobs(plain, () => undefined, newDigest)).toThrow(
      /g\.tape\.jsonl:5: the blob blobs\/.* is missing/,
    );
    expect(() => withBlobs(plain, () => bytesOf('x'), newDigest)).toThrow(/was changed/);
  });

  it.each(['../../etc/passwd', 'a'.repeat(64), 'A'.repeat(64)])('cannot name other files: %s', (sha) => {
    const line = JSON.stringify({
      k: 'msg',
      s: '-',
      x: '1',
      from: 'client',
      blobs: [{ at: '/a', sha, type: '../x', as: 'text' }],
      m: {},
    });
    expect(capture(line).problems[0]).toMatchObject({ kind: 'invalid' });
  });
});
